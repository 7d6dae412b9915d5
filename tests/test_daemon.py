"""``daemon.detach`` over a real pseudo-terminal: prompts, readiness, death, Ctrl-C."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

LIMIT = 90.0


@dataclass
class Terminal:
    """A terminal in which a script called ``detach`` as its session's leader."""

    pid: int
    fd: int
    seen: str = ""

    def until(self, text: str) -> None:
        """Read until ``text`` was shown."""
        end = time.monotonic() + LIMIT
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.fd], [], [], 0.1)[0]:
                self.seen += os.read(self.fd, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def code(self) -> int:
        """Read to the end; the exit code of the process on the terminal."""
        while True:
            try:
                data = os.read(self.fd, 4096)
            except OSError:
                break
            if not data:
                break
            self.seen += data.decode()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


Start = Callable[[str], Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Runs a ``work`` with these lines; ``out`` is a file it may write to, ``log`` its log."""

    def run(body: str) -> Terminal:
        script = tmp_path / "script.py"
        script.write_text(
            "import os, signal, sys, time\n"
            "from pathlib import Path\n"
            "from jobmon.cluster.links.login import LoginNeeded\n"
            "from jobmon.daemon import detach\n"
            f"out = Path({str(tmp_path / 'out')!r})\n"
            "def work(ask, say, ready):\n"
            f"{textwrap.indent(textwrap.dedent(body), '    ')}\n"
            f"sys.exit(detach(work, Path({str(tmp_path / 'log')!r})))\n"
        )
        where = str(Path(__file__).parents[1])
        pid, fd = pty.fork()
        if pid == 0:
            os.environ["PYTHONPATH"] = where
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a suite in the background ignores it
            os.umask(0o027)
            os.execv(sys.executable, [sys.executable, str(script)])
        return Terminal(pid, fd)

    return run


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_it_goes_on_after_the_terminal_was_let_go(start: Start, tmp_path: Path) -> None:
    terminal = start(
        """
        say("hello é")
        print("to the log")
        ready(0)
        say("nobody sees this")
        try:
            ask("Code:", False)
        except LoginNeeded as error:
            out.write_text(f"{error}|{os.getcwd()}|{os.getsid(0) == os.getpgid(0)}|{os.getppid()}")
        return 5
        """
    )
    assert terminal.code() == 0
    assert terminal.seen == "hello é\r\n"
    wait_for(lambda: "exit code 5" in text(tmp_path / "log"))
    assert "to the log" in text(tmp_path / "log")
    said, cwd, leads, _ = text(tmp_path / "out").split("|")
    assert "'Code:' and nobody is there" in said
    assert cwd == "/"
    assert leads == "True"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o640


def test_the_daemon_has_no_terminal(start: Start, tmp_path: Path) -> None:
    terminal = start(
        """
        try:
            os.open("/dev/tty", os.O_RDWR)
        except OSError:
            say("none")
        say(repr(sys.stdin.read()))
        return 0
        """
    )
    assert terminal.code() == 0
    assert terminal.seen == "none\r\n''\r\n"


def test_prompts_reach_the_terminal_and_answers_the_daemon(start: Start, tmp_path: Path) -> None:
    terminal = start(
        """
        word = ask("Password:", False)
        code = ask("Code \\x1b[2J?", True)
        say(f"got {len(word)} and {code}")
        ready(int(code))
        out.write_text(word)
        return 0
        """
    )
    terminal.until("Password:")
    terminal.type("sécret\n")
    terminal.until("?")
    terminal.type("7\n")
    assert terminal.code() == 7
    assert "got 6 and 7" in terminal.seen
    assert "sécret" not in terminal.seen
    assert "\x1b" not in terminal.seen
    wait_for(lambda: text(tmp_path / "out") == "sécret")


def test_work_that_ends_early_gives_its_code(start: Start, tmp_path: Path) -> None:
    assert start("return 3").code() == 3
    assert "ends with exit code 3" in text(tmp_path / "log")
    assert start("sys.exit(4)").code() == 4


def test_an_error_is_one_line_here_and_a_traceback_in_the_log(start: Start, tmp_path: Path) -> None:
    terminal = start('raise ValueError("what a pity")')
    assert terminal.code() == 2
    assert terminal.seen.count("\n") == 1
    assert str(tmp_path / "log") in terminal.seen
    assert "what a pity" in text(tmp_path / "log")
    assert "Traceback" in text(tmp_path / "log")


def test_a_daemon_that_is_killed_is_missed(start: Start, tmp_path: Path) -> None:
    terminal = start("os.kill(os.getpid(), signal.SIGKILL)")
    assert terminal.code() == 2
    assert str(tmp_path / "log") in terminal.seen


def test_ctrl_c_ends_the_daemon_as_well(start: Start, tmp_path: Path) -> None:
    terminal = start(
        """
        def stop(*_):
            out.write_text("ended in order")
            sys.exit(1)
        signal.signal(signal.SIGTERM, stop)
        say("working")
        time.sleep(200)
        """
    )
    terminal.until("working")
    terminal.type("\x03")
    assert terminal.code() == 130
    assert text(tmp_path / "out") == "ended in order"
    assert "Traceback" not in terminal.seen + text(tmp_path / "log")


def test_ctrl_c_at_a_prompt(start: Start, tmp_path: Path) -> None:
    terminal = start(
        """
        out.write_text("asking")
        try:
            ask("Code:", False)
        except LoginNeeded:
            out.write_text("no answer")
        time.sleep(200)
        """
    )
    terminal.until("Code:")
    terminal.type("\x03")
    assert terminal.code() == 130
    assert "Traceback" not in terminal.seen + text(tmp_path / "log")
    pid = int(text(tmp_path / "log").split("the daemon is process ")[1].split()[0])
    wait_for(lambda: not alive(pid))


def test_a_terminal_that_is_closed_leaves_the_daemon(start: Start, tmp_path: Path) -> None:
    terminal = start(
        """
        say("asking")
        try:
            ask("Code:", False)
        except LoginNeeded:
            out.write_text("alone")
        return 0
        """
    )
    terminal.until("Code:")
    os.kill(terminal.pid, signal.SIGKILL)
    terminal.code()
    wait_for(lambda: text(tmp_path / "out") == "alone")
    wait_for(lambda: "exit code 0" in text(tmp_path / "log"))


def test_without_a_terminal_a_prompt_is_refused(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from jobmon.daemon import detach\n"
        "from jobmon.cluster.links.login import LoginNeeded\n"
        "def work(ask, say, ready):\n"
        "    try: ask('Code:', False)\n"
        "    except LoginNeeded as error: say(str(error))\n"
        "    return 0\n"
        f"sys.exit(detach(work, Path({str(tmp_path / 'log')!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        start_new_session=True,
        check=True,
        timeout=LIMIT,
    )
    assert "nobody is there" in done.stdout
    assert done.stderr == ""


def test_a_log_that_cannot_be_written(start: Start, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    terminal = start("return 0")
    assert terminal.code() == 2
    assert terminal.seen.count("\n") == 1
    assert f"{tmp_path / 'log'}: the daemon's log cannot be written" in terminal.seen


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A daemon in a container may have no one to collect it.
    return not text(Path(f"/proc/{pid}/stat")).rpartition(")")[2].startswith(" Z")
