"""A daemon that is stopped, killed or doubled in the middle loses no job and runs none twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster
from session import FAST, agree, chain, count, daemon, jobmon, only_run, ran_once, status, until

GiveDir = Callable[[str], str]


def project_of(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    for folder in ("m1", "m2", "m3", "m4"):
        chain(project / "init", folder, 3, "sleep 2")
    (project / "jobmon.yaml").write_text(FAST)
    return project


@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("host", ["hpc", "sge"])
@pytest.mark.fault("The protocol: recovery from any state of journal and record")
def test_a_daemon_that_ends_in_the_middle_is_taken_up(
    testcluster: TestCluster,
    remote_dir: GiveDir,
    tmp_path: Path,
    host: str,
    sign: signal.Signals,
    ssh: str,
) -> None:
    project, rdir = project_of(tmp_path), remote_dir(host)
    where = ("--rdir", rdir, "--remote", host, "--ssh", ssh)
    config = ("--ssh-config", testcluster.ssh_config)
    with daemon("--ldir", project, *where, *config, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") >= 2, what="two finished jobs")
        os.killpg(process.pid, sign)
        process.wait(60)
    if sign == signal.SIGTERM:
        agree(run)
        assert process.returncode == 1
    before = status(run)
    assert before["counts"].keys() - {"finished"}, "it was not in the middle"

    jobmon("--ldir", run, code=0)

    assert status(run)["counts"] == {"finished": 12}
    agree(run)
    ran_once(testcluster.home(host) / rdir / run.name)
    assert count(run, "started") == 12


def killed_behind(process: subprocess.Popen[bytes], run: Path, wanted: int) -> None:
    """kill -9 right behind the n-th announcement of a submission in the journal."""
    until(lambda: count(run, "submitting") >= wanted or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(60)


@pytest.mark.fault("The protocol: recovery from any state of journal and record")
def test_killed_again_and_again_by_kill_9(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project, rdir = project_of(tmp_path), remote_dir("hpc")
    flags = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    for wanted in range(1, 8):
        args = ("--ldir", project, *flags) if wanted == 1 else ("--ldir", only_run(project))
        with daemon(*args, log=tmp_path / "out") as process:
            until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
            killed_behind(process, only_run(project), wanted)
    run = only_run(project)
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 12}
    agree(run)
    ran_once(testcluster.home("hpc") / rdir / run.name)


def test_a_second_daemon_is_refused_and_a_dead_one_s_lock_taken(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project, rdir = project_of(tmp_path), remote_dir("hpc")
    flags = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    with daemon("--ldir", project, *flags, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "started") >= 1, what="a submission")
        refused = jobmon("--ldir", run, code=2)
        assert f"held by process {process.pid} on host {os.uname().nodename}" in refused.stderr
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
    taken = jobmon("--ldir", run, code=0)
    assert "taken over" in taken.stdout
    assert status(run)["counts"] == {"finished": 12}
    agree(run)
    ran_once(testcluster.home("hpc") / rdir / run.name)


def test_initonly_then_resume_and_stop(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project, rdir = project_of(tmp_path), remote_dir("hpc")
    flags = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    jobmon("--ldir", project, *flags, "--datedir", "20260101_000000", "--initonly", code=0)
    run = project / "20260101_000000"
    twin = testcluster.home("hpc") / rdir / run.name
    assert (twin / "m1" / "qsub.0").read_text() == (run / "m1" / "qsub.0").read_text()
    assert (run / "qsub.now").read_text() == ""
    assert status(run)["counts"] == {"ready": 4, "waiting": 8}
    assert count(run, "submitting") == 0

    jobmon("--ldir", project, "--datedir", "20260101_000000", "--daemon", code=0)
    until(lambda: count(run, "started") >= 1, what="a submission by the daemon")
    jobmon("stop", "--run", project, code=0)
    agree(run)
    assert "no daemon" in jobmon("stop", "--run", run, code=0).stdout
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 12}
    ran_once(twin)
