"""A project made for ecalj's own ``jobauto`` loop runs unchanged, its quelist included."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster
from scheduler import listed
from session import FAST, agree, count, environment, jobmon, only_run, put, ran_once, status

GiveDir = Callable[[str], str]

LDA = """__HEADER__

py=__pythonpath__
EXE=__binpath__/
CWD=__cwd__/
MATERIAL=__jobname__
MAXCORE=__maxcore__

cd $CWD
echo x >> started.0
$EXE/lmf $MATERIAL $MAXCORE >& $CWD/llmflda
touch $CWD/llmflda.finished
echo "$(date +'%Y-%m-%d %H:%M:%S') Job completed" > $CWD/qsub.finished.0
"""
GW = LDA.replace("__HEADER__", "__HEADER__gwsc").replace("started.0", "started.1")
GW = GW.replace("qsub.finished.0", "qsub.finished.1").replace("lmf $", "gwsc $")
HEADERS = {
    "hpc": "#!/bin/bash\n#SBATCH -J __jobname__\n#SBATCH -n 1\nexport OMP_NUM_THREADS=1\n#",
    "sge": "#!/bin/bash\n#$ -N __jobname__\n#$ -cwd\n#$ -V\n#$ -S /usr/bin/bash\n#",
}


def materials(project: Path) -> None:
    for name in ("mp-149", "mp-1330", "mp-2534"):
        folder = project / "init" / name
        folder.mkdir(parents=True)
        (folder / f"POSCAR.{name}").write_text(f"{name}\n")
        (folder / "qsub.0").write_text(LDA)
        (folder / "qsub.1").write_text(GW)
        (folder / "qsub.dependency.0").touch()
        (folder / "qsub.dependency.1").write_text("llmflda.finished\nnot QPU.1run\n")


def programs(home: Path, rdir: str) -> Path:
    """Stand-ins for ecalj's programs, in the account's home on the cluster."""
    folder = home / rdir / "bin"
    folder.mkdir(parents=True)
    for name in ("lmf", "gwsc"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} of "$1" on $2 cores\n')
        (folder / name).chmod(0o755)
    for path in (home / rdir, *(home / rdir).rglob("*")):
        shutil.chown(path, home.stat().st_uid, home.stat().st_gid)
    return folder


@pytest.mark.parametrize("host", ["hpc", "sge"])
def test_its_project_runs_with_its_own_command_line(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, host: str
) -> None:
    project, rdir, home = tmp_path / "testSGA", remote_dir(host), testcluster.home(host)
    materials(project)
    binaries = programs(home, rdir)
    header = tmp_path / "qsubheader.temp"
    header.write_text(HEADERS[host])
    jobmon(
        *(f"--user={testcluster.user(host)}", "--remote", host, "--pythonpath=/usr/bin/python3"),
        *(f"--binpath={binaries}", f"--ldir={project}", f"--rdir={home}/{rdir}/testSGA"),
        *("--maxqsub=3", "--maxcore=4", "--quiet", f"--qsubheader={header}", "--interval=2"),
        *("--ssh-config", testcluster.ssh_config),
        code=0,
    )
    run = only_run(project)
    assert status(run)["counts"] == {"finished": 6}
    assert (run / "mp-149" / "llmflda").read_text() == (
        "gwsc of mp-149 on 4 cores\n"  # the second script writes there too, as in that project
    )
    ran_once(home / rdir / "testSGA" / run.name)
    agree(run)


def test_its_quelist_is_taken_over_in_the_middle(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    """One job finished, one in the batch system (under its old ID), one not submitted yet."""
    project, rdir, home = tmp_path / "testSGA", remote_dir("hpc"), testcluster.home("hpc")
    run, twin = project / "20251120_173102", f"{home}/{rdir}/20251120_173102"
    binaries = programs(home, rdir)
    for name in ("done", "runs", "waits"):
        folder = run / name
        folder.mkdir(parents=True)
        text = f"#!/bin/sh\ncd {twin}/{name}\necho x >> started.0\nsleep 5\ntouch qsub.finished.0\n"
        (folder / "qsub.0").write_text(text)
        (folder / "qsub.dependency.0").touch()
        made = testcluster.run(
            "hpc", f"mkdir -p {twin}/{name} && cat > {twin}/{name}/qsub.0", stdin=text
        )
        assert made.returncode == 0, made.stderr
    (run / "done" / "qsub.finished.0").touch()
    testcluster.run("hpc", f"cd {twin}/done && echo x > started.0 && touch qsub.finished.0")
    sent = testcluster.run("hpc", f"cd {twin}/runs && sbatch qsub.0").stdout
    found = re.search(r"\d+", sent)
    assert found, sent
    there = "/home/somebody/elsewhere/testSGA/20251120_173102"
    (run / "quelist").write_text(
        f"{there}/done/qsub.0 started@20251120_173102@11 finished@20251120_173502\n"
        f"{there}/runs/qsub.0 spre@20251120_173102@{found[0]}\n"
        f"{there}/waits/qsub.0\n"
    )
    assert found[0] in listed(testcluster, "hpc")
    (project / "init").mkdir()

    jobmon(
        *("--ldir", project, "--datedir", run.name, "--rdir", f"{home}/{rdir}", "--remote=hpc"),
        *("--binpath", binaries, "--ssh-config", testcluster.ssh_config, "--interval=1"),
        code=0,
    )

    assert status(run)["counts"] == {"finished": 3}
    assert status(run)["job"]["runs/qsub.0"]["jobid"] == found[0]
    assert count(run, "started") == 3, "one taken over, one told of, one new"
    ran_once(Path(twin))
    agree(run)


def test_this_machine_s_batch_system_is_used_where_it_has_one(
    testcluster: TestCluster, tmp_path: Path
) -> None:
    put(tmp_path / "p" / "init", "m/qsub.0")
    (tmp_path / "p" / "jobmon.yaml").write_text(FAST + "remote: local\n")
    done = jobmon("--ldir", tmp_path / "p", code=0, env=environment(**testcluster.env))
    assert " on slurm, " in done.stdout
    assert status(only_run(tmp_path / "p"))["counts"] == {"finished": 1}


@pytest.mark.fault("Hands of users: the jobmon.yaml of a run deleted")
def test_a_run_of_ours_without_its_settings_is_not_taken_for_an_older_loop_s(
    project: Path,
) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    settings = run / "jobmon.yaml"
    kept = settings.rename(project / "kept")
    journal = (run / "qsub.log").read_text()
    done = jobmon("--ldir", run, code=2)
    assert f"{settings} is gone" in done.stderr and "put it back" in done.stderr
    assert not settings.exists() and (run / "qsub.log").read_text() == journal
    kept.rename(settings)
    jobmon("--ldir", run, code=0)
    agree(run)
