"""Killing deletes the jobs of one run, sees that they are gone, and touches no others."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster
from scheduler import delete, gone, listed, sleeper
from session import FAST, agree, chain, count, daemon, jobmon, only_run, put, status, until

GiveDir = Callable[[str], str]


@pytest.mark.parametrize("host", ["hpc", "sge"])
def test_kill_of_a_run_leaves_unrelated_jobs(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, host: str
) -> None:
    project, rdir = tmp_path / "project", remote_dir(host)
    for folder in ("m1", "m2", "m3"):
        chain(project / "init", folder, 2, "sleep 200")
    (project / "jobmon.yaml").write_text(FAST)
    flags = ("--rdir", rdir, "--remote", host, "--ssh-config", testcluster.ssh_config)
    other = sleeper(testcluster, host)
    try:
        with daemon("--ldir", project, *flags, log=tmp_path / "out") as process:
            until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
            run = only_run(project)
            until(lambda: count(run, "started") == 3, what="three submissions")
            mine = {line.split(" ")[3] for line in _lines(run, "started")}
            assert mine <= listed(testcluster, host)
            done = jobmon("kill", "--run", run, code=0)
            process.wait(60)  # the daemon was stopped first
        assert "3 killed" in done.stdout
        assert gone(testcluster, host, mine)
        assert other in listed(testcluster, host)
    finally:
        delete(testcluster, host, other)
    assert status(run)["counts"] == {"killed": 3, "blocked": 3}
    agree(run)
    assert (run / "qsub.now").read_text() == ""


def _lines(run: Path, kind: str) -> list[str]:
    text = (run / "qsub.log").read_text("utf-8")
    return [line for line in text.splitlines() if line.split(" ")[1] == kind]


def test_kill_of_one_job_by_a_running_daemon_then_hold_and_release(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project, rdir = tmp_path / "project", remote_dir("hpc")
    put(project / "init", "m1/qsub.0", "[ -e quick ] || sleep 200")
    put(project / "init", "m2/qsub.0", "until [ -e go ]; do sleep 0.2; done")
    (project / "jobmon.yaml").write_text(FAST)
    flags = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    with daemon("--ldir", project, *flags, "--forever", log=tmp_path / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "running") == 2, what="two running jobs")
        jobmon("kill", "--run", run, "--hold", "m1", code=0)
        assert status(run)["state"]["m1/qsub.0"] == "killed"
        assert not (run / "m1" / "qsub.dependency.0").exists()
        twin = testcluster.home("hpc") / rdir / run.name
        (twin / "m2" / "go").touch()
        until(lambda: count(run, "finished") == 1, what="the other job's end")
        (run / "m1" / "quick").touch()  # made here, wanted there
        jobmon("release", "--run", run, "m1/qsub.0", code=0)
        until(lambda: count(run, "finished") == 2, what="the released job's end")
        assert (twin / "m1" / "quick").exists()
        until(lambda: (run / "quelist").read_text().count("finished") == 2, what="the quelist")
    assert (run / "m1" / "qsub.dependency.0").exists()
    assert status(run)["state"] == {"m1/qsub.0": "finished", "m2/qsub.0": "finished"}
    line = next(x for x in (run / "quelist").read_text().splitlines() if x.startswith("m1/"))
    kinds = [word.partition("@")[0] for word in line.split(" ")[1:]]
    assert [k for k in kinds if k != "running"] == [
        *("ready", "started", "killed", "ready", "started", "finished")
    ]


@pytest.mark.fault("Security: a file that came from the cluster is not executed here")
def test_the_run_folder_s_own_kill(tmp_path: Path) -> None:
    project = tmp_path / "a 'quoted' project"
    put(project / "init", "m/qsub.0", "sleep 100")
    (project / "jobmon.yaml").write_text(FAST + "remote: local\nscheduler: local\n")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    (run / "click.py").write_text("raise SystemExit('a file of the run was executed')\n")
    done = subprocess.run(
        ["./kill"], cwd=run, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert status(run)["counts"] == {"killed": 1}
    again = jobmon("--ldir", run, code=1)
    assert "1 killed" in again.stdout, "a killed job stays killed until it is released"
    agree(run)


def test_a_job_that_will_never_start_is_named_and_can_be_killed(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project, rdir = tmp_path / "project", remote_dir("sge")
    put(project / "init", "m/qsub.0")
    script = project / "init" / "m" / "qsub.0"
    script.write_text(script.read_text().replace("#$ -cwd\n", "#$ -cwd -o /nonexistent/dir/\n"))
    (project / "jobmon.yaml").write_text(FAST)
    flags = ("--rdir", rdir, "--remote", "sge", "--ssh-config", testcluster.ssh_config)
    with daemon("--ldir", project, *flags, log=tmp_path / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: "will never start" in jobmon("status", "--run", run, code=0).stdout)
        assert "will never start" in (run / "jobmon.log").read_text()
        assert status(run)["state"] == {"m/qsub.0": "submitted"}
        jobmon("kill", "--run", run, "m", code=0)
    assert status(run)["state"] == {"m/qsub.0": "killed"}
    agree(run)
