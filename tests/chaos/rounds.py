"""The jobs of one round, and the `jobmon run` that minds them: started, killed, started again.

Each script writes a line into ``started.ID`` at every start, with the batch system's own number,
another if what it waits for is not there, and one at its end. Its name in the batch system is
its own, so that the system's records tell which job a submission was.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from session import WEIRD, environment

CHAIN = 4

SETTINGS = """\
interval: 1
grace: 3
maxqsub: 12
pulls_every: 5
"""


@dataclass(frozen=True, slots=True)
class ChaosJob:
    """One job: ``name`` is what the batch system calls it, ``end`` how it must end."""

    key: str
    name: str
    end: str  # finished, failed, blocked


@dataclass(slots=True)
class Round:
    """A project of its own with one run in it."""

    project: Path
    date: str
    rdir: str  # relative to the home folder of the account
    flags: tuple[str, ...]
    jobs: dict[str, ChaosJob]
    process: subprocess.Popen[bytes] | None = None
    since: float = 0.0  # of the monotonic clock, when the process was started
    kills: int = 0
    codes: list[int] = field(default_factory=list)

    @property
    def run(self) -> Path:
        return self.project / self.date

    @property
    def out(self) -> Path:
        """All that its daemons said."""
        return self.project / "out"

    def start(self) -> None:
        # The same words each time: the first makes the run, the others take it up.
        args = ["--ldir", str(self.project), "--datedir", self.date, *self.flags]
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobmon", *args],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment(),
                start_new_session=True,
            )
        self.since = time.monotonic()

    def kill(self) -> bool:
        """Kill -9, the whole process group; False if nothing of it runs."""
        if self.process is None or self.process.poll() is not None:
            return False
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.kills += 1
        self.process = None
        return True

    def ended(self) -> int | None:
        """The exit code, once, of a daemon that has ended by itself."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        self.process = None
        self.codes.append(code)
        return code

    def submitting(self) -> int:
        """How many submissions its journal has announced."""
        try:
            return (self.run / "qsub.log").read_bytes().count(b" submitting ")
        except OSError:
            return 0

    def said(self) -> str:
        lines = self.out.read_text("utf-8", "replace").splitlines() if self.out.exists() else []
        return lines[-1] if lines else ""


def make(
    folder: Path,
    n: int,
    tag: str,
    jobs: int,
    rdir: str,
    flags: tuple[str, ...],
    lengths: tuple[float, ...] = (0.2, 0.5, 1, 1, 2, 4, 8),
) -> Round:
    """A tree of so many short jobs: chains of four, each fifth of which fails at its second."""
    project = folder / f"round{n}"
    tag = f"{tag}{n:02}"
    rng = random.Random(f"{n} {jobs}")
    made = {}
    for i in range(jobs):
        chain, place = divmod(i, CHAIN)
        lone = chain % 5 == 4  # a chain's worth of jobs that wait for nothing
        fails = chain % 5 == 1 and place == 1
        blocked = chain % 5 == 1 and place > 1
        place_of = f"{WEIRD} {chain}" if chain % 5 == 2 else f"c{chain:03}"
        job = ChaosJob(
            f"{place_of}/qsub.{place}",
            f"{tag}-{i:03}",
            "failed" if fails else "blocked" if blocked else "finished",
        )
        needs = "" if lone or place == 0 else f"qsub.finished.{place - 1}"
        path = project / "init" / job.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_script(job, place, needs, rng.choice(lengths), fails))
        path.with_name(f"qsub.dependency.{place}").write_text(needs and f"{needs}\n")
        made[job.key] = job
    (project / "jobmon.yaml").write_text(SETTINGS)
    return Round(project, f"20260101_{n:06}", rdir, flags, made)


def _script(job: ChaosJob, place: int, needs: str, seconds: float, fails: bool) -> str:
    check = f"[ -e {needs} ] || note unmet\n" if needs else ""
    end = "exit 3\n" if fails else f"touch qsub.finished.{place}\n"
    return f"""\
#!/bin/bash
#SBATCH -n 1
#SBATCH -J {job.name}
#$ -cwd
#$ -N {job.name}
cd "$(cat <<'THERE'
__cwd__
THERE
)" || exit 9
note() {{ printf '%s %s %s\\n' "$1" "${{SLURM_JOB_ID:-$JOB_ID}}" "$(date +%s.%N)" >>started.{place}; }}
note start
{check}sleep {seconds}
note end
{end}"""
