"""The link over Fabric and Paramiko: one connection and one login for everything.

At most four channels are open at once; one that the server refuses is waited for. A connection
that is found dead is an error for whoever was using it, and the next use makes a new one: one
attempt, never a loop. Any thread may use the link.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import paramiko

from jobmon.cluster.base import SHORT, ConnectionLost, Shell, Spent
from jobmon.cluster.links import flow
from jobmon.cluster.links.dial import PACKET, WINDOW, dial
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.single import Single
from jobmon.cluster.links.sshconfig import Host
from jobmon.cluster.links.tunnel import Tunnel

CHANNELS = 4
RSYNC_LIMIT = 120.0  # seconds until an rsync has its channel
LEAST = 15.0  # seconds for one answer of the server, however much was waited before
_BRIDGE = Path(__file__).with_name("bridge.py")


class FabricLink:
    """A ``Link`` (see ``cluster.base``)."""

    def __init__(self, host: Host, ask: Ask, config: Path | None) -> None:
        self.where = host.where
        self._single = Single(self.where, lambda: dial(host, ask, config))
        self._tunnel: Tunnel | None = None
        self._tunnelling = threading.Lock()
        self._places = threading.BoundedSemaphore(CHANNELS)
        self._opening = threading.Lock()
        self._shell: _Shell | None = None
        self._crowded = False

    def open(self) -> None:
        self._single.reopen()

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        words = command.encode("utf-8", "surrogateescape")
        with self._session(words, limit) as channel:
            self._single.tally.add(Spent(sent=len(words) + len(stdin)))
            yield from self._single.tally.heard(flow.stream(channel, stdin, limit, self.where))

    def shell(self, limit: float) -> Shell | None:
        """See ``Link``; None once the server refused a channel: none is held for looks then."""
        if self._crowded:
            return None
        self._shell = _Shell(self, limit)
        return self._shell

    def rsync_shell(self, mark: str = "") -> tuple[list[str], str]:
        """Opens the connection first: an rsync can only say that it broke, not why."""
        self._single.get()
        with self._tunnelling:
            self._single.check()
            if self._tunnel and not self._tunnel.alive():
                self._tunnel.close()
                self._tunnel = None
            if self._tunnel is None:
                self._tunnel = Tunnel(
                    lambda command: self._session(command, RSYNC_LIMIT), self.where
                )
            socket = str(self._tunnel.path)
        marked = [f"-M{mark}"] if mark else []
        return [sys.executable, "-S", "-E", str(_BRIDGE), socket, *marked], "cluster:"

    def spent(self) -> Spent:
        return self._single.tally.spent()

    def close(self) -> None:
        """End everything; a thread that still uses the link gets ConnectionLost."""
        self._single.close()
        with self._tunnelling:
            tunnel, self._tunnel = self._tunnel, None
        if tunnel:
            tunnel.close()

    @contextmanager
    def _session(self, command: bytes, limit: float) -> Iterator[paramiko.Channel]:
        """A channel that runs ``command``; it is closed, and its place free, at the end."""
        self._single.get()  # a person may take long to let us in; that is no silence
        until = time.monotonic() + limit
        if not self._places.acquire(timeout=limit):
            raise ConnectionLost(
                f"{self.where}: all {CHANNELS} channels were in use for {limit:g} s"
            )
        try:
            channel = self._channel(until, limit)
            try:
                self._run(channel, command, _rest(until, limit))
                yield channel
            finally:
                flow.close(channel)
        finally:
            self._places.release()

    def _channel(self, until: float, limit: float) -> paramiko.Channel:
        pause = 0.05
        while True:
            transport = self._single.get().transport
            try:
                # One at a time: Paramiko keeps only one refusal, whoever it was for.
                with self._opening:
                    channel = transport.open_session(
                        window_size=WINDOW, max_packet_size=PACKET, timeout=_rest(until, limit)
                    )
            except (paramiko.SSHException, EOFError, OSError) as error:
                if not isinstance(error, paramiko.ChannelException):
                    # No answer to the simplest question: it is dead, whatever TCP believes.
                    transport.close()
                    raise ConnectionLost(
                        f"{self.where}: the connection is gone: {error}"
                    ) from error
                if time.monotonic() + pause > until:
                    raise ConnectionLost(
                        f"{self.where}: the server opened no channel within {limit:g} s "
                        f"({error.text}); its MaxSessions may be used up"
                    ) from error
                self._make_room()
                time.sleep(pause)
                pause = min(2.0, pause * 1.6)
                continue
            self._single.tally.add(Spent(channels=1))
            return channel

    def _make_room(self) -> None:
        self._crowded = True
        if self._shell is not None:
            self._shell.give_way()

    def _run(self, channel: paramiko.Channel, command: bytes, limit: float) -> None:
        # Paramiko waits for the answer for ever; closing the channel ends that.
        watch = threading.Timer(limit, flow.close, (channel,))
        watch.daemon = True
        watch.start()
        try:
            channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ConnectionLost(f"{self.where}: the command was not started: {error}") from error
        finally:
            watch.cancel()


class _Shell:
    """A ``Shell`` (see ``cluster.base``) that gives its channel back where there are too few."""

    def __init__(self, link: FabricLink, limit: float) -> None:
        self._link = link
        self._at_work = threading.Lock()
        self._held = ExitStack()
        self._channel = self._held.enter_context(link._session(SHORT.encode(), limit))

    def alive(self) -> bool:
        return not (self._channel.closed or self._channel.eof_received)

    def say(self, program: bytes, limit: float) -> Iterator[bytes]:
        tally = self._link._single.tally
        try:
            with self._at_work:
                if not self.alive():
                    return
                tally.add(Spent(sent=len(program)))
                said = flow.stream(self._channel, program, limit, self._link.where, last=False)
                yield from tally.heard(said)
        finally:
            if self._link._crowded:
                self.close()

    def give_way(self) -> None:
        """Close it, at once or after its answer."""
        if self._at_work.acquire(blocking=False):
            self.close()
            self._at_work.release()

    def close(self) -> None:
        self._held.close()


def _rest(until: float, limit: float) -> float:
    """Seconds left, but enough for a slow answer: too little would call a living server dead."""
    return max(min(limit, LEAST), until - time.monotonic())
