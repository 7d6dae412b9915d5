"""A long run that meets one fault after the other: a stage for each, told to a test for each.

Every stage has a folder of its own: ``qsub.0`` waits there for a file ``go``, ``qsub.1`` for the
marker of ``qsub.0``. A stage lets ``go`` appear while its fault is at work; when the fault is over
both jobs must come to their end, the results must come home, and nothing else may be said of them.
A stage that fails does not keep the others from being played.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gate_lab import Daemon
from session import FAST, agree, events, put, ran_once, until

QUICK = FAST.replace("interval: 1", "interval: 0.3").replace("grace: 3", "grace: 1")
PULLS = {"jobmon.cycle.pull.APART": 0}
"""For the daemon of a story, each stage of which waits for its results."""
WAIT = "echo x >> started.0; until [ -e go ]; do [ -e in ] || exit 8; sleep 0.2; done; echo 0 > result.0"
"""It ends by itself where its test has gone, and the folder with it."""
AFTER = "echo x >> started.1; cat in > copy; echo of 1 > result.1"
FAIL = "echo x >> started.1; echo no convergence >&2; exit 3"
BAD = (" failed ", " killed ", " unclear ")


def tree(
    project: Path, names: Sequence[str], fail: Sequence[str] = (), late: Sequence[str] = ()
) -> None:
    """A project with a folder for each stage; the second jobs of ``fail`` end with exit code 3,
    and those of ``late`` are not to start by themselves."""
    for name in names:
        second = FAIL if name in fail else AFTER
        put(project / "init", f"{name}/qsub.0", WAIT)
        put(project / "init", f"{name}/qsub.1", second, "qsub.finished.0\n")
        (project / "init" / name / "in").write_text("old\n")
    for path in project.glob("init/*/qsub.[01]"):
        more = "#SBATCH --propagate=NONE\n"
        if path.name == "qsub.1" and path.parent.name in late:
            more += "#SBATCH --begin=now+1hour\n#$ -a 203001010000\n"
        path.write_text(path.read_text().replace("#SBATCH -n 1\n", f"#SBATCH -n 1\n{more}"))
    (project / "jobmon.yaml").write_text(QUICK + "maxqsub: 60\n")


@dataclass(slots=True)
class Stage:
    """What was seen of one fault; ``said``: what jobmon.log got meanwhile."""

    name: str
    said: str = ""
    trouble: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    def holds(self) -> None:
        """The test of this stage fails with what went wrong in it."""
        assert not self.trouble, self.trouble

    def times(self, words: str) -> int:
        return self.said.count(words)


@dataclass(slots=True)
class Story:
    """The stages so far."""

    daemon: Daemon
    stages: dict[str, Stage] = field(default_factory=dict)
    _heard: int = 0
    _happened: int = 0

    def go(self, name: str) -> None:
        """Let the waiting job of a stage come to its end."""
        (self.daemon.twin / name / "go").touch()

    def news(self) -> str:
        """What jobmon.log got since the stage began."""
        return self.daemon.said()[self._heard :]

    def gave_up(self, times: int = 1) -> None:
        """Wait until a cycle failed, and was said to."""
        until(lambda: self.news().count("nothing is concluded") >= times, what="a failed cycle")

    def looks(self, number: int) -> None:
        """Wait until so many more looks were whole, as the file qstat tells."""
        for _ in range(number):
            before = (self.daemon.run / "qstat").stat().st_mtime_ns
            until(lambda b=before: (self.daemon.run / "qstat").stat().st_mtime_ns != b)  # type: ignore[misc]

    def begun(self) -> None:
        """Wait until all jobs that wait for their file do so."""
        folders = [path.parent.name for path in self.daemon.run.glob("*/qsub.0")]
        until(
            lambda: all((self.daemon.twin / name / "started.0").exists() for name in folders),
            what="all waiting jobs",
        )
        until(lambda: self.count("running") >= len(folders))

    def jobid(self, key: str) -> str:
        """The job ID of a job, once it was submitted."""
        until(lambda: self.count("started", key), what=f"{key} to be submitted")
        lines = [line.split(" ") for line in events(self.daemon.run)]
        return next(line[3] for line in lines if line[1] == "started" and line[2] == key)

    def count(self, kind: str, key: str = "") -> int:
        lines = (line.split(" ") for line in events(self.daemon.run))
        return sum(1 for line in lines if line[1] == kind and line[2].startswith(key))

    @contextmanager
    def stage(self, name: str, ends: Mapping[str, int] | None = None) -> Iterator[Stage]:
        """Play a stage. Behind it, its two jobs are to finish, or what ``ends`` counts by kind."""
        stage = self.stages[name] = Stage(name)
        self._heard = len(self.daemon.said())
        self._happened = len(events(self.daemon.run))
        daemon = self.daemon
        wanted = ends or {"finished": 2}
        try:
            self.looks(1)
            self._heard = len(self.daemon.said())
            yield stage
            for kind, number in wanted.items():
                until(
                    lambda k=kind, n=number: self.count(k, f"{name}/") == n,  # type: ignore[misc]
                    limit=100,
                    what=f"{wanted} of {name}",
                )
            if not ends:
                until((daemon.run / name / "result.1").exists, what="the result at home")
            news = events(daemon.run)[self._happened :]
            wrong = [line for line in news if any(bad in line for bad in BAD)]
            assert len(wrong) == sum(n for k, n in wanted.items() if f" {k} " in BAD), wrong
            assert daemon.process.poll() is None, "the daemon is gone"
        except Exception:  # noqa: BLE001 (told by the stage's own test)
            stage.trouble = traceback.format_exc() + "\n" + self.news()[-4000:]
            daemon.gate.truth()
            daemon.gate.proxy.become("pass")
        stage.said = self.news()

    def end(self, code: int = 0) -> None:
        """Let the run come to its end, and hold its files and its batch system against it."""
        daemon = self.daemon
        stage = self.stages["end"] = Stage("end")
        try:
            for path in daemon.run.glob("*/qsub.0"):
                if not (daemon.twin / path.parent.name / "go").exists():
                    self.go(path.parent.name)
            assert daemon.process.wait(120) == code, daemon.said()[-3000:]
            agree(daemon.run)
            ran_once(daemon.twin)
        except Exception:  # noqa: BLE001 (told by the stage's own test)
            stage.trouble = traceback.format_exc() + "\n" + daemon.said()[-4000:]
        stage.said = daemon.said()
