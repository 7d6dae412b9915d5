"""The ways to a cluster. ``connect`` chooses one; nothing is opened before it is used.

Paramiko and Fabric are heavy: they are imported when a link of theirs is made, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from jobmon.cluster.base import Link
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.sshconfig import resolve
from jobmon.core.address import Remote


def connect(
    remote: Remote | None,
    *,
    ssh: Literal["fabric", "openssh"],
    ssh_config: Path | None,
    ask: Ask,
) -> Link:
    """A link to ``remote``, None for this machine.

    ``ssh_config`` takes the place of the person's own SSH configuration. Raises LoginFailed if
    the configuration cannot be understood.
    """
    if remote is None:
        from jobmon.cluster.links.local import LocalLink  # noqa: PLC0415

        return LocalLink()
    config = ssh_config.expanduser().absolute() if ssh_config else None
    host = resolve(remote, config)
    if ssh == "openssh":
        from jobmon.cluster.links.openssh import OpensshLink  # noqa: PLC0415

        return OpensshLink(host, ask, config, remote.port)
    from jobmon.cluster.links.fabric import FabricLink  # noqa: PLC0415

    return FabricLink(host, ask, config)
