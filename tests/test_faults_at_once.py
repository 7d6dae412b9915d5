"""Many ``jobmon`` commands and starts at once, and starts that are killed while they make a run."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from session import agree, count, daemon, jobmon, only_run, put, status, twin_of, until

from jobmon import cli
from jobmon.act import make
from jobmon.act.place import run_meant
from jobmon.run.usage import UsageError

FORK = multiprocessing.get_context("fork")  # dozens of Pythons would take a minute to start


def at_once(commands: Sequence[Sequence[str]], logs: Path) -> list[tuple[int | None, str]]:
    """Run these command lines beside each other; their exit codes and what they said."""
    logs.mkdir()

    def run(words: Sequence[str], log: Path) -> None:
        out = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        sys.argv = ["jobmon", *words]
        cli.main()

    processes = [
        FORK.Process(target=run, args=(words, logs / str(i))) for i, words in enumerate(commands)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(150)
    return [(p.exitcode, (logs / str(i)).read_text()) for i, p in enumerate(processes)]


@pytest.mark.parametrize("minded", [True, False], ids=["with a daemon", "without a daemon"])
@pytest.mark.fault("Hands of users: dozens of jobmon commands at once")
def test_thirty_commands_at_once(project: Path, tmp_path: Path, minded: bool) -> None:
    rng = random.Random(3)
    for name in "abcdef":
        put(
            project / "init",
            f"{name}/qsub.0",
            f"echo $JOBMON_JOBID x >> runs; sleep {rng.randint(1, 40)}",
        )
    jobmon("--ldir", project, "--maxqsub=6", "--once", code=1)
    run = only_run(project)
    verbs = [("status",), ("status", "--json"), ("kill",), ("kill", "--hold"), ("release",)]
    commands = []
    for i in range(30):
        verb, *flags = verbs[i % len(verbs)]
        keys = [] if verb == "status" else [rng.choice("abcdef")]
        commands.append([verb, *flags, "--run", str(run), *keys])
    if minded:
        with daemon("--ldir", run, "--forever", log=tmp_path / "out"):
            until((run / ".jobmon" / "lock").exists, what="the daemon")
            told = at_once(commands, tmp_path / "logs")
            jobmon("stop", "--run", run, code=0)
        assert "Traceback" not in (tmp_path / "out").read_text()
    else:
        told = at_once(commands, tmp_path / "logs")
    for (code, text), command in zip(told, commands, strict=True):
        assert "Traceback" not in text, text
        assert code == 0, f"{command}: {code}: {text}"
    assert all(
        json.loads(text)["counts"]
        for (_, text), c in zip(told, commands, strict=True)
        if "--json" in c
    )
    agree(run)
    assert not list((run / ".jobmon").glob("requests/*")), "all was done"
    jobmon("kill", "--run", run, code=0)
    assert "running" not in status(run)["counts"]
    starts = sum(len(path.read_text().splitlines()) for path in twin_of(project).glob("*/runs"))
    assert starts <= count(run, "started"), "every start was one of the journal's"
    agree(run)


@pytest.mark.fault("Hands of users: dozens of jobmon commands at once")
def test_a_dozen_starts_of_one_project_in_one_second(project: Path, tmp_path: Path) -> None:
    """Each makes a run of its own or says that there is one of that name; none is half made."""
    put(project / "init", "m/qsub.0", "echo x >> started.0")
    told = at_once([["--ldir", str(project), "--initonly"]] * 12, tmp_path / "logs")
    runs = [path for path in project.iterdir() if (path / "qsub.log").exists()]
    runs = [path for path in runs if not path.is_symlink()]
    made = [text for code, text in told if code == 0]
    assert len(made) == len(runs) >= 1
    for code, text in told:
        assert code in {0, 2} and "Traceback" not in text, text
        assert code == 0 or "is there already" in text or "not empty" in text, text
    assert not [path for path in project.iterdir() if path.name.startswith(".")]
    for run in runs:
        assert status(run)["counts"] == {"ready": 1}


# --- a start that is killed --------------------------------------------------------------------


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.fault("Hands of users: a start that is killed while its run is made")
def test_a_start_killed_while_its_run_is_made(
    project: Path, monkeypatch: pytest.MonkeyPatch, sign: signal.Signals
) -> None:
    """What it leaves is no run, is in nobody's way, and is cleared away by the next start."""
    put(project / "init", "m/qsub.0", "echo x >> started.0")

    def halves() -> list[Path]:
        return [path for path in project.iterdir() if path.name.endswith(".jobmon-half")]

    def start() -> None:
        sys.argv = ["jobmon", "--ldir", str(project)]
        cli.main()

    with monkeypatch.context() as patch:
        patch.setattr(make, "_fill", lambda *_: time.sleep(300))  # it takes its time
        process = FORK.Process(target=start)
        process.start()
        until(halves, what="a run that is being made")
        assert process.pid is not None
        os.kill(process.pid, sign)
        process.join(60)
    assert process.exitcode == -sign
    assert halves()
    with pytest.raises(UsageError, match="this is no run folder"):
        run_meant(project)
    jobmon("--ldir", project, code=0)
    assert not halves()
    assert status(only_run(project))["counts"] == {"finished": 1}


def test_what_another_start_is_making_is_left_alone(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    with make._making(project):
        other = project / ".20261120_173102.01234567.jobmon-half"
        other.mkdir()
        with make._making(project):
            assert other.exists()
    with make._making(project):
        assert not other.exists()
