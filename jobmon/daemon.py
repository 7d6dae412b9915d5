"""Going on without a terminal, and asking the one it was started from while it is there.

The process that was called stays as the *terminal*: it shows lines, puts questions, and returns
when told. The work runs in a daemon that detached before it opened anything, since no connection
survives a fork. Between the two goes one JSON object a line, over a socket that has no name.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, TextIO

from jobmon import progress
from jobmon.cluster.links.login import Ask, LoginNeeded, ask_terminal, nobody

Work = Callable[[Ask, Callable[[str], None], Callable[[int], None]], int]
"""(ask, say, ready) -> exit code. ``say`` shows a line on the terminal, ``ready`` ends the
terminal with an exit code while the work goes on."""

DIED = 2
INTERRUPTED = 130
_STOPPING = 30.0  # seconds the work has to end after Ctrl-C


def detach(work: Work, log: Path, ask: Ask = ask_terminal) -> int:
    """Run ``work`` in a daemon and be its terminal until it says ready or ends.

    Returns the exit code for the terminal: that of ``ready``, of the work if it ended before,
    2 if it died (one line names ``log``), 130 after Ctrl-C, which ends the daemon too. What the
    daemon prints, its exit code and the traceback of an error are appended to ``log``. No thread
    may run yet. ``ask`` puts the questions here.
    """
    try:
        target = log.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return _fail(f"{log}: the daemon's log cannot be written: {error.strerror}")
    sys.stdout.flush()
    sys.stderr.flush()
    near, far = socket.socketpair()
    # A Ctrl-C in this moment must not end half of a daemon with a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    first = os.fork()
    if first == 0:
        near.close()
        _become(work, far, target, before)
    far.close()
    target.close()
    with near:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.waitpid(first, 0)  # it makes the daemon and ends
            return _Terminal(near, log, ask).serve()
        except KeyboardInterrupt:
            return INTERRUPTED


class _Terminal:
    """The near end: shows, asks, and waits."""

    def __init__(self, sock: socket.socket, log: Path, ask: Ask) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb")
        self._log = log
        self._ask = ask
        self._pid = 0
        self._steps: dict[str, ExitStack] = {}

    def serve(self) -> int:
        try:
            return self._listen(asking=True)
        except KeyboardInterrupt:
            return self._interrupted()
        finally:
            for step in self._steps.values():
                step.close()

    def _listen(self, asking: bool) -> int:
        for message in _messages(self._reader):
            match message:
                case {"pid": int(pid)}:
                    self._pid = pid
                case {"say": str(line)}:
                    _print(line)
                case {"step": str(words), "begins": bool(begins)}:
                    self._step(words, begins)
                case {"ask": str(prompt), "echo": bool(echo)}:
                    self._answer(prompt, echo, asking)
                case {"ready": int(code)} | {"end": int(code)}:
                    return code
        return _fail(f"the daemon died before it was ready; see {self._log}")

    def _step(self, words: str, begins: bool) -> None:
        self._steps.pop(words, ExitStack()).close()
        if begins:
            self._steps[words] = ExitStack()
            self._steps[words].enter_context(progress.step(words))

    def _answer(self, prompt: str, echo: bool, asking: bool) -> None:
        reply: dict[str, Any] = {"answer": None}
        if asking:
            with suppress(LoginNeeded), progress.aside():
                reply = {"answer": self._ask(prompt, echo)}
        _send(self._sock, reply)

    def _interrupted(self) -> int:
        """End the daemon by SIGTERM and go on listening, for what it says at its end."""
        with suppress(KeyboardInterrupt, TimeoutError):
            _send(self._sock, {"answer": None})  # if it waits for one
            if self._pid:
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGTERM)
            until = time.monotonic() + _STOPPING
            self._sock.settimeout(_STOPPING)
            for message in _messages(self._reader):
                match message:
                    case {"say": str(line)}:
                        _print(line)
                    case {"ask": _}:
                        _send(self._sock, {"answer": None})
                    case {"end": _}:
                        break
                if time.monotonic() > until:
                    break
        return INTERRUPTED


class _Relay:
    """The far end: what the work is given to talk to the terminal with. Any thread may."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock: socket.socket | None = sock
        self._reader = sock.makefile("rb")
        self._asking = threading.Lock()
        self._sending = threading.Lock()

    def ask(self, prompt: str, echo: bool) -> str:
        """Raises LoginNeeded once the terminal has gone, or where nobody sits before it."""
        with self._asking:
            if not self._tell({"ask": prompt, "echo": echo}):
                raise nobody(prompt)
            reply = next(_messages(self._reader), None)
            answer = reply and reply.get("answer")
            if not isinstance(answer, str):
                raise nobody(prompt)
            return answer

    def say(self, line: str) -> None:
        self._tell({"say": line})

    def step(self, words: str, begins: bool) -> None:
        self._tell({"step": words, "begins": begins})

    def ready(self, code: int) -> None:
        self._tell({"ready": code})
        self.leave()

    def end(self, code: int) -> None:
        self._tell({"end": code})
        self.leave()

    def begin(self) -> None:
        self._tell({"pid": os.getpid()})

    def leave(self) -> None:
        """Let the terminal go. A question that is open is answered by the end of the file."""
        with self._sending:
            sock, self._sock = self._sock, None
        if sock:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _tell(self, message: dict[str, Any]) -> bool:
        with self._sending:
            return self._sock is not None and _send(self._sock, message)


def _become(work: Work, sock: socket.socket, log: TextIO, mask: set[Any]) -> NoReturn:
    """Turn this forked child into the daemon, work, and end. Never returns to the caller's code."""
    code = DIED
    try:
        _daemonise(sock, log)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        relay = _Relay(sock)
        relay.begin()
        progress.by_terminal_of(relay.step)
        code = _worked(work, relay)
        relay.end(code)
    except BaseException as error:
        traceback.print_exc(file=log)
        log.write(f"{_now()} the daemon ends by {type(error).__name__}\n")
        raise
    finally:  # nothing above this frame is ours: the error is logged and goes no further
        for stream in (sys.stdout, sys.stderr, log):
            with suppress(OSError, ValueError):
                stream.flush()
        logging.shutdown()
        os._exit(code)


def _daemonise(sock: socket.socket, log: TextIO) -> None:
    from daemon import DaemonContext  # noqa: PLC0415

    umask = os.umask(0o077)
    os.umask(umask)
    DaemonContext(
        detach_process=True,
        files_preserve=[sock, log],
        working_directory="/",
        umask=umask,
        prevent_core=False,
        signal_map={},
        stdout=log,
        stderr=log,
    ).open()


def _worked(work: Work, relay: _Relay) -> int:
    _note(f"the daemon is process {os.getpid()}")
    try:
        code = work(relay.ask, relay.say, relay.ready)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    _note(f"the daemon ends with exit code {code}")
    return code


def _print(line: str) -> None:
    with progress.aside():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _note(line: str) -> None:
    with suppress(OSError):  # a full disk under the log ends no daemon
        sys.stderr.write(f"{_now()} {line}\n")
        sys.stderr.flush()


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _fail(line: str) -> int:
    sys.stderr.write(f"jobmon: {line}\n")
    return DIED


def _send(sock: socket.socket, message: dict[str, Any]) -> bool:
    try:
        sock.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return False
    return True


def _messages(reader: BinaryIO) -> Iterator[dict[str, Any]]:
    """The JSON objects that come, to the end of the connection."""
    while True:
        try:
            line = reader.readline()
        except (OSError, ValueError):
            return
        if not line.endswith(b"\n"):
            return
        message = json.loads(line)
        if isinstance(message, dict):
            yield message
