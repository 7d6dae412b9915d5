"""A login node of a test's own, to break things on.

An sshd of ours on a port of its own with stand-ins before the real commands and before the real
login shell, and a proxy on loopback before that sshd. A stand-in reads a piece of shell from a
control file before it passes on to the real one, so a test changes its mind while a run goes on.
"""

from __future__ import annotations

import getpass
import os
import pwd
import select
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from conftest import TestCluster
from session import environment, only_run, program, until

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")
BATCH = ("squeue", "sbatch", "scontrol", "sacct", "scancel", "qstat", "qsub", "qacct", "qdel")

STAND_IN = """#!/bin/sh
# A stand-in for {name}: does what its control file says, then what the real one does.
control={control}
name={name}
real={real}
[ -s "$control/$name" ] && . "$control/$name"
exec "$real" "$@"
"""

SHELL = """#!/bin/bash
# A stand-in for the account's login shell, as ForceCommand calls it.
control={control}
[ -s "$control/shell" ] && . "$control/shell"
exec /bin/bash -c "$SSH_ORIGINAL_COMMAND"
"""


class Proxy:
    """Passes TCP on to a port of this machine, as well as ``mode`` lets it.

    ``pass``; ``slow``: everything comes ``DELAY`` seconds late; ``swallow``: everything is taken
    and nothing comes out, though nobody says so, as with a connection that is half open;
    ``refuse``: nobody listens.
    """

    DELAY = 0.25

    def __init__(self, port: int) -> None:
        self._to = port
        self._mode = "pass"
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._orphans: list[socket.socket] = []
        self._late: deque[tuple[float, socket.socket, bytes]] = deque()
        self._ended = threading.Event()
        self._lock = threading.RLock()
        self.accepted: list[float] = []  # when each connection came
        self._listener: socket.socket | None = self._listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def become(self, mode: str) -> None:
        with self._lock:
            self._mode = mode
            if mode == "refuse" and self._listener is not None:
                self._listener.close()
                self._listener = None
            elif mode != "refuse" and self._listener is None:
                self._listener = self._listen(self.port)

    def cut(self) -> None:
        """Break every connection that is open, in the middle of whatever it says."""
        with self._lock:
            while self._pairs:
                self._close(next(iter(self._pairs)), hard=True)

    def close(self) -> None:
        self._ended.set()
        self._thread.join(5)
        self.cut()
        self.become("refuse")
        for sock in self._orphans:
            sock.close()

    def _listen(self, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(50)
        return sock

    def _work(self) -> None:
        while not self._ended.is_set():
            with self._lock:
                listening = [self._listener] if self._listener else []
                sockets = [*listening, *self._pairs]
            if not sockets:
                time.sleep(0.02)
                continue
            try:
                ready, _, _ = select.select(sockets, [], [], 0.02)
            except (OSError, ValueError):  # one was closed meanwhile
                continue
            with self._lock:
                for sock in ready:
                    if sock is self._listener:
                        self._accept()
                    elif sock in self._pairs:
                        self._move(sock)
                self._deliver()

    def _accept(self) -> None:
        assert self._listener is not None
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._to))
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accepted.append(time.monotonic())
        self._pairs[near], self._pairs[far] = far, near

    def _move(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(1 << 16)
        except OSError:
            data = b""
        if self._mode == "swallow":
            if not data:
                self._orphans.append(self._pairs.pop(sock))  # the other end is told nothing
                self._pairs.pop(self._orphans[-1], None)
                sock.close()
            return
        if not data:
            self._close(sock)
        elif self._mode == "slow":
            self._late.append((time.monotonic() + self.DELAY, self._pairs[sock], data))
        else:
            self._send(self._pairs[sock], data)

    def _deliver(self) -> None:
        while self._late and (self._mode != "slow" or self._late[0][0] <= time.monotonic()):
            _, sock, data = self._late.popleft()
            if sock in self._pairs and self._mode != "swallow":
                self._send(sock, data)

    def _send(self, sock: socket.socket, data: bytes) -> None:
        try:
            sock.sendall(data)
        except OSError:
            self._close(sock)

    def _close(self, sock: socket.socket, *, hard: bool = False) -> None:
        other = self._pairs.pop(sock, None)
        if other is not None:
            self._pairs.pop(other, None)
        for one in (sock, other):
            if one is not None:
                if hard:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()


def behind(proxy: Proxy, cluster: TestCluster, host: str, folder: Path) -> Path:
    """An SSH configuration, made in ``folder``, by which ``host`` is reached through the proxy."""
    path = folder / "ssh_config"
    alias = f"[127.0.0.1]:{cluster.nodes[host].port}"
    ours = f"Host {host}\n  Port {proxy.port}\n  HostKeyAlias {alias}\n"
    path.write_text(ours + cluster.ssh_config.read_text())
    return path


@dataclass(slots=True)
class Gate:
    """The login node: ``root`` is a folder for twins that its account may write to."""

    folder: Path
    root: Path
    port: int
    user: str
    proxy: Proxy
    env: Mapping[str, str]
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.ssh_config()

    def ssh_config(self, *lines: str) -> Path:
        """An SSH configuration with the host ``gate``, behind the proxy."""
        path = self.folder / "config"
        words = [
            *("HostName 127.0.0.1", f"Port {self.proxy.port}", f"User {self.user}"),
            *(f"IdentityFile {self.folder}/key", "IdentitiesOnly yes", "HostKeyAlias gate"),
            *(f"UserKnownHostsFile {self.folder}/known_hosts", "GlobalKnownHostsFile none"),
            *("ServerAliveInterval 1", "ConnectTimeout 5", *lines),
        ]
        path.write_text("\n  ".join(["Host gate", *words]) + "\n")
        return path

    def lie(self, name: str, text: str) -> None:
        """From now on the stand-in ``name`` does ``text`` first; it may exit by itself."""
        path = self.folder / "control" / name
        path.with_suffix(".new").write_text(text + "\n")
        path.with_suffix(".new").replace(path)

    def truth(self, *names: str) -> None:
        """From now on these (all, by default) do what the real ones do."""
        for name in names or (*BATCH, "shell", "rsync"):
            self.lie(name, "")

    def log(self) -> str:
        """The sshd's log; a login is ``Accepted publickey``."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def run(self, command: str) -> str:
        """Run a command on this machine as the account, with the cluster's real commands."""
        argv = ["/bin/sh", "-c", command]
        if self.user != getpass.getuser():
            keep = [f"{name}={value}" for name, value in self.env.items()]
            argv = ["su", "-s", "/bin/sh", self.user, "-c", shlex.join(["env", *keep, *argv])]
        env = os.environ | dict(self.env)
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False).stdout


@contextmanager
def gate(cluster: TestCluster, host: str, *lines: str) -> Iterator[Gate]:
    """A running ``Gate`` whose commands are those of the cluster's ``host``; ``lines`` go into
    its sshd's configuration."""
    user = cluster.user(host) if os.getuid() == 0 else getpass.getuser()
    folder = Path(tempfile.mkdtemp(prefix="jm-gate-", dir="/tmp"))
    folder.chmod(0o755)
    root = folder / "home"
    account = pwd.getpwnam(user)
    (folder / "control").mkdir()
    root.mkdir()
    os.chown(root, account.pw_uid, account.pw_gid)
    path = "/usr/local/bin:/usr/bin:/bin"
    if host == "sge":
        path = f"{cluster.folder}/sge/bin:{path}"
    _stand_ins(folder, path)
    env = {**cluster.env, "PATH": path}
    port = _sshd(folder, user, {**env, "PATH": f"{folder}/bin:{path}"}, lines)
    proxy = Proxy(port[0])
    try:
        yield Gate(folder, root, port[0], user, proxy, env)
    finally:
        proxy.close()
        port[1].terminate()
        port[1].wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _stand_ins(folder: Path, path: str) -> None:
    (folder / "bin").mkdir()
    control = shlex.quote(f"{folder}/control")
    for name in BATCH:
        real = shutil.which(name, path=path)
        if real is not None:
            _program(folder / "bin" / name, STAND_IN, name=name, control=control, real=real)
    real = shutil.which("rsync")
    assert real is not None
    (folder / "here").mkdir()
    _program(folder / "here" / "rsync", STAND_IN, name="rsync", control=control, real=real)
    _program(folder / "shell", SHELL, control=control)


def _program(path: Path, text: str, **values: str) -> None:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    path.write_text(text)
    path.chmod(0o755)


def _sshd(
    folder: Path, user: str, env: Mapping[str, str], lines: tuple[str, ...]
) -> tuple[int, subprocess.Popen[bytes]]:
    for name in ("host", "key"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    words = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(" ".join(["gate", *words]) + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = [
        *lines,
        *(f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host"),
        *(f"AuthorizedKeysFile {folder}/key.pub", "PidFile none", "StrictModes no", "UsePAM no"),
        *("PasswordAuthentication no", "KbdInteractiveAuthentication no", "UseDNS no"),
        *("LogLevel VERBOSE", f"AllowUsers {user}", f"ForceCommand {folder}/shell"),
        "SetEnv " + " ".join(f"{name}={value}" for name, value in env.items()),
    ]
    (folder / "sshd").write_text("\n".join(settings) + "\n")
    assert SSHD
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", f"{folder}/sshd"], stderr=log)
    end = time.monotonic() + 60
    while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
        assert time.monotonic() < end and server.poll() is None, (folder / "log").read_text()
        time.sleep(0.02)
    return port, server


@dataclass(slots=True)
class Daemon:
    """``jobmon run`` on a gate, with constants of the program made shorter for the test."""

    gate: Gate
    project: Path
    rdir: Path
    process: subprocess.Popen[bytes]

    @property
    def run(self) -> Path:
        return only_run(self.project)

    @property
    def twin(self) -> Path:
        return self.rdir / self.run.name

    def said(self) -> str:
        path = self.run / "jobmon.log"
        return path.read_text("utf-8") if path.exists() else ""


@contextmanager
def running(
    gate: Gate, project: Path, *flags: str, constants: Mapping[str, float] = MappingProxyType({})
) -> Iterator[Daemon]:
    """``jobmon --ldir PROJECT --remote gate FLAGS`` in the background; killed at the end."""
    rdir = gate.root / "runs"
    words = [*program(constants), "--ldir", str(project), *flags]
    if not list(project.glob("2*/qsub.log")):
        words += ["--remote", "gate", "--rdir", str(rdir), "--ssh-config", str(gate.config)]
    home = gate.folder / "person"
    home.mkdir(exist_ok=True)
    env = environment(HOME=str(home), PATH=f"{gate.folder}/here:{os.environ['PATH']}")
    with (project / "out").open("ab") as out:
        process = subprocess.Popen(
            words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env, start_new_session=True
        )
    try:
        until(
            lambda: process.poll() is not None or list(project.glob("2*/qsub.log")),
            what="a run folder",
        )
        assert process.poll() is None, (project / "out").read_text()
        yield Daemon(gate, project, rdir, process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert "Traceback" not in (project / "out").read_text()
