"""Opening one authenticated Paramiko transport to a host, through its jump hosts or proxy.

Fabric makes each connection; nothing of Fabric's own configuration is read. The socket is ours:
it is tuned, times out when the far side is silent for a minute, and its host key is checked
against the files that the SSH configuration names, on every hop.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fabric
import paramiko
from paramiko.config import SSHConfig
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import BadHostKeyException, IncompatiblePeer

from jobmon.cluster.base import ConnectionLost, LoginFailed
from jobmon.cluster.links import hostkeys
from jobmon.cluster.links.auth import Login
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.pulse import Pulse
from jobmon.cluster.links.sshconfig import HOPS, Host, gateway, ring
from jobmon.core.text import printable

WINDOW = 16 << 20
PACKET = 1 << 17
_NAME = "cluster"  # for Fabric, which would read a user or a port out of the real one
DEAD = 60  # seconds without an acknowledgement after which a connection is given up

# Paramiko logs tracebacks of what it also raises; the errors are ours to tell.
logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)


@dataclass(slots=True)
class Line:
    """An open connection and everything under it."""

    transport: paramiko.Transport
    logins: int
    _pulse: Pulse
    _stack: ExitStack

    def alive(self) -> bool:
        return self.transport.is_active()

    def close(self) -> None:
        self._pulse.stop()
        self._stack.close()
        self._pulse.join()


def dial(host: Host, ask: Ask, config: Path | None, depth: int = 0) -> Line:
    """Connect and log in, once. Raises ConnectionLost or LoginFailed."""
    if depth > HOPS:
        raise ring(host)
    with ExitStack() as stack:
        try:
            sock, logins = _socket(host, ask, config, depth, stack)
            transport = _log_in(host, ask, sock, stack)
        except (LoginFailed, ConnectionLost):
            raise
        except IncompatiblePeer as error:
            raise LoginFailed(
                f"{host.where}: no common way to encrypt: {printable(str(error))}; "
                "use --ssh openssh"
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            said = printable(str(error)) or type(error).__name__
            raise ConnectionLost(
                f"{host.where}: no connection to {host.hostname}:{host.port}: {said}"
            ) from error
        return Line(transport, logins + 1, Pulse(transport, host.alive), stack.pop_all())
    raise AssertionError("unreachable")


def _log_in(host: Host, ask: Ask, sock: Any, stack: ExitStack) -> paramiko.Transport:
    found = hostkeys.known(host)
    login = Login(host, ask)

    def strategy(**_: Any) -> _Checked:
        return _Checked(host, found, login)

    connection = fabric.Connection(
        host=_NAME,
        port=22,
        user=host.user,
        config=fabric.Config(
            lazy=True,
            ssh_config=SSHConfig(),
            overrides={"authentication": {"strategy_class": strategy}},
        ),
        gateway=False,
        forward_agent=False,
        connect_timeout=max(1, int(host.timeout)),
        connect_kwargs={
            "sock": sock,
            "transport_factory": _factory([key.kind for key in found.keys]),
            "banner_timeout": host.timeout,
            "auth_timeout": DEAD,
            "compress": host.compress,
        },
    )
    stack.callback(_hang_up, connection.client)
    connection.client.set_missing_host_key_policy(_Refuse(host, found))
    trusted = connection.client.get_host_keys()
    for key in found.keys:
        try:
            parsed = paramiko.PKey.from_type_string(key.kind, key.blob)
        except (paramiko.SSHException, UnknownKeyType, ValueError):
            continue  # a type that Paramiko does not speak cannot be shown to us either
        trusted.add(_NAME, key.kind, parsed)
    try:
        connection.open()
    except BadHostKeyException as error:
        raise hostkeys.refusal(host, found, error.key.get_name(), error.key.asbytes()) from error
    transport: paramiko.Transport = connection.transport
    return transport


def _hang_up(client: paramiko.SSHClient) -> None:
    transport = client.get_transport()
    client.close()
    if transport and transport.is_alive():
        transport.join(5)


@dataclass(slots=True)
class _Checked:
    """The login, after a last look at the host key: Paramiko knows no revoked keys."""

    host: Host
    found: hostkeys.Known
    login: Login

    def authenticate(self, transport: paramiko.Transport) -> None:
        key = transport.get_remote_server_key()
        known = {known.blob for known in self.found.keys}
        if key.asbytes() not in known or key.asbytes() in self.found.revoked:
            raise hostkeys.refusal(self.host, self.found, key.get_name(), key.asbytes())
        self.login.authenticate(transport)


class _Refuse(paramiko.MissingHostKeyPolicy):
    """Accepts no unknown key."""

    def __init__(self, host: Host, found: hostkeys.Known) -> None:
        self._host = host
        self._found = found

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        raise hostkeys.refusal(self._host, self._found, key.get_name(), key.asbytes())


def _factory(known: list[str]) -> Any:
    """Makes the transport: the quickest cipher first, and the host key types that are known."""

    def make(sock: Any, **options: Any) -> paramiko.Transport:
        transport = paramiko.Transport(sock, default_window_size=WINDOW, **options)
        transport.daemon = True
        wanted = transport.get_security_options()
        quick = "aes128-gcm@openssh.com"
        wanted.ciphers = _first(wanted.ciphers, [quick])
        types = ["rsa-sha2-512" if kind == "ssh-rsa" else kind for kind in known]
        wanted.key_types = _first(wanted.key_types, types)
        return transport

    return make


def _first(have: Any, preferred: list[str]) -> tuple[str, ...]:
    head = [name for name in dict.fromkeys(preferred) if name in have]
    return (*head, *(name for name in have if name not in head))


def _socket(
    host: Host, ask: Ask, config: Path | None, depth: int, stack: ExitStack
) -> tuple[Any, int]:
    """The socket to speak SSH on, and how many logins making it took."""
    via = gateway(host, config)
    if via is not None:
        line = dial(via, ask, config, depth + 1)
        stack.callback(line.close)
        channel = line.transport.open_channel(
            "direct-tcpip",
            (host.hostname, host.port),
            ("", 0),
            window_size=WINDOW,
            timeout=host.timeout,
        )
        stack.callback(channel.close)
        return channel, line.logins
    sock = _proxy(host.proxy, stack) if host.proxy else _tcp(host)
    stack.callback(sock.close)
    return sock, 0


def _tcp(host: Host) -> socket.socket:
    """A TCP connection to the first address that answers."""
    failed: OSError | None = None
    for family, kind, proto, _, address in socket.getaddrinfo(
        host.hostname, host.port, host.family, socket.SOCK_STREAM
    ):
        sock = socket.socket(family, kind, proto)
        try:
            sock.settimeout(host.timeout)
            if host.bind:
                sock.bind((host.bind, 0))
            sock.connect(address)
            _tune(sock)
        except OSError as error:
            sock.close()
            failed = error
            continue
        return sock
    raise failed or OSError("the name has no address")


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # Linux counts milliseconds; macOS has TCP_RXT_CONNDROPTIME (0x80) in seconds.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD * 1000)
    elif os.uname().sysname == "Darwin":
        sock.setsockopt(socket.IPPROTO_TCP, 0x80, DEAD)


def _proxy(command: str, stack: ExitStack) -> socket.socket:
    """What a ProxyCommand says and hears, as a socket."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = subprocess.Popen(  # noqa: S603 (it is shell text, of the person's own ssh_config)
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    stack.callback(_end, child)
    return ours


def _end(child: subprocess.Popen[bytes]) -> None:
    for act in (child.terminate, child.kill):
        try:
            child.wait(1)
        except subprocess.TimeoutExpired:
            act()
    child.wait()
