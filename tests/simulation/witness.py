"""What the world saw, held against what jobmon says: nobody takes jobmon's word for anything.

Some promises are checked the moment they could be broken (a submission, a line of the journal),
the rest when the run is over.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobmon.cluster import ledger
from jobmon.core import life, needs
from jobmon.core.model import Attempt, Event, Key, Kind, Life, Standing
from jobmon.run import journal, names, views
from jobmon.run.names import BadFile
from jobmon.run.paths import Paths
from jobmon.run.tree import read_needs, scripts
from simulation.batch import NEVER, Batch, Truth
from simulation.disk import Disk
from simulation.world import EPOCH, World

LIES = (
    "batch system down",
    "batch system hung",
    "empty answer",
    "half a listing",
    "garbage",
)
"""The faults by which a batch system hides what it has."""

JUST_NOW = 40.0
"""Seconds that may have passed since jobmon's last look when a run is over: a cycle, if it was
stopped in the middle."""


@dataclass(slots=True)
class Witness:
    """The world's own record of one run."""

    world: World
    disk: Disk
    twin: str
    grace: float
    broken: list[str] = field(default_factory=list)
    batch: Batch | None = None
    last: dict[Key, Event] = field(default_factory=dict)
    unclear: int = 0

    def violated(self, words: str) -> None:
        self.broken.append(f"at {self.world.now:.1f} s: {words}")

    # --- the moment a job is accepted -----------------------------------------------------

    def accepted(self, job: Truth) -> None:
        others = [other for other in self._jobs(job.key) if other is not job]
        if any(other.n == job.n for other in others):
            self.violated(f"attempt {job.n} of {job.key} was submitted twice")
        for other in others:
            if other.alive:
                self.violated(f"{job.key} was submitted while its attempt {other.n} lives")
            if other.marked + self.grace < self.world.now:
                self.violated(f"{job.key} was submitted though attempt {other.n} finished")
        for path, absent in self._demands(job):
            if self.disk.exists(path) == absent and not self._fresh(path):
                self.violated(f"{job.key} was submitted with '{path}' unmet")

    def _jobs(self, key: str) -> list[Truth]:
        return [job for job in (self.batch.jobs if self.batch else []) if job.key == key]

    def _demands(self, job: Truth) -> list[tuple[str, bool]]:
        """The dependency file as it stands on the cluster, read by other code than jobmon's."""
        name = job.script.removeprefix("qsub.")
        text = self.disk.read(f"{job.folder}/qsub.dependency.{name}") or b""
        found = []
        for line in text.decode().splitlines():
            if line.strip() and not line.startswith("#"):
                absent = line.startswith("not ")
                path = posixpath.normpath(f"{job.folder}/{line[4:] if absent else line}")
                found.append((path, absent))
        return found

    def _fresh(self, path: str) -> bool:
        """Whether a file came to be just now, too late for anyone to heed it."""
        found = self.disk.stat(path)
        return found is not None and found[1] >= int(EPOCH + self.world.now) - 2

    # --- the moment something is journalled -----------------------------------------------

    def heard(self, events: Sequence[Event]) -> None:
        for event in events:
            self.last[event.key] = event
            match event.kind:
                case Kind.FINISHED:
                    self._finished(event)
                case Kind.FAILED | Kind.KILLED:
                    self._ended(event)
                case Kind.UNCLEAR:
                    self.unclear += 1
                    self._said_unclear(event)

    def _finished(self, event: Event) -> None:
        if not self.disk.exists(f"{self.twin}/{names.marker(event.key)}"):
            self.violated(f"{event.key} is called finished without a marker")

    def _ended(self, event: Event) -> None:
        jobs = self._jobs(event.key)
        if "refused" in event.notes.get("reason", ""):
            if any(job.alive for job in jobs):
                self.violated(f"{event.key} is called refused, and lives")
            return
        if not [job for job in jobs if job.n == event.n]:
            if "resolve" not in event.notes.get("reason", ""):
                self.violated(f"{event.key} is called {event.kind}, and was never submitted")
        elif any(job.alive for job in jobs):
            self.violated(f"{event.key} is called {event.kind}, and lives")
        lag = self.batch.lag if self.batch else 0.0
        # Of a job that a person had deleted nobody waits for a late marker.
        timely = lag < self.grace if event.kind == Kind.FAILED else lag == 0.0
        if timely and any(job.marked < NEVER and job.n == event.n for job in jobs):
            self.violated(f"{event.key} is called {event.kind}, and wrote its marker")

    def _said_unclear(self, event: Event) -> None:
        if event.jobid is None and self._evidence(Attempt(event.key, event.n)):
            self.violated(
                f"{event.key} is called unclear, though the record says what became of it"
            )

    def _evidence(self, attempt: Attempt) -> bool:
        """Whether the remote record holds an answer that leaves no doubt."""
        path = f"{self.twin}/.jobmon/record/{ledger.record_name(attempt)}"
        lines = (self.disk.read(path) or b"").decode().rstrip("\n").split("\n")
        if lines[-1] != "end" or len(lines) < 3:
            return False
        said = "submitted" in lines[2].lower() or lines[2].endswith(".vm")
        return not lines[1].startswith("ran ") or said

    # --- the end ----------------------------------------------------------------------------

    def over(self, run: Path) -> None:
        """The run has come to its end by itself, long after the last fault."""
        paths = Paths(run)
        try:
            told = journal.read(paths.journal)
            jobs = journal.jobs_of(paths.journal, told)
        except (BadFile, journal.JournalError) as error:
            self.violated(f"the journal cannot be read any more: {error}")
            return
        self._files_agree(paths, told, jobs)
        for job in self.batch.robbed if self.batch else []:
            self.violated(f"{job.key} ({job.id}) ran, and a file of its was removed")
        for job in self.batch.jobs if self.batch else []:
            self._not_forgotten(job, jobs.get(Key(job.key)))
        for key, known in jobs.items():
            self._settled(key, known)
        self._nothing_left(run, jobs)

    def _files_agree(self, paths: Paths, told: list[Event], jobs: dict[Key, life.Job]) -> None:
        lines = views.read_quelist(paths.quelist.read_text("utf-8"), paths.quelist)
        if {one.key: one for one in lines} != {one.key: one for one in views.lines_of(told)}:
            self.violated("quelist and journal differ")
        now = {one.key for one in views.read_now(paths.now.read_text("utf-8"), paths.now)}
        alive = {key for key, job in jobs.items() if job.in_system}
        # qsub.now tells of the last look, a moment ago.
        truths = self.batch.jobs if self.batch else []
        listed = {Key(job.key) for job in truths if self.world.now < job.unlisted + JUST_NOW}
        if not alive <= now <= alive | listed:
            self.violated(f"qsub.now holds {now}, the journal {alive}")

    def _not_forgotten(self, truth: Truth, known: life.Job | None) -> None:
        if known is None:
            self.violated(f"{truth.key} ({truth.id}) was submitted and is not known")
        elif truth.alive and truth.marked == NEVER and not (known.in_system and known.n == truth.n):
            self.violated(f"{truth.key} ({truth.id}) lives, and jobmon calls it {known.life}")

    def _settled(self, key: Key, known: life.Job) -> None:
        mine = [job for job in self._jobs(key) if job.n == known.n]
        marker = self.disk.exists(f"{self.twin}/{names.marker(key)}")
        if marker and known.life != Life.FINISHED and not self._late(known):
            self.violated(f"{key} has its marker and is called {known.life}")
        moving = known.life in (Life.SUBMITTING, Life.STARTED, Life.RUNNING)
        if moving and not any(job.alive for job in mine):
            self.violated(f"{key} is called {known.life} for ever")
        if known.life == Life.UNCLEAR:
            if known.jobid is None and self._evidence(Attempt(key, known.n)):
                self.violated(f"{key} stays unclear, though the record knows")
            if any(job.alive for job in mine):
                self.violated(f"{key} stays unclear, though it is listed under its token")

    def _late(self, known: life.Job) -> bool:
        """Whether a person's kill ended the run before a late marker could be seen."""
        return known.life == Life.KILLED and self.batch is not None and self.batch.lag > 0

    def _nothing_left(self, run: Path, jobs: dict[Key, life.Job]) -> None:
        """Every script whose needs are met has run."""
        if any(job.life == Life.UNCLEAR or self._late(job) for job in jobs.values()):
            return  # they keep their places; it is seen at the next start
        hands = ("script edited", "script changed there")
        if self.batch and all(map(self.batch.faults.possible, hands)):
            return  # changed on both sides: that waits for a person
        for key in scripts(run):
            known = jobs.get(key, life.Job(key))
            if known.life not in life.OPEN:
                continue
            path = run / names.dependency(key)
            wanted = read_needs(path, names.split(key)[0])[0] if path.exists() else None
            present = {
                need.path for need in wanted or () if self.disk.exists(f"{self.twin}/{need.path}")
            }
            if needs.standing(wanted, present) == Standing.CLEAR:
                self.violated(f"{key} could have gone and was left")
