"""What a person's hands do to a run in its middle: edit, delete, start twice, ask for all at once."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults_lab import Lab
from session import (
    agree,
    count,
    daemon,
    environment,
    jobmon,
    only_run,
    put,
    ran_once,
    script,
    status,
    twin_of,
    until,
)

from jobmon import cli
from jobmon.act import make
from jobmon.act.place import run_meant
from jobmon.run import owner
from jobmon.run.usage import UsageError

FORK = multiprocessing.get_context("fork")  # dozens of Pythons would take a minute to start


# --- scripts edited between attempts -----------------------------------------------------------


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.fault("Hands of users: scripts edited between attempts")
def test_a_script_that_is_edited_between_attempts(project: Path, where: str) -> None:
    """The next attempt runs what stands here: an edit here goes up first, one there is undone."""
    put(project / "init", "m/qsub.0", "echo x >> started.0; cat word; sleep 60")
    (project / "init" / "m" / "word").write_text("from here\n")
    jobmon("--ldir", project, "--once", code=1)
    run, twin = only_run(project), twin_of(project)
    until((twin / "m" / "started.0").exists, what="the first attempt")
    jobmon("kill", "--run", run, "m", code=0)
    side = run if where == "here" else twin
    text = script(f"echo x >> started.0; echo {where} > edited", "0")
    (side / "m" / "qsub.0").write_text(text.replace("__cwd__", str(twin / "m")))
    if where == "there":
        ours = (run / "m" / "qsub.0").read_text().replace("sleep 60", "echo ours > edited")
        (run / "m" / "qsub.0").write_text(ours)
        os.utime(run / "m" / "qsub.0", (1e9, 1e9))  # older than the edit there: no matter
        (twin / "m" / "qsub.0").write_text(text.replace("__cwd__", str(twin / "m")))
    jobmon("release", "--run", run, "m", code=0)
    done = jobmon("--ldir", run, code=None)
    if where == "there":  # changed on both sides: a person is to choose, and deletes theirs
        assert done.returncode == 1 and "changed on both sides" in done.stdout
        (twin / "m" / "qsub.0").unlink()
        jobmon("--ldir", run, code=0)
    assert (run / "m" / "edited").read_text() == ("here\n" if where == "here" else "ours\n")
    assert (twin / "m" / "started.0").read_text() == "x\nx\n", "two attempts"
    assert count(run, "started") == 2
    agree(run)


@pytest.mark.fault("Hands of users: scripts edited between attempts")
def test_a_script_edited_only_there_is_ours_again_before_it_is_submitted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.put("m/qsub.0")

    def edit() -> None:
        if not lab.farm.record:
            (lab.twin / "m" / "qsub.0").write_text("#!/bin/sh\nexit 0\n")

    lab.farm.at_look = edit
    lab.time.limit = 2000
    with pytest.raises(AssertionError, match="does not come to its end"):
        lab.session()  # as long as somebody keeps editing it there, it is not submitted
    assert not lab.farm.submissions
    lab.farm.at_look = lambda: None
    lab.time.limit = 1e6
    lab.session()
    assert lab.farm.submissions == {"m/qsub.0": 1}


# --- folders deleted on one side ---------------------------------------------------------------


@pytest.mark.fault("Hands of users: a folder deleted on one side (here)")
def test_a_folder_deleted_here(project: Path, tmp_path: Path) -> None:
    """Its job that runs goes on to its end; those not submitted yet are held, and nothing of the
    folder there is deleted."""
    put(
        project / "init",
        "m/qsub.0",
        "echo x >> started.0; until [ -e go ]; do sleep 0.1; done; echo y > result",
    )
    put(project / "init", "m/qsub.1", "echo x >> started.1", "qsub.finished.0\n")
    put(project / "init", "other/qsub.0", "echo x >> started.0; sleep 1", "../m/qsub.finished.0\n")
    with daemon("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until((twin / "m" / "started.0").exists, what="the first job")
        shutil.rmtree(run / "m")
        until(lambda: "m/qsub.1 was deleted here; it is held" in (tmp_path / "out").read_text())
        (twin / "m" / "go").touch()
        assert process.wait(60) == 1
    assert status(run)["state"] == {"m/qsub.0": "finished", "other/qsub.0": "finished"}
    assert (run / "m" / "result").read_text() == "y\n", "its results still come home"
    assert not (run / "m" / "qsub.1").exists(), "what was deleted stays deleted"
    assert (twin / "m" / "qsub.1").exists()
    ran_once(twin)
    agree(run)


@pytest.mark.fault("Hands of users: a folder deleted on one side (here)")
def test_a_request_for_a_folder_deleted_here_blocks_no_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.put("m/qsub.0", needs=None)
    lab.put("n/qsub.0", needs=None)
    lab.put("o/qsub.0")  # so that there is something to wait for

    asked: list[str] = []

    def look() -> None:
        if lab.farm.queue and not asked:
            shutil.rmtree(lab.run / "m")
            for name in "mn":
                body = {"do": "release", "keys": [f"{name}/qsub.0"]}
                asked.append(owner.request(lab.run, body))

    lab.farm.at_look = look
    lab.session()
    assert lab.states()["n/qsub.0"] == "finished"
    assert not list(lab.run.glob(".jobmon/requests/*"))


@pytest.mark.fault("Hands of users: a folder deleted on one side (there)")
def test_a_folder_deleted_there(project: Path) -> None:
    """Scripts and inputs go up again before its job is submitted, also from folders below."""
    put(project / "init", "m/qsub.0", "echo x >> started.0; cat input parts/more > result")
    (project / "init" / "m" / "input").write_text("input\n")
    (project / "init" / "m" / "parts").mkdir()
    (project / "init" / "m" / "parts" / "more").write_text("more\n")
    put(project / "init", "gate/qsub.0", "echo x >> started.0")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    shutil.rmtree(twin / "m")
    said = jobmon("--ldir", run, code=0).stdout
    assert "gone on the cluster, pushed again: 3 file(s)" in said
    assert (run / "m" / "result").read_text() == "input\nmore\n"
    ran_once(twin)
    agree(run)


@pytest.mark.fault("Hands of users: a folder deleted on one side (there)")
def test_a_folder_deleted_there_under_a_job_that_runs(project: Path, tmp_path: Path) -> None:
    """With it goes the marker: the job is failed, on the queue's word, and nothing is run twice."""
    put(project / "init", "m/qsub.0", "echo x >> ../started.0; sleep 2")
    put(project / "init", "n/qsub.0", "echo x >> started.0", "../m/qsub.finished.0\n")
    with daemon("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until((twin / "started.0").exists, what="the job")
        shutil.rmtree(twin / "m")
        assert process.wait(60) == 1
    assert status(run)["state"] == {"m/qsub.0": "failed", "n/qsub.0": "blocked"}
    assert (run / "m" / "qsub.0").exists(), "nothing is ever deleted by a sync"
    ran_once(twin)
    agree(run)


# --- files changed on both sides ---------------------------------------------------------------


@pytest.mark.fault("Hands of users: files changed on both sides")
def test_status_names_what_was_changed_on_both_sides(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    (project / "init" / "m" / "input").write_text("first\n")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    (run / "m" / "input").write_text("ours\n")
    (twin / "m" / "input").write_text("theirs, longer\n")
    jobmon("--ldir", run, "--once", code=1)
    line = "  conflict m/input  changed on both sides: make both alike, or delete one"
    assert line in jobmon("status", "--run", run, code=0).stdout.splitlines()
    assert status(run)["conflicts"] == ["m/input"]
    jobmon("kill", "--run", run, "m", code=0)  # another command forgets nothing of it
    assert status(run)["conflicts"] == ["m/input"]
    shutil.copy2(run / "m" / "input", twin / "m" / "input")  # the person has chosen
    jobmon("--ldir", run, code=0)
    assert status(run)["conflicts"] == []
    assert "conflict" not in jobmon("status", "--run", run, code=0).stdout


# --- the quelist -------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["nonsense\n", "", "\0\xff\n", None])
@pytest.mark.fault("Hands of users: quelist edited while the daemon runs")
def test_a_quelist_spoilt_or_deleted_in_the_middle_is_drawn_again(
    tmp_path: Path, edit: str | None
) -> None:
    lab = Lab(tmp_path)
    for name in "abc":
        lab.put(f"{name}/qsub.0")
    done: list[str] = []

    def look() -> None:
        if lab.farm.queue and not done:
            done.append((lab.run / "quelist").read_text())
            if edit is None:
                (lab.run / "quelist").unlink()
            else:
                (lab.run / "quelist").write_text(edit, "utf-8")

    lab.farm.at_look = look
    lab.session()
    assert done
    assert lab.farm.submissions == {"a/qsub.0": 1, "b/qsub.0": 1, "c/qsub.0": 1}
    agree(lab.run)
    kept = [path.read_text() for path in lab.run.glob("quelist.rejected.*")]
    assert kept == ([] if edit is None else [edit])


# --- the same run on two hosts -----------------------------------------------------------------

ELSEWHERE = """
import sys
from jobmon.run import host
host._machine = lambda: "another machine"
host._boot = lambda: "another boot"
host.socket.gethostname = lambda: "elsewhere"
from jobmon.cli import main
sys.argv[0] = "jobmon"
main()
"""
"""A stand-in for another host that shares the disk: the same program, another machine's name."""


@contextmanager
def elsewhere(*args: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", ELSEWHERE, *map(str, args)]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment()
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.fault("Hands of users: the same run started on two hosts that share a disk")
def test_the_same_run_started_on_two_hosts(project: Path, tmp_path: Path) -> None:
    """The second is refused and told the way out; taken over, the first ends by itself."""
    for i, needs in enumerate(("", "qsub.finished.0\n", "qsub.finished.1\n")):
        put(project / "init", f"m/qsub.{i}", f"echo x >> started.{i}; sleep 3", needs)
    with elsewhere("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "started") == 1, what="a submission from there")
        refused = jobmon("--ldir", run, code=2).stderr
        assert f"is held by process {process.pid} on host elsewhere" in refused
        assert "--take-over takes the run" in refused
        assert "on elsewhere has this run" in jobmon("status", "--run", run, code=0).stdout
        done = jobmon("--ldir", run, "--take-over", code=0)
        assert "taken over" in done.stdout
        assert process.wait(30) == 2
    assert "the lock was taken by another" in (tmp_path / "out").read_text()
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert status(run)["counts"] == {"finished": 3}
    assert count(run, "started") == 3
    ran_once(twin_of(project))
    agree(run)


# --- dozens of commands at once ----------------------------------------------------------------


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
        process.join(10)
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
