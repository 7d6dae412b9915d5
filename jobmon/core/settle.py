"""Who ended, and how: doubts about jobs that left the listing, and what a look proves.

The evidence (design, section 5). Finished: the marker. Failed: absent from the listing, and a
positive denial of that very ID, and both once more a grace after the first denial, and the marker
still absent after that. (The grace is for the marker, so it begins when the job is known to have
ended: listings that were empty for a while may have begun the doubt of a job that still ran.)
Silence is no denial; none in ``PATIENCE`` seconds makes the job unclear. The questions to the
cluster are asked between ``suspect`` and ``settle``, not in here; a question that got no answer
leaves no verdict, and nothing follows from that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime

from jobmon.core.life import Job
from jobmon.core.model import (
    Cause,
    Event,
    JobID,
    Key,
    Kind,
    Life,
    Mono,
    Phase,
    Reason,
    Seen,
    Verdict,
)
from jobmon.core.reason import FORGOTTEN

PATIENCE = 600.0
"""Seconds without marker or denial after which a job that left the listing is unclear."""

ALIVE = frozenset({Life.STARTED, Life.RUNNING})


@dataclass(frozen=True, slots=True)
class Doubt:
    """A job that a whole look did not show, and none since: since when, and when the batch system
    first denied it. Losing it only delays."""

    since: Mono
    denied: Mono | None = None


def uncut(seen: Seen, known: Iterable[JobID | None]) -> Seen:
    """The look with the IDs that its listing may have cut (they end in ``*``) as they are known.

    One that two known jobs begin with counts for both: it may keep a job that is gone for a while,
    and never hides one that lives.
    """
    cut = {jobid[:-1]: phase for jobid, phase in seen.queue.items() if jobid.endswith("*")}
    if not cut:
        return seen
    lengths = sorted({len(start) for start in cut})
    whole = dict(seen.queue)
    for jobid in known:
        for length in lengths if jobid is not None and jobid not in whole else ():
            if jobid is not None and jobid[:length] in cut:
                whole[jobid] = cut[jobid[:length]]
    return replace(seen, queue=whole)


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
        known = job.life in ALIVE or (job.life == Life.UNCLEAR and job.jobid is not None)
        if not known or job.jobid in seen.queue or marker(job.key) in seen.files:
            continue
        after[job.key] = doubts.get(job.key, Doubt(now))
    return after


def ripe(doubts: Mapping[Key, Doubt], killing: Set[Key], grace: float, now: Mono) -> list[Key]:
    """Whose fate is to be asked now: until it is denied, and again a grace after that."""
    return [
        key
        for key, doubt in doubts.items()
        if key in killing or doubt.denied is None or now - doubt.denied >= grace
    ]


def denied(
    doubts: Mapping[Key, Doubt], verdicts: Mapping[Key, Verdict], now: Mono
) -> dict[Key, Doubt]:
    """The doubts with what was denied for the first time noted."""
    return {
        key: replace(doubt, denied=now)
        if doubt.denied is None and key in verdicts and verdicts[key].gone
        else doubt
        for key, doubt in doubts.items()
    }


def settle(
    jobs: Iterable[Job],
    seen: Seen,
    marker: Callable[[Key], str],
    doubts: Mapping[Key, Doubt],
    verdicts: Mapping[Key, Verdict],
    killing: Set[Key],
    grace: float,
    at: datetime,
    now: Mono,
) -> list[Event]:
    """What one whole look, and the verdicts it led to, prove about ``jobs``.

    ``doubts`` are those of ``denied``; ``grace`` in seconds.
    """
    events = []
    for job in jobs:
        kind, why = _judge(
            job,
            marker(job.key) in seen.files,
            seen.queue.get(job.jobid) if job.jobid is not None else None,
            doubts.get(job.key),
            verdicts.get(job.key),
            None if job.key in killing else grace,
            now,
        )
        if kind is not None:
            notes = noted(why) if isinstance(why, Reason) else {"reason": why} if why else {}
            events.append(Event(at, kind, job.key, job.n, job.jobid, notes))
    return events


def _judge(
    job: Job,
    marked: bool,
    phase: Phase | None,
    doubt: Doubt | None,
    verdict: Verdict | None,
    grace: float | None,
    now: Mono,
) -> tuple[Kind | None, str | Reason]:
    """What became of one job. ``grace``: None for a job that a person had deleted."""
    if job.life == Life.FINISHED:
        return None, ""
    if marked or (verdict is not None and verdict.finished):
        return Kind.FINISHED, ""
    if phase is not None:
        if job.life == Life.UNCLEAR:
            return Kind.STARTED, ""
        begun = job.life == Life.STARTED and phase in (Phase.RUNNING, Phase.ENDING)
        return (Kind.RUNNING, "") if begun else (None, "")
    if doubt is None or verdict is None:
        return None, ""
    if verdict.gone and grace is None:
        return Kind.KILLED, "deleted by jobmon kill"
    if verdict.gone and doubt.denied is not None:
        over = now - doubt.denied >= (grace or 0.0)
        return (Kind.FAILED, verdict.reason or FORGOTTEN) if over else (None, "")
    if job.life in ALIVE and now - doubt.since >= PATIENCE:
        return Kind.UNCLEAR, "left the listing, and the batch system does not say how"
    return None, ""


def noted(reason: Reason) -> dict[str, str]:
    """The notes of an event: ``reason`` for people, ``cause`` for programs."""
    return {"reason": reason.words, "cause": str(reason.cause)}


def give_up(job: Job, killing: Set[Key], at: datetime) -> Event:
    """The end of the doubt about an unclear job of which a person says that it is gone.

    An attempt that never had a job ID is taken as never submitted, which makes the job ready
    again; one that had one as failed. If it was to be killed, it is killed in both cases.
    """
    reason = Reason(Cause.FORGOTTEN, "said to be gone by 'jobmon resolve'")
    if job.key in killing:
        return Event(at, Kind.KILLED, job.key, job.n, job.jobid, {"reason": reason.words})
    kind = Kind.UNSUBMITTED if job.jobid is None else Kind.FAILED
    return Event(at, kind, job.key, job.n, job.jobid, noted(reason))
