"""A job's line of life for people: what happened when, and how long it stayed so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from jobmon.core.life import ENDS, Job
from jobmon.core.model import Event, JobID, Kind

_WORDS = {Kind.STARTED: "submitted", Kind.SUBMITTING: "submitting", Kind.REOPENED: "retried"}


@dataclass(frozen=True, slots=True)
class Moment:
    """``lasted``: seconds until the next moment, or until now; None for an end that still holds.

    ``said``: the reason, or what a retry changed.
    """

    at: datetime
    word: str
    n: int
    lasted: float | None
    jobid: JobID | None = None
    said: str = ""


def moments(job: Job, now: datetime) -> tuple[Moment, ...]:
    """The line of life of a job. An announcement that was kept, as most are, is left out."""
    shown = [
        event
        for event, after in pairwise((*job.history, None))
        if event is not None
        and (event.kind != Kind.SUBMITTING or after is None or after.kind != Kind.STARTED)
    ]
    return tuple(_moment(event, after, now) for event, after in pairwise((*shown, None)) if event)


def _moment(event: Event, after: Event | None, now: datetime) -> Moment:
    over = after is None and event.kind in ENDS
    until = after.at if after is not None else now
    return Moment(
        event.at,
        _WORDS.get(event.kind, str(event.kind)),
        event.n,
        None if over else max(0.0, (until - event.at).total_seconds()),
        event.jobid if event.kind == Kind.STARTED else None,
        _said(event),
    )


def _said(event: Event) -> str:
    if event.kind != Kind.REOPENED:
        return event.notes.get("reason", "")
    return ", ".join(f"{name}={value}" for name, value in event.notes.items())
