"""What the answer to one attempt means for its job."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime

from jobmon.core.choose import TRIES, Refusal, refused
from jobmon.core.model import (
    Accepted,
    Answer,
    Attempt,
    Cause,
    Differs,
    Event,
    Key,
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


def take_answers(know: Know, answers: Mapping[Attempt, Answer]) -> None:
    """Journal what became of attempts. Raises JournalError, with nothing changed."""
    now = know.clock.now()
    refusals = {
        attempt.key: refusal
        for attempt, answer in answers.items()
        if (refusal := _refusal(know, attempt.key, answer, now)) is not None
    }
    at = know.clock.wall()
    know.record(
        [
            event
            for attempt, answer in answers.items()
            for event in _events(at, attempt, answer, refusals.get(attempt.key))
        ]
    )
    know.refusals.update(refusals)
    for attempt, answer in answers.items():
        _after(know, attempt.key, answer, now)


def _refusal(know: Know, key: Key, answer: Answer, now: Mono) -> Refusal | None:
    """When to try again what was not submitted."""
    before = know.refusals.get(key)
    match answer:
        case NotRun():
            return Refusal(before.tries if before else 0, Mono(now + PAUSE))
        case Refused():
            return refused(before, now, know.settings.interval)  # 10 s by default
    return None


def _events(
    at: datetime, attempt: Attempt, answer: Answer, refusal: Refusal | None
) -> Iterator[Event]:
    key, n = attempt.key, attempt.n
    match answer:
        case Accepted(jobid):
            yield Event(at, Kind.STARTED, key, n, jobid)
        case Marked():
            yield Event(at, Kind.FINISHED, key, n)
        case Differs():
            why = "the script on the cluster is not the run folder's"
            yield Event(at, Kind.UNSUBMITTED, key, n, notes={"reason": why})
        case NotRun(why):
            yield Event(at, Kind.UNSUBMITTED, key, n, notes={"reason": why})
        case Refused(words):
            notes = noted(Reason(Cause.REFUSED, f"refused: {words}"))
            yield Event(at, Kind.UNSUBMITTED, key, n, notes=notes)
            if refusal is not None and refusal.tries >= TRIES:
                yield Event(at, Kind.FAILED, key, n, notes=notes)


def _after(know: Know, key: Key, answer: Answer, now: Mono) -> None:
    match answer:
        case Accepted():
            know.refusals.pop(key, None)
        case NotRun(why):
            log.info("%s was not submitted: %s", key, why)
        case Refused(words):
            tries = know.refusals[key].tries
            log.warning("%s was refused (try %d of %d): %s", key, tries, TRIES, words)
        case Unclear(words):
            know.unheard.setdefault(key, now)
            log.warning("%s: whether it was submitted is not known yet: %s", key, words)
