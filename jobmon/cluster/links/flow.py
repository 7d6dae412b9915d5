"""Moving bytes through one Paramiko channel without a deadlock, whichever side is slow.

One thread reads, and passes stderr on as it goes, so that it can never fill the window; a second
one, where there is much to send, writes. Silence is measured over all three streams.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator

import paramiko

from jobmon.cluster.base import ConnectionLost, Silent

CHUNK = 1 << 18
ALL = 1 << 24  # Paramiko would move what a smaller piece leaves, each time
SMALL = 1 << 15  # less than any server's first window: sent without waiting
TICK = 0.5  # seconds between looks at stderr where stdout is silent


class Silence:
    """Since when nothing has moved."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def broken(self) -> None:
        self._last = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self._last


def read(
    channel: paramiko.Channel,
    stderr: Callable[[bytes], object],
    silence: Silence,
    limit: float,
    where: str,
) -> Iterator[bytes]:
    """Stdout as it comes, to its end; stderr goes to ``stderr``.

    Raises Silent after ``limit`` seconds of silence, ConnectionLost if there is no proper end.
    """
    channel.settimeout(min(TICK, limit / 4))
    while True:
        try:
            try:
                data = channel.recv(ALL)
            except TimeoutError:
                data = None
            while channel.recv_stderr_ready():
                stderr(channel.recv_stderr(CHUNK))
                silence.broken()
        except (EOFError, paramiko.SSHException) as error:  # reading also sends: more room
            raise ConnectionLost(f"{where}: the connection broke during a command") from error
        if data:
            silence.broken()
            yield data
            silence.broken()  # the reader's own time is no silence
        elif data is not None:
            break
        elif silence.seconds() > limit:
            raise Silent(f"{where}: nothing was heard for {limit:g} s")
    if not channel.eof_received:
        raise ConnectionLost(f"{where}: the connection broke during a command")


def send(
    channel: paramiko.Channel,
    data: bytes,
    moved: Callable[[], object],
    gone: Callable[[], bool] = bool,
) -> bool:
    """Send everything; False if the channel was closed before, or the data's owner is ``gone``."""
    view = memoryview(data)
    while view:
        try:
            sent = channel.send(view[:CHUNK])  # type: ignore[arg-type]
        except TimeoutError:
            if channel.closed or gone():
                return False
            continue
        except (OSError, EOFError, paramiko.SSHException):
            return False
        if not sent:
            return False
        view = view[sent:]
        moved()
    return True


def stream(
    channel: paramiko.Channel, stdin: bytes, limit: float, where: str, *, last: bool = True
) -> Generator[bytes, None, None]:
    """Feed ``stdin`` to a running command and yield its stdout. Raises ConnectionLost.

    ``last``: it is told no more after that; else the channel is left as it is at the end.
    """
    silence = Silence()

    def feed() -> None:
        if send(channel, stdin, silence.broken) and last:
            shut(channel)

    feeder: threading.Thread | None = None
    channel.settimeout(min(TICK, limit / 4))
    if len(stdin) <= SMALL:
        feed()
    else:
        feeder = threading.Thread(target=feed, name="jobmon-stdin", daemon=True)
        feeder.start()
    try:
        yield from read(channel, len, silence, limit, where)
    finally:
        if last:
            close(channel)
        if feeder:
            feeder.join(5)


def shut(channel: paramiko.Channel) -> None:
    """Say the end of stdin, if there is still anybody to hear it."""
    try:
        channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        close(channel)


def close(channel: paramiko.Channel) -> None:
    """Close it; Paramiko tells the server, and raises EOFError where there is none any more."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.close()
