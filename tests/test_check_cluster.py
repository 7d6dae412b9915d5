"""jobmon check over real SSH, with real Slurm and Grid Engine, as a person would use it."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from check_lab import OwnNode, own_node
from conftest import TestCluster
from session import chain, jobmon
from test_check import everything
from test_login import Terminal

GiveDir = Callable[[str], str]
System = tuple[str, str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project without a fault, whose scripts ask for a program of ``binpath``."""
    made = tmp_path / "project"
    for folder in ("m1", "m2"):
        chain(made / "init", folder, 3, "__binpath__/true || exit 1")
    (made / "jobmon.yaml").write_text("binpath: /bin\n")
    return made


@pytest.fixture
def own(testcluster: TestCluster) -> Iterator[OwnNode]:
    with own_node(testcluster) as node:
        yield node


def check(
    config: Path, project: Path, host: str, *more: str | Path, code: int | None = None
) -> str:
    """What it prints."""
    where = ("--ssh-config", config, "--remote", host)
    return jobmon("check", "--ldir", project, *where, *more, code=code).stdout


def line(shown: str, what: str, level: str) -> str:
    """The words of the one line about ``what`` that is ``level``, with its way out."""
    found = re.findall(rf"^{level} +{re.escape(what)}  +(.*\n(?: {{8}}.*\n)*)", shown, re.MULTILINE)
    assert len(found) == 1, shown
    return str(found[0])


def greens(shown: str) -> list[str]:
    return re.findall(r"^green +(\w+(?: \w+)?)  ", shown, re.MULTILINE)


# What a person sees; the numbers that are others each time are put aside.
SHOWN = """\
green   settings      PROJECT/jobmon.yaml, and the command line
green   jobs          6 jobs in 2 folders
green   names         all of them will do
green   scripts       plain text
green   placeholders  none is left over
green   markers       every script writes its own, on a condition
green   dependencies  4, each there or made by some job
green   rings         no jobs wait for each other
green   host name     HOST is 127.0.0.1, port PORT
green   host key      ssh-ed25519 of [127.0.0.1]:PORT known from CLUSTER/ssh/known_hosts
green   login         hpcuser@HOST in N s; nothing was asked
green   shell         hpcuser in HOME; nothing is printed unasked
green   rsync         VERSION here and VERSION there; they understand each other
green   batch system  SYSTEM
green   maxqsub       LIMIT
green   rdir          hpcuser@HOST:HOME/RDIR is writable, SIZE free (your quota may be less)
green   binpath       /bin is there, with every program that the scripts name (1)
green   clock         the same as here, within a minute
green   round trip    N ms
19 green, 0 yellow, 0 red; nothing was submitted or changed
"""
SYSTEMS = {
    "hpc": ("slurm", r"slurm, slurm-wlm [\d.]+", "4; MaxJobCount of all users together is 20000"),
    "sge": ("sge", r"sge, SGE [\d.]+", "4; the site tells no limit"),
}


@pytest.mark.parametrize(("host", "ssh"), [("hpc", "fabric"), ("sge", "openssh")])
def test_all_is_green_and_nothing_is_submitted_or_changed(
    testcluster: TestCluster,
    remote_dir: GiveDir,
    project: Path,
    own_home: Path,
    host: str,
    ssh: str,
) -> None:
    rdir = remote_dir(host)
    system, version, limit = SYSTEMS[host]
    far = testcluster.home(host) / rdir
    assert testcluster.run(host, f"mkdir {rdir} && echo x > {rdir}/other").returncode == 0
    before = [everything(folder) for folder in (project.parent, own_home, far)]
    flags = ("--rdir", rdir, "--ssh", ssh, "--scheduler", system)
    shown = check(testcluster.ssh_config, project, host, *flags, code=0)
    assert [everything(folder) for folder in (project.parent, own_home, far)] == before
    ours = testcluster.run(
        host, "squeue -h -t all -o %Z 2>/dev/null; sacct -nPX -o WorkDir 2>/dev/null; qstat -xml"
    )
    assert rdir not in ours.stdout
    port = str(testcluster.nodes[host].port)
    for pattern, word in (
        (re.escape(str(project)), "PROJECT"),
        (re.escape(str(testcluster.folder)), "CLUSTER"),
        (re.escape(str(testcluster.home(host))), "HOME"),
        (re.escape(rdir), "RDIR"),
        (rf"\b{port}\b", "PORT"),
        (rf"(?<=@){host}\b|\b{host}(?= is)", "HOST"),
        (r"(?<=rsync         )[\d.]+ here and [\d.]+", "VERSION here and VERSION"),
        (version, "SYSTEM"),
        (re.escape(limit), "LIMIT"),
        (r"[\d.]+ \wB free", "SIZE free"),
        (r"[\d.]+ (m?s)\b", r"N \1"),
    ):
        shown = re.sub(pattern, word, shown)
    assert shown == SHOWN


def test_a_folder_that_is_not_there_yet_is_not_made(
    testcluster: TestCluster, remote_dir: GiveDir, project: Path
) -> None:
    rdir = remote_dir("hpc")
    shown = check(
        testcluster.ssh_config,
        project,
        "hpc",
        "--rdir",
        f"{rdir}/deep",
        "--scheduler",
        "slurm",
        code=0,
    )
    home = testcluster.home("hpc")
    assert f"hpcuser@hpc:{home}/{rdir}/deep is not there yet; {home} is writable" in shown
    assert not (home / rdir).exists()


# --- the way in ----------------------------------------------------------------------------


@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
def test_a_host_key_that_is_unknown_or_changed(
    testcluster: TestCluster, project: Path, tmp_path: Path, ssh: str
) -> None:
    known = tmp_path / "known hosts"
    known.touch()
    config = tmp_path / "ssh_config"
    config.write_text(
        f'Host hpc\n  UserKnownHostsFile "{known}"\n{testcluster.ssh_config.read_text()}'
    )
    shown = check(config, project, "hpc", "--rdir", "x", "--ssh", ssh, code=2)
    said = line(shown, "host key", "red")
    assert "not known" in said and "run once: ssh hpc" in said
    assert "way out: compare it" in said
    assert not any(what in greens(shown) for what in ("login", "shell", "rdir"))
    assert "rings" in greens(shown)
    port = testcluster.nodes["hpc"].port
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIJK1nBqVfoxRMu6+Hn2hRtGSnQKnF7Lz0ZkwF9mBvM3r"
    known.write_text(f"[127.0.0.1]:{port} ssh-ed25519 {key}\n")
    said = line(
        check(config, project, "hpc", "--rdir", "x", "--ssh", ssh, code=2), "host key", "red"
    )
    assert "CHANGED" in said and "ssh-keygen -R" in said


def test_a_name_without_an_address(project: Path, tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text("")
    shown = check(config, project, "nosuch.invalid", "--rdir", "x", code=2)
    said = line(shown, "host name", "red")
    assert said.startswith("nosuch.invalid: nosuch.invalid has no address")
    assert "way out: correct --remote or HostName" in said
    assert "dependencies" in greens(shown) and "host key" not in shown


@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
def test_a_host_that_is_down_and_the_tree_is_looked_at_all_the_same(
    project: Path, tmp_path: Path, ssh: str
) -> None:
    config = tmp_path / "ssh_config"
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        config.write_text(
            f"Host down\n  HostName 127.0.0.1\n  Port {nobody.getsockname()[1]}\n"
            f"  UserKnownHostsFile {tmp_path}/none\n"
        )
        shown = check(config, project, "down", "--rdir", "x", "--ssh", ssh, code=2)
    said = line(shown, "login", "red")
    assert "refused" in said and "way out: see whether 'ssh down' gets in" in said
    assert "way out: look at the key and accept it: ssh down" in line(shown, "host key", "yellow")
    assert greens(shown)[:8] == [
        "settings", "jobs", "names", "scripts", "placeholders", "markers", "dependencies", "rings",
    ]  # fmt: skip


def test_an_ssh_configuration_that_is_not_there(project: Path, tmp_path: Path) -> None:
    shown = check(tmp_path / "none", project, "hpc", code=2)
    assert "no such SSH configuration file" in line(shown, "host name", "red")
    assert "rings" in greens(shown)


def test_a_key_that_is_refused(testcluster: TestCluster, project: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    config = tmp_path / "ssh_config"
    text = testcluster.ssh_config.read_text()
    config.write_text(re.sub(r"IdentityFile .*", f"IdentityFile {key}", text))
    shown = check(config, project, "hpc", "--rdir", "x", code=2)
    assert "permission denied" in line(shown, "login", "red")
    assert "host key" in greens(shown)


def test_a_jump_host_is_named(testcluster: TestCluster, remote_dir: GiveDir, project: Path) -> None:
    flags = ("--rdir", remote_dir("hpc"), "--scheduler", "slurm")
    shown = check(testcluster.ssh_config, project, "hpc-jump", *flags, code=0)
    assert "hpc-jump is 127.0.0.1, reached over hpc, port" in line(shown, "host name", "green")
    assert "2 logins in a row; nothing was asked" in line(shown, "login", "green")


@pytest.mark.xdist_group("one-time codes")  # each is taken once, in their order
def test_a_one_time_code_is_asked_for_once_and_said(
    testcluster: TestCluster, remote_dir: GiveDir, project: Path
) -> None:
    flags: list[str | Path] = ["check", "--ldir", project, "--remote", "otp"]
    flags += [
        "--ssh-config",
        testcluster.ssh_config,
        "--rdir",
        remote_dir("otp"),
        "--scheduler",
        "slurm",
    ]
    codes = iter([testcluster.otp()])  # one must do; what is printed names the prompt once more
    terminal = Terminal(flags, lambda: next(codes, ""))
    assert terminal.play() == 0, terminal.text
    plain = re.sub(r"\x1b\[[\d;]*m", "", terminal.text).replace("\r\n", "\n")
    said = line(plain, "login", "green")
    assert re.search(r"asked once: '\(hpcuser@otp\) .*One-time password", said)
    assert "'jobmon run --daemon' asks before it detaches" in said


def test_nobody_there_to_answer(testcluster: TestCluster, project: Path) -> None:
    shown = check(testcluster.ssh_config, project, "otp", "--rdir", "x", code=2)
    assert "nobody is there to answer" in line(shown, "login", "red")


# --- what is there ---------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["bashnoise", "csh", "fish"])
def test_a_shell_that_prints_unasked(
    testcluster: TestCluster, remote_dir: GiveDir, project: Path, host: str
) -> None:
    flags = ("--rdir", remote_dir(host), "--scheduler", "slurm")
    shown = check(testcluster.ssh_config, project, host, *flags, code=1)
    said = line(shown, "shell", "yellow")
    assert "at the beginning: 'Welcome to node07: 3 jobs, 12 nodes free (" in said
    assert "way out: jobmon passes over them" in said
    assert {"rsync", "rdir", "clock", "round trip"} <= set(greens(shown))


def test_two_batch_systems_answer(
    testcluster: TestCluster, remote_dir: GiveDir, project: Path
) -> None:
    shown = check(testcluster.ssh_config, project, "hpc", "--rdir", remote_dir("hpc"), code=1)
    said = line(shown, "batch system", "yellow")
    assert "slurm, sge answer; slurm is taken" in said and "way out: say which" in said


def test_a_batch_system_that_does_not_answer(
    own: OwnNode, testcluster: TestCluster, remote_dir: GiveDir, project: Path
) -> None:
    rdir = remote_dir("hpc")
    shown = check(own.ssh_config, project, "own", "--rdir", rdir, "--scheduler", "local", code=2)
    assert "way out: give another --scheduler" in line(shown, "batch system", "red")
    for scheduler in ("auto", "slurm"):
        shown = check(
            own.ssh_config, project, "own", "--rdir", rdir, "--scheduler", scheduler, code=2
        )
        assert "in the path" in line(shown, "batch system", "red")
    own.program(
        "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    )
    shown = check(own.ssh_config, project, "own", "--rdir", rdir, "--scheduler", "slurm", code=2)
    assert "squeue says: slurm_load_jobs error" in line(shown, "batch system", "red")
    assert "rdir" in greens(shown)


def test_a_folder_that_cannot_be_written_and_one_that_is_not_given(
    testcluster: TestCluster, remote_dir: GiveDir, project: Path
) -> None:
    rdir = remote_dir("hpc")
    assert testcluster.run("hpc", f"mkdir {rdir} && chmod 555 {rdir}").returncode == 0
    slurm = ("--scheduler", "slurm")
    shown = check(testcluster.ssh_config, project, "hpc", "--rdir", f"{rdir}/x", *slurm, code=2)
    said = line(shown, "rdir", "red")
    assert f"{rdir} cannot be written" in said and "way out: choose another --rdir" in said
    shown = check(testcluster.ssh_config, project, "hpc", *slurm, code=2)
    assert "way out: give --rdir" in line(shown, "rdir", "red")


def test_binpath_and_pythonpath_that_are_wrong(
    testcluster: TestCluster, remote_dir: GiveDir, project: Path
) -> None:
    flags = ("--rdir", remote_dir("hpc"), "--scheduler", "slurm")

    def with_paths(binpath: str, python: str, code: int) -> str:
        more = ("--binpath", binpath, "--pythonpath", python)
        return check(testcluster.ssh_config, project, "hpc", *flags, *more, code=code)

    shown = with_paths("/no/such", "/no/python", 2)
    assert "/no/such is no folder there" in line(shown, "binpath", "red")
    assert "/no/python is no program there" in line(shown, "pythonpath", "red")
    shown = with_paths("~", "/bin/false", 2)
    said = line(shown, "binpath", "red")
    assert (
        "~ lacks 1 of the 1 programs that the scripts name" in said and "\n          true\n" in said
    )
    assert "way out: correct --binpath" in said
    assert "/bin/false does not run (1)" in line(shown, "pythonpath", "red")
    shown = with_paths("/opt/$V/bin", "env/bin/python", 1)
    for what in ("binpath", "pythonpath"):
        assert "each job's own shell decides" in line(shown, what, "yellow")
    shown = with_paths("bin", "python3", 1)
    assert "python3 runs: Python 3" in line(shown, "pythonpath", "green")


def test_rsync_is_missing_there(own: OwnNode, remote_dir: GiveDir, project: Path) -> None:
    (own.bin / "rsync").unlink()
    own.program("squeue", "echo slurm 99.1")
    shown = check(own.ssh_config, project, "own", "--rdir", remote_dir("hpc"), code=2)
    said = line(shown, "rsync", "red")
    assert re.match(r"missing on \S+@own\n +way out: install it here, ask for it there", said)
    assert "own, reached by its ProxyCommand" in line(shown, "host name", "green")
    assert "slurm, slurm 99.1" in line(shown, "batch system", "green")


def test_rsync_is_broken_there(own: OwnNode, remote_dir: GiveDir, project: Path) -> None:
    own.program(
        "rsync", '[ "$1" = --version ] && echo rsync version 3.9 || { echo no more; exit 1; }'
    )
    shown = check(own.ssh_config, project, "own", "--rdir", remote_dir("hpc"), code=2)
    assert "rsync with" in line(shown, "rsync", "red")


def test_a_wrong_clock_a_small_limit_and_a_full_disk(
    own: OwnNode, remote_dir: GiveDir, project: Path
) -> None:
    own.program("date", "echo $(($(/bin/date +%s) - 3600))")
    own.program("squeue", "echo slurm 99.1")
    own.program("sacctmgr", 'case $* in *assoc*) echo "physics||3|normal" ;; esac')
    own.program("df", 'printf "F\\nfs 100 99 1 99%% /a b 7%% c\\n"')
    shown = check(own.ssh_config, project, "own", "--rdir", remote_dir("hpc"), code=2)
    said = line(shown, "clock", "yellow")
    assert re.match(r"3[56]\d\d s behind the one here\n +way out: jobmon never compares", said)
    said = line(shown, "maxqsub", "yellow")
    assert said.startswith("4 is more than the site takes: MaxSubmitJobs of account physics is 3")
    assert "way out: --maxqsub 3" in said
    assert "1.0 kB free, but the tree has" in line(shown, "rdir", "red")


def test_a_command_that_hangs_is_given_up(own: OwnNode, remote_dir: GiveDir, project: Path) -> None:
    own.program("squeue", "echo slurm 99.1")
    own.program("sacctmgr", "echo 'physics||1|normal'; sleep 600")
    # timeout's own seconds are cut short, so that this test does not take them
    own.program("timeout", 'shift 3; exec /usr/bin/timeout -k 5 6 "$@"')
    shown = check(own.ssh_config, project, "own", "--rdir", remote_dir("hpc"), code=0)
    assert "4; the site tells no limit" in line(shown, "maxqsub", "green")


def test_a_name_that_grid_engine_refuses_is_refused_by_a_real_one(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project, rdir = tmp_path / "project", remote_dir("sge")
    chain(project / "init", "123-GaAs", 1, "work || exit 1")
    path = project / "init" / "123-GaAs" / "qsub.0"
    path.write_text(path.read_text().replace("#$ -cwd", "#$ -cwd -N __jobname__"))
    flags = ("--rdir", rdir, "--scheduler", "sge")
    shown = check(testcluster.ssh_config, project, "sge", *flags, code=2)
    assert "123-GaAs/qsub.0: -N 123-GaAs" in line(shown, "job names", "red")
    made = f"mkdir {rdir} && cd {rdir} && echo true > s && qsub -h -N {shlex.quote('123-GaAs')} s"
    refused = testcluster.run("sge", made)
    assert refused.returncode != 0
    assert "is not a valid object name" in refused.stdout + refused.stderr


def test_a_run_that_is_there(testcluster: TestCluster, remote_dir: GiveDir, project: Path) -> None:
    rdir = remote_dir("hpc")
    flags = ("--ldir", project, "--ssh-config", testcluster.ssh_config, "--remote", "hpc")
    jobmon(*flags, "--rdir", rdir, "--scheduler", "slurm", "--initonly", code=0)
    run = (project / "latest").resolve()
    far = testcluster.home("hpc") / rdir / run.name
    before = everything(project), everything(far)
    shown = jobmon("check", "--ldir", run, code=0).stdout
    assert f"{far} is writable" in line(shown, "rdir", "green")
    assert (everything(project), everything(far)) == before
    assert testcluster.run("hpc", f"rm -r {rdir}/{run.name}").returncode == 0
    shown = jobmon("check", "--ldir", run, code=2).stdout
    assert re.search(r"is missing\n +way out: bring it back", line(shown, "rdir", "red"))
