"""Who ended, and how: doubts about jobs that left the listing, and what a look proves.

The evidence (design, section 5). Finished: the marker. Failed: absent from two whole looks a
grace apart, and a positive denial of that very ID, and the marker still absent after that.
Silence is no denial; none in ``PATIENCE`` seconds makes the job unclear. The questions to the
cluster are asked between ``suspect`` and ``settle``, not in here; a question that got no answer
leaves no verdict, and nothing follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from jobmon.core.life import Job
from jobmon.core.model import Event, Key, Kind, Life, Mono, Phase, Reason, Seen, Verdict

PATIENCE = 600.0
"""Seconds without marker or denial after which a job that left the listing is unclear."""

ALIVE = frozenset({Life.STARTED, Life.RUNNING})


@dataclass(frozen=True, slots=True)
class Doubt:
    """A job that whole looks did not show: since when, and how many. Losing it only delays."""

    since: Mono
    looks: int


def suspect(
    jobs: Iterable[Job],
    seen: Seen,
    marker: Callable[[Key], str],
    doubts: Mapping[Key, Doubt],
    now: Mono,
) -> dict[Key, Doubt]:
    """The doubts after one more look: of jobs in the batch system that it does not show."""
    after = {}
    for job in jobs:
        if job.life not in ALIVE or job.jobid in seen.queue or marker(job.key) in seen.files:
            continue
        old = doubts.get(job.key, Doubt(now, 0))
        after[job.key] = Doubt(old.since, old.looks + 1)
    return after


def ripe(doubts: Mapping[Key, Doubt], killing: Set[Key], grace: float, now: Mono) -> list[Key]:
    """Whose fate may be asked now. A job that a person had deleted is asked for at once."""
    return [
        key
        for key, doubt in doubts.items()
        if key in killing or (doubt.looks >= 2 and now - doubt.since >= grace)
    ]


def settle(
    jobs: Iterable[Job],
    seen: Seen,
    marker: Callable[[Key], str],
    doubts: Mapping[Key, Doubt],
    verdicts: Mapping[Key, Verdict],
    killing: Set[Key],
    at: datetime,
    now: Mono,
) -> list[Event]:
    """What one whole look, and the verdicts it led to, prove about ``jobs``."""
    events = []
    for job in jobs:
        kind, reason = _judge(job, seen, marker, doubts, verdicts, killing, now)
        if kind is not None:
            notes = {"reason": reason} if reason else {}
            events.append(Event(at, kind, job.key, job.n, job.jobid, notes))
    return events


def _judge(
    job: Job,
    seen: Seen,
    marker: Callable[[Key], str],
    doubts: Mapping[Key, Doubt],
    verdicts: Mapping[Key, Verdict],
    killing: Set[Key],
    now: Mono,
) -> tuple[Kind | None, str]:
    verdict = verdicts.get(job.key)
    if job.life == Life.FINISHED:
        return None, ""
    if marker(job.key) in seen.files or (verdict is not None and verdict.finished):
        return Kind.FINISHED, ""
    phase = seen.queue.get(job.jobid) if job.jobid is not None else None
    if phase is not None:
        if job.life == Life.UNCLEAR:
            return Kind.STARTED, ""
        begun = job.life == Life.STARTED and phase in (Phase.RUNNING, Phase.ENDING)
        return (Kind.RUNNING, "") if begun else (None, "")
    if verdict is not None and verdict.gone and (job.life in ALIVE or job.life == Life.UNCLEAR):
        if job.key in killing:
            return Kind.KILLED, "deleted by jobmon kill"
        return Kind.FAILED, words(verdict.reason)
    doubt = doubts.get(job.key)
    if doubt is None or verdict is None or job.life not in ALIVE:
        return None, ""
    if now - doubt.since >= PATIENCE:
        return Kind.UNCLEAR, "left the listing, and the batch system does not say how"
    return None, ""


def words(reason: Reason | None) -> str:
    """A failure's reason for the journal and for people."""
    return reason.words if reason is not None else "the batch system no longer knows it"
