"""What the SSH configuration says of a host, as plain values.

The ``ssh`` of this machine is asked (``ssh -G``), which alone understands ``Include`` and all of
``Match``; where there is none, Paramiko's reader stands in and refuses what it cannot follow.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobmon.cluster.base import LoginFailed
from jobmon.core.address import Remote, parse_remote
from jobmon.core.text import printable

KEEPALIVE = 14  # seconds between two questions whether the far side lives, at most
UNANSWERED = 3  # after so many intervals without an answer it is dead: a minute in all
HOPS = 8
METHODS = ("publickey", "keyboard-interactive", "password")
_SWITCHES = {
    "publickey": "pubkeyauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
    "password": "passwordauthentication",
}
_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True)
class Host:
    """How to reach one host and log in to it. Times in seconds."""

    name: str  # as the person calls it
    hostname: str
    port: int
    user: str
    keys: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    identities_only: bool = False
    agent: str | None = None  # path of the agent's socket
    jump: str | None = None
    proxy: str | None = None  # a shell command, tokens replaced
    known_hosts: tuple[Path, ...] = ()
    key_alias: str | None = None
    timeout: float = 30.0
    alive: int = KEEPALIVE
    batch: bool = False  # never ask
    methods: tuple[str, ...] = METHODS
    prompts: int = 3
    compress: bool = False
    family: int = 0  # of socket.AF_*, 0 for any
    bind: str | None = None

    @property
    def where(self) -> str:
        return f"{self.user}@{self.name}"


def resolve(remote: Remote, config: Path | None) -> Host:
    """What the configuration (``config``, or the person's own) says of a host.

    Raises LoginFailed if the configuration cannot be read or asks for what is not understood.
    """
    if config is not None and not config.is_file():
        raise LoginFailed(f"{config}: no such SSH configuration file")
    said = _ask_ssh(remote, config) if shutil.which("ssh") else _ask_paramiko(remote, config)
    return _host(remote, said)


def gateway(host: Host, config: Path | None) -> Host | None:
    """The last jump host on the way to ``host``, itself to be reached over those before it."""
    if not host.jump:
        return None
    *before, last = host.jump.split(",")
    try:
        named = parse_remote(last)
    except ValueError as error:
        raise LoginFailed(f"{host.name}: ProxyJump: {error}") from None
    found = resolve(named, config)
    if (found.hostname, found.port) == (host.hostname, host.port):
        return None  # 'Host *' with a ProxyJump means the jump host as well
    return replace(found, jump=",".join(before), proxy=None) if before else found


def ring(host: Host) -> LoginFailed:
    return LoginFailed(f"{host.name}: ProxyJump goes over more than {HOPS} hosts, or in a ring")


def _ask_ssh(remote: Remote, config: Path | None) -> dict[str, list[str]]:
    command = ["ssh", "-G", *(["-F", str(config)] if config else [])]
    command += ["-p", str(remote.port)] if remote.port else []
    command += ["-l", remote.user] if remote.user else []
    done = subprocess.run(  # noqa: S603 (no shell; -- before the host)
        [*command, "--", remote.host],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        start_new_session=True,
    )
    if done.returncode:
        raise LoginFailed(
            f"ssh refuses its configuration for {remote.host}: {printable(done.stderr[-600:])}"
        )
    said: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "surrogateescape").splitlines():
        word, _, value = line.partition(" ")
        said.setdefault(word.lower(), []).append(value)
    return said


def _ask_paramiko(remote: Remote, config: Path | None) -> dict[str, list[str]]:
    from paramiko import ConfigParseError, SSHConfig  # noqa: PLC0415

    own = [Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")]
    reader = SSHConfig()
    for path in [config] if config else own:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        for number, line in enumerate(text.splitlines(), 1):
            # The system's own file includes an empty folder on most machines.
            if re.match(r"\s*include\b", line, re.IGNORECASE) and path in (config, own[0]):
                raise LoginFailed(
                    f"{path}, line {number}: Include is understood only where ssh is installed; "
                    "install it, or give --ssh-config a file without Include"
                )
        try:
            reader.parse(text.splitlines())
        except ConfigParseError as error:
            raise LoginFailed(f"{path}: {printable(str(error))}") from error
    said = {
        word: value if isinstance(value, list) else [value]
        for word, value in reader.lookup(remote.host).items()
    }
    said["host"] = [remote.host]
    if remote.user:
        said["user"] = [remote.user]
    if remote.port:
        said["port"] = [str(remote.port)]
    return said


def _host(remote: Remote, said: Mapping[str, Sequence[str]]) -> Host:
    def one(word: str, default: str = "") -> str:
        return next((v for v in said.get(word, ()) if v.lower() != "none"), default)

    def flag(word: str, default: bool) -> bool:
        return one(word, "yes" if default else "no").lower() in {"yes", "true"}

    if flag("proxyusefdpass", False):
        raise LoginFailed(f"{remote.host}: ProxyUseFdpass works with --ssh openssh only")
    user = one("user") or getpass.getuser()
    hostname = one("hostname", remote.host)
    port = int(one("port", "22"))
    jump = one("proxyjump") or None
    tokens = _tokens(remote.host, hostname, port, user, jump, one("hostkeyalias"))
    own = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
    common = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
    known = [
        path
        for word, default in (("userknownhostsfile", own), ("globalknownhostsfile", common))
        for path in _split_paths(" ".join(said.get(word, [])) or default, tokens)
    ]
    keys = said.get("identityfile") or [f"~/.ssh/{name}" for name in _KEYS]
    order = one("preferredauthentications", ",".join(METHODS)).split(",")
    proxy = one("proxycommand")
    limit = one("connecttimeout", "0")
    family = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(one("addressfamily"), 0)
    return Host(
        name=remote.host,
        hostname=hostname,
        port=port,
        user=user,
        keys=tuple(_path(key, tokens) for key in keys if key.lower() != "none"),
        certificates=tuple(_path(c, tokens) for c in said.get("certificatefile", ()) if c),
        identities_only=flag("identitiesonly", False),
        agent=_agent(said, tokens),
        jump=jump,
        proxy=_expand(proxy, tokens) if proxy and not jump else None,
        known_hosts=tuple(known),
        key_alias=one("hostkeyalias") or None,
        timeout=float(limit) if limit.isdigit() and int(limit) else 30.0,
        alive=int(one("serveraliveinterval", "0")) or KEEPALIVE,
        batch=flag("batchmode", False),
        methods=tuple(m for m in order if m in METHODS and flag(_SWITCHES[m], True)),
        prompts=max(1, int(one("numberofpasswordprompts", "3"))),
        compress=flag("compression", False),
        family=int(family),
        bind=one("bindaddress") or None,
    )


def _agent(said: Mapping[str, Sequence[str]], tokens: Mapping[str, str]) -> str | None:
    value = next(iter(said.get("identityagent", ())), "SSH_AUTH_SOCK")
    if value.lower() == "none":
        return None
    if value == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    if value.startswith("$") and not value.startswith("${"):
        return os.environ.get(value[1:]) or None
    return str(_path(value, tokens))


def _tokens(
    name: str, hostname: str, port: int, user: str, jump: str | None, alias: str
) -> dict[str, str]:
    local = socket.gethostname()
    whole = f"{local}{hostname}{port}{user}{jump or ''}".encode()
    return {
        "%": "%",
        "C": hashlib.sha1(whole, usedforsecurity=False).hexdigest(),
        "d": str(Path.home()),
        "h": hostname,
        "i": str(os.getuid()),
        "j": jump or "",
        "k": alias or name,
        "L": local.partition(".")[0],
        "l": local,
        "n": name,
        "p": str(port),
        "r": user,
        "u": getpass.getuser(),
    }


def _expand(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda found: tokens.get(found[1], found[0]), text)


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    text = re.sub(r"\$\{(\w+)\}", lambda found: os.environ.get(found[1], ""), _expand(text, tokens))
    return Path(text).expanduser()


def _split_paths(text: str, tokens: Mapping[str, str]) -> list[Path]:
    """Paths separated by blanks. ``ssh -G`` does not quote, so a name with a blank is put
    together again where that names a file."""
    words = text.replace('"', "").split()
    paths: list[Path] = []
    while words:
        count = next(
            (n for n in range(len(words), 0, -1) if _path(" ".join(words[:n]), tokens).is_file()),
            1,
        )
        paths.append(_path(" ".join(words[:count]), tokens))
        words = words[count:]
    return [path for path in paths if str(path).lower() != "none"]
