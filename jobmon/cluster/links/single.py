"""At most one connection at a time, shared by all threads; one login attempt for each need of one.

Of several threads that find the connection dead, one makes a new one and the others share its
result, be it an error: whoever hammers a site is banned. Nothing is tried again in here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from jobmon.cluster.base import ClusterError, ConnectionLost, Spent
from jobmon.cluster.links.tally import Tally


class Connection(Protocol):
    """What is kept: something open, with what it cost to open."""

    @property
    def logins(self) -> int: ...

    def alive(self) -> bool: ...

    def close(self) -> None: ...


C = TypeVar("C", bound=Connection)


class Single(Generic[C]):
    """The one connection to ``where``; ``dial`` makes it, once, or raises ClusterError."""

    def __init__(self, where: str, dial: Callable[[], C]) -> None:
        self._where = where
        self._dial = dial
        self._open: C | None = None
        self._login = threading.Lock()  # held while a person may be asked
        self._attempts = 0
        self._failed: ClusterError | None = None
        self._closed = False
        self.tally = Tally()

    def reopen(self) -> C:
        """The connection, also after ``close``."""
        self._closed = False
        return self.get()

    def get(self) -> C:
        """The connection, made now if there is none that lives."""
        there, attempts = self._open, self._attempts
        if there and there.alive():
            return there
        with self._login:
            self.check()
            if self._open and self._open.alive():
                return self._open
            if self._attempts != attempts and self._failed:
                raise type(self._failed)(*self._failed.args)
            if self._open:
                self._open.close()
                self._open = None
            self._attempts += 1
            try:
                self._open = self._dial()
            except ClusterError as error:
                self._failed = error
                raise
            self._failed = None
            self.tally.add(Spent(logins=self._open.logins))
            return self._open

    def check(self) -> None:
        """Raise ConnectionLost after ``close``."""
        if self._closed:
            raise ConnectionLost(f"{self._where}: the connection was closed here")

    def drop(self, dead: C) -> None:
        """Let go of a connection that does not answer any more."""
        with self._login:
            if self._open is dead:
                self._open = None
        dead.close()

    def close(self) -> None:
        """End it; a thread that still uses it gets ConnectionLost until ``reopen``."""
        self._closed = True
        waited = self._login.acquire(timeout=5)  # a person may sit before a prompt for ever
        there, self._open = self._open, None
        if waited:
            self._login.release()
        if there:
            there.close()
