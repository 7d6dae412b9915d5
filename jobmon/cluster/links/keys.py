"""The keys a login may offer, in the order OpenSSH offers them.

Agent keys that the configuration names, other agent keys, key files without a passphrase, and
only then the files that need a person to type one. A key's certificate goes before the key.
Few keys are offered: a server that counts six wrong ones hangs up.
"""

from __future__ import annotations

import base64
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import paramiko
from paramiko.agent import AgentSSH
from paramiko.pkey import UnknownKeyType

from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.sshconfig import Host

_MAGIC = b"openssh-key-v1\0"


def offers(host: Host, agent_keys: list[Any], ask: Ask | None) -> Iterator[tuple[str, Any]]:
    """(what to call it, key) for each key to be tried. ``ask`` is None where nobody may be asked.

    Raises what ``ask`` raises.
    """
    named = {blob: path for path in host.keys if (blob := public_blob(path))}
    certified = {_certified_key(cert): cert for cert in _certificates(host)}
    mine = [key for key in agent_keys if _plain(key) in named]
    others = [] if host.identities_only else [key for key in agent_keys if key not in mine]
    for key in mine + others:
        cert = certified.get(_plain(key))
        if cert is not None and key.inner_key is not None:
            yield f"agent key {key.comment or key.get_name()} with {cert}", _with(key, cert)
            key.public_blob = None
        yield f"agent key {key.comment or key.get_name()}", key
    held = {_plain(key) for key in agent_keys}
    files = [path for path in host.keys if path.is_file() and public_blob(path) not in held]
    locked: list[Path] = []
    for path in files:
        try:
            key = _load(path, None)
        except paramiko.PasswordRequiredException:
            locked.append(path)
            continue
        if key is not None:
            yield from _variants(path, key, certified)
    if ask is None:
        return
    for path in locked:
        key = _unlock(path, ask, host.prompts)
        if key is not None:
            yield from _variants(path, key, certified)


@contextmanager
def agent_keys(path: str | None) -> Iterator[list[Any]]:
    """The keys of the agent at ``path``; none where it does not answer."""
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        agent: Any = AgentSSH()
        found: list[Any] = []
        if path:
            sock.settimeout(30)  # an agent may ask its owner before each signature
            try:
                sock.connect(path)
                agent._connect(sock)
                found = list(agent.get_keys())
            except (OSError, paramiko.SSHException, struct.error):
                found = []
        for key in found:
            # Paramiko derives the plain key of a certificate and would then offer that one
            # under the certificate's name; without it, it offers what the agent really holds.
            if "-cert-v01@" in key.get_name():
                key.inner_key = None
        yield found


def public_blob(path: Path) -> bytes | None:
    """The public half of a key file, from the file itself or from ``.pub`` beside it."""
    try:
        words = Path(f"{path}.pub").read_text(encoding="ascii", errors="replace").split()
        return base64.b64decode(words[1])
    except (OSError, ValueError, IndexError):
        pass
    try:
        body = b"".join(line for line in path.read_bytes().split() if not line.startswith(b"-"))
        raw = base64.b64decode(body)
        if not raw.startswith(_MAGIC):
            return None
        at = len(_MAGIC)
        for _ in range(3):  # cipher, key derivation, its options
            at += 4 + int.from_bytes(raw[at : at + 4], "big")
        at += 4  # how many keys
        size = int.from_bytes(raw[at : at + 4], "big")
        return raw[at + 4 : at + 4 + size] or None
    except (OSError, ValueError):
        return None


def _variants(
    path: Path, key: Any, certified: dict[bytes | None, Path]
) -> Iterator[tuple[str, Any]]:
    cert = certified.get(key.asbytes())
    if cert is not None:
        yield f"{path} with {cert}", _with(key, cert)
    key.public_blob = None
    yield str(path), key


def _with(key: Any, cert: Path) -> Any:
    key.load_certificate(str(cert))
    return key


def _certificates(host: Host) -> Iterator[Path]:
    yield from (path for path in host.certificates if path.is_file())
    for path in host.keys:
        beside = Path(f"{path}-cert.pub")
        if beside.is_file():
            yield beside


def _certified_key(cert: Path) -> bytes | None:
    """The plain key inside a certificate: its type without the suffix, and its key fields."""
    try:
        blob = base64.b64decode(cert.read_text(encoding="ascii", errors="replace").split()[1])
        message = paramiko.Message(blob)
        kind = message.get_text()
        message.get_binary()  # nonce
        plain = paramiko.Message()
        plain.add_string(kind.replace("-cert-v01@openssh.com", ""))
        for _ in range(1 if "ed25519" in kind else 2):
            plain.add_string(message.get_binary())
        return plain.asbytes()
    except (OSError, ValueError, IndexError, struct.error):
        return None


def _plain(key: Any) -> bytes:
    return bytes(key.asbytes())


def _load(path: Path, passphrase: bytes | None) -> Any:
    """The private key, None if the file is none that can be used.

    Raises PasswordRequiredException for one that needs a passphrase, or another one.
    """
    try:
        return paramiko.PKey.from_path(str(path), passphrase)  # type: ignore[arg-type]
    except TypeError as error:  # so says the crypto library of a locked key
        raise paramiko.PasswordRequiredException(str(error)) from error
    except paramiko.PasswordRequiredException:
        raise
    except ValueError as error:
        if passphrase is not None:
            raise paramiko.PasswordRequiredException(str(error)) from error
        return None
    except (OSError, paramiko.SSHException, UnknownKeyType):
        return None


def _unlock(path: Path, ask: Ask, tries: int) -> Any:
    for _ in range(tries):
        phrase = ask(f"Enter passphrase for key '{path}':", False)
        if not phrase:
            return None
        try:
            return _load(path, phrase.encode())
        except paramiko.PasswordRequiredException:
            continue
    return None
