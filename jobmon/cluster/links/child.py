"""A child process of this machine as a stream: bytes in, bytes out, a limit on silence.

It runs in a session of its own, so that Ctrl-C at a terminal does not reach it. When the stream
is closed before its end, it is ended with its whole process group, or left to end by itself.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from jobmon.cluster.base import ConnectionLost

CHUNK = 1 << 18
_PATIENCE = ((signal.SIGTERM, 0.5), (signal.SIGKILL, 2.0))  # each sent after so many seconds


def stream(
    argv: Sequence[str],
    stdin: bytes,
    limit: float,
    where: str,
    closed: threading.Event | None = None,
) -> Generator[bytes, None, int]:
    """Yield stdout to its end; the generator's value is the exit code. stderr is dropped.

    ``closed`` given: once it is set nothing more is waited for, and a program that has not ended
    goes on without its pipes, as one on a cluster does when the connection is gone.
    Raises ConnectionLost if the program cannot be run, or after ``limit`` seconds of silence.
    """
    try:
        child = subprocess.Popen(  # noqa: S603 (no shell; words of this program)
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise ConnectionLost(f"{where}: {argv[0]} cannot be run: {error.strerror}") from error
    try:
        yield from _pump(child, stdin, limit, where, closed)
    finally:
        code = _leave(child) if closed is not None else _end(child)
    return code


def _pump(
    child: subprocess.Popen[bytes],
    stdin: bytes,
    limit: float,
    where: str,
    closed: threading.Event | None,
) -> Iterator[bytes]:
    if child.stdin is None or child.stdout is None:
        raise ValueError("a program without pipes")
    with selectors.DefaultSelector() as both:
        rest = memoryview(stdin)
        if rest:
            os.set_blocking(child.stdin.fileno(), False)
            both.register(child.stdin, selectors.EVENT_WRITE)
        else:
            child.stdin.close()
        both.register(child.stdout, selectors.EVENT_READ)
        until = time.monotonic() + limit
        while True:
            ready = {
                key.fileobj for key, _ in both.select(limit if closed is None else min(limit, 0.5))
            }
            if closed is not None and closed.is_set():
                raise ConnectionLost(f"{where}: the connection was closed here")
            if not ready:
                if time.monotonic() >= until:
                    raise ConnectionLost(f"{where}: nothing was heard for {limit:g} s")
                continue
            until = time.monotonic() + limit
            if child.stdin in ready:
                rest = _feed(child.stdin.fileno(), rest)
                if not rest:
                    both.unregister(child.stdin)
                    child.stdin.close()
            if child.stdout in ready:
                data = os.read(child.stdout.fileno(), CHUNK)
                if not data:
                    return
                yield data


def _feed(fd: int, rest: memoryview) -> memoryview:
    try:
        return rest[os.write(fd, rest[:CHUNK]) :]
    except BlockingIOError:
        return rest
    except OSError:
        return rest[:0]  # it does not want the rest; what it says is still of interest


def _leave(child: subprocess.Popen[bytes]) -> int:
    """Close the pipes and let the program go; ``subprocess`` reaps it when it starts another."""
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()
    try:
        return child.wait(0.5)
    except subprocess.TimeoutExpired:
        return -1


def _end(child: subprocess.Popen[bytes]) -> int:
    """Close the pipes, give it a moment, then end it with all it started."""
    for pipe in (child.stdin, child.stdout):
        if pipe:
            pipe.close()
    for sign, patience in _PATIENCE:
        try:
            return child.wait(patience)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, sign)
    return child.wait()
