"""``jobmon watch`` with its real hands: on the local queue, and once in a real terminal (tmux)."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from session import (
    agree,
    count,
    daemon,
    environment,
    hurry,
    jobmon,
    only_run,
    put,
    status,
    twin_of,
    until,
)
from watch_lab import Person, driven, shown

from jobmon.act.watch import hands_on
from jobmon.show.watch.app import Watch

WAITS = "echo at it; until [ -e go ]; do sleep 0.1; done"


@contextmanager
def running(project: Path) -> Iterator[Path]:
    """A run with a daemon: a job that runs until its file ``go`` is there, others behind it."""
    hurry(project)
    put(project / "init", "a/qsub.0", WAITS)
    put(project / "init", "a/qsub.1", "echo all done", "qsub.finished.0\n")
    put(project / "init", "b/qsub.0", "exit 3")
    with daemon("--ldir", project, "--forever", log=project.parent / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "running") >= 1, what="a running job")
        until(lambda: count(run, "failed") == 1, what="a failed job")
        yield run
        jobmon("stop", "--run", run, code=0)
    agree(run)


def test_hold_release_retry_kill_and_output_beside_a_daemon(project: Path) -> None:
    async def drive(person: Person, app: Watch) -> None:
        async def do(press: str, *words: str) -> None:
            await person.press(press)
            await shown(person, "y  yes", *words[:1])
            await person.press("y")
            await shown(person, *words[1:])
            await person.until(lambda: not app.at_work)

        await shown(person, "has this run since", "R  running")
        await person.press("o")
        await shown(person, "==> a/qsub.0.", "at it")
        await person.press("right")
        await do("h", "would hold 1 job(s): a/qsub.1", "1 job(s) are held", "a/qsub.1 held")
        await do("l", "would release 1", "released 1 job(s)", "a/qsub.1 waiting")
        await person.press("left")
        await do("k", "would delete 1 job(s): a/qsub.0", "1 killed", "a/qsub.0 killed")
        await do("r", "would retry 1", "1 job(s) begin a new attempt", "a/qsub.0 running")

    with running(project) as run:
        driven(run, drive, hands_on(run), size=(160, 40))
        assert count(run, "killed") == 1
        (twin_of(project) / "a" / "go").touch()
        until(lambda: count(run, "finished") == 2, what="the end of the chain")


def test_without_a_daemon_it_is_done_in_its_place(project: Path) -> None:
    hurry(project)
    put(project / "init", "a/qsub.0", "true")
    jobmon("--ldir", project, "--initonly", code=0)
    run = only_run(project)

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "no daemon has this run", "a/qsub.0 ready")
        await person.press("h")
        await shown(person, "y  yes")
        await person.press("y")
        await shown(person, "1 job(s) are held", "a/qsub.0 held")
        (run / "jobmon.yaml").rename(run / "away")  # what goes wrong is told, not thrown
        await person.press("l")
        await shown(person, "y  yes")
        await person.press("y")
        await shown(person, "cannot be read", "a/qsub.0 held")
        (run / "away").rename(run / "jobmon.yaml")

    driven(run, drive, hands_on(run), size=(160, 40))
    assert status(run)["counts"] == {"held": 1}


def test_a_pipe_is_no_terminal(project: Path) -> None:
    hurry(project)
    put(project / "init", "a/qsub.0", "true")
    jobmon("--ldir", project, "--initonly", code=0)
    done = jobmon("watch", "--run", project, code=2)
    words = "jobmon: jobmon watch wants a terminal; 'jobmon status' does without one\n"
    assert (done.stdout, done.stderr) == ("", words)


# --- a real terminal ---------------------------------------------------------------------------


@contextmanager
def terminal(*command: str | Path) -> Iterator[Callable[..., str]]:
    """A command in a terminal of tmux, of its own server; what is called types keys into it and
    tells the screen."""
    with tempfile.TemporaryDirectory(prefix="tm", dir="/tmp") as folder:
        tmux = ["tmux", "-S", f"{folder}/s", "-f", "/dev/null"]
        words = shlex.join(map(str, command))
        env = environment(TERM="xterm-256color", LC_ALL="C.UTF-8")

        def call(*args: str) -> str:
            return subprocess.run(
                [*tmux, *args], check=True, capture_output=True, text=True, timeout=60, env=env
            ).stdout

        def typed(*keys: str) -> str:
            if keys:
                call("send-keys", "-t", "w", *keys)
            return call("capture-pane", "-p", "-t", "w")

        # The shell stays when the command has ended, so that its last screen can be read.
        shell = f"{words}; echo left with $?; exec cat"
        call("new-session", "-d", "-s", "w", "-x", "140", "-y", "40", "sh", "-c", shell)
        try:
            yield typed
        finally:
            call("kill-server")


def test_in_a_real_terminal(project: Path) -> None:
    if shutil.which("tmux") is None:
        if os.environ.get("JOBMON_NEED_CLUSTER"):
            pytest.fail("tmux is missing; scripts/testcluster install gets it")
        pytest.skip("tmux is not installed")
    with (
        running(project) as run,
        terminal(sys.executable, "-m", "jobmon", "watch", "--run", run) as typed,
    ):
        seen: list[str] = [""]

        def reads(*words: str) -> bool:
            seen[0] = typed()
            return all(word in seen[0] for word in words)

        def expect(*words: str) -> None:
            try:
                until(lambda: reads(*words))
            except AssertionError:
                raise AssertionError(f"{words} are not in\n{seen[0]}") from None

        expect("has this run since", "a         R", "b         X", "3 jobs")
        typed("e")
        expect("a/qsub.0 is running", "its life:")
        typed("Right", "h")
        expect("Keep from being submitted a/qsub.1?", "would hold 1", "y  yes")
        typed("y")
        expect("1 job(s) are held until", "a/qsub.1 held")
        assert not (run / "a" / "qsub.dependency.1").exists()
        typed("l")
        expect("would release 1", "y  yes")
        typed("y")
        expect("released 1 job(s)")
        (twin_of(project) / "a" / "go").touch()
        expect("a         F  F")
        typed("q")
        expect("left with 0")
