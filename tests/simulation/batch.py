"""The simulated batch system: its jobs as they truly are, and how each of them fares.

What it prints is in ``dialects.py``. Here stands the truth, which jobmon never sees: who was
accepted when, under which name, who lives, and how each one ended.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from simulation.disk import Disk
from simulation.world import EPOCH, Due, Faults, World

ALIVE = frozenset({"PENDING", "RUNNING", "HELD", "STUCK"})
NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Fate:
    """What will become of a job if nobody interferes: seconds, and its end."""

    pending: float
    runs: float
    end: str = "COMPLETED"
    code: int = 0
    marks: bool = True
    early: float = 0.0  # seconds for which it goes on after its marker
    writes: str = ""  # a new script that it leaves behind


@dataclass(slots=True, eq=False)
class Truth:
    """One accepted submission. ``n`` is the attempt's number, by the token."""

    id: str
    key: str
    n: int
    token: str
    folder: str
    script: str
    at: float
    fate: Fate
    user: str = "u"
    state: str = "PENDING"
    end: str = ""
    code: int = 0
    ended: float = NEVER
    marked: float = NEVER  # when its marker was written
    unlisted: float = NEVER  # when the listing drops it
    forgotten: float = NEVER  # when the controller forgets it
    accounted: float = NEVER  # when the accounting shows its end
    next: Due | None = None
    scratch: str = ""  # a file that it works on while it runs, and leaves behind

    @property
    def alive(self) -> bool:
        return self.state in ALIVE


@dataclass(slots=True)
class Batch:
    """The jobs of one cluster, and the only one who may change them."""

    world: World
    faults: Faults
    disk: Disk
    twin: str
    fate: Callable[[str, int], Fate]
    accepted: Callable[[Truth], None]
    jobs: list[Truth] = field(default_factory=list)
    robbed: list[Truth] = field(default_factory=list)  # whose scratch was gone while they ran
    number: int = 4710
    down_until: float = 0.0
    hung_until: float = 0.0
    lag: float = 0.0  # seconds until a marker is seen by others
    accounting: bool = True
    accounting_lag: float = 0.0
    memory: float = 120.0  # seconds for which the controller remembers an ended job
    server: str = ""  # what stands behind the number in an ID

    def submit(self, folder: str, script: str, token: str) -> Truth:
        """Accept a job."""
        key = posixpath.relpath(f"{folder}/{script}", self.twin)
        found = re.search(r"\.([0-9]+)$", token)
        n = int(found[1]) if found else 0
        self.number += 1
        fate = self.fate(key, n)
        jobid = f"{self.number}{self.server}"
        job = Truth(jobid, key, n, token, folder, script, self.world.now, fate)
        self.jobs.append(job)
        self.accepted(job)
        if fate.end == "STUCK":
            job.state = "STUCK"
        else:
            job.next = self.world.after(fate.pending, lambda: self._start(job))
        return job

    def named(self, jobid: str) -> Truth | None:
        """The newest job of that ID."""
        return next((job for job in reversed(self.jobs) if job.id == jobid), None)

    def listed(self) -> list[Truth]:
        return [job for job in self.jobs if self.world.now < job.unlisted]

    def remembered(self) -> list[Truth]:
        return [job for job in self.jobs if self.world.now < job.forgotten]

    def delete(self, job: Truth) -> None:
        if job.alive:
            self._end(job, "CANCELLED", 0)

    def hold(self, job: Truth, seconds: float) -> None:
        """A pending job is held by hand, and let go again later."""
        if job.state == "PENDING" and job.next is not None:
            job.next.off = True
            job.state = "HELD"
            job.next = self.world.after(seconds, lambda: self._release(job))

    def requeue(self, job: Truth) -> None:
        """A running job is put back by its system and begins anew; it stays the same job."""
        if job.state == "RUNNING" and job.next is not None:
            job.next.off = True
            job.state = "PENDING"
            job.next = self.world.after(job.fate.pending, lambda: self._start(job))

    def lose_node(self, job: Truth) -> None:
        if job.state == "RUNNING":
            self._end(job, "NODE_FAIL", 0)

    def restart_numbers(self) -> None:
        """The counter of IDs starts again, at one that no living job has; PBS's jumps on."""
        if self.server:
            self.number = (self.number // 1000 + 1) * 1000
        elif not any(job.alive for job in self.jobs):
            self.number = 4710

    def _release(self, job: Truth) -> None:
        if job.state == "HELD":
            job.state = "PENDING"
            job.next = self.world.after(job.fate.pending, lambda: self._start(job))

    def _start(self, job: Truth) -> None:
        job.state = "RUNNING"
        # As most programs do, each attempt uses the same name again.
        scratch = f"{job.folder}/scratch.{job.script}"
        if self.disk.write(scratch, b"x\n", int(EPOCH + self.world.now)):
            job.scratch = scratch
        fate = job.fate
        if fate.marks and fate.early:
            job.next = self.world.after(fate.runs, lambda: self._mark_early(job))
        else:
            job.next = self.world.after(fate.runs, lambda: self._finish(job))

    def _mark_early(self, job: Truth) -> None:
        self._mark(job)
        job.next = self.world.after(job.fate.early, lambda: self._finish(job))

    def _finish(self, job: Truth) -> None:
        fate = job.fate
        if fate.marks and job.marked == NEVER:
            self._mark(job)
        self._end(job, fate.end, fate.code)

    def _mark(self, job: Truth) -> None:
        now, at = self.world.now, int(EPOCH + self.world.now)
        name = job.script.removeprefix("qsub.")
        self.disk.write(f"{job.folder}/result.{name}", b"1\n", at)
        if job.fate.writes:
            new = job.fate.writes.removeprefix("qsub.")
            self.disk.write(f"{job.folder}/qsub.dependency.{new}", b"", at)
            self.disk.write(
                f"{job.folder}/{job.fate.writes}", b"touch qsub.finished.%s\n" % new.encode(), at
            )
        marker = f"{job.folder}/qsub.finished.{name}"
        if not self.disk.write(marker, b"", at):
            return  # a full disk: the job did its work in vain
        job.marked = now
        if self.lag:
            self.disk.hide(marker, now + self.lag)

    def _end(self, job: Truth, end: str, code: int) -> None:
        now = self.world.now
        if job.scratch and not self.disk.exists(job.scratch):
            self.robbed.append(job)
        if job.next is not None:
            job.next.off = True
        job.state, job.end, job.code, job.ended = "ENDED", end, code, now
        job.unlisted = now + self.world.chance.choice((0.0, 0.0, 3.0, 15.0))
        job.forgotten = max(job.unlisted, now + self.memory)
        job.accounted = now + self.accounting_lag if self.accounting else NEVER
        if end != "COMPLETED":
            err = f"{job.folder}/{job.script}.e{job.id.removesuffix(self.server)}"
            self.disk.write(err, b"no convergence\n", int(EPOCH + now))


Command = Generator[None, None, tuple[int, bytes, bytes]]
