"""What every test may rely on: a home of its own, weird paths, the loopback cluster.

No test reads or writes the developer's own files: HOME and XDG_* point to a
temporary folder. Tests that use `testcluster` talk to the real daemons that
`scripts/testcluster start` has started, and are left out where it has not;
under CI=true or JOBMON_NEED_CLUSTER=1 they fail instead. Many tests may run at
once (`pytest -n auto`): what keeps them out of each other's way is here, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# As scripts/cluster/ssh.bash has them: RFC 4226's own test secret, and the ports that
# tell that the login nodes, Slurm and Grid Engine are up.
OATH_SECRET = b"12345678901234567890"
PORTS = {"sshd": 22220, "slurmctld": 6817, "sge_qmaster": 6444}
FAR = "far 'away' ü"
START_IT = "start it by: scripts/testcluster install && scripts/testcluster start (as root)"

# A machine that has much to do breaks no rule.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@dataclass(frozen=True, slots=True)
class LoginNode:
    """One host name of the cluster's ssh_config and where its account lives."""

    name: str
    port: int
    user: str
    home: Path
    log: Path


@dataclass(frozen=True, slots=True)
class TestCluster:
    """The running loopback cluster, as `scripts/testcluster` wrote it down.

    `env` is the environment in which a process of this machine can use Slurm's and
    Grid Engine's commands without SSH.
    """

    __test__ = False

    folder: Path
    nodes: dict[str, LoginNode]
    env: dict[str, str]

    @property
    def ssh_config(self) -> Path:
        """The file for `ssh -F` and `--ssh-config`."""
        return self.folder / "ssh_config"

    def user(self, host: str) -> str:
        """The account that `host` is entered with."""
        return self.nodes[host].user

    def home(self, host: str) -> Path:
        """That account's home folder; it can be read directly, being on this machine."""
        return self.nodes[host].home

    def log(self, host: str) -> Path:
        """The log of that host's sshd, at LogLevel VERBOSE: `Accepted publickey` is a login."""
        return self.nodes[host].log

    def otp(self) -> str:
        """A fresh one-time code for `otp`; each call gives the next, and each works once."""
        with (self.folder / "otp.counter").open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            counter = int(file.read())
            file.seek(0)
            file.write(str(counter + 1))
        return hotp(OATH_SECRET, counter)

    def run(
        self, host: str, command: str, *, stdin: str = "", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` in the account's login shell by the system's ssh, `timeout` seconds at most."""
        argv = ["ssh", "-F", str(self.ssh_config), host, command]
        env = os.environ | self.env
        if host != "otp":
            return subprocess.run(
                argv,
                env=env,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        with tempfile.TemporaryDirectory() as folder:
            askpass = Path(folder) / "askpass"
            askpass.write_text(f"#!/bin/sh\necho {self.otp()}\n")
            askpass.chmod(0o700)
            env |= {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"}
            return subprocess.run(
                argv,
                env=env,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )


def hotp(secret: bytes, counter: int) -> str:
    """RFC 4226's six digits for the `counter`-th event."""
    digest = hmac.new(secret, struct.pack(">Q", counter), hashlib.sha1).digest()
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFF_FFFF
    return f"{number % 1_000_000:06d}"


# --- the loopback cluster --------------------------------------------------------------


def cluster_folder() -> Path:
    """Where scripts/testcluster keeps its state, by the same rule as the script."""
    default = f"{os.environ.get('TMPDIR') or '/tmp'}/jobmon-testcluster"
    return Path(os.environ.get("JOBMON_TESTCLUSTER") or default)


@cache
def why_no_cluster() -> str:
    """Empty where the cluster runs, else one line that says what is missing and the way out."""
    if not (cluster_folder() / "ssh_config").is_file():
        return f"the loopback cluster is not started; {START_IT}"
    if not os.access(cluster_folder() / "ssh" / "id_ed25519", os.R_OK):
        return "the loopback cluster's key is another user's; take it by: sudo scripts/testcluster start"
    for daemon, port in PORTS.items():
        with socket.socket() as probe:
            probe.settimeout(5)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return f"the loopback cluster's {daemon} does not run; {START_IT}"
    return ""


def cluster_is_demanded() -> bool:
    return os.environ.get("CI") == "true" or os.environ.get("JOBMON_NEED_CLUSTER") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever uses the cluster is marked so, before `-m "not cluster"` chooses.

    First comes who needs the cluster alone, beside those who do without it; and in both halves
    the long ones, so that none is waited for at the end.
    """
    for item in items:
        if "testcluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")

    def has(item: pytest.Item, marker: str) -> bool:
        return item.get_closest_marker(marker) is not None

    items.sort(key=lambda i: (not has(i, "alone"), has(i, "cluster"), not has(i, "long")))


def pytest_xdist_auto_num_workers() -> int:
    """Most tests wait more than they work; so many that one login node can bear them."""
    return max(3, min(6, 3 * (os.cpu_count() or 1)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Who needs the cluster alone waits for the others' end, before its own time limit begins."""
    if not item.get_closest_marker("cluster") or why_no_cluster():
        return (yield)
    with cluster_taken(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def cluster_taken(*, alone: bool) -> Iterator[None]:
    """The cluster is shared with other tests, or with none. Whoever waits for it lets nobody
    pass, so that those who come and go do not keep it for ever."""
    name = f"{tempfile.gettempdir()}/jobmon-tests-{os.getuid()}"
    with Path(f"{name}.queue").open("w") as queue, Path(f"{name}.cluster").open("w") as cluster:
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(cluster, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cluster") and (reason := why_no_cluster()):
        if cluster_is_demanded():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def connected() -> TestCluster:
    """The loopback cluster as it was written down by whoever started it."""
    folder = cluster_folder()
    nodes = {}
    for line in (folder / "hosts").read_text().splitlines():
        name, port, user, home, log = line.split("\t")
        nodes[name] = LoginNode(name, int(port), user, Path(home), Path(log))
    env = {
        "JOBMON_TESTCLUSTER": str(folder),
        "SLURM_CONF": str(folder / "slurm" / "slurm.conf"),
        "SGE_ROOT": "/var/lib/gridengine",
        "SGE_CELL": "default",
    }
    return TestCluster(folder, nodes, env)


@pytest.fixture(scope="session")
def testcluster() -> TestCluster:
    """The loopback cluster; the test is left out, or fails in CI, where it does not run."""
    return connected()


@contextmanager
def borrowed_folders(cluster: TestCluster) -> Iterator[Callable[[str], str]]:
    """What `remote_dir` gives, for a `with`."""
    given: list[tuple[str, str]] = []

    def give(host: str) -> str:
        given.append((host, f"jobmon-test-{uuid.uuid4().hex[:12]}"))
        return given[-1][1]

    try:
        yield give
    finally:
        for host, name in given:
            removed = cluster.run(host, f"cd && rm -rf ./{name}")
            assert removed.returncode == 0, removed.stderr


@pytest.fixture
def remote_dir(testcluster: TestCluster) -> Iterator[Callable[[str], str]]:
    """`remote_dir(host)` gives a folder name, relative to the account's home, that is nobody's.

    The folder is not made; whatever is there at the test's end is removed.
    """
    with borrowed_folders(testcluster) as give:
        yield give


def shared(kind: str) -> object:
    """A parameter of a fixture that takes long to make: one process has all tests of this kind."""
    return pytest.param(kind, marks=[pytest.mark.xdist_group(f"story {kind}"), pytest.mark.long])


# --- every test's own surroundings -----------------------------------------------------


@pytest.fixture(autouse=True)
def own_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """HOME and XDG_* in a temporary folder; no agent, no cluster settings of the developer.

    XDG_RUNTIME_DIR has a short path, since a socket's may have 100 bytes only.
    """
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("config", "cache", "data", "state"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(home / f".{name}"))
    runtime = tempfile.mkdtemp(prefix="jm-", dir="/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    for name in (
        "SSH_AUTH_SOCK",
        "SSH_ASKPASS",
        "SLURM_CONF",
        "SGE_ROOT",
        "SGE_CELL",
        "PBS_SERVER",
    ):
        monkeypatch.delenv(name, raising=False)
    yield home
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project for this machine's own queue, its twin elsewhere on this machine."""
    made = tmp_path / "project"
    (made / "init").mkdir(parents=True)
    (made / "jobmon.yaml").write_text(
        f"grace: 3\ninterval: 1\nremote: local\nscheduler: local\nrdir: {tmp_path}/{FAR}\n"
    )
    return made


@pytest.fixture
def weird_path(tmp_path: Path) -> Path:
    """A folder whose name has all that breaks careless quoting (but no newline: refused by rule)."""
    path = tmp_path / "-w é日 'q\" $HOME;#&*%20`x`\\"
    path.mkdir()
    return path
