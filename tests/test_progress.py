"""What takes long is shown: a spinner on a real terminal, a plain line in a pipe, else nothing.

What is to take long waits at a gate: a program of that name, first in the path, that goes on once
the test has seen what it wants. So no test depends on how quick the machine is.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import TestCluster
from session import FAST, LOCAL, environment, jobmon, only_run, put, until

from jobmon import progress

COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d)[;m]")
LIMIT = 90.0


class Gate:
    """``program`` waits until it is opened, where its arguments hold ``word``."""

    def __init__(self, place: Path, program: str, *gates: str, instead: str = "") -> None:
        place.mkdir()
        self._place = place
        real = instead or f'exec {shutil.which(program)} "$@"'
        cases = "".join(
            f"*{word}*) until [ -e '{place}/open{word}' ]; do sleep 0.1; [ -d '{place}' ] || exit 9; done ;;\n"
            for word in gates or ("",)
        )
        stub = place / program
        stub.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}esac\n{real}\n')
        stub.chmod(0o755)
        self.path = f"{place}:{os.environ['PATH']}"

    def open(self, word: str = "") -> None:
        (self._place / f"open{word}").touch()


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.text = ""
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execve(command[0], command, env)

    def sees(self, words: str, limit: float = LIMIT) -> None:
        """Read until ``words`` were printed."""
        end = time.monotonic() + limit
        while words not in self.text:
            assert self._read(), f"it ended without {words!r}: {self.text!r}"
            assert time.monotonic() < end, f"no {words!r} within {limit} s: {self.text!r}"

    def lingers(self, seconds: float) -> str:
        """What is printed within so many seconds."""
        before, end = len(self.text), time.monotonic() + seconds
        while time.monotonic() < end and self._read():
            pass
        return self.text[before:]

    def ends(self) -> int:
        """Read to the end; the exit code."""
        end = time.monotonic() + LIMIT
        while self._read():
            assert time.monotonic() < end, f"it does not end: {self.text!r}"
        pid, self._pid = self._pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def close(self) -> None:
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._fd)

    def _read(self) -> bool:
        if select.select([self._fd], [], [], 0.2)[0]:
            try:
                piece = os.read(self._fd, 4096)
            except OSError:  # the other end is closed
                return False
            self.text += piece.decode("utf-8", "replace")
            return bool(piece)
        return True


@contextmanager
def terminal(command: list[str], **more: str) -> Iterator[Terminal]:
    env = environment(TERM="xterm-256color", COLUMNS="100", LINES="30")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        env.pop(name, None)
    it = Terminal(command, env | more)
    try:
        yield it
    finally:
        it.close()


def words(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "jobmon", *map(str, args)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One job that is held, so that a run ends after its first look."""
    put(tmp_path / "project" / "init", "a/qsub.0", needs=None)
    (tmp_path / "project" / "jobmon.yaml").write_text(LOCAL)
    return tmp_path / "project"


# --- a start ----------------------------------------------------------------------------------


def test_on_a_terminal_the_copy_and_the_first_look_turn_and_leave_no_trace(
    project: Path, tmp_path: Path
) -> None:
    copy, look = Gate(tmp_path / "cp", "cp"), Gate(tmp_path / "look", "squeue", instead="exit 0")
    command = words("--ldir", project, "--scheduler", "slurm")
    with terminal(command, PATH=f"{tmp_path / 'look'}:{copy.path}") as screen:
        screen.sees("copying init to ")
        screen.sees("0:00:0")  # the time since it began
        copy.open()
        screen.sees("the first look at ")
        look.open()
        assert screen.ends() == 1
        assert COLOUR.search(screen.text)
        for line in screen.text.replace("\x1b[2K", "\n").split("\n"):
            spins = "copying" in line or "the first look" in line
            assert not (spins and " run " in line), "a line was printed into the spinner"
        assert "\x1b[?25l" not in screen.text  # a hidden cursor would stay so behind SIGKILL


def test_without_colour_it_turns_without_colour(project: Path, tmp_path: Path) -> None:
    copy = Gate(tmp_path / "gates", "cp")
    with terminal(words("--ldir", project), PATH=copy.path, NO_COLOR="1") as it:
        it.sees("copying init to ")
        copy.open()
        assert it.ends() == 1
        assert not COLOUR.search(it.text)


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(
    project: Path, tmp_path: Path
) -> None:
    copy = Gate(tmp_path / "gates", "cp")
    with terminal(words("--ldir", project), PATH=copy.path, TERM="dumb") as it:
        it.sees("copying init to ")
        copy.open()
        assert it.ends() == 1
        assert "\x1b" not in it.text
        assert re.search(r"^\d\d:\d\d:\d\d copying init to \S+ …\r$", it.text, re.M)


def test_a_pipe_gets_one_plain_line(project: Path, tmp_path: Path) -> None:
    copy = Gate(tmp_path / "gates", "cp")
    env = environment(PATH=copy.path)
    out = tmp_path / "out"
    with (
        out.open("wb") as sink,
        subprocess.Popen(
            words("--ldir", project), stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, env=env
        ) as process,
    ):
        until(lambda: "copying init" in out.read_text(), what="the line")
        copy.open()
        assert process.wait(LIMIT) == 1
    lines = [line for line in out.read_text().splitlines() if "copying init" in line]
    assert len(lines) == 1
    assert re.fullmatch(r"\d\d:\d\d:\d\d copying init to \d{8}_\d{6} …", lines[0])
    assert "\x1b" not in out.read_text()


def test_quiet_is_quiet(project: Path, tmp_path: Path) -> None:
    copy = Gate(tmp_path / "gates", "cp")
    with terminal(words("--ldir", project, "--quiet"), PATH=copy.path) as it:
        until(lambda: list(project.glob(".*-half")), what="the copy")
        assert "copying" not in it.lingers(2 * progress.SOON)
        copy.open()
        assert it.ends() == 1
        assert "copying" not in it.text


def test_a_daemon_shows_it_on_the_terminal_it_was_started_from(
    project: Path, tmp_path: Path
) -> None:
    copy = Gate(tmp_path / "gates", "cp")
    command = words("--ldir", project, "--daemon", "--forever")
    with terminal(command, PATH=copy.path) as it:
        it.sees("copying init to ")
        copy.open()
        assert it.ends() == 0
        assert "project/2" in it.text
    try:
        assert "copying" not in (project / "jobmon.daemon.log").read_text()
    finally:
        done = jobmon("stop", "--run", project, code=0)
    assert "\x1b" not in done.stdout + done.stderr


# --- what goes to and fro, and what is killed ---------------------------------------------------


@pytest.mark.cluster
def test_the_push_and_a_large_pull_turn(
    testcluster: TestCluster, remote_dir: Callable[[str], str], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    put(project / "init", "a/qsub.0", "echo 1 > result")
    (project / "jobmon.yaml").write_text(FAST)
    rsync = Gate(tmp_path / "gates", "rsync", "--inplace", "--compare-dest")
    flags = ("--rdir", remote_dir("hpc"), "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    with terminal(words("--ldir", project, *flags), PATH=rsync.path) as it:
        it.sees("pushing 2 files to ")
        rsync.open("--inplace")
        it.sees("fetching results from 1 folder(s)")
        rsync.open("--compare-dest")
        assert it.ends() == 0
    assert (only_run(project) / "a" / "result").read_text() == "1\n"


def test_a_kill_says_what_it_does(tmp_path: Path) -> None:
    project = tmp_path / "project"
    for folder in ("a", "b"):
        put(project / "init", f"{folder}/qsub.0", "[ -e gone ] || sleep 100")
    (project / "jobmon.yaml").write_text(LOCAL.replace("interval: 1", "interval: 10"))
    jobmon("--ldir", project, "--once", code=1)
    done = jobmon("kill", "--run", project, "a", code=0)
    assert "deleting 1 job(s) …\n" in done.stderr
    assert done.stdout == "1 killed, 0 had ended by themselves, 0 left\n"
    with terminal(words("kill", "--run", project)) as it:
        it.sees("deleting 1 job(s)")
        assert it.ends() == 0
        assert "1 killed" in it.text


# --- the steps by themselves ----------------------------------------------------------------------


def test_a_question_is_not_written_over(tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "from jobmon import notices, progress\n"
        "def wait(name):\n"
        "    while not os.path.exists(name): time.sleep(0.05)\n"
        "progress.on_terminal(print)\n"
        "with progress.step('sorting'):\n"
        f"    wait({str(tmp_path / 'one')!r})\n"
        "    with progress.aside():\n"
        "        sys.stdout.write('Password: '); sys.stdout.flush()\n"
        f"        wait({str(tmp_path / 'two')!r})\n"
        f"    wait({str(tmp_path / 'three')!r})\n"
    )
    with terminal([sys.executable, "-c", program]) as it:
        it.sees("sorting")
        (tmp_path / "one").touch()
        it.sees("Password: ")
        assert it.lingers(1.0) == "" or it.text.endswith("Password: ")
        (tmp_path / "two").touch()
        end = time.monotonic() + LIMIT
        while "sorting" not in it.text.partition("Password: ")[2]:
            assert it.lingers(0.1) or time.monotonic() < end
        (tmp_path / "three").touch()
        assert it.ends() == 0


def test_a_step_that_is_over_at_once_is_not_heard_of() -> None:
    said: list[str] = []
    shown = progress._Terminal(said.append)
    with shown.step("quick"):
        pass
    with shown.step("slow", after=0.01):
        until(lambda: said, what="the line")
    assert said == ["slow …"]


def test_before_anybody_has_the_terminal_nothing_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    progress.silence()
    with progress.step("waiting", after=0.0), progress.aside():
        time.sleep(0.05)
    assert capfd.readouterr() == ("", "")


def test_rich_is_not_loaded_for_what_is_quick() -> None:
    program = (
        "import sys\nfrom jobmon import progress\nprogress.on_terminal(print)\n"
        "with progress.step('quick'): pass\n"
        "print([name for name in sys.modules if name.startswith('rich')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
