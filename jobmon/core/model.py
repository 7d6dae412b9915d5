"""The types that every room shares. Values only: nothing here decides or does anything."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NewType

Key = NewType("Key", str)
"""A job's name for ever: its script's path relative to the run folder, ``mp-149/qsub.0``."""

JobID = NewType("JobID", str)
"""What the batch system calls a job: ``353143``, ``101.server``, ``4711``."""

Mono = NewType("Mono", float)
"""Seconds of a clock that never steps back. Wall time is printed, never compared."""


class Kind(StrEnum):
    """What can happen to a job; the words of the journal."""

    READY = "ready"
    SUBMITTING = "submitting"
    UNSUBMITTED = "unsubmitted"
    STARTED = "started"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    UNCLEAR = "unclear"
    REOPENED = "reopened"


class Life(StrEnum):
    """Where the events so far have brought a job."""

    NEW = "new"
    READY = "ready"
    SUBMITTING = "submitting"
    STARTED = "started"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    UNCLEAR = "unclear"


class Standing(StrEnum):
    """What the files say of a job that was not submitted; derived, never journalled."""

    HELD = "held"
    WAITING = "waiting"
    BLOCKED = "blocked"
    CLEAR = "clear"


class Phase(StrEnum):
    """What a listing of the batch system says of a job that is in it."""

    PENDING = "pending"
    RUNNING = "running"
    HELD = "held"
    STUCK = "stuck"  # will never start by itself: SGE Eqw, Slurm DependencyNeverSatisfied
    ENDING = "ending"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why a job failed, as far as a program needs to tell the cases apart."""

    EXIT = "exit"
    TIME = "time"
    MEMORY = "memory"
    DELETED = "deleted"
    NODE = "node"
    NEVER_STARTED = "never started"
    REFUSED = "refused"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job failed: a cause for the program, words for the person."""

    cause: Cause
    words: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The n-th submission (1, 2, …) of a job; (key, n) names it for ever."""

    key: Key
    n: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal."""

    at: datetime
    kind: Kind
    key: Key
    n: int = 0
    jobid: JobID | None = None
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Need:
    """One line of a dependency file: ``path`` (relative to the run folder) there, or absent."""

    path: str
    absent: bool = False

    def __str__(self) -> str:
        return f"not {self.path}" if self.absent else self.path


@dataclass(frozen=True, slots=True)
class Stat:
    """A file's size in bytes and its time of change in whole seconds, as its own machine says."""

    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class Seen:
    """One look, whole: who is in the batch system, and which of the files asked for exist.

    ``stats`` holds every file whose size and time were asked for, None for one that is not there.
    """

    queue: Mapping[JobID, Phase]
    files: Set[str]
    stats: Mapping[str, Stat | None] = field(default_factory=lambda: MappingProxyType({}))
    listing: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the batch system says of one job that left its listing.

    ``gone`` is a positive denial (the unknown-ID text, or an end in the accounting);
    silence leaves it False. ``finished``: the marker was there after that.
    """

    gone: bool
    finished: bool = False
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The batch system took the job and calls it ``jobid``."""

    jobid: JobID


@dataclass(frozen=True, slots=True)
class Refused:
    """The batch system said a clear no, in these words. Nothing of this attempt can run."""

    words: str


@dataclass(frozen=True, slots=True)
class NotRun:
    """qsub was not called for this attempt and never will be, or surely did not reach anyone."""

    why: str


@dataclass(frozen=True, slots=True)
class Differs:
    """qsub was not called: the script over there is not the run folder's."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The marker of a job that never ran was already there."""


@dataclass(frozen=True, slots=True)
class Unclear:
    """Whether the batch system has this attempt could not be found out."""

    words: str


Answer = Accepted | Refused | NotRun | Differs | Marked | Unclear
