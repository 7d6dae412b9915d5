"""What goes wrong around a run, on this machine's own queue."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from session import (
    agree,
    count,
    daemon,
    environment,
    jobmon,
    only_run,
    put,
    ran_once,
    status,
    twin_of,
    until,
)


def test_exit_codes_of_what_cannot_be(project: Path, tmp_path: Path) -> None:
    put(project / "init", "m/qsub.0")
    before = sorted(project.rglob("*"))

    def refused(*args: str | Path, code: int = 2) -> str:
        done = jobmon(*args, code=code)
        text = (done.stdout + done.stderr).strip()
        assert sorted(project.rglob("*")) == before, "something was changed"
        return text.splitlines()[-1]

    assert "there is no such folder" in refused("--ldir", tmp_path / "no")
    assert "holds no folder init/" in refused("--ldir", tmp_path / "project" / "init" / "m")
    line = refused("--ldir", project, "--bogus")
    assert line.startswith("jobmon: No such option") and line.endswith("See 'jobmon run --help'.")
    assert "maxqsub" in refused("--ldir", project, "--maxqsub", "0")
    assert "no such" in refused("run", "--ldir", project, "--qsubheader", "no-such-file").lower()
    assert "refused" in refused(
        "--ldir", project, "--remote", "127.0.0.1:1", "--scheduler=slurm", "--rdir=x", code=3
    )
    line = refused("status", "--run", project)
    assert "this is no run folder" in line
    assert line.endswith(f"; make one by: jobmon --ldir {shlex.quote(str(project.resolve()))}")
    (project / "init" / "m" / "qsub.dependency.0").write_text("ok\n\n../../../etc/passwd\n")
    line = refused("--ldir", project)
    assert "qsub.dependency.0, line 3" in line and "outside the run folder" in line
    (project / "jobmon.yaml").write_text("remote: local\nmaxqsubs: 3\n")
    assert "jobmon.yaml:2" in refused("--ldir", project)


def test_an_identity_is_not_contradicted_by_a_flag(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, "--initonly", code=0)
    run = only_run(project)
    done = jobmon("--ldir", run, "--rdir", "/elsewhere", code=2)
    assert "--rdir /elsewhere" in done.stderr
    assert "on local, maxqsub 7" in jobmon("--ldir", run, "--maxqsub", "7", code=0).stdout


@pytest.mark.fault("Disks and clocks: the twin exchanged")
@pytest.mark.fault("Disks and clocks: the twin deleted")
def test_a_missing_or_foreign_twin_stops_the_run(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    twin.rename(twin.with_name("away"))
    assert "is missing" in jobmon("--ldir", run, code=2).stdout
    (twin / ".jobmon").mkdir(parents=True)
    (twin / ".jobmon" / "run").write_text("somebody-else\n")
    assert "belongs to another run" in jobmon("--ldir", run, code=2).stdout
    assert count(run, "submitting") == 0


def test_jobmon_s_own_folder_may_be_lost_in_the_middle(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo x >> started.0; sleep 5; echo done > result")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "started") == 1, what="a submission")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    until((twin_of(project) / "m" / "result").exists, what="the job's end, with nobody there")
    shutil.rmtree(run / ".jobmon")
    (run / "m" / "result").write_text("of an older pull")
    jobmon("--ldir", run, code=0)
    assert (twin_of(project) / "m" / "result").read_text() == "done\n"
    assert (run / "m" / "result").read_text() == "done\n"
    ran_once(twin_of(project))
    agree(run)


def test_what_ended_behind_a_kill_9_still_comes_home(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo x > result; touch qsub.finished.0; sleep 3")
    put(project / "init", "n/qsub.0", "sleep 60")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1, what="the end of the first job")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    (run / "m" / "result").unlink(missing_ok=True)
    jobmon("--ldir", run, "--once", code=1)
    assert (run / "m" / "result").read_text() == "x\n"
    jobmon("kill", "--run", run, code=0)


def test_a_journal_that_cannot_be_is_named_with_its_line(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    lines = (run / "qsub.log").read_text().splitlines(keepends=True)
    (run / "qsub.log").write_text("".join([lines[0], *lines]))
    for args in (("--ldir", run), ("status", "--run", run)):
        done = jobmon(*args, code=2)
        assert f"{run}/qsub.log, line 2: m/qsub.0 is ready and cannot become ready" in (
            done.stdout + done.stderr
        )


@pytest.mark.fault("Batch systems: hung (every command has a limit and is ended)")
def test_sigterm_ends_it_soon_though_the_batch_system_hangs(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    tools = project.parent / "hangs"
    tools.mkdir()
    (tools / "squeue").write_text(f"#!/bin/sh\n: > '{project.parent}/asked'\nsleep 300\n")
    (tools / "squeue").chmod(0o755)
    args = [sys.executable, "-m", "jobmon", "--ldir", str(project), "--scheduler", "slurm"]
    path = f"{tools}:{os.environ['PATH']}"
    with subprocess.Popen(args, env=environment(PATH=path), stdout=subprocess.DEVNULL) as process:
        until((project.parent / "asked").exists, what="the listing that hangs")
        began = time.monotonic()
        process.terminate()
        assert process.wait(90) == 1
        assert time.monotonic() - began < 50, "a command has a minute"
    agree(only_run(project))


@pytest.mark.fault("Disks and clocks: here full, at each write")
def test_a_closed_pipe_or_a_full_disk_under_the_messages_is_no_traceback(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jobmon", "--ldir", project],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(),
        )
    assert "Traceback" not in done.stderr
    assert status(only_run(project))["counts"] == {"finished": 1}
