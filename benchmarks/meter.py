"""A login node that is counted: a private sshd before the Slurm of scripts/testcluster.

Rule: everybody who is compared is counted here, and in no other way. Linux, as root.

    with LoginNode(folder) as node:             # sshd is a child process, ended at the end
        before = node.spent()
        ... ssh -F node.ssh_config bench COMMAND ...
        node.settle()                           # until all connections are closed
        cost = node.spent() - before            # .logins .channels .calls["squeue"] .cpu ...

`node.host` is "bench"; also .port .user .home .key .known_hosts, for tools that do not
read ssh_config. The account (`hpcbench`) is made where it is missing and has no other use,
so its queue holds nothing but the benchmark's jobs. `node.calls()` are the single calls
of batch commands, with their times; `node.sessions()` what each channel asked for.

cpu is user + system time, in seconds, of sshd's listener and all that has descended from
it: the waited-for ones as the kernel adds them up (cutime, cstime), the living ones by
walking /proc. The listener is made a subreaper, so that a process whose parent has ended
first is waited for by it and is not lost. Jobs run under slurmd and are not in it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ACCOUNT = "hpcbench"
COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo")
STATUS_COMMANDS = ("squeue", "sacct", "scontrol")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_TICK = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
# Called between fork and exec: nothing may be loaded there any more.
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a batch command on the login node; `time` in seconds of the epoch."""

    time: float
    name: str
    args: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What has been spent so far, or between two readings (their difference)."""

    logins: int
    channels: int
    calls: Counter[str]
    cpu: float
    """Processor seconds on the login node."""

    def __sub__(self, before: Spent) -> Spent:
        return Spent(
            self.logins - before.logins,
            self.channels - before.channels,
            Counter({name: n - before.calls[name] for name, n in self.calls.items()}),
            self.cpu - before.cpu,
        )

    @property
    def submissions(self) -> int:
        return self.calls["sbatch"]

    @property
    def status_commands(self) -> int:
        return sum(self.calls[name] for name in STATUS_COMMANDS)


def testcluster() -> Path:
    """The folder of scripts/testcluster, as that script chooses it."""
    default = Path(os.environ.get("TMPDIR") or "/tmp") / "jobmon-testcluster"
    return Path(os.environ.get("JOBMON_TESTCLUSTER") or default)


class LoginNode:
    """A private sshd. Raises RuntimeError where it cannot be had (no root, no Slurm)."""

    host = "bench"

    def __init__(
        self,
        folder: Path | None = None,
        env: Mapping[str, str] | None = None,
        account: str = ACCOUNT,
    ) -> None:
        """`folder` is for keys, logs and wrappers; every account must be able to enter it.
        `env` is set for every session there. Two benchmarks at a time: two accounts."""
        self.env = dict(env or {})
        self.user = account
        self.own_folder = folder is None
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="jobmon-meter-"))).resolve()
        self.port = _free_port()
        self.log = self.folder / "sshd.log"
        self.key = self.folder / "id_ed25519"
        self.known_hosts = self.folder / "known_hosts"
        self.ssh_config = self.folder / "ssh_config"
        self._calls = self.folder / "calls.log"
        self._sshd: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return Path(pwd.getpwnam(self.user).pw_dir)

    def __enter__(self) -> LoginNode:
        if os.geteuid() != 0 or not (testcluster() / "slurm/slurm.conf").exists():
            raise RuntimeError("needs root, and Slurm: scripts/testcluster start")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        Path("/run/sshd").mkdir(exist_ok=True)
        self._write_wrappers()
        self._make_account()
        self._write_keys()
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        assert self._sshd is not None
        for pid in [self._sshd.pid, *_descendants(self._sshd.pid)]:
            _end(pid)
        self._sshd.wait(timeout=20)
        if self.own_folder and kind is None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def spent(self) -> Spent:
        """All that was spent since the start."""
        assert self._sshd is not None
        log = self.log.read_text(errors="replace")
        return Spent(
            logins=log.count("Accepted publickey"),
            channels=log.count("Starting session:"),
            calls=Counter(call.name for call in self.calls()),
            cpu=processor_seconds(self._sshd.pid),
        )

    def calls(self, since: float = 0.0) -> list[Call]:
        """The calls of batch commands from `since` (seconds of the epoch) on, in order."""
        rows = (line.split(" ", 2) for line in self._calls.read_text(errors="replace").splitlines())
        calls = (Call(float(at), name, args) for at, name, args in rows)
        return [call for call in calls if call.time >= since]

    def sessions(self) -> Counter[str]:
        """How many channels asked for what: command, shell, subsystem 'sftp'."""
        log = self.log.read_text(errors="replace")
        return Counter(re.findall(r"Starting session: (command|shell|subsystem '\w+')", log))

    def settle(self, seconds: float = 60.0) -> None:
        """Wait until all connections are closed. Raises TimeoutError."""
        assert self._sshd is not None
        end = time.monotonic() + seconds
        while _descendants(self._sshd.pid):
            if time.monotonic() > end:
                raise TimeoutError(f"connections are still open after {seconds:.0f} s")
            time.sleep(0.1)

    def _write_wrappers(self) -> None:
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        self._calls.write_text("")
        self._calls.chmod(0o666)
        for name in COMMANDS:
            real = shutil.which(name, path=_PATH)
            if real is None:
                raise RuntimeError(f"no {name}: scripts/testcluster install")
            text = (
                "#!/bin/bash\nline=${*//$'\\n'/ }\n"
                f'printf "%s %s %s\\n" "${{EPOCHREALTIME/,/.}}" {name} "${{line:0:400}}"'
                f" >>{self._calls}\n"
                f'exec {real} "$@"\n'
            )
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def _make_account(self) -> None:
        make_account(self.user)
        # A login shell reads /etc/profile, which sets PATH anew.
        (self.home / ".profile").write_text(f"PATH={self.folder}/bin:{_PATH}\n")

    def _write_keys(self) -> None:
        for key in (self.key, self.folder / "host_ed25519"):
            if not key.exists():
                _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(key))
        # StrictModes is off, but the account must be able to read it.
        authorized = self.folder / "authorized_keys"
        shutil.copy(self.key.with_suffix(".pub"), authorized)
        authorized.chmod(0o644)
        host = " ".join((self.folder / "host_ed25519.pub").read_text().split()[:2])
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host}\n")
        self.ssh_config.write_text(
            f"Host {self.host}\n  HostName 127.0.0.1\n"
            f"  Port {self.port}\n  User {self.user}\n"
            f"  IdentityFile {self.key}\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  StrictHostKeyChecking yes\n  UserKnownHostsFile {self.known_hosts}\n"
        )

    def _start(self) -> None:
        config = self.folder / "sshd_config"
        env = {
            "PATH": f"{self.folder}/bin:{_PATH}",
            "SLURM_CONF": f"{testcluster()}/slurm/slurm.conf",
            **self.env,
        }
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host_ed25519\n"
            f"PidFile none\nUsePAM no\nKbdInteractiveAuthentication no\nUseDNS no\n"
            f"LogLevel VERBOSE\nPubkeyAuthentication yes\nPasswordAuthentication no\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\n"
            f"AllowUsers {self.user}\nPermitRootLogin no\nPrintMotd no\n"
            f"Subsystem sftp internal-sftp\n"
            f"SetEnv {' '.join(f'{name}={value}' for name, value in env.items())}\n"
        )
        self.log.write_text("")
        self._sshd = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-f", str(config), "-E", str(self.log)],
            stdin=subprocess.DEVNULL,
            preexec_fn=_reap_orphans,  # no threads here that could hold a lock
        )
        end = time.monotonic() + 10
        while not _answers(self.port):
            if self._sshd.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"sshd does not start: {self.log.read_text()[-300:]}")
            time.sleep(0.05)


def make_account(name: str = ACCOUNT) -> None:
    """The account, where it is missing. Raises RuntimeError without the rights to."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        _run("useradd", "-m", "-s", "/bin/bash", name)
    _run("usermod", "-p", "*", name)  # '!' would mean locked, where there is no PAM


def processor_seconds(pid: int) -> float:
    """User and system time of a process, its waited-for and its living descendants."""
    return sum(_times(each) for each in [pid, *_descendants(pid)]) / _TICK


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name; [] where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text[text.rindex(")") + 2 :].split()


def _times(pid: int) -> int:
    return sum(int(ticks) for ticks in _stat(pid)[11:15])


def _descendants(pid: int) -> list[int]:
    """Living descendants, zombies included: their times are in nobody's sum yet."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _reap_orphans() -> None:
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
