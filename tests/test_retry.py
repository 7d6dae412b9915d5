"""New attempts: by themselves (``retries``), by ``jobmon retry``; and no request is ever lost."""

from __future__ import annotations

import json
import os
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
    events,
    hurry,
    jobmon,
    only_run,
    put,
    status,
    twin_of,
    until,
)

from jobmon.cluster.batch.local import Local
from jobmon.run import owner


def told(run: Path, kind: str, key: str) -> list[str]:
    return [line for line in events(run) if line.split(" ")[1:3] == [kind, key]]


@pytest.mark.fault("The protocol: retries start a new attempt once the earlier one is gone")
@pytest.mark.fault("The protocol: jobmon retry starts a new attempt once the earlier one is gone")
def test_failed_jobs_are_tried_again_so_often_and_then_by_hand(project: Path) -> None:
    third = "echo x >> tries; [ $(wc -l < tries) -ge 3 ] || exit 1"
    put(project / "init", "third/qsub.0", third)
    put(project / "init", "third/qsub.1", "true", "qsub.finished.0\n")
    put(project / "init", "mended/qsub.0", "echo x >> tries; [ -e mended ] || exit 1")
    put(project / "init", "refused/qsub.0")
    big = project / "init" / "refused" / "qsub.0"
    big.write_text(big.read_text().replace("#SBATCH -n 1\n", "#SBATCH -n 100000\n"))
    hurry(project, "retries: 2")
    done = jobmon("--ldir", project, code=1)
    run = only_run(project)
    assert status(run)["state"] == {
        "mended/qsub.0": "failed",
        "refused/qsub.0": "failed",
        "third/qsub.0": "finished",
        "third/qsub.1": "finished",
    }
    assert [line.split(" ")[4:] for line in told(run, "reopened", "third/qsub.0")] == [
        ["n=1", "retry=1"],
        ["n=2", "retry=2"],
    ]
    assert "third/qsub.0 is tried again, 2 of 2" in done.stdout
    assert len(told(run, "submitting", "mended/qsub.0")) == 3
    assert len(told(run, "submitting", "refused/qsub.0")) == 5
    assert told(run, "reopened", "refused/qsub.0") == []
    agree(run)

    assert jobmon("--ldir", run, code=1).stdout.count("tried again") == 0
    (run / "mended" / "mended").touch()
    big = run / "refused" / "qsub.0"
    big.write_text(big.read_text().replace("-n 100000", "-n 1"))
    named = jobmon("retry", "--run", run, ".", code=1).stdout
    assert "2 job(s) begin a new attempt" in named
    assert "not retried, finished: third/qsub.0, third/qsub.1: has its marker" in named
    assert jobmon("retry", "--run", run, "nosuch", "third", code=2).stderr.startswith(
        "jobmon: nosuch: no job"
    )
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 4}
    assert (twin_of(project) / "mended" / "tries").read_text().count("x") == 4
    agree(run)


def test_retry_by_a_running_daemon_names_what_it_is_not_for(project: Path) -> None:
    hurry(project)
    put(project / "init", "fails/qsub.0", "[ -e mended ] || exit 3")
    put(project / "init", "fails/qsub.1", "true", "qsub.finished.0\n")
    put(project / "init", "killed/qsub.0", "[ -e quick ] || sleep 280")
    put(project / "init", "runs/qsub.0", "until [ -e go ]; do sleep 0.1; done")
    put(project / "init", "held/qsub.0", needs=None)
    with daemon("--ldir", project, "--forever", log=project.parent / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until(lambda: count(run, "running") >= 2, what="two running jobs")
        jobmon("kill", "--run", run, "--hold", "killed", code=0)
        until(lambda: count(run, "failed") == 1, what="the failure")
        for name in ("fails/mended", "killed/quick"):
            (run / name).touch()
        named = jobmon("retry", "--run", run, "fails", "killed", "runs", "held", code=1).stdout
        assert "2 job(s) begin a new attempt\n" in named
        assert "not retried, running: runs/qsub.0: is in the batch system; 'jobmon kill'" in named
        assert "not retried, held: held/qsub.0: was not run yet; 'jobmon release'" in named
        assert "fails/qsub.1: was not run yet" in named
        until(lambda: count(run, "finished") == 3, what="their ends")
        (twin / "runs" / "go").touch()
        until(lambda: count(run, "finished") == 4, what="the last end")
        (run / "held" / "qsub.dependency.0").touch()
        until(lambda: count(run, "finished") == 5, what="the held job's end")
    assert (run / "killed" / "qsub.dependency.0").exists()


def test_a_late_marker_finishes_what_waits_to_be_tried_again(project: Path) -> None:
    put(project / "init", "a/qsub.0", "until [ -e go ]; do sleep 0.1; done; exit 1")
    put(project / "init", "b/qsub.0", "sleep 280")
    hurry(project, "retries: 1")
    with daemon("--ldir", project, "--maxqsub=1", log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/quelist")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until(lambda: len((run / "quelist").read_text().splitlines()) == 3, what="the quelist")
        until(lambda: count(run, "running") == 1, what="a")
        head, first, second = (run / "quelist").read_text().splitlines()
        edited = run / ".edited~"
        edited.write_text("\n".join([head, second, first]) + "\n")
        edited.replace(run / "quelist")  # as editors do: no moment in which it is half there
        (twin / "a" / "go").touch()
        until(lambda: count(run, "ready") == 3 and count(run, "started") == 2, what="b's turn")
        assert status(run)["state"]["a/qsub.0"] == "ready"
        (twin / "a" / "qsub.finished.0").touch()
        until(lambda: count(run, "finished") == 1, what="the marker to be seen")
        jobmon("kill", "--run", run, "b", code=0)
        assert process.wait(90) == 1
    assert len(told(run, "started", "a/qsub.0")) == 1
    agree(run)


DYING = """
import importlib, os, signal, sys
_, where, name, nth, *words = sys.argv
owner = importlib.import_module(where)
*path, name = name.split(".")
for step in path:
    owner = getattr(owner, step)
real, calls = getattr(owner, name), []
def dying(*args, **more):
    calls.append(0)
    if len(calls) == int(nth) and where != "jobmon.cluster.cluster":
        os.kill(os.getpid(), signal.SIGKILL)
    told = real(*args, **more)
    if told and where == "jobmon.cluster.cluster":  # there the deed comes first
        os.kill(os.getpid(), signal.SIGKILL)
    return told
setattr(owner, name, dying)
sys.argv = ["jobmon", *words]
from jobmon.cli import main
main()
"""
"""A daemon that is killed with -9 at the n-th call of one function."""


def dies(run: Path, where: str, name: str, nth: int = 1) -> None:
    argv = [sys.executable, "-c", DYING, where, name, str(nth), "--ldir", str(run)]
    done = subprocess.run(
        argv, env=environment(), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr


def waiting(run: Path) -> list[str]:
    return [request.do for request in owner.waiting(run)]


def test_no_request_is_lost_by_kill_9_and_none_does_harm_twice(project: Path) -> None:
    hurry(project)
    put(project / "init", "killed/qsub.0", "sleep 280")
    put(project / "init", "fails/qsub.0", "[ -e mended ] || exit 3")
    put(project / "init", "held/qsub.0", needs=None)
    with daemon("--ldir", project, "-v", log=project.parent / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, out = only_run(project), project.parent / "out"
        until(lambda: "pulled" in out.read_text().partition(" failed ")[2], what="the failure")
        jobmon("stop", "--run", run, code=0)
    (run / "fails" / "mended").touch()
    for do, key in (("kill", "killed"), ("retry", "fails"), ("release", "held")):
        owner.request(run, {"do": do, "keys": [f"{key}/qsub.0"]})
    dies(run, "jobmon.cycle.hands", "do")
    assert waiting(run) == ["kill", "retry", "release"]
    dies(run, "jobmon.run.owner", "done", 2)
    assert waiting(run) == ["retry", "release"]
    assert len(told(run, "reopened", "fails/qsub.0")) == 1
    memory = run / ".jobmon" / "memory.json"
    kept = json.loads(memory.read_text())
    assert kept["killing"] == {"killed/qsub.0": 1}
    memory.write_text(json.dumps(kept | {"boot": "another"}))  # as after a power cut
    dies(run, "jobmon.cluster.cluster", "Cluster.delete")
    assert waiting(run) == []
    jobmon("--ldir", run, code=1)
    assert status(run)["state"] == {
        "fails/qsub.0": "finished",
        "held/qsub.0": "finished",
        "killed/qsub.0": "killed",
    }
    assert count(run, "started") == 4
    assert len(told(run, "reopened", "fails/qsub.0")) == 1
    agree(run)


def test_a_kill_of_an_earlier_attempt_is_not_remembered_for_the_next(project: Path) -> None:
    hurry(project)
    put(project / "init", "m/qsub.0", "[ -e quick ] || sleep 280")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    jobmon("kill", "--run", run, code=0)
    jobmon("retry", "--run", run, "m", code=0)
    (run / "m" / "quick").touch()
    memory = run / ".jobmon" / "memory.json"
    memory.write_text(json.dumps(json.loads(memory.read_text()) | {"killing": {"m/qsub.0": 1}}))
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 1}


def test_kill_without_the_twin_deletes_by_the_journal_s_job_ids(project: Path) -> None:
    hurry(project)
    put(project / "init", "m/qsub.0", "sleep 280")
    jobmon("--ldir", project, "--once", code=1)
    run, twin = only_run(project), twin_of(project)
    twin.rename(twin.with_name("away"))
    done = jobmon("kill", "--run", run, code=0)
    assert f"{twin} is missing; bring it back" in done.stdout
    assert "1 job(s) of the journal are no longer listed, 0 left" in done.stdout
    listing = subprocess.run(Local().list_command(""), capture_output=True, text=True, check=True)
    assert Local().parse(listing.stdout) == {}
    twin.with_name("away").rename(twin)
    jobmon("--ldir", run, code=1)
    assert status(run)["counts"] == {"killed": 1}
    agree(run)


def test_a_daemon_that_cannot_reach_its_cluster_still_takes_requests(project: Path) -> None:
    put(project / "init", "m/qsub.0", "sleep 280")
    put(project / "init", "held/qsub.0", needs=None)
    with daemon("--ldir", project, "--interval=300", log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until(lambda: count(run, "started") == 1, what="a submission")
        assert process.poll() is None
        (twin / ".jobmon" / "run").rename(twin / ".jobmon" / "was")
        (twin / ".jobmon" / "run").mkdir()  # unreadable, which is no other run's
        began = time.monotonic()
        jobmon("release", "--run", run, "held", code=0)
        assert time.monotonic() - began < 140, "the next cycle was not waited for"
        assert (run / "held" / "qsub.dependency.0").exists()
        os.killpg(process.pid, signal.SIGKILL)
    (twin / ".jobmon" / "run").rmdir()
    (twin / ".jobmon" / "was").rename(twin / ".jobmon" / "run")
    jobmon("kill", "--run", run, code=0)
