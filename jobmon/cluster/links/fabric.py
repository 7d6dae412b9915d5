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
from contextlib import contextmanager
from pathlib import Path

import paramiko

from jobmon.cluster.base import ClusterError, ConnectionLost, Spent
from jobmon.cluster.links import flow
from jobmon.cluster.links.dial import PACKET, WINDOW, Line, dial
from jobmon.cluster.links.login import Ask
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
        self._host = host
        self._ask = ask
        self._config = config
        self._line: Line | None = None
        self._tunnel: Tunnel | None = None
        self._places = threading.BoundedSemaphore(CHANNELS)
        self._login = threading.Lock()  # held while a person may be asked
        self._opening = threading.Lock()
        self._count = threading.Lock()
        self._attempts = 0
        self._failed: ClusterError | None = None
        self._closed = False
        self._logins = 0
        self._channels = 0

    def open(self) -> None:
        self._closed = False
        self._transport()

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        with self._session(command.encode("utf-8", "surrogateescape"), limit) as channel:
            yield from flow.stream(channel, stdin, limit, self.where)

    def rsync_shell(self) -> tuple[list[str], str]:
        """Opens the connection first: an rsync can only say that it broke, not why."""
        self._transport()
        with self._login:
            if self._tunnel and not self._tunnel.alive():
                self._tunnel.close()
                self._tunnel = None
            if self._tunnel is None:
                self._tunnel = Tunnel(
                    lambda command: self._session(command, RSYNC_LIMIT), self.where
                )
            socket = str(self._tunnel.path)
        return [sys.executable, "-S", "-E", str(_BRIDGE), socket], "cluster:"

    def spent(self) -> Spent:
        with self._count:
            return Spent(self._logins, self._channels)

    def close(self) -> None:
        """End everything; a thread that still uses the link gets ConnectionLost."""
        self._closed = True
        waited = self._login.acquire(timeout=5)  # a person may sit before a prompt for ever
        tunnel, self._tunnel = self._tunnel, None
        line, self._line = self._line, None
        if waited:
            self._login.release()
        if tunnel:
            tunnel.close()
        if line:
            line.close()

    def _transport(self) -> paramiko.Transport:
        """The open connection, made now if there is none.

        Of several threads that find it dead, one logs in and the others share its result.
        """
        line, attempts = self._line, self._attempts
        if line and line.transport.is_active():
            return line.transport
        with self._login:
            if self._closed:
                raise ConnectionLost(f"{self.where}: the connection was closed here")
            if self._line and self._line.transport.is_active():
                return self._line.transport
            if self._attempts != attempts and self._failed:
                raise type(self._failed)(*self._failed.args)
            if self._line:
                self._line.close()
                self._line = None
            self._attempts += 1
            try:
                self._line = dial(self._host, self._ask, self._config)
            except ClusterError as error:
                self._failed = error
                raise
            self._failed = None
            with self._count:
                self._logins += self._line.logins
            return self._line.transport

    @contextmanager
    def _session(self, command: bytes, limit: float) -> Iterator[paramiko.Channel]:
        """A channel that runs ``command``; it is closed, and its place free, at the end."""
        self._transport()  # a person may take long to let us in; that is no silence
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
                channel.close()
        finally:
            self._places.release()

    def _channel(self, until: float, limit: float) -> paramiko.Channel:
        pause = 0.05
        while True:
            transport = self._transport()
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
                time.sleep(pause)
                pause = min(2.0, pause * 1.6)
                continue
            with self._count:
                self._channels += 1
            return channel

    def _run(self, channel: paramiko.Channel, command: bytes, limit: float) -> None:
        # Paramiko waits for the answer for ever; closing the channel ends that.
        watch = threading.Timer(limit, channel.close)
        watch.daemon = True
        watch.start()
        try:
            channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ConnectionLost(f"{self.where}: the command was not started: {error}") from error
        finally:
            watch.cancel()


def _rest(until: float, limit: float) -> float:
    """Seconds left, but enough for a slow answer: too little would call a living server dead."""
    return max(min(limit, LEAST), until - time.monotonic())
