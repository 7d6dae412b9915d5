"""The link over the system's ``ssh``: one ControlMaster, and a client of it for each command.

A client whose master is gone must fail, not log in again without a word (master.py sees to it).
A server that refuses one more channel is known by what the client says of it, and waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

from jobmon.cluster import clean
from jobmon.cluster.base import ConnectionLost, Spent
from jobmon.cluster.links import child
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.master import Master
from jobmon.cluster.links.single import Single
from jobmon.cluster.links.sshconfig import Host
from jobmon.cluster.links.tally import asked

COMMANDS = 2  # at once; with an rsync each way that is four channels
_LOST = 255  # ssh's own exit code for everything that went wrong
_FULL = b"session request failed"  # so a client says that the server refused one more channel


class OpensshLink:
    """A ``Link`` (see ``cluster.base``)."""

    def __init__(self, host: Host, ask: Ask, config: Path | None, port: int | None) -> None:
        self.where = host.where
        self._places = threading.BoundedSemaphore(COMMANDS)
        self._single = Single(self.where, lambda: Master(host, ask, config, port))

    def open(self) -> None:
        self._single.reopen()

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        until = time.monotonic() + limit
        if not self._places.acquire(timeout=limit):
            raise ConnectionLost(
                f"{self.where}: {COMMANDS} commands were still running after {limit:g} s"
            )
        try:
            yield from self._single.tally.heard(self._stream(command, stdin, limit, until))
        finally:
            self._places.release()

    def shell(self, limit: float) -> None:
        return None

    def rsync_shell(self, mark: str = "") -> tuple[list[str], str]:
        master = self._single.get()
        self._single.tally.add(Spent(channels=1))
        return clean.shell(mark, master.client()), "cluster:"

    def spent(self) -> Spent:
        return self._single.tally.spent()

    def close(self) -> None:
        """End everything; a thread that still uses the link gets ConnectionLost."""
        self._single.close()

    def _stream(
        self, command: str, stdin: bytes, limit: float, until: float
    ) -> Generator[bytes, None, None]:
        pause = 0.05
        while True:
            master = self._single.get()
            self._single.tally.add(asked(command, stdin))
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

    def _drop(self, master: Master) -> None:
        """Let go of a master that does not answer any more; a living one is kept."""
        if not master.check():
            self._single.drop(master)
