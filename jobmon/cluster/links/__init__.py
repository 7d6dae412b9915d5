"""The ways to a cluster. ``connect`` chooses one; nothing is opened before it is used.

Paramiko and Fabric are heavy: they are imported when a link of theirs is made, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from jobmon.cluster.base import Link, LoginFailed
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.sshconfig import Remote, parse_remote, resolve

LOCAL = "local"


def connect(
    remote: str,
    *,
    user: str | None,
    ssh: Literal["fabric", "openssh"],
    ssh_config: Path | None,
    ask: Ask,
) -> Link:
    """A link to ``remote``: ``[user@]host[:port]``, an alias, or ``local`` for this machine.

    ``ssh_config`` takes the place of the person's own SSH configuration. Raises LoginFailed if
    the name or the configuration cannot be understood.
    """
    if remote == LOCAL:
        from jobmon.cluster.links.local import LocalLink  # noqa: PLC0415

        return LocalLink()
    named = parse_remote(remote)
    if user and named.user and user != named.user:
        raise LoginFailed(f"--remote says user {named.user}, --user says {user}: give one of them")
    config = ssh_config.expanduser().absolute() if ssh_config else None
    host = resolve(Remote(named.host, named.user or user, named.port), config)
    if ssh == "openssh":
        from jobmon.cluster.links.openssh import OpensshLink  # noqa: PLC0415

        return OpensshLink(host, ask, config, named.port)
    from jobmon.cluster.links.fabric import FabricLink  # noqa: PLC0415

    return FabricLink(host, ask, config)
