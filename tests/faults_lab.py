"""A whole run in one process: real files and the real loop, a stand-in for the cluster, and a
clock that is moved by hand, so that an hour takes no time."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from session import put

from jobmon import notices
from jobmon.act import make, start
from jobmon.act.opened import opened, settings_of
from jobmon.act.place import Place
from jobmon.cluster.base import Spent
from jobmon.cluster.cluster import Cluster, Gone
from jobmon.cluster.copying import Copy
from jobmon.cluster.ledger import GIVEN_UP, Entry, Order
from jobmon.cluster.links.local import LocalLink
from jobmon.core.model import (
    Accepted,
    Answer,
    Attempt,
    Cause,
    Differs,
    Event,
    JobID,
    Key,
    NotRun,
    Phase,
    Reason,
    Seen,
    Stat,
    Unclear,
    Verdict,
)
from jobmon.cycle.loop import Loop
from jobmon.cycle.state import Clock, Know
from jobmon.run import names
from jobmon.run.options import Settings
from jobmon.run.settings import Identity
from jobmon.run.tree import OURS

DATE = "20261120_173102"
BEGAN = datetime(2026, 11, 20, 17, 31, 2, tzinfo=UTC)


class Time(threading.Event):
    """The clocks of this machine, and the loop's stop signal: to wait for it moves both."""

    def __init__(self) -> None:
        super().__init__()
        self.mono = 1000.0
        self.wall = BEGAN
        self.limit = 1e6
        self.nap = (0.0, 0.0)  # what the two clocks show more at the end of the next wait

    def wait(self, timeout: float | None = None) -> bool:
        (mono, wall), self.nap = self.nap, (0.0, 0.0)
        self.mono += mono
        self.wall += timedelta(seconds=wall)
        self.sleep(timeout or 0.0)
        return self.is_set()

    def sleep(self, seconds: float) -> None:
        self.mono += seconds
        assert self.mono < self.limit, "the run does not come to its end"
        self.wall += timedelta(seconds=seconds)

    def clock(self) -> Clock:
        return Clock(lambda: self.mono, lambda: self.wall, self.sleep)


@dataclass
class Running:
    """A job of the stand-in: ends at ``until`` of the moved clock."""

    key: Key
    until: float


@dataclass
class Farm:
    """A stand-in for the cluster: its twin is a real folder, its batch system is this object.

    ``late``: seconds until a marker that was written can be seen; ``silent``: asked for an ended
    job, it answers nothing; ``fails``: keys that end without a marker.
    """

    run: Path
    twin: Path
    time: Time
    length: float = 15.0
    late: float = 0.0
    silent: bool = False
    fails: set[str] = field(default_factory=set)
    unheard: set[str] = field(default_factory=set)  # claimed, but what came of it nobody tells
    at_look: Callable[[], None] = lambda: None
    queue: dict[JobID, Running] = field(default_factory=dict)
    record: dict[Attempt, JobID | None] = field(default_factory=dict)
    markers: dict[str, float] = field(default_factory=dict)  # when each was written
    submissions: Counter[Key] = field(default_factory=Counter)
    asked: Counter[Key] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.link = LocalLink()
        self.transfer = Copy(self.run, self.twin, OURS)  # a new one for each session

    def spent(self) -> Spent:
        return self.link.spent()

    def turn(self) -> None:
        for jobid, job in list(self.queue.items()):
            if self.time.mono >= job.until:
                del self.queue[jobid]
                if job.key not in self.fails:
                    self.markers[names.marker(job.key)] = job.until
                    folder, job_id = names.split(job.key)
                    (self.twin / folder / f"result.{job_id}").write_text(f"{job.key}\n")
                    (self.twin / names.marker(job.key)).touch()

    def sees(self, path: str) -> bool:
        shown = self.markers.get(path, float("-inf")) + self.late
        return self.time.mono >= shown and (self.twin / path).exists()

    def look(
        self, files: Iterable[str], stats: Sequence[str] = (), *, resting: Set[str] = frozenset()
    ) -> Seen:
        self.turn()
        self.at_look()
        there: dict[str, Stat | None] = dict.fromkeys(stats)
        for path in stats:
            if (self.twin / path).is_file():
                found = (self.twin / path).stat()
                there[path] = Stat(found.st_size, int(found.st_mtime))
        return Seen(
            dict.fromkeys(self.queue, Phase.RUNNING), set(filter(self.sees, files)), there, "a row"
        )

    def submit(self, orders: Sequence[Order]) -> Iterator[tuple[Attempt, Answer | None]]:
        for order in orders:
            attempt = order.attempt
            path = self.twin / attempt.key
            if not path.exists() or path.read_bytes() != order.text:
                yield attempt, Differs()
            elif attempt in self.record:
                yield attempt, None
            elif not all(self.sees(need.path) != need.absent for need in order.needs):
                self.record[attempt] = None
                yield attempt, NotRun("a dependency changed meanwhile")
            elif attempt.key in self.unheard:
                self.record[attempt] = JobID("?")
            else:
                self.submissions[attempt.key] += 1
                jobid = JobID(str(100 + sum(self.submissions.values())))
                self.record[attempt] = jobid
                self.queue[jobid] = Running(attempt.key, self.time.mono + self.length)
                yield attempt, Accepted(jobid)

    def adopt(self, name: str) -> None:
        """Let an attempt of which nothing was heard turn up in the queue."""
        (attempt,) = [one for one, jobid in self.record.items() if one.key == name and jobid == "?"]
        self.submissions[attempt.key] += 1
        jobid = self.record[attempt] = JobID("99")
        self.queue[jobid] = Running(attempt.key, self.time.mono + self.length)

    def recover(self, attempts: Iterable[Attempt], known: object = None) -> dict[Attempt, Answer]:
        found: dict[Attempt, Answer] = {}
        for attempt in attempts:
            jobid = self.record.setdefault(attempt, None)
            unclear = Unclear("claimed, and nothing is known of it")
            found[attempt] = unclear if jobid == "?" else Accepted(jobid) if jobid else GIVEN_UP
        return found

    def confirm(self, gone: Sequence[Gone]) -> dict[Key, Verdict]:
        self.asked.update(job.key for job in gone)
        ended = Reason(Cause.FORGOTTEN, "the batch system does not know it")
        return {
            job.key: Verdict(not self.silent, self.sees(job.marker), None if self.silent else ended)
            for job in gone
        }

    def delete(self, jobids: Sequence[JobID]) -> str:
        for jobid in jobids:
            self.queue.pop(jobid, None)
        return ""

    def records(self) -> list[Entry]:
        return []

    def find(self) -> Mapping[str, JobID]:
        return {}


@dataclass
class Lab:
    """A project with its farm; ``session`` is one ``jobmon run``, to its end or its error."""

    top: Path
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = self.top / "project"
        (self.project / "init").mkdir(parents=True)
        self.run = self.project / DATE
        self.twin = self.top / "there" / DATE
        self.time = Time()
        self.farm = Farm(self.run, self.twin, self.time)
        self.said: list[str] = []
        self.know: Know | None = None

    def put(self, key: str, needs: str | None = "") -> None:
        put(self.project / "init", key, needs=needs)

    def make(self) -> None:
        settings = Settings.model_validate({"remote": "local", "grace": 60.0, **self.settings})
        identity = Identity("r-1", "me@here", "local", str(self.twin))
        with make.copying(self.project) as copied:
            make.make(copied, DATE, settings, identity)

    def session(
        self,
        prepare: Callable[[Loop], None] = lambda loop: None,
        *,
        once: bool = False,
    ) -> None:
        new = not self.run.exists()
        if new:
            self.make()
        settings, identity = settings_of(self.run, {})
        with (
            opened(self.run, LocalLink(), settings, identity) as work,
            notices.logged(work.know.paths.log),
        ):
            work.know.clock = self.time.clock()
            start._begin(work, Place(self.project, None if new else self.run), {}, self.said.append)
            work.cluster = cast(Cluster, self.farm)
            self.know = work.know
            self.farm.transfer = Copy(self.run, self.twin, OURS)
            loop = Loop(work.know, work.cluster, work.lock, self.time, self._tell, random.Random(1))
            prepare(loop)
            loop.run(once=once, forever=False, begun=lambda: None)

    def _tell(self, event: Event) -> None:
        self.said.append(f"{event.kind} {event.key}")

    def states(self) -> dict[str, str]:
        assert self.know is not None
        return {key: str(job.life) for key, job in self.know.jobs.items()}
