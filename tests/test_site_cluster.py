"""Sites that call things otherwise, over real SSH, with real Slurm and Grid Engine behind."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster
from session import FAST, agree, chain, jobmon, only_run, put, ran_once, status, until

GiveDir = Callable[[str], str]

SUDO = """#!/bin/sh
# Stands in for sudo: only as chem, only with -n, and it says so.
[ "$1 $2 $3" = "-n -u chem" ] || { echo "sudo: a password is required" >&2; exit 1; }
shift 3
echo "$*" >>"$(dirname "$0")/sudo.log"
exec "$@"
"""

RENAMED = {
    "hpc": {"sbatch": "submit-it", "squeue": "list-it", "scancel": "drop-it", "scontrol": "show-it"},
    "sge": {"qsub": "submit-it", "qstat": "list-it", "qdel": "drop-it", "qconf": "ask-it"},
}  # fmt: skip


def tools_of(cluster: TestCluster, host: str, rdir: str) -> str:
    """A folder of the account with the batch commands under other names, and a ``sudo``."""
    tools = f"{cluster.home(host)}/{rdir}-tools"
    links = "\n".join(
        f'ln -s "$(command -v {real})" {shlex.quote(f"{tools}/{name}")}'
        for real, name in RENAMED[host].items()
    )
    sudo = shlex.quote(f"{tools}/sudo")
    text = f"set -e\nmkdir {shlex.quote(tools)}\n{links}\ncat >{sudo} <<'END'\n{SUDO}END\nchmod 755 {sudo}\n"
    done = cluster.run(host, "exec /bin/sh", stdin=text)
    assert done.returncode == 0, done.stderr
    return tools


@pytest.fixture
def tools(testcluster: TestCluster, remote_dir: GiveDir) -> Callable[[str], tuple[str, str]]:
    """``tools(host)``: a folder for runs, and one of commands beside it, both gone at the end."""

    def give(host: str) -> tuple[str, str]:
        rdir = remote_dir(host)
        made = testcluster.run(host, f"mkdir {rdir}")
        assert made.returncode == 0, made.stderr
        return f"{rdir}/runs", tools_of(testcluster, host, f"{rdir}/t")

    return give


def project_with(tmp_path: Path, *lines: str) -> Path:
    project = tmp_path / "project"
    (project / "init").mkdir(parents=True)
    (project / "jobmon.yaml").write_text(FAST + "\n".join(["site:", *lines, ""]))
    return project


def path_of(cluster: TestCluster, host: str) -> str:
    return cluster.run(host, "exec /bin/sh", stdin='echo "$PATH"').stdout.strip()


@pytest.mark.parametrize(("host", "ssh"), [("hpc", "fabric"), ("sge", "openssh")])
def test_renamed_commands_with_arguments_behind_a_prologue(
    testcluster: TestCluster,
    tools: Callable[[str], tuple[str, str]],
    tmp_path: Path,
    host: str,
    ssh: str,
) -> None:
    """The first is like a module: nothing is found but what the prologue puts into the path."""
    rdir, folder = tools(host)
    names = {real: f"{folder}/{name}" for real, name in RENAMED[host].items()}
    extra = {"hpc": ("sbatch", "--nice=5"), "sge": ("qsub", "-p -5")}[host]
    names[extra[0]] += f" {extra[1]}"
    shell = "  shell: /usr/bin/env PATH=/nonexistent SITE_SHELL=chem /bin/sh"
    commands = ["  commands:", *(f"    {real}: {words}" for real, words in names.items())]
    prologue = [
        "  prologue: |",
        "    echo Welcome; echo 'cannot find a module' >&2; set -u",
        f"    PATH={path_of(testcluster, host)}; export PATH SITE_MODULE=loaded",
        "    cd() { command cd \"$@\" && pwd; }",
    ]  # fmt: skip
    where = ("--rdir", rdir, "--remote", host, "--ssh", ssh)
    config = ("--ssh-config", testcluster.ssh_config)

    without = project_with(tmp_path / "without", shell, *commands)
    put(without / "init", "a/qsub.0")
    jobmon("--ldir", without, *where, *config, code=3)

    project = project_with(tmp_path, shell, *prologue, *commands)
    chain(project / "init", "it's m1", 2, 'echo "$SITE_SHELL $SITE_MODULE" > "site.$$"')
    for script in (project / "init" / "it's m1").glob("qsub.[01]"):
        text = script.read_text().replace("#$ -cwd\n", "#$ -cwd -V\n#$ -S /bin/sh\n")
        script.write_text(text)
    done = jobmon("--ldir", project, *where, *config, code=0)
    run = only_run(project)
    kind = {"hpc": "slurm", "sge": "sge"}[host]
    assert f"on {kind}," in done.stdout, "auto found it under its other name"
    assert status(run)["counts"] == {"finished": 2}
    agree(run)
    ran_once(testcluster.home(host) / rdir / run.name)
    said = {path.read_text() for path in (run / "it's m1").glob("site.*")}
    assert said == {"chem loaded\n"}
    if host == "hpc":
        fields = "sacct -X -n -P -S now-1days -o WorkDir%400,SubmitLine%600"

        def submitted() -> list[str]:
            lines = testcluster.run(host, fields).stdout.splitlines()
            return [line for line in lines if f"/{rdir}/{run.name}/" in line]

        until(lambda: len(submitted()) == 2, what="the accounting, which is late")
        assert all(f"{folder}/submit-it --nice=5 --comment=" in line for line in submitted())


def test_a_failing_renamed_command_is_a_failed_job_as_under_its_own_name(
    testcluster: TestCluster, tools: Callable[[str], tuple[str, str]], tmp_path: Path
) -> None:
    """A refusal, a job that ends without its marker, a kill: each is known under the new name."""
    rdir, folder = tools("hpc")
    names = [f"    {real}: {folder}/{name}" for real, name in RENAMED["hpc"].items()]
    project = project_with(tmp_path, "  commands:", *names)
    put(project / "init", "no/qsub.0")
    script = project / "init" / "no" / "qsub.0"
    script.write_text(script.read_text().replace("#SBATCH -n 1", "#SBATCH -n 1 -p nosuchpartition"))
    put(project / "init", "fails/qsub.0", "exit 7")
    put(project / "init", "long/qsub.0", "sleep 300")
    where = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    jobmon("--ldir", project, *where, "--initonly", code=0)
    run = only_run(project)
    jobmon("--ldir", run, "--once", code=1)
    jobmon("kill", "--run", run, "long", code=0)
    jobmon("--ldir", run, code=1)
    found = status(run)
    assert found["state"] == {
        "fails/qsub.0": "failed",
        "long/qsub.0": "killed",
        "no/qsub.0": "failed",
    }
    assert "nvalid partition" in found["job"]["no/qsub.0"]["reason"]
    agree(run)


def test_commands_of_another_account_by_sudo(
    testcluster: TestCluster, tools: Callable[[str], tuple[str, str]], tmp_path: Path
) -> None:
    """With a stand-in for sudo that logs what it runs; so is rsync's far end called."""
    rdir, folder = tools("hpc")
    names = [
        f"    {real}: {folder}/sudo -n -u chem {real}"
        for real in ("sbatch", "squeue", "scontrol", "sacct", "rsync")
    ]
    me = testcluster.user("hpc")
    project = project_with(tmp_path, f"  user: {me}", "  commands:", *names)
    chain(project / "init", "m", 1)
    where = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    jobmon("--ldir", project, *where, code=0)
    run = only_run(project)
    assert (run / "m" / "result.0").read_text() == "0\n"
    log = testcluster.run("hpc", f"cat {shlex.quote(folder)}/sudo.log").stdout.splitlines()
    assert [line for line in log if line.startswith(f"squeue --noheader --user={me} ")]
    assert sum(line.startswith("sbatch --comment=jobmon:") for line in log) == 1
    assert [line for line in log if line.startswith("rsync --server")]

    text = (project / "jobmon.yaml").read_text()
    (project / "jobmon.yaml").write_text(text.replace("sudo -n -u chem sbatch", "sudo sbatch"))
    jobmon("--ldir", project, *where, "--datedir", "second", "--once", code=1)
    job = status(project / "second")["job"]["m/qsub.0"]
    assert job["state"] == "ready", "what sudo refused reached nobody, so it is no doubt"
    assert "a%20password%20is%20required" in (project / "second" / "qsub.log").read_text()


@pytest.mark.parametrize("host", ["csh", "fish", "bashnoise"])
def test_any_login_shell_gives_way_to_sg_and_a_prologue(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, host: str
) -> None:
    """The way of newgrp: ``sg`` runs the shell in the group that jobs are to be in."""
    group = testcluster.run(host, "id -gn").stdout.split()[-1]
    project = project_with(
        tmp_path,
        f"  shell: sg {group} -c '/bin/sh -s'",
        '  prologue: "echo \\"it\'s\\" \'ü $x\'; GROUP_IS=$(id -gn); export GROUP_IS"',
    )
    put(project / "init", "a b/qsub.0", 'echo "$GROUP_IS" > group')
    where = ("--rdir", remote_dir(host), "--remote", host, "--ssh-config", testcluster.ssh_config)
    jobmon("--ldir", project, *where, code=0)
    assert (only_run(project) / "a b" / "group").read_text() == f"{group}\n"
