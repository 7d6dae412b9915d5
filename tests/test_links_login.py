"""Logging in: host keys, keys and their passphrases, agents, certificates, several proofs.

The servers are sshd processes of these tests' own, run as whoever runs the tests.
"""

from __future__ import annotations

import getpass
import os
import pty
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from jobmon.cluster.base import ConnectionLost, Link, LoginFailed
from jobmon.cluster.links import connect
from jobmon.cluster.links.login import LoginNeeded, ask_terminal, nobody
from jobmon.core.address import Remote

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin")
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        not SSHD or (os.getuid() == 0 and not Path("/run/sshd").is_dir()), reason="no usable sshd"
    ),
]
over_ssh = pytest.mark.parametrize("kind", ["fabric", "openssh"])
Kind = Literal["fabric", "openssh"]


@dataclass(frozen=True)
class Server:
    """A running sshd, with a client's folder beside it."""

    folder: Path
    port: int

    def config(self, *lines: str) -> Path:
        """An SSH configuration with the host ``here``; ``lines`` come first, so they win."""
        text = "\n  ".join(
            [
                "Host here",
                *lines,
                "HostName 127.0.0.1",
                f"Port {self.port}",
                f"User {getpass.getuser()}",
                f"IdentityFile {self.folder}/key",
                "IdentitiesOnly yes",
                f"UserKnownHostsFile {self.folder}/known_hosts",
                "GlobalKnownHostsFile none",
            ]
        )
        path = self.folder / "config"
        path.write_text(text + "\n")
        return path

    def link(
        self, kind: Kind, *lines: str, ask: Callable[[str, bool], str] = lambda p, e: ""
    ) -> Link:
        return connect(Remote("here"), ssh=kind, ssh_config=self.config(*lines), ask=ask)


def keygen(*words: str) -> None:
    subprocess.run(["ssh-keygen", "-q", *words], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts an sshd with further lines of configuration."""
    running: list[subprocess.Popen[bytes]] = []

    def start(*lines: str) -> Server:
        folder = tmp_path / f"s{len(running)}"
        folder.mkdir()
        for name, kind in (("host_ed", "ed25519"), ("host_ec", "ecdsa"), ("key", "ed25519")):
            keygen("-t", kind, "-N", "", "-f", f"{folder}/{name}")
        shutil.copy(folder / "key.pub", folder / "authorized")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        (folder / "sshd").write_text(
            "\n".join(
                [
                    *lines,
                    f"Port {port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {folder}/host_ed",
                    f"HostKey {folder}/host_ec",
                    f"AuthorizedKeysFile {folder}/authorized",
                    f"PidFile {folder}/pid",
                    "StrictModes no",
                    "UsePAM no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "PermitRootLogin yes",
                    "LogLevel VERBOSE",
                ]
            )
            + "\n"
        )
        assert SSHD
        log = (folder / "log").open("wb")
        with log:
            running.append(subprocess.Popen([SSHD, "-D", "-e", "-f", f"{folder}/sshd"], stderr=log))
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        know(folder, port, "host_ed")
        return Server(folder, port)

    yield start
    for process in running:
        process.terminate()
        process.wait(60)


def know(folder: Path, port: int, key: str, mark: str = "", host: str = "") -> None:
    words = (folder / f"{key}.pub").read_text().split()[:2]
    name = host or f"[127.0.0.1]:{port}"
    (folder / "known_hosts").write_text(" ".join([*mark.split(), name, *words]) + "\n")


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def works(link: Link) -> bool:
    try:
        return b"".join(link.stream("echo in", b"", 20)) == b"in\n"
    finally:
        link.close()


@over_ssh
@pytest.mark.fault("Security: an unknown host key stops with the reason and the way out")
def test_an_unknown_host_key_is_refused(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    (server.folder / "known_hosts").write_text("")
    with pytest.raises(LoginFailed, match="run once: ssh here"):
        works(server.link(kind))
    assert "Accepted" not in (server.folder / "log").read_text()


@over_ssh
@pytest.mark.fault("Security: a changed host key stops with the reason and the way out")
def test_a_changed_host_key_is_refused(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    keygen("-t", "ed25519", "-N", "", "-f", f"{server.folder}/other")
    know(server.folder, server.port, "other")
    with pytest.raises(LoginFailed, match=r"(?s)CHANGED.*ssh-keygen -R.*ssh here"):
        works(server.link(kind))
    assert "Accepted" not in (server.folder / "log").read_text()


@over_ssh
@pytest.mark.fault("Security: a revoked host key stops with the reason")
def test_a_revoked_host_key_is_refused(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    good = (server.folder / "known_hosts").read_text()
    with (server.folder / "known_hosts").open("a") as file:
        file.write(f"@revoked {good}")
    with pytest.raises(LoginFailed):
        works(server.link(kind))
    assert "Accepted" not in (server.folder / "log").read_text()


@over_ssh
def test_the_known_type_of_host_key_is_chosen(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    know(server.folder, server.port, "host_ec")
    assert works(server.link(kind))


@over_ssh
def test_names_of_known_hosts(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    keygen("-H", "-f", f"{server.folder}/known_hosts")
    assert works(server.link(kind))
    know(server.folder, server.port, "host_ed", host="127.0.0.1")
    assert works(server.link(kind))
    know(server.folder, server.port, "host_ed", host="[127.0.*]:*,!other")
    assert works(server.link(kind))
    know(server.folder, server.port, "host_ed", host="elsewhere")
    assert works(server.link(kind, "HostKeyAlias elsewhere"))
    (server.folder / "none").write_text("")
    files = f"UserKnownHostsFile {server.folder}/none {server.folder}/known_hosts"
    assert works(server.link(kind, files, "HostKeyAlias elsewhere"))


@pytest.mark.fault("Connections: refused")
@over_ssh
def test_a_wrong_key_is_denied_once(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    (server.folder / "authorized").write_text("")
    link = server.link(kind)
    with pytest.raises(LoginFailed, match=r"(?i)permission denied.*ssh here"):
        link.open()
    link.close()
    assert (server.folder / "log").read_text().count("Connection from") == 1 + 1  # the probe's
    assert link.spent().logins == 0


@pytest.mark.fault("Connections: refused")
@over_ssh
def test_nobody_listens(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    with pytest.raises(ConnectionLost, match="no connection"):
        works(server.link(kind, "Port 1"))
    with pytest.raises(ConnectionLost, match="no connection"):
        works(server.link(kind, "HostName nowhere.invalid"))


@over_ssh
def test_an_alias_that_looks_like_a_host_with_a_port(
    serve: Callable[..., Server], kind: Kind
) -> None:
    server = serve()
    know(server.folder, server.port, "host_ed", host="[elsewhere]:2222")
    assert works(server.link(kind, "HostKeyAlias [elsewhere]:2222"))


@over_ssh
def test_a_passphrase_is_asked_for(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    keygen("-p", "-P", "", "-N", "ö secret", "-f", f"{server.folder}/key")
    asked: list[str] = []

    def ask(prompt: str, echo: bool) -> str:
        asked.append(prompt)
        return "wrong" if len(asked) == 1 else "ö secret"

    assert works(server.link(kind, ask=ask))
    assert len(asked) == 2
    assert all("passphrase" in prompt and f"{server.folder}/key" in prompt for prompt in asked)


@over_ssh
def test_batch_mode_never_asks(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    keygen("-p", "-P", "", "-N", "secret", "-f", f"{server.folder}/key")
    with pytest.raises(LoginFailed):
        works(server.link(kind, "BatchMode yes", ask=lambda p, e: pytest.fail(p)))


@pytest.mark.fault(
    "Connections: a second factor wanted while nobody is there (said once; never hammered)"
)
@over_ssh
def test_nobody_is_there_to_answer(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    keygen("-p", "-P", "", "-N", "secret", "-f", f"{server.folder}/key")

    def ask(prompt: str, echo: bool) -> str:
        raise nobody(prompt)

    with pytest.raises(LoginNeeded, match="passphrase"):
        works(server.link(kind, ask=ask))


@over_ssh
def test_an_agent_is_used(
    serve: Callable[..., Server], kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve()
    path = f"/tmp/jt{os.getpid()}{kind}.agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: Path(path).exists())
        keygen("-t", "ed25519", "-N", "", "-f", f"{server.folder}/other")
        for name in ("other", "key"):
            added = ["ssh-add", "-q", f"{server.folder}/{name}"]
            subprocess.run(added, env={**os.environ, "SSH_AUTH_SOCK": path}, check=True)
        (server.folder / "key").unlink()  # its .pub says which of the agent's is meant
        assert works(server.link(kind, f"IdentityAgent {path}"))
        assert (server.folder / "log").read_text().count("Failed publickey") == 0
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        assert works(server.link(kind))
        assert works(server.link(kind, "IdentitiesOnly no", f"IdentityFile {server.folder}/no"))
        with pytest.raises(LoginFailed):
            works(server.link(kind, "IdentityAgent none"))
    finally:
        agent.terminate()
        agent.wait(60)


@over_ssh
def test_a_certificate_is_shown(serve: Callable[..., Server], kind: Kind, tmp_path: Path) -> None:
    keygen("-t", "ed25519", "-N", "", "-f", f"{tmp_path}/ca")
    server = serve(f"TrustedUserCAKeys {tmp_path}/ca.pub")
    (server.folder / "authorized").write_text("")
    words = ("-I", "me", "-n", getpass.getuser(), f"{server.folder}/key.pub")
    keygen("-s", f"{tmp_path}/ca", *words)
    assert works(server.link(kind))
    (server.folder / "key-cert.pub").rename(server.folder / "elsewhere.pub")
    assert works(server.link(kind, f"CertificateFile {server.folder}/elsewhere.pub"))
    with pytest.raises(LoginFailed):
        works(server.link(kind))


@over_ssh
def test_two_keys_one_after_the_other(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve("AuthenticationMethods publickey,publickey")
    keygen("-t", "ecdsa", "-N", "", "-f", f"{server.folder}/second")
    with (server.folder / "authorized").open("a") as file:
        file.write((server.folder / "second.pub").read_text())
    assert works(server.link(kind, f"IdentityFile {server.folder}/second"))
    with pytest.raises(LoginFailed):
        works(server.link(kind))


@over_ssh
def test_a_proxy_command(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    relay = (
        "import socket,sys,threading,os;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
        "threading.Thread(target=lambda:[os.write(1,d) for d in iter(lambda:s.recv(65536),b'')],"
        "daemon=True).start();[s.sendall(d) for d in iter(lambda:os.read(0,65536),b'')]"
    )
    (server.folder / "relay.py").write_text(relay)
    proxy = f"ProxyCommand {sys.executable} {server.folder}/relay.py %h %p"
    assert works(server.link(kind, proxy))


@over_ssh
@pytest.mark.fault("Security: a changed host key of a jump host")
def test_each_hop_has_its_own_host_key(serve: Callable[..., Server], kind: Kind) -> None:
    server, first, second = serve(), serve(), serve()
    config = server.config("ProxyJump first,second")
    loose = "StrictHostKeyChecking no"
    texts = [
        config.read_text(),
        first.config(loose).read_text().replace("Host here", "Host first"),
        second.config(loose).read_text().replace("Host here", "Host second"),
    ]
    config.write_text("".join(texts))

    def link() -> Link:
        return connect(Remote("here"), ssh=kind, ssh_config=config, ask=ask_terminal)

    assert works(link())
    known = (first.folder / "known_hosts").read_text()
    for gate in (first, second):
        (first.folder / "known_hosts").write_text(known)
        (gate.folder / "known_hosts").write_text("")
        with pytest.raises(LoginFailed, match="host key"):
            works(link())
    assert (first.folder / "log").read_text().count("Accepted publickey for") == 2
    assert (second.folder / "log").read_text().count("Accepted publickey for") == 1


@over_ssh
def test_a_ring_of_jump_hosts(serve: Callable[..., Server], kind: Kind) -> None:
    server = serve()
    config = server.config("ProxyJump a")
    with config.open("a") as file:
        file.write("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    with pytest.raises(LoginFailed, match="in a ring"):
        works(connect(Remote("here"), ssh=kind, ssh_config=config, ask=ask_terminal))


@pytest.mark.fault(
    "Security: text from the cluster cannot reach a terminal as control codes (prompts)"
)
def test_a_person_is_asked_on_the_terminal() -> None:
    code = (
        "from jobmon.cluster.links.login import ask_terminal\n"
        "print('<' + ask_terminal('Code \\x1b[31m?', False) + '>')"
    )
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    seen = b""
    while b"?" not in seen:
        seen += os.read(terminal, 1000)
    os.write(terminal, b"123 456\n")
    while b">" not in seen:
        seen += os.read(terminal, 1000)
    assert os.waitpid(child, 0)[1] == 0
    os.close(terminal)
    assert b"\x1b" not in seen
    assert seen.count(b"123 456") == 1  # what is printed, not what is typed
    assert b"<123 456>" in seen


def test_without_a_terminal_nobody_is_asked() -> None:
    code = (
        "from jobmon.cluster.links.login import ask_terminal, LoginNeeded\n"
        "try: ask_terminal('Code:', False)\n"
        "except LoginNeeded as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, start_new_session=True, check=True
    )
    assert b"nobody is there" in done.stdout
