"""Which host keys are known, and what is said of one that is not.

Read as OpenSSH reads its ``known_hosts`` files: patterns, hashed names, ``[host]:port`` with the
plain name as a second try, ``@revoked``. A key that is not in them is never accepted.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jobmon.cluster.base import HostKeyRefused
from jobmon.cluster.links.sshconfig import Host


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One key that a file names for the host."""

    kind: str  # ssh-ed25519, …
    blob: bytes
    file: Path
    line: int


@dataclass(frozen=True, slots=True)
class Known:
    """What all files together say of one host."""

    name: str  # as it stands in known_hosts
    keys: tuple[KnownKey, ...]
    revoked: frozenset[bytes]
    authority: bool  # a @cert-authority line speaks for the host


def lookup_name(host: Host) -> str:
    """The name a host's key is kept under: its alias, the host, or ``[host]:port``."""
    if host.key_alias:
        return host.key_alias
    return host.hostname if host.port == 22 else f"[{host.hostname}]:{host.port}"


def known(host: Host) -> Known:
    """The keys known for ``host``. Files that are missing or unreadable say nothing."""
    name = lookup_name(host)
    found = _read(name, host.known_hosts)
    if found.keys or name == host.hostname or host.key_alias:
        return found
    plain = _read(host.hostname, host.known_hosts)
    return Known(name, plain.keys, found.revoked | plain.revoked, found.authority)


def refusal(host: Host, found: Known, kind: str, blob: bytes) -> HostKeyRefused:
    """The error for a key of type ``kind`` that is not among those ``found``."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    what = f"{host.name} ({host.hostname}:{host.port}) shows a {kind} host key SHA256:{digest}"
    if blob in found.revoked:
        return HostKeyRefused(f"{what}, which is marked @revoked in known_hosts; ask the site")
    same = next((key for key in found.keys if key.kind == kind), None)
    if same is not None:
        return HostKeyRefused(
            f"{what}, not the one known from {same.file}, line {same.line}: the host key has "
            "CHANGED. If the site says it did change it, run "
            f"'ssh-keygen -R {_quoted(found.name)} -f {same.file}', then once: ssh {host.name}"
        )
    if found.authority:
        return HostKeyRefused(
            f"{what}, which is known only by a certificate authority; use --ssh openssh, or "
            f"add the key to {_first(host)}"
        )
    return HostKeyRefused(
        f"{what}, which is not known; run once: ssh {host.name}, to look at the key and accept it"
    )


def _first(host: Host) -> str:
    return str(host.known_hosts[0]) if host.known_hosts else "known_hosts"


def _quoted(name: str) -> str:
    return f'"{name}"' if "[" in name else name


def _read(name: str, paths: Iterable[Path]) -> Known:
    keys: list[KnownKey] = []
    revoked: set[bytes] = set()
    authority = False
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            mark = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < 3 or words[0].startswith("#") or not _names(words[0], name):
                continue
            try:
                blob = base64.b64decode(words[2])
            except (binascii.Error, ValueError):
                continue
            if mark == "@revoked":
                revoked.add(blob)
            elif mark == "@cert-authority":
                authority = True
            elif not mark:
                keys.append(KnownKey(words[1], blob, path, number))
    return Known(name, tuple(keys), frozenset(revoked), authority)


def _names(field: str, name: str) -> bool:
    """Whether the first field of a line means the host ``name``."""
    if field.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in field.split("|")[2:4])
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(hmac.new(salt, name.lower().encode(), "sha1").digest(), digest)
    hit = False
    for pattern in field.lower().split(","):
        bare = pattern.removeprefix("!").replace("[", "[[]")
        if fnmatch.fnmatchcase(name.lower(), bare):
            if pattern.startswith("!"):
                return False
            hit = True
    return hit
