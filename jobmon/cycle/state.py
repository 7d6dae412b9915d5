"""What the daemon knows of its run, and the one way in which that grows: journalled events."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobmon.core import life, needs
from jobmon.core.choose import Refusal
from jobmon.core.life import OPEN, Job
from jobmon.core.model import Event, JobID, Key, Life, Mono, Standing
from jobmon.core.settle import Doubt
from jobmon.cycle import memory
from jobmon.cycle.change import Change
from jobmon.run import names, views
from jobmon.run.atomic import write_atomically
from jobmon.run.journal import Journal, jobs_of
from jobmon.run.options import Settings
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity
from jobmon.run.synced import Stamp, Synced
from jobmon.run.tree import Tree


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from: seconds that never step back, and the wall's time for people."""

    mono: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] = lambda: datetime.now().astimezone()
    sleep: Callable[[float], None] = time.sleep

    def now(self) -> Mono:
        return Mono(self.mono())


@dataclass(slots=True)
class Know:
    """All that one run's daemon knows. Only ``record`` changes what is known of jobs."""

    paths: Paths
    settings: Settings
    identity: Identity
    journal: Journal
    synced: Synced
    tree: Tree
    clock: Clock
    jobs: dict[Key, Job] = field(default_factory=dict)
    order: dict[Key, int] = field(default_factory=dict)  # the quelist's, each with its place
    ready: dict[Key, None] = field(default_factory=dict)  # in that order, see ready_in_order
    index: needs.Index = field(default_factory=needs.Index)
    fresh: bool = False  # the twin holds what was pushed a moment ago and nothing else
    present: set[str] = field(default_factory=set)  # files that needs name, there when last seen
    # files here that are not as last synced, by folder
    changed: dict[str, dict[str, Stamp]] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)  # changed on both sides
    in_system: set[Key] = field(default_factory=set)
    again: set[Key] = field(default_factory=set)  # to be submitted anew; the old marker may come
    doubts: dict[Key, Doubt] = field(default_factory=dict)
    refusals: dict[Key, Refusal] = field(default_factory=dict)
    killing: set[Key] = field(default_factory=set)
    changes: dict[Key, Change] = field(default_factory=dict)  # retries that clear files first
    unheard: dict[Key, Mono] = field(default_factory=dict)  # attempts without an answer, since
    leaving: dict[JobID, Key] = field(default_factory=dict)  # of ended jobs that are still listed
    past: dict[JobID, Key] = field(default_factory=dict)  # of jobs that had ended before the start
    stuck: dict[Key, str] = field(default_factory=dict)  # listed, but will never start
    kept: str = ""  # the memory as last written
    drawn: Stamp | None = None  # the quelist as last written, or read, by us
    redraw: bool = True  # it does not say what it should, whatever happened to the jobs
    renewed: set[Key] = field(default_factory=set)  # whose needs were read anew
    unpulled: set[str] = field(default_factory=set)  # job folders with a job newly ended
    complaints: dict[str, None] = field(default_factory=dict)  # said once each
    news: list[Event] = field(default_factory=list)  # events not yet told to the person
    printed: dict[Key, str] = field(default_factory=dict)  # the quelist's lines as last drawn
    touched: dict[Key, None] = field(default_factory=dict)  # whose line is to be drawn again
    _mixed: bool = False  # a job is ready again, and stands behind what comes after it

    def record(self, events: Sequence[Event]) -> None:
        """Journal ``events``, flushed, and take them into what is known.

        Raises JournalError, with nothing changed; IllegalEvent for a program's error.
        """
        after: dict[Key, Job] = {}
        for event in events:
            before = after.get(event.key) or self.jobs.get(event.key) or Job(event.key)
            after[event.key] = life.step(before, event)
        ended = {job_folder(event.key) for event in events if event.kind in life.ENDS}
        if ended:
            self.synced.owe(ended)  # before it is told: what it made must come home
        self.journal.append(events)
        self._list(events)
        self.news += events
        for key, job in after.items():
            self._take(key, job)

    def load(self, events: Iterable[Event]) -> None:
        """Take over what an opened journal holds. Raises BadFile."""
        self._list(events)
        for key, job in jobs_of(self.paths.journal, events).items():
            self._take(key, job)
        self.past, self.leaving = self.leaving, {}  # which of them are listed, a look tells
        self.unpulled = self.synced.owed()
        memory.recall(self)

    def _list(self, events: Iterable[Event]) -> None:
        for event in events:
            if views.lists(event):
                self.order.setdefault(event.key, len(self.order))

    def _take(self, key: Key, job: Job) -> None:
        self.jobs[key] = job
        self.touched[key] = None
        if job.life == Life.READY and key not in self.ready:
            last = next(reversed(self.ready), None)
            self._mixed |= last is not None and self.order[last] > self.order[key]
            self.ready[key] = None
        elif job.life != Life.READY:
            self.ready.pop(key, None)
        (self.again.add if job.ran and job.life in OPEN else self.again.discard)(key)
        if job.life not in OPEN and not job.in_system:
            self.index.drop(key)
        if job.in_system:
            self.in_system.add(key)
            return
        was_in = key in self.in_system
        self.in_system.discard(key)
        self.doubts.pop(key, None)
        self.unheard.pop(key, None)
        self.stuck.pop(key, None)
        if job.life not in OPEN:
            if was_in:
                self.unpulled.add(job_folder(key))
            if job.jobid is not None:
                self.leaving[job.jobid] = key
        if job.life == Life.FINISHED:
            marker = names.marker(key)
            if marker not in self.present:  # seen by a question of its own, not by a look
                self.present.add(marker)
                self.renewed |= self.index.asking({marker})

    def own_twin(self) -> bool:
        """Whether jobs run in the run folder itself: what changes here says nothing of a person."""
        return self.identity.rdir == str(self.paths.run)

    def standing(self, key: Key) -> Standing:
        return needs.standing(self.index.of(key), self.present)

    def put_in_order(self, keys: Iterable[Key]) -> None:
        """Take this order of the quelist for the one that holds."""
        self.order = {key: place for place, key in enumerate(keys)}
        self._mixed = True

    def ready_in_order(self) -> Iterable[Key]:
        """The jobs that are ready, in the quelist's order."""
        if self._mixed:
            self.ready = dict.fromkeys(sorted(self.ready, key=self.order.__getitem__))
            self._mixed = False
        return self.ready

    def conflicted(self) -> Container[Key]:
        """Jobs with a file, in their folder or below, that was changed on both sides."""
        return _Under({path.rpartition("/")[0] for path in self.conflicts})

    def barred(self) -> Container[Key]:
        """Jobs with a file, in their folder or below, that is still to be pushed, or that was
        changed on both sides."""
        return _Under({path.rpartition("/")[0] for path in self.conflicts} | self.changed.keys())

    def listed(self) -> dict[Key, JobID | None]:
        """Every job of this run that is in the batch system, ended ones that linger included."""
        alive = {key: self.jobs[key].jobid for key in self.in_system}
        return {key: jobid for jobid, key in self.leaving.items()} | alive

    def lines(self) -> list[views.Line]:
        """The quelist as it should stand now."""
        return [views.line_of(key, self.jobs[key].history) for key in self.order]

    def complain(self, text: str) -> bool:
        """Whether ``text`` has not been said yet."""
        new = text not in self.complaints
        self.complaints[text] = None
        return new

    def save_present(self) -> None:
        """Leave for other commands which dependencies were there when last looked."""
        write_atomically(
            self.paths.present, "".join(f"{names.encode(path)}\n" for path in sorted(self.present))
        )


class _Under:
    """The jobs in any of these folders, or in one above."""

    def __init__(self, folders: Iterable[str]) -> None:
        self._above: set[str] = set()
        for folder in folders:
            step = folder
            while step not in self._above:
                self._above.add(step)
                step = step.rpartition("/")[0]

    def __contains__(self, key: object) -> bool:
        return str(key).rpartition("/")[0] in self._above


def job_folder(key: Key) -> str:
    return key.rpartition("/")[0]
