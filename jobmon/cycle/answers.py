"""What the answer to one attempt means for its job."""

from __future__ import annotations

import logging

from jobmon.core.choose import TRIES, Refusal, refused
from jobmon.core.model import (
    Accepted,
    Answer,
    Attempt,
    Cause,
    Differs,
    Event,
    Kind,
    Marked,
    Mono,
    NotRun,
    Reason,
    Refused,
    Unclear,
)
from jobmon.core.settle import noted
from jobmon.cycle.state import Know

log = logging.getLogger(__name__)

PAUSE = 20.0
"""Seconds before an attempt that reached nobody is followed by the next."""


def take_answer(know: Know, attempt: Attempt, answer: Answer) -> None:
    """Journal what became of an attempt. Raises JournalError."""
    at, key, n = know.clock.wall(), attempt.key, attempt.n
    now = know.clock.now()
    match answer:
        case Accepted(jobid):
            know.record([Event(at, Kind.STARTED, key, n, jobid)])
            know.refusals.pop(key, None)
        case Marked():
            know.record([Event(at, Kind.FINISHED, key, n)])
        case Differs():
            why = "the script on the cluster is not the run folder's"
            know.record([Event(at, Kind.UNSUBMITTED, key, n, notes={"reason": why})])
        case NotRun(why):
            know.record([Event(at, Kind.UNSUBMITTED, key, n, notes={"reason": why})])
            tries = know.refusals[key].tries if key in know.refusals else 0
            know.refusals[key] = Refusal(tries, Mono(now + PAUSE))
            log.info("%s was not submitted: %s", key, why)
        case Refused(words):
            pause = know.settings.interval  # 10 s by default
            refusal = know.refusals[key] = refused(know.refusals.get(key), now, pause)
            notes = noted(Reason(Cause.REFUSED, f"refused: {words}"))
            events = [Event(at, Kind.UNSUBMITTED, key, n, notes=notes)]
            if refusal.tries >= TRIES:
                events.append(Event(at, Kind.FAILED, key, n, notes=notes))
            know.record(events)
            log.warning("%s was refused (try %d of %d): %s", key, refusal.tries, TRIES, words)
        case Unclear(words):
            know.unheard.setdefault(key, now)
            log.warning("%s: whether it was submitted is not known yet: %s", key, words)
