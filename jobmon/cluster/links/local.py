"""The link to this machine: ``/bin/sh`` and no login; rsync reaches the twin as a folder."""

from __future__ import annotations

import getpass
import socket
import threading
from collections.abc import Iterator

from jobmon.cluster.base import ConnectionLost, Spent
from jobmon.cluster.links import child


class LocalLink:
    """A ``Link`` (see ``cluster.base``)."""

    def __init__(self) -> None:
        self.where = f"{getpass.getuser()}@{socket.gethostname()}"
        self._channels = 0
        self._count = threading.Lock()
        self._closed = threading.Event()

    def open(self) -> None:
        self._closed.clear()

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        with self._count:
            self._channels += 1
        if self._closed.is_set():
            raise ConnectionLost(f"{self.where}: the connection was closed here")
        argv = ["/bin/sh", "-c", command]
        yield from child.stream(argv, stdin, limit, self.where, self._closed)

    def rsync_shell(self) -> None:
        return None

    def spent(self) -> Spent:
        return Spent(0, self._channels)

    def close(self) -> None:
        """Whoever still listens gets ConnectionLost; what runs ends by itself."""
        self._closed.set()
