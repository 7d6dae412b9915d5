"""The link to this machine: ``/bin/sh`` and no login; rsync reaches the twin as a folder."""

from __future__ import annotations

import getpass
import socket
import threading
from collections.abc import Iterator

from jobmon.cluster.base import Spent
from jobmon.cluster.links import child


class LocalLink:
    """A ``Link`` (see ``cluster.base``)."""

    def __init__(self) -> None:
        self.where = f"{getpass.getuser()}@{socket.gethostname()}"
        self._channels = 0
        self._count = threading.Lock()

    def open(self) -> None:
        """There is nothing to open."""

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        with self._count:
            self._channels += 1
        yield from child.stream(["/bin/sh", "-c", command], stdin, limit, self.where)

    def rsync_shell(self) -> None:
        return None

    def spent(self) -> Spent:
        return Spent(0, self._channels)

    def close(self) -> None:
        """There is nothing to close."""
