"""A one-time password is asked for once in the life of the daemon, in front and detached."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster
from session import (
    FAST,
    agree,
    chain,
    count,
    environment,
    jobmon,
    only_run,
    ran_once,
    status,
    until,
)

pytestmark = pytest.mark.xdist_group("one-time codes")  # each is taken once, in their order

GiveDir = Callable[[str], str]


class Terminal:
    """``jobmon`` on a terminal of its own, with a person who answers one-time codes."""

    def __init__(self, args: list[str | Path], code: Callable[[], str]) -> None:
        self.code = code
        self.text = ""
        self.asked = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, self.command(args), environment())

    def command(self, args: list[str | Path]) -> list[str]:
        return [sys.executable, "-m", "jobmon", *map(str, args)]

    def play(self, limit: float = 120) -> int:
        """Answer what is asked until the command ends; its exit code."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            ready, _, _ = select.select([self.fd], [], [], 0.2)
            if ready:
                try:
                    piece = os.read(self.fd, 4096).decode("utf-8", "replace")
                except OSError:  # the terminal's other end is closed
                    piece = ""
                if not piece:
                    return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
                self.text += piece
                if self.text.count("One-time password") > self.asked:
                    self.asked += 1
                    os.write(self.fd, f"{self.code()}\n".encode())
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"not within {limit} s: {self.text}")


def project_of(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for folder in ("m1", "m2"):
        chain(project / "init", folder, 4, "sleep 1")
    (project / "jobmon.yaml").write_text(FAST)
    return project


def flags(testcluster: TestCluster, project: Path, rdir: str, ssh: str) -> list[str | Path]:
    return [
        *("--ldir", project, "--rdir", rdir, "--remote", "otp", "--ssh", ssh),
        *("--ssh-config", testcluster.ssh_config),
    ]


@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
def test_asked_once_in_the_foreground(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, ssh: str
) -> None:
    project, rdir = project_of(tmp_path), remote_dir("otp")
    terminal = Terminal(flags(testcluster, project, rdir, ssh), testcluster.otp)
    assert terminal.play() == 0, terminal.text
    assert terminal.asked == 1
    run = only_run(project)
    assert status(run)["counts"] == {"finished": 8}
    assert (run / "m2" / "result.3").read_text() == "3\n"
    agree(run)
    ran_once(testcluster.home("otp") / rdir / run.name)


@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
def test_asked_once_on_the_terminal_that_started_the_daemon(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, ssh: str
) -> None:
    project, rdir = project_of(tmp_path), remote_dir("otp")
    terminal = Terminal([*flags(testcluster, project, rdir, ssh), "--daemon"], testcluster.otp)
    assert terminal.play() == 0, terminal.text
    assert terminal.asked == 1
    run = only_run(project)
    until(lambda: count(run, "finished") == 8, what="the end, with nobody there")
    until(lambda: "no daemon" in jobmon("status", "--run", run, code=0).stdout)
    assert status(run)["counts"] == {"finished": 8}
    agree(run)
    ran_once(testcluster.home("otp") / rdir / run.name)


@pytest.mark.fault(
    "Connections: a second factor wanted while nobody is there (said once; never hammered)"
)
def test_nobody_there_to_answer_is_said_and_leaves_nothing(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project = project_of(tmp_path)
    args = map(str, flags(testcluster, project, remote_dir("otp"), "fabric"))
    done = subprocess.run(
        [sys.executable, "-m", "jobmon", *args],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(),
        timeout=150,
    )
    assert done.returncode == 2
    assert "nobody is there to answer" in done.stdout + done.stderr
    assert [p.name for p in project.iterdir() if p.name not in {"init", "jobmon.yaml"}] == []
