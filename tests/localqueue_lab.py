"""A local queue in a folder of its own, driven by its real command line, and swept up after."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobmon.localqueue.place import MARK, program

LIMIT = 60.0  # seconds; only ever waited out by a test that fails


def until(what: Callable[[], object], limit: float = LIMIT) -> None:
    """Poll until ``what`` is true."""
    end = time.monotonic() + limit
    while not what():
        assert time.monotonic() < end, f"not within {limit} s: {what}"
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Lab:
    """``state`` is the queue's folder, ``folder`` the job folder; two cores."""

    state: Path
    folder: Path

    def run(
        self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> Done:
        environ = {**os.environ, "JOBMON_LOCALQUEUE": str(self.state)}
        environ.pop("PWD", None)
        environ |= {"JOBMON_LOCALQUEUE_CORES": "2"} | dict(env or {})
        done = subprocess.run(
            [*program(), *args],
            cwd=cwd or self.folder,
            env=environ,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=LIMIT,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def submit(self, text: str, *, name: str = "qsub.0", cwd: Path | None = None) -> int:
        """Write a script and submit it; its ID."""
        (cwd or self.folder).joinpath(name).write_text(text)
        done = self.run("submit", name, cwd=cwd)
        found = re.fullmatch(r"Your job (\d+) \(.*\) has been accepted.*\n", done.out)
        assert found and done.code == 0, done
        return int(found[1])

    def listed(self) -> dict[int, str]:
        lines = self.run("list").out.splitlines()
        assert lines[-1] == f"end {len(lines) - 2}"
        return {int(line.split("|")[0]): line.split("|")[1] for line in lines[1:-1]}

    def state_of(self, job: int) -> str:
        """``running``, ``ended exit 0``, …"""
        line = self.run("show", str(job)).out.splitlines()[1]
        return line.removeprefix(f"job {job} ")

    def wait(self, *jobs: int) -> None:
        until(lambda: all(self.state_of(job).startswith("ended") for job in jobs))

    def wait_file(self, name: str) -> Path:
        until((self.folder / name).exists)
        return self.folder / name

    def wait_pid(self, name: str) -> int:
        """A process id that a script wrote, followed by a line break."""
        until(lambda: (self.folder / name).exists() and "\n" in (self.folder / name).read_text())
        return int((self.folder / name).read_text())

    def own(self, word: str = "") -> list[int]:
        """The queue's own processes: ``runner``, ``shepherd``, or all."""
        found = []
        for entry in subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,stat=,args="],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines():
            pid, stat, args = entry.split(None, 2)
            ours = f"{word} --state {self.state} " if word else f" --state {self.state} "
            if ours in f"{args} " and not stat.startswith("Z"):
                found.append(int(pid))
        return found

    def processes(self) -> list[int]:
        """What runs of this queue's jobs, found by its mark (on Linux)."""
        want = f"\0{MARK}={self.state}#".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if want in b"\0" + path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def sweep(self) -> None:
        """End everything of this queue; fails if a job has left something behind."""
        live = self.state / "live"
        jobs = sorted(path.name for path in live.iterdir()) if live.exists() else []
        for pid in self.own("runner"):
            kill(pid)
        if jobs:
            self.run("delete", *jobs)
        left = self.processes()
        for pid in [*left, *self.own()]:
            kill(pid)
        until(lambda: not self.own())
        assert not left, f"left behind by {self.state}: {left}"


def kill(pid: int, name: signal.Signals = signal.SIGKILL) -> None:
    """A signal to one process, which may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, name)


def lives(pid: int) -> bool:
    """Whether a process lives and is no zombie."""
    done = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() != "" and not done.stdout.startswith("Z")
