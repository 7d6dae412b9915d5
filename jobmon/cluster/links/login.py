"""Asking a person what a login wants to know.

An ``Ask`` is handed down from whoever has a terminal: the foreground command asks its own, the
daemon relays to the one it was started from. No connection opens a terminal by itself.
"""

from __future__ import annotations

import os
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobmon.cluster.base import LoginFailed
from jobmon.core.text import printable

Ask = Callable[[str, bool], str]
"""(prompt, echo) -> the answer without its newline. Raises LoginNeeded if nobody is there."""


class LoginNeeded(LoginFailed):
    """The login wants an answer and nobody is there to give it."""


def nobody(prompt: str) -> LoginNeeded:
    """The error for a question that no person can see."""
    return LoginNeeded(
        f"the login asks {printable(prompt)!r} and nobody is there to answer; "
        "start jobmon again from a terminal, or load the key into ssh-agent"
    )


def ask_terminal(prompt: str, echo: bool) -> str:
    """Ask on this process's terminal, with typing hidden unless ``echo``.

    Raises LoginNeeded without a terminal, in the background of one (reading it would stop the
    process), and at its end of file.
    """
    try:
        tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise nobody(prompt) from None
    try:
        if os.tcgetpgrp(tty) != os.getpgrp():
            raise nobody(prompt)
        # Typing is hidden before the prompt shows: what is typed at once must not be seen.
        with _quiet(tty, echo):
            os.write(tty, _one_line(prompt).encode("utf-8", "replace"))
            answer = _read_line(tty)
            if not echo:
                os.write(tty, b"\n")
    except (OSError, termios.error):
        raise nobody(prompt) from None
    finally:
        os.close(tty)
    if answer is None:
        raise nobody(prompt)
    return answer


def _one_line(prompt: str) -> str:
    """The server's words without control codes, and with one space behind them."""
    return printable(prompt) + " "


def _read_line(tty: int) -> str | None:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(tty, 4096)
        if not piece:
            return None
        line += piece
    return line.rstrip(b"\r\n").decode("utf-8", "replace")


@contextmanager
def _quiet(tty: int, echo: bool) -> Iterator[None]:
    if echo:
        yield
        return
    before = termios.tcgetattr(tty)
    hidden = termios.tcgetattr(tty)
    hidden[3] &= ~termios.ECHO
    termios.tcsetattr(tty, termios.TCSAFLUSH, hidden)
    try:
        yield
    finally:
        termios.tcsetattr(tty, termios.TCSAFLUSH, before)
