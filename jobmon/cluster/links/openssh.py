"""The link over the system's ``ssh``: one ControlMaster, and a client of it for each command.

A client whose master is gone must fail, not log in again without a word (master.py sees to it).
A server that refuses one more channel is known by what the client says of it, and waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from jobmon.cluster.base import ClusterError, ConnectionLost, Spent
from jobmon.cluster.links import child
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.master import Master
from jobmon.cluster.links.sshconfig import Host

COMMANDS = 2  # at once; with an rsync each way that is four channels
_LOST = 255  # ssh's own exit code for everything that went wrong
_FULL = b"session request failed"  # so a client says that the server refused one more channel


class OpensshLink:
    """A ``Link`` (see ``cluster.base``)."""

    def __init__(self, host: Host, ask: Ask, config: Path | None, port: int | None) -> None:
        self.where = host.where
        self._host = host
        self._ask = ask
        self._config = config
        self._port = port
        self._master: Master | None = None
        self._places = threading.BoundedSemaphore(COMMANDS)
        self._login = threading.Lock()
        self._count = threading.Lock()
        self._attempts = 0
        self._failed: ClusterError | None = None
        self._closed = False
        self._logins = 0
        self._channels = 0

    def open(self) -> None:
        self._closed = False
        self._connected()

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        until = time.monotonic() + limit
        if not self._places.acquire(timeout=limit):
            raise ConnectionLost(
                f"{self.where}: {COMMANDS} commands were still running after {limit:g} s"
            )
        try:
            yield from self._stream(command, stdin, limit, until)
        finally:
            self._places.release()

    def rsync_shell(self) -> tuple[list[str], str]:
        master = self._connected()
        self._spend()
        return master.client(), "cluster:"

    def spent(self) -> Spent:
        with self._count:
            return Spent(self._logins, self._channels)

    def close(self) -> None:
        """End everything; a thread that still uses the link gets ConnectionLost."""
        self._closed = True
        waited = self._login.acquire(timeout=5)  # a person may sit before a prompt for ever
        master, self._master = self._master, None
        if waited:
            self._login.release()
        if master:
            master.close()

    def _stream(self, command: str, stdin: bytes, limit: float, until: float) -> Iterator[bytes]:
        pause = 0.05
        while True:
            master = self._connected()
            self._spend()
            code, said = yield from self._once(master, command, stdin, limit)
            if code != _LOST:
                return
            if not master.check():
                self._drop(master)
                raise ConnectionLost(f"{self.where}: the connection broke during a command")
            if _FULL not in said:
                return  # the command's own exit code
            if time.monotonic() + pause > until:
                raise ConnectionLost(
                    f"{self.where}: the server opened no channel within {limit:g} s; its "
                    "MaxSessions may be used up"
                )
            time.sleep(pause)
            pause = min(2.0, pause * 1.6)

    def _once(
        self, master: Master, command: str, stdin: bytes, limit: float
    ) -> Generator[bytes, None, tuple[int, bytes]]:
        """Run the command by a client of its own: the exit code, and what the client said."""
        with master.log() as log:
            words = [*master.client(), "-E", str(log), "--", "cluster", command]
            try:
                code = yield from child.stream(words, stdin, limit, self.where)
            except ConnectionLost:
                self._drop(master)
                raise
            return code, log.read_bytes() if code == _LOST and log.exists() else b""

    def _spend(self) -> None:
        with self._count:
            self._channels += 1

    def _drop(self, master: Master) -> None:
        """Let go of a master that does not answer any more; a living one is kept."""
        if master.check():
            return
        with self._login:
            if self._master is master:
                self._master = None
        master.close()

    def _connected(self) -> Master:
        """The master, started now if there is none.

        Of several threads that find it dead, one logs in and the others share its result.
        """
        master, attempts = self._master, self._attempts
        if master and master.alive():
            return master
        with self._login:
            if self._closed:
                raise ConnectionLost(f"{self.where}: the connection was closed here")
            if self._master and self._master.alive():
                return self._master
            if self._attempts != attempts and self._failed:
                raise type(self._failed)(*self._failed.args)
            if self._master:
                self._master.close()
                self._master = None
            self._attempts += 1
            try:
                self._master = Master(self._host, self._ask, self._config, self._port)
            except ClusterError as error:
                self._failed = error
                raise
            self._failed = None
            with self._count:
                self._logins += 1
            return self._master
