"""The template ``array`` on real batch systems: one marker for all tasks, and what a retry does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster
from session import FAST, agree, jobmon, only_run, status

GiveDir = Callable[[str], str]


@pytest.mark.parametrize(("host", "scheduler"), [("hpc", "slurm"), ("sge", "sge")])
def test_an_array_with_a_task_that_fails_at_first(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, host: str, scheduler: str
) -> None:
    project = tmp_path / "project"
    jobmon("init", "array", project, "--set", f"scheduler={scheduler}", "--set", "tasks=4", code=0)
    array = project / "init/array/qsub.0"
    work = '    echo "$task '
    assert work in array.read_text()
    stumble = '    echo x >> "ran.$task"\n    [ "$task" != 3 ] || [ -e mended ]\n'
    array.write_text(array.read_text().replace(work, stumble + work))
    with (project / "jobmon.yaml").open("a") as file:
        file.write(FAST)
    rdir = remote_dir(host)
    there = ("--remote", host, "--ssh-config", testcluster.ssh_config, "--rdir", rdir)
    printed = jobmon("--ldir", project, *there, code=1).stdout
    assert "warning" not in printed
    run = only_run(project)
    seen = status(run)
    assert seen["state"] == {"array/qsub.0": "failed", "array/qsub.1": "blocked"}
    assert {p.name for p in (run / "array").glob("result.*")} == {
        "result.1",
        "result.2",
        "result.4",
    }

    testcluster.run(host, f"touch {rdir}/{run.name}/array/mended")
    jobmon("retry", "--run", run, "array/qsub.0", code=0)
    jobmon("--ldir", run, "--ssh-config", testcluster.ssh_config, code=0)
    assert status(run)["counts"] == {"finished": 2}
    assert (run / "array/all.txt").read_text() == "1 1\n2 4\n3 9\n4 16\n"
    ran = {p.name: p.read_text().count("x") for p in (run / "array").glob("ran.*")}
    assert ran == {"ran.1": 1, "ran.2": 1, "ran.3": 2, "ran.4": 1}
    agree(run)
