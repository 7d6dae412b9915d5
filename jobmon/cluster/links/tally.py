"""What a link has cost so far, counted where it is spent; any thread may add to it."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from contextlib import closing

from jobmon.cluster.base import Spent


class Tally:
    """A ``Spent`` that grows."""

    def __init__(self) -> None:
        self._spent = Spent()
        self._lock = threading.Lock()

    def add(self, more: Spent) -> None:
        with self._lock:
            self._spent += more

    def heard(self, chunks: Generator[bytes, None, object]) -> Iterator[bytes]:
        """Pass on what is heard, and count its bytes."""
        with closing(chunks):
            for chunk in chunks:
                self.add(Spent(received=len(chunk)))
                yield chunk

    def spent(self) -> Spent:
        with self._lock:
            return self._spent


def asked(command: str, stdin: bytes) -> Spent:
    """The cost of a channel on which this is asked for, before anything is heard."""
    return Spent(channels=1, sent=len(command.encode("utf-8", "surrogateescape")) + len(stdin))
