"""The link to this machine: ``/bin/sh`` and no login; rsync reaches the twin as a folder."""

from __future__ import annotations

import getpass
import socket
import threading
from collections.abc import Iterator

from jobmon.cluster.base import ConnectionLost, Spent
from jobmon.cluster.links import child
from jobmon.cluster.links.tally import Tally, asked


class LocalLink:
    """A ``Link`` (see ``cluster.base``)."""

    def __init__(self) -> None:
        self.where = f"{getpass.getuser()}@{socket.gethostname()}"
        self._tally = Tally()
        self._closed = threading.Event()

    def open(self) -> None:
        self._closed.clear()

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        self._tally.add(asked(command, stdin))
        if self._closed.is_set():
            raise ConnectionLost(f"{self.where}: the connection was closed here")
        argv = ["/bin/sh", "-c", command]
        yield from self._tally.heard(child.stream(argv, stdin, limit, self.where, self._closed))

    def shell(self, limit: float) -> None:
        return None

    def rsync_shell(self, mark: str = "") -> None:
        return None

    def spent(self) -> Spent:
        return self._tally.spent()

    def close(self) -> None:
        """Whoever still listens gets ConnectionLost; what runs ends by itself."""
        self._closed.set()
