"""How a remote is written, and what the SSH configuration says of it, with ssh and without."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.cluster.base import LoginFailed
from jobmon.cluster.links import connect
from jobmon.cluster.links.login import ask_terminal
from jobmon.cluster.links.sshconfig import KEEPALIVE, Host, gateway, resolve
from jobmon.core.address import Remote, parse_remote

WORD = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
PORT = st.none() | st.integers(1, 65535)
ADDRESS = st.ip_addresses(v=6).map(str)


@given(WORD | ADDRESS, st.none() | WORD, PORT)
def test_what_is_written_is_read(host: str, user: str | None, port: int | None) -> None:
    bracket = f"[{host}]" if ":" in host else host
    text = (f"{user}@" if user else "") + bracket + (f":{port}" if port else "")
    assert parse_remote(text) == Remote(host, user, port)
    assert parse_remote(f"ssh://{text}") == Remote(host, user, port)


def test_an_address_without_brackets_has_no_port() -> None:
    assert parse_remote("me@fe80::1") == Remote("fe80::1", "me", None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@host", "u@", "-oProxyCommand=x", "me@-x", "a b", "a:x", "a:0", "a:70000", "a;b"),
        *("a\nb", "$(x)", "a/b", "h "),
    ],
)
def test_what_is_no_remote(text: str) -> None:
    with pytest.raises(ValueError, match=r"no \[user@\]host|a port is"):
        parse_remote(text)


@pytest.fixture(params=["ssh", "paramiko"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reads the configuration: the system's ssh, or Paramiko where there is none."""
    if request.param == "paramiko":
        monkeypatch.setattr("shutil.which", lambda name: None)
    return str(request.param)


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "config"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_all_that_is_honoured(reader: str, tmp_path: Path, own_home: Path) -> None:
    path = written(
        tmp_path,
        "Host gate",
        "  HostName gate.example",
        "Host h",
        "  HostName real.example",
        "  User me",
        "  Port 2200",
        "  IdentityFile ~/.ssh/%r_key",
        "  IdentityFile /k2",
        "  CertificateFile /c-cert.pub",
        "  IdentitiesOnly yes",
        "  IdentityAgent /agent",
        "  ProxyJump gate",
        "  UserKnownHostsFile /one /two",
        "  GlobalKnownHostsFile /three",
        "  HostKeyAlias al",
        "  ConnectTimeout 7",
        "  ServerAliveInterval 40",
        "  BatchMode yes",
        "  PreferredAuthentications password,publickey",
        "  PasswordAuthentication no",
        "  NumberOfPasswordPrompts 1",
        "  Compression yes",
        "  AddressFamily inet6",
    )
    host = resolve(Remote("h"), path)
    assert host == Host(
        name="h",
        hostname="real.example",
        port=2200,
        user="me",
        # ssh expands ~ by the password file, and leaves it in what it prints
        keys=(Path("~/.ssh/me_key").expanduser(), Path("/k2")),
        certificates=(Path("/c-cert.pub"),),
        identities_only=True,
        agent="/agent",
        jump="gate",
        known_hosts=(Path("/one"), Path("/two"), Path("/three")),
        key_alias="al",
        timeout=7.0,
        alive=40,
        batch=True,
        methods=("publickey",),
        prompts=1,
        compress=True,
        family=socket.AF_INET6,
    )
    over = gateway(host, path)
    assert over is not None
    assert (over.name, over.hostname, over.port, over.jump) == ("gate", "gate.example", 22, None)


def test_what_is_given_wins(reader: str, tmp_path: Path) -> None:
    path = written(tmp_path, "Host h", "  User me", "  Port 1")
    host = resolve(Remote("h", "you", 2), path)
    assert (host.user, host.port, host.where) == ("you", 2, "you@h")
    assert host.alive == KEEPALIVE


def test_proxy_command_tokens(reader: str, tmp_path: Path) -> None:
    path = written(tmp_path, "Host h", "  HostName x", "  ProxyCommand nc %h %p", "  User me")
    assert resolve(Remote("h"), path).proxy == "nc x 22"


def test_chains_of_jumps(reader: str, tmp_path: Path) -> None:
    path = written(tmp_path, "Host h", "  ProxyJump a,me@b:77")
    over = gateway(resolve(Remote("h"), path), path)
    assert over is not None
    assert (over.name, over.user, over.port, over.jump) == ("b", "me", 77, "a")


def test_a_jump_to_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "Host *", "  ProxyJump g")
    with pytest.raises(LoginFailed, match="loop via g"):  # ssh itself refuses it
        resolve(Remote("g"), path)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert gateway(resolve(Remote("g"), path), path) is None


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LoginFailed, match="no such SSH configuration"):
        resolve(Remote("h"), tmp_path / "none")
    with pytest.raises(LoginFailed, match="line 1"):
        resolve(Remote("h"), written(tmp_path, "Nonsense here"))


def test_include_is_followed_by_ssh_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").write_text("Host h\n  Port 99\n")
    path = written(tmp_path, f"Include {tmp_path}/more")
    assert resolve(Remote("h"), path).port == 99
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(LoginFailed, match="line 1: Include"):
        resolve(Remote("h"), path)


def test_the_account_is_the_one_named(tmp_path: Path) -> None:
    path = written(tmp_path, "Host h")
    link = connect(Remote("h", "b"), ssh="openssh", ssh_config=path, ask=ask_terminal)
    assert link.where == "b@h"
