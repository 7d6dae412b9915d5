"""What the daemon knows of its run, and the one way in which that grows: journalled events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobmon.core import life, needs
from jobmon.core.choose import Refusal
from jobmon.core.life import OPEN, Job
from jobmon.core.model import Event, JobID, Key, Life, Mono, Standing
from jobmon.core.settle import Doubt
from jobmon.run import names, views
from jobmon.run.atomic import write_atomically
from jobmon.run.journal import Journal
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
    order: dict[Key, None] = field(default_factory=dict)  # the quelist's order
    index: needs.Index = field(default_factory=needs.Index)
    present: set[str] = field(default_factory=set)  # files that needs name, there when last seen
    # files here that are not as last synced, by folder
    changed: dict[str, dict[str, Stamp]] = field(default_factory=dict)
    conflicts: set[str] = field(default_factory=set)  # changed on both sides
    in_system: set[Key] = field(default_factory=set)
    doubts: dict[Key, Doubt] = field(default_factory=dict)
    refusals: dict[Key, Refusal] = field(default_factory=dict)
    killing: set[Key] = field(default_factory=set)
    unheard: dict[Key, Mono] = field(default_factory=dict)  # attempts without an answer, since
    leaving: set[JobID] = field(default_factory=set)  # of ended jobs that are still listed
    stuck: dict[Key, str] = field(default_factory=dict)  # listed, but will never start
    drawn: Stamp | None = None  # the quelist as last written by us
    renewed: set[Key] = field(default_factory=set)  # whose needs were read anew
    pulling: tuple[str, ...] = ()  # folders into which a pull is just now writing
    unpulled: set[str] = field(default_factory=set)  # job folders with a job newly ended
    complaints: dict[str, None] = field(default_factory=dict)  # said once each
    news: list[Event] = field(default_factory=list)  # events not yet told to the person

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
        for event in events:
            if views.lists(event):
                self.order.setdefault(event.key)
        self.news += events
        for key, job in after.items():
            self._take(key, job)

    def load(self, events: Iterable[Event]) -> None:
        """Take over what an opened journal holds."""
        for event in events:
            if views.lists(event):
                self.order.setdefault(event.key)
        for key, job in life.fold(events).items():
            self._take(key, job)
        self.unpulled = self.synced.owed()

    def _take(self, key: Key, job: Job) -> None:
        self.jobs[key] = job
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
            self.killing.discard(key)
            if was_in:
                self.unpulled.add(job_folder(key))
            if job.jobid is not None:
                self.leaving.add(job.jobid)
        if job.life == Life.FINISHED:
            self.present.add(names.marker(key))

    def in_flux(self, folder: str) -> bool:
        """Whether files here say nothing of a person: a pull, or the job itself, writes them."""
        if self.identity.rdir == str(self.paths.run):
            return True
        return any(f"{folder}/".startswith(f"{f}/" if f else "") for f in self.pulling)

    def standing(self, key: Key) -> Standing:
        return needs.standing(self.index.of(key), self.present)

    def blocked(self) -> dict[Key, str]:
        """The blocked jobs with their reasons; reads the whole run, so not for every cycle."""
        return needs.in_vain(self.jobs, self.index.of, self.present, names.marker_key)

    def barred(self) -> set[Key]:
        """Jobs of folders where a file changed on both sides."""
        folders = {path.rpartition("/")[0] for path in self.conflicts}
        return (
            {key for key in self.order if key.rpartition("/")[0] in folders} if folders else set()
        )

    def lines(self) -> list[views.Line]:
        """The quelist as it should stand now."""
        return [
            views.Line(
                key, tuple(mark for event in self.jobs[key].history if (mark := views.mark(event)))
            )
            for key in self.order
        ]

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


def job_folder(key: Key) -> str:
    return names.split(key)[0]
