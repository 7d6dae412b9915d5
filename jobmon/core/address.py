"""How a person names the host to log in to: ``[user@]host[:port]``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOST = re.compile(r"\[([^\]]+)\](?::(\d+))?|([^:\[\]]+)(?::(\d+))?|([0-9A-Fa-f:.%]+)")
_STRANGE = re.compile(r"[\s\0-\x1f\x7f'\"`$\\;&<>|(){}/]")


@dataclass(frozen=True, slots=True)
class Remote:
    """A host as far as the person named it; it may be an alias of the SSH configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{user}{host}" + (f":{self.port}" if self.port else "")


def parse_remote(text: str) -> Remote:
    """Take ``[user@]host[:port]`` apart, IPv6 as ``[::1]:22``. Raises ValueError."""
    plain = text.removeprefix("ssh://").rstrip("/") if text.startswith("ssh://") else text
    user, at, rest = plain.rpartition("@")
    found = _HOST.fullmatch(rest)
    host = found and (found[1] or found[3] or found[5])
    port = found and (found[2] or found[4])
    strange = _STRANGE.search(plain) or plain.startswith("-") or rest.startswith("-")
    if not host or strange or (at and not user) or ":" in user:
        raise ValueError(f"{text!a} is no [user@]host[:port]")
    if port and not 0 < int(port) < 65536:
        raise ValueError(f"{text!a}: a port is a number from 1 to 65535")
    return Remote(host, user or None, int(port) if port else None)
