"""How a host would be reached, found out without connecting to it: its name and its known keys."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from jobmon.cluster.links import hostkeys
from jobmon.cluster.links.sshconfig import HOPS, Host, gateway, resolve, ring
from jobmon.core.address import Remote


@dataclass(frozen=True, slots=True)
class Reach:
    """``first`` is the hop that this machine itself connects to: the host, or its jump host."""

    host: Host
    first: Host
    addresses: tuple[str, ...]
    trouble: str  # why the name was not resolved
    known: hostkeys.Known


def reach(remote: Remote, config: Path | None) -> Reach:
    """Raises LoginFailed if the SSH configuration cannot be understood."""
    config = config.expanduser().absolute() if config else None
    host = first = resolve(remote, config)
    hops = 0
    while (via := gateway(first, config)) is not None:
        first, hops = via, hops + 1
        if hops > HOPS:
            raise ring(host)
    addresses: tuple[str, ...] = ()
    trouble = ""
    if not first.proxy:
        try:
            found = socket.getaddrinfo(first.hostname, first.port, first.family, socket.SOCK_STREAM)
            addresses = tuple(dict.fromkeys(str(one[4][0]) for one in found))
        except (OSError, UnicodeError) as error:
            trouble = getattr(error, "strerror", None) or str(error)
    return Reach(host, first, addresses, trouble, hostkeys.known(host))
