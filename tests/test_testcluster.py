"""The loopback cluster is what the other tests take it for: real logins, real batch systems."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster, borrowed_folders, hotp

pytestmark = pytest.mark.xdist_group("one-time codes")  # each is taken once, in their order

HOSTS = ["hpc", "pbs", "sge", "hpc-jump", "otp", "bashnoise", "csh", "fish", "narrow", "chaos"]
NOISE = {
    "bashnoise": ("bashrc", "/bin/bash"),
    "csh": ("cshrc", "/bin/csh"),
    "fish": ("config.fish", "/usr/bin/fish"),
}


def poll(probe: Callable[[], str], wanted: str, seconds: float = 40) -> str:
    """The first answer of `probe` that has `wanted` in it, or the last one of `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if wanted in answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.3)


def submit(cluster: TestCluster, host: str, folder: str, command: str) -> str:
    """Make a script in a new folder, submit it from there, and give the job's number."""
    script = "#!/bin/sh\necho done-$((40 + 2))\n"
    done = cluster.run(
        host, f"mkdir {folder} && cd {folder} && cat >job.sh && {command} job.sh", stdin=script
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(re.findall(r"\d+", done.stdout)[0])


@pytest.mark.parametrize("host", HOSTS)
def test_each_host_lets_its_user_in_and_writes_a_log(testcluster: TestCluster, host: str) -> None:
    done = testcluster.run(host, "id -un; echo $SSH_CONNECTION")
    user, connection = done.stdout.splitlines()[-2:]
    assert user == testcluster.user(host)
    method = "publickey" if host != "otp" else "keyboard-interactive/pam"
    login = f"Accepted {method} for {user} from 127.0.0.1 port {connection.split()[1]} "
    assert login in testcluster.log(host).read_text()
    assert testcluster.home(host).is_dir()


def test_the_jump_goes_through_hpc(testcluster: TestCluster) -> None:
    before = testcluster.log("hpc").read_text().count("Accepted publickey")
    assert testcluster.run("hpc-jump", "true").returncode == 0
    assert testcluster.log("hpc").read_text().count("Accepted publickey") > before


@pytest.mark.parametrize("host", sorted(NOISE))
def test_noisy_shells_speak_before_the_command_does(testcluster: TestCluster, host: str) -> None:
    greeting, shell = NOISE[host]
    done = testcluster.run(host, "sh -c 'echo the answer'")
    assert done.stdout.splitlines() == [
        f"Welcome to node07: 3 jobs, 12 nodes free ({greeting})",
        "the answer",
    ]
    entry = subprocess.run(
        ["getent", "passwd", testcluster.user(host)], capture_output=True, text=True, check=True
    )
    assert entry.stdout.strip().endswith(f":{shell}")


def test_bashnoise_has_a_banner_and_a_talking_profile(testcluster: TestCluster) -> None:
    assert "use is logged" in testcluster.run("bashnoise", "true").stderr
    assert "(bash_profile)" in testcluster.run("bashnoise", "bash -l -c true").stdout


@pytest.mark.parametrize("host", ["hpc", "csh", "fish"])
def test_slurm_runs_a_job_and_accounts_for_it(
    testcluster: TestCluster, remote_dir: Callable[[str], str], host: str
) -> None:
    folder = remote_dir(host)
    job = submit(testcluster, host, folder, "sbatch --parsable -o out") if host == "hpc" else ""
    if not job:  # the login shell has spoken first, with numbers in what it said
        done = testcluster.run(
            host,
            f"sh -c 'mkdir {folder} && cd {folder} && sbatch --parsable -o out --wrap \"echo done-42\"'",
        )
        job = done.stdout.splitlines()[-1]
    state = poll(
        lambda: testcluster.run(host, f"sacct -n -X -j {job} -o State,ExitCode").stdout, "COMPLETED"
    )
    assert state.splitlines()[-1].split() == ["COMPLETED", "0:0"]
    assert (testcluster.home(host) / folder / "out").read_text() == "done-42\n"


def test_slurm_accounts_for_a_failure(
    testcluster: TestCluster, remote_dir: Callable[[str], str]
) -> None:
    folder = remote_dir("hpc")
    done = testcluster.run(
        "hpc", f"mkdir {folder} && cd {folder} && sbatch --parsable --wrap 'exit 3'"
    )
    job = done.stdout.strip()
    state = poll(
        lambda: testcluster.run("hpc", f"sacct -n -X -j {job} -o State,ExitCode").stdout, "FAILED"
    )
    assert state.split() == ["FAILED", "3:0"]


def test_hpc_has_another_systems_qsub_in_its_path(testcluster: TestCluster) -> None:
    done = testcluster.run("hpc", "command -v qsub; command -v sbatch; echo $PATH")
    assert done.stdout.split() == [
        "/usr/bin/qsub",
        "/usr/bin/sbatch",
        "/usr/local/bin:/usr/bin:/bin",
    ]


def test_pbs_has_slurms_wrappers(
    testcluster: TestCluster, remote_dir: Callable[[str], str]
) -> None:
    folder = remote_dir("pbs")
    job = submit(testcluster, "pbs", folder, "qsub")
    output = testcluster.home("pbs") / folder / f"job.sh.o{job}"
    assert poll(lambda: output.read_text() if output.exists() else "", "done") == "done-42\n"


def test_grid_engine_runs_a_job_and_accounts_for_it(
    testcluster: TestCluster, remote_dir: Callable[[str], str]
) -> None:
    folder = remote_dir("sge")
    job = submit(testcluster, "sge", folder, "qsub -terse -cwd -pe smp 2 -o out -j y")
    account = poll(lambda: testcluster.run("sge", f"qacct -j {job}").stdout, "exit_status")
    assert re.search(r"^exit_status +0\b", account, re.M)
    assert re.search(r"^slots +2\b", account, re.M)
    assert (testcluster.home("sge") / folder / "out").read_text() == "done-42\n"
    found = testcluster.run("sge", "command -v qsub; echo ${SLURM_CONF:-unset}").stdout.split()
    assert found == [f"{testcluster.folder}/sge/bin/qsub", "unset"]


def test_otp_asks_for_a_code_and_takes_each_once(testcluster: TestCluster, tmp_path: Path) -> None:
    assert [testcluster.run("otp", "echo in").stdout for _ in range(3)] == ["in\n"] * 3
    used = testcluster.otp()
    assert login_with(testcluster, tmp_path, used).stdout == "in\n"
    again = login_with(testcluster, tmp_path, used)
    assert again.returncode == 255
    assert "Permission denied" in again.stderr
    assert "One-time password" in (tmp_path / "asked").read_text()


def login_with(cluster: TestCluster, folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Log in to `otp` answering every question with `code`; what was asked goes to `asked`."""
    askpass = folder / "askpass"
    askpass.write_text(f'#!/bin/sh\necho "$1" >>"{folder}/asked"\necho {code}\n')
    askpass.chmod(0o700)
    env = os.environ | {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
    argv = [
        "ssh",
        "-F",
        str(cluster.ssh_config),
        "-o",
        "NumberOfPasswordPrompts=1",
        "otp",
        "echo in",
    ]
    return subprocess.run(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_otp_needs_more_than_the_key(testcluster: TestCluster) -> None:
    argv = ["ssh", "-F", str(testcluster.ssh_config), "-o", "BatchMode=yes", "otp", "true"]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 255
    assert "keyboard-interactive" in done.stderr


def test_codes_are_those_of_rfc_4226() -> None:
    assert [hotp(b"12345678901234567890", n) for n in (0, 1, 9)] == ["755224", "287082", "520489"]


def test_remote_dir_is_removed_whatever_is_in_it(testcluster: TestCluster) -> None:
    with borrowed_folders(testcluster) as give:
        folder = testcluster.home("fish") / give("fish")
        assert not folder.exists()
        assert testcluster.run("fish", f"mkdir -p {folder}/a/b").returncode == 0
        assert folder.exists()
    assert not folder.exists()


def test_the_private_key_is_ours_alone(testcluster: TestCluster) -> None:
    text = testcluster.ssh_config.read_text()
    key = Path(re.findall(r"IdentityFile (\S+)", text)[0])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
