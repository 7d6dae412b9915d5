"""A person, and the people who run the cluster: what they do in the middle of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jobmon.run import owner
from simulation.batch import Batch
from simulation.here import Here
from simulation.plan import Plan
from simulation.world import EPOCH, Faults, World


@dataclass(slots=True)
class Person:
    """Whoever acts at moments that the seed chose."""

    world: World
    faults: Faults
    here: Here
    batch: Batch
    run: Path

    def plan_day(self, made: Plan) -> None:
        chance = self.world.chance
        deeds = {
            "wall time steps back": self._wall_back,
            "deleted by hand": self._delete,
            "held by hand": lambda: self._some(lambda job: self.batch.hold(job, 60.0)),
            "requeued": lambda: self._some(self.batch.requeue),
            "node failure": lambda: self._some(self.batch.lose_node),
            "disk full there": self._fill,
            "jobmon kill": lambda: self._kill(made, hold=False),
            "jobmon kill --hold, release": lambda: self._kill(made, hold=True),
            "quelist reordered": self._reorder,
            "script edited": lambda: self._edit(made),
            "jobmon retry": lambda: self._retry(made),
            "script changed there": lambda: self._edit_there(made),
        }
        for name, deed in deeds.items():
            for _ in range(3):
                if self.faults.strike(name):
                    self.world.after(chance.uniform(5, made.until), deed)

    def put_aside(self) -> None:
        """Rename quelist and journal away, while no daemon runs: the next start is afresh."""
        with self.here.hand():
            for name in ("quelist", "qsub.log"):
                path = self.run / name
                if path.exists():
                    path.rename(path.with_name(f"{name}.old.{self.world.now}"))

    def _some(self, act: object) -> None:
        alive = [job for job in self.batch.jobs if job.alive]
        if alive and callable(act):
            act(self.world.chance.choice(alive))

    def _delete(self) -> None:
        self._some(self.batch.delete)

    def _wall_back(self) -> None:
        self.here.wall_back += self.world.chance.choice((5.0, 3600.0))

    def _fill(self) -> None:
        disk = self.batch.disk
        disk.full = True

        def empty() -> None:
            disk.full = False

        self.world.after(self.world.chance.uniform(10, 100), empty)

    def _kill(self, made: Plan, *, hold: bool) -> None:
        keys = self.world.chance.sample(list(made.tree), 1)
        self._ask({"do": "kill", "keys": keys, "hold": hold})
        if hold:
            self.world.after(100.0, lambda: self._ask({"do": "release", "keys": keys}))

    def _retry(self, made: Plan) -> None:
        """All that ended, now and when more has: after clearing what it left behind, or not."""
        clean = self.world.chance.choice(([], ["scratch.*", "*.e[0-9]*"]))
        body: dict[str, object] = {"do": "retry", "keys": list(made.tree), "clean": clean}
        for later in (0.0, 40.0, 90.0, 200.0):
            self.world.after(later, lambda: self._ask(body))

    def _ask(self, body: dict[str, object]) -> None:
        if self.run.is_dir():
            with self.here.hand():
                owner.request(self.run, body)

    def _reorder(self) -> None:
        path = self.run / "quelist"
        if path.exists():
            head, *lines = path.read_text("utf-8").splitlines(keepends=True)
            self.world.chance.shuffle(lines)
            with self.here.hand():
                path.write_text(head + "".join(lines), "utf-8")

    def _edit_there(self, made: Plan) -> None:
        key = self.world.chance.choice(list(made.tree))
        text = b"# changed at %f\n" % self.world.now
        self.batch.disk.append(f"{self.batch.twin}/{key}", text, int(EPOCH + self.world.now))

    def _edit(self, made: Plan) -> None:
        path = self.run / self.world.chance.choice(list(made.tree))
        if path.exists():
            with self.here.hand(), path.open("a") as file:
                file.write(f"# edited at {self.world.now}\n")
