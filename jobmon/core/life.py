"""The life of a job: everything that affects it lives here, as one table.

Two rules. A job's state is the fold of its events and of nothing else; what files say of it
(held, waiting, blocked) is not in here. An event that the table does not hold is an error of
the program or of a hand in the journal, and is refused, never bent to fit.

The odd rows: a marker ends every doubt, so FINISHED follows from almost anywhere, FAILED and
KILLED included (a file system may show a marker late). UNCLEAR goes back to STARTED when the
job turns up. REOPENED begins a new attempt on the same line of life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from jobmon.core.model import Event, JobID, Key, Kind, Life

TABLE: Mapping[Life, Mapping[Kind, Life]] = MappingProxyType(
    {
        Life.NEW: {Kind.READY: Life.READY, Kind.FINISHED: Life.FINISHED},
        Life.READY: {
            Kind.SUBMITTING: Life.SUBMITTING,
            Kind.FINISHED: Life.FINISHED,
            Kind.FAILED: Life.FAILED,  # refused again and again
        },
        Life.SUBMITTING: {
            Kind.UNSUBMITTED: Life.READY,
            Kind.STARTED: Life.STARTED,
            Kind.UNCLEAR: Life.UNCLEAR,
            Kind.FINISHED: Life.FINISHED,
        },
        Life.STARTED: {
            Kind.RUNNING: Life.RUNNING,
            Kind.FINISHED: Life.FINISHED,
            Kind.FAILED: Life.FAILED,
            Kind.KILLED: Life.KILLED,
            Kind.UNCLEAR: Life.UNCLEAR,
        },
        Life.RUNNING: {
            Kind.FINISHED: Life.FINISHED,
            Kind.FAILED: Life.FAILED,
            Kind.KILLED: Life.KILLED,
            Kind.UNCLEAR: Life.UNCLEAR,
        },
        Life.UNCLEAR: {
            Kind.STARTED: Life.STARTED,
            Kind.UNSUBMITTED: Life.READY,
            Kind.FINISHED: Life.FINISHED,
            Kind.FAILED: Life.FAILED,
            Kind.KILLED: Life.KILLED,
        },
        Life.FINISHED: {},
        Life.FAILED: {Kind.FINISHED: Life.FINISHED, Kind.REOPENED: Life.NEW},
        Life.KILLED: {Kind.FINISHED: Life.FINISHED, Kind.REOPENED: Life.NEW},
    }
)

IN_SYSTEM = frozenset({Life.SUBMITTING, Life.STARTED, Life.RUNNING, Life.UNCLEAR})
"""Lives that keep a place of ``maxqsub``: in the batch system, or perhaps."""

ENDS = frozenset({Kind.FINISHED, Kind.FAILED, Kind.KILLED})
"""The events after which nothing of an attempt is in the batch system any more."""

ENDED = frozenset({Life.FAILED, Life.KILLED})
"""Lives that a person can open again."""

OPEN = frozenset({Life.NEW, Life.READY})
"""Lives whose state, as a person is shown it, depends on files."""


class IllegalEvent(ValueError):
    """An event that cannot follow a job's life so far; ``index`` is its place among all."""

    index = 0


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of one job.

    ``n`` is the number of its last attempt (0: none), ``jobid`` that attempt's ID once known,
    ``ran`` whether any attempt may ever have been in the batch system.
    """

    key: Key
    life: Life = Life.NEW
    n: int = 0
    jobid: JobID | None = None
    ran: bool = False
    history: tuple[Event, ...] = ()

    @property
    def in_system(self) -> bool:
        return self.life in IN_SYSTEM

    @property
    def why(self) -> str:
        """The reason given with the last event, in words; empty if none was."""
        return self.history[-1].notes.get("reason", "") if self.history else ""

    @property
    def cause(self) -> str:
        """Why it failed, as one of the words of ``Cause``; empty if it did not."""
        return self.history[-1].notes.get("cause", "") if self.life == Life.FAILED else ""


def step(job: Job, event: Event) -> Job:
    """``job`` after ``event``. Raises IllegalEvent."""
    life = TABLE[job.life].get(event.kind)
    if life is None:
        raise IllegalEvent(f"{job.key} is {job.life} and cannot become {event.kind}")
    after = replace(job, life=life, history=(*job.history, event))
    match event.kind:
        case Kind.SUBMITTING:
            if event.n <= job.n:
                raise IllegalEvent(f"{job.key}: attempt {event.n} after attempt {job.n}")
            return replace(after, n=event.n, jobid=None)
        case Kind.STARTED:
            return replace(after, jobid=event.jobid, ran=True)
        case Kind.UNCLEAR:
            return replace(after, ran=True)
        case Kind.UNSUBMITTED:
            return replace(after, jobid=None)
    return after


def fold(events: Iterable[Event]) -> dict[Key, Job]:
    """All jobs that the events speak of, in the order of their first event.

    Raises IllegalEvent.
    """
    jobs: dict[Key, Job] = {}
    for index, event in enumerate(events):
        try:
            jobs[event.key] = step(jobs.get(event.key) or Job(event.key), event)
        except IllegalEvent as error:
            error.index = index
            raise
    return jobs
