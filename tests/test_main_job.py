"""The main job, over real sshd: a forest of chains to its right end, on every system and link."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import TestCluster
from gate_lab import Proxy, behind
from scheduler import slurm_submissions
from session import (
    FAST,
    WEIRD,
    agree,
    chain,
    forest,
    jobmon,
    only_run,
    put,
    ran_once,
    status,
    until,
)

GiveDir = Callable[[str], str]


@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
@pytest.mark.parametrize("host", ["hpc", "sge"])
def test_a_forest_comes_to_its_right_end(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, host: str, ssh: str
) -> None:
    project = tmp_path / "project"
    forest(project)
    (project / "jobmon.yaml").write_text(FAST)
    rdir = remote_dir(host)

    with closing(Proxy(testcluster.nodes[host].port)) as proxy:
        done = jobmon(
            *("--ldir", project, "--rdir", rdir, "--remote", host, "--ssh", ssh),
            *("--ssh-config", behind(proxy, testcluster, host, tmp_path)),
            *("--maxqsub=6", "--maxcore", "2"),
            code=1,
        )

    assert len(proxy.accepted) == 1, "one connection, so one login"
    run = only_run(project)
    twin = testcluster.home(host) / rdir / run.name
    seen = status(run)
    assert seen["counts"] == {"finished": 17, "failed": 1, "blocked": 1}
    assert seen["state"]["fails/qsub.1"] == "failed"
    assert seen["state"]["fails/qsub.2"] == "blocked"
    assert "exit code 3" in seen["job"]["fails/qsub.1"]["reason"]
    assert "no convergence" in seen["job"]["fails/qsub.1"]["reason"]
    assert seen["job"]["fails/qsub.2"]["missing"] == ["fails/qsub.finished.1"]
    assert "fails/qsub.1" in seen["job"]["fails/qsub.2"]["reason"]
    assert seen["state"][f"{WEIRD}/qsub.2"] == "finished"

    assert "maxqsub 6" in done.stdout and "maxcore 2" in done.stdout
    assert f"settings: {project}/jobmon.yaml" in done.stdout
    assert ("on slurm" if host == "hpc" else "on sge") in done.stdout
    assert "blocked  fails/qsub.2" in done.stdout

    assert (run / WEIRD / "result.2").read_text() == "2\n"
    assert (run / WEIRD / "qsub.finished.2").exists()
    assert (run / "join" / "all").read_text() == "2\n2\n"
    outputs = [p.read_text() for p in (run / "a1").iterdir() if "output of 1" in p.read_text()]
    assert any("output of 1\n" in text for text in outputs)
    assert (run.parent / "latest").resolve() == run
    assert (run / "qsub.now").read_text() == ""
    agree(run)
    ran_once(twin)
    if host == "hpc":  # whose accounting is written a little later
        folder = f"{rdir}/{run.name}"
        until(lambda: len(slurm_submissions(testcluster, host, folder)) >= 18)
        submitted = slurm_submissions(testcluster, host, folder)
        assert len(submitted) == len(set(submitted)) == 18


def test_ids_that_begin_alike_are_different_jobs(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    init = tmp_path / "p" / "init"
    put(init, "m/qsub.100", "sleep 1; echo x >> started.100")
    put(init, "m/qsub.1", "sleep 2; echo x >> started.1")
    put(init, "m/qsub.10", "echo x >> started.10", "qsub.finished.100\n")
    (tmp_path / "p" / "jobmon.yaml").write_text(FAST)
    rdir = remote_dir("hpc")
    jobmon(
        *("--ldir", tmp_path / "p", "--rdir", rdir, "--remote", "hpc"),
        *("--ssh-config", testcluster.ssh_config),
        code=0,
    )
    run = only_run(tmp_path / "p")
    assert status(run)["counts"] == {"finished": 3}
    ran_once(testcluster.home("hpc") / rdir / run.name)
    agree(run)


NARROW = pytest.param("narrow", marks=pytest.mark.fault("Connections: MaxSessions 2"))


@pytest.mark.parametrize("host", ["bashnoise", "csh", "fish", "hpc-jump", NARROW])
@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
def test_noisy_shells_jump_hosts_and_few_channels(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, host: str, ssh: str
) -> None:
    project = tmp_path / "with space"
    chain(project / "init", WEIRD, 2, "true")
    (project / "jobmon.yaml").write_text(FAST)
    rdir = f"{remote_dir(host)}/a 'b' ü"
    jobmon(
        *("--ldir", project, "--rdir", rdir, "--remote", host, "--ssh", ssh, "--quiet"),
        *("--ssh-config", testcluster.ssh_config),
        code=0,
    )
    run = only_run(project)
    assert (run / WEIRD / "result.1").read_text() == "1\n"
    ran_once(testcluster.home(host) / rdir / run.name)
    agree(run)
