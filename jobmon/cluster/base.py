"""What a connection and a batch system are to the rest of the program, and how they fail.

A ``Link`` moves bytes and knows no job. A ``Batch`` turns text into values and knows no
connection. Text that runs on the cluster is always a whole file of ``sh/``; ``call`` sends it.

The frame of a call. The remote login shell may be anything and may print anything, so it is
only asked to ``exec /bin/sh`` on a program that comes on standard input: a file of ``sh/``, its
``main``, and the steps asked for, each a call of one of the file's functions. The program is one
brace group, which a shell reads to its end before it does any of it: a connection that dies in
the middle starts nothing. Steps are program text because a shell reads data byte by byte, a system
call each. Answers are the lines between a BEGIN and an END that carry a random word; no END, no
answer. A shell that is kept for all looks (``kept.py``) is asked in the same way.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol

from jobmon.core.model import Answer, JobID, Phase, Verdict
from jobmon.core.text import printable


class ClusterError(Exception):
    """Something over there did not work; the message says what, where and what next."""


class ConnectionLost(ClusterError):
    """The connection broke, or could not be made, for a reason that may pass by itself."""


class Silent(ConnectionLost):
    """Nothing was heard for too long; the connection itself may be well."""


class LoginFailed(ClusterError):
    """The host refused us, or its key is not the known one; waiting will not mend it."""


class HostKeyRefused(LoginFailed):
    """The host shows a key that is not the known one, or none is known."""


class LookFailed(ClusterError):
    """An answer was not whole or not understood. A look that failed is no look."""


class NotBegun(LookFailed):
    """The answer did not even begin: nobody can tell that the question was heard."""


class TwinLost(ClusterError):
    """The run's folder on the cluster is missing or belongs to another run."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was asked of the cluster so far; ``sent`` and ``received`` are bytes inside SSH."""

    logins: int = 0
    channels: int = 0
    sent: int = 0
    received: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.logins + other.logins,
            self.channels + other.channels,
            self.sent + other.sent,
            self.received + other.received,
        )


class Shell(Protocol):
    """A ``/bin/sh`` on the cluster that reads what it is told until it is closed."""

    def alive(self) -> bool: ...

    def say(self, program: bytes, limit: float) -> Iterator[bytes]:
        """Tell it, and yield its stdout as it comes; the listener knows where the answer ends.

        Ends where the shell does. stderr is dropped. Raises ConnectionLost, and Silent where
        nothing was heard for ``limit`` seconds.
        """

    def close(self) -> None: ...


class Link(Protocol):
    """A way to run a program on the cluster and to reach it by rsync."""

    where: str  # user@host, for people

    def open(self) -> None:
        """Connect, asking the person what the login wants; does nothing if connected.

        Raises ConnectionLost or LoginFailed.
        """

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        """Run ``command`` by the login shell with ``stdin``; yield its stdout as it comes.

        ``limit`` is the longest silence in seconds. stderr is dropped; the exit code does not
        matter, since the frame carries its own end. Opens the connection if it is not open.
        Raises ConnectionLost. Closing the iterator ends the channel.
        """

    def shell(self, limit: float) -> Shell | None:
        """A shell of its own channel, opened within ``limit`` seconds; None where a channel is not
        to be held all the time. Opens the connection if it is not open. Raises as ``stream``."""

    def rsync_shell(self, mark: str = "") -> tuple[list[str], str] | None:
        """The words of rsync's ``-e`` and the host part before the path (``"cluster:"``).

        What comes up to and including ``mark`` is dropped: rsync would take for its protocol what
        a login shell prints unasked.
        Opens the connection if it is not open; ask for each rsync anew, as a reconnect changes
        them. None where the twin is reached as a folder of this machine. Raises as ``open``.
        """

    def spent(self) -> Spent: ...

    def close(self) -> None: ...


class Batch(Protocol):
    """One batch system: text in, values out. ``user`` is the account on the cluster."""

    name: str

    def list_command(self, user: str) -> list[str]: ...

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        """Whose jobs are in the system. Raises LookFailed for text that is no whole listing.

        An ID that the listing may have cut ends in ``*``: see ``uncut`` of ``core/settle.py``.
        """

    def submit_command(self, script: str, token: str) -> list[str]:
        """The command that submits; the script's file name is put behind it.

        ``script`` is its text, for directives that decide which options are wanted; ``token``
        names the attempt where the system has a harmless place for it.
        """

    def accepted(self, code: int, text: str) -> Answer:
        """What an exit code and an output (stdout and stderr) of the submit command mean."""

    def find_commands(self, user: str) -> list[list[str]]:
        """Commands whose outputs together show tokens beside IDs, ended jobs where possible."""

    def find(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[str, JobID]:
        """Token -> ID, from the (exit code, stdout, stderr) of each of ``find_commands``.

        Raises LookFailed where a needed answer is not whole.
        """

    def place_commands(
        self, outputs: Sequence[tuple[int, str, str]], known: Set[JobID]
    ) -> list[list[str]]:
        """Of a system that has no place for a token: what to ask about the jobs that the outputs
        of ``find_commands`` show and that are not ``known``. Nothing for other systems."""

    def places(
        self, asked: Sequence[Sequence[str]], outputs: Sequence[tuple[int, str, str]]
    ) -> Mapping[JobID, str]:
        """ID -> the script's absolute path, from what ``place_commands`` asked and its outputs.

        Raises LookFailed where one of them is not whole.
        """

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        """Commands that ask what became of one job."""

    def verdict(self, jobid: JobID, outputs: Sequence[tuple[int, str, str]]) -> Verdict:
        """What the outputs of ``confirm_commands`` prove. Silence and exit 0 prove nothing."""

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]: ...


Step = Sequence[str]
"""A function of a file of ``sh/``, and its arguments."""

SHORT, LONG = "exec /bin/sh", "exec /bin/sh -c 'eval \"$(cat)\"'"
"""What a login shell is asked for, whatever shell it is. The first saves a process; but bash reads
a program from a pipe byte by byte."""

BYTEWISE = 6000
"""Bytes of a program for which bash takes as long as another process would to read it at once."""


LOCALE = "lc_all=${LC_ALL-}; LC_ALL=C; export LC_ALL"
"""What stands before every program: what other programs say is to be read by us."""


def frame(proc: str, args: Sequence[str], token: str, steps: Iterable[Step] = ()) -> bytes:
    """The program text of one call of ``sh/<proc>.sh``, as one brace group."""
    return encoded(
        f"{{ {LOCALE}; {begin(token)}\n{body(proc)}{question(args, token, steps)}; exit; }}\n"
    )


def begin(token: str) -> str:
    """The command that begins an answer."""
    return f"printf '\\n%s BEGIN\\n' {token}"


def question(args: Sequence[str], token: str, steps: Iterable[Step]) -> str:
    """What calls the functions of a file of ``sh/`` and ends the answer."""
    does = "".join(f"{shlex.join(step)}\n" for step in steps)
    called = f"if main {shlex.join([token, *args])}; then :\n{does}fi"
    return f"{called}; printf '\\n%s END\\n' {token}"


def encoded(program: str) -> bytes:
    """A program as it is sent."""
    return program.encode("utf-8", "surrogateescape")


@cache
def body(proc: str) -> str:
    """``sh/<proc>.sh`` and what stands before each, without what only people read."""
    folder = files("jobmon.cluster").joinpath("sh")
    both = (folder.joinpath(f"{name}.sh") for name in ("limit", proc))
    lines = (line.strip() for path in both for line in path.read_text(encoding="utf-8").split("\n"))
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


def call(
    link: Link, proc: str, args: Sequence[str], steps: Iterable[Step] = (), limit: float = 60.0
) -> Iterator[bytes]:
    """Run ``sh/<proc>.sh`` over there and yield the lines of its answer as they come.

    ``steps`` are done if its ``main`` finds that all is well. A script's own lines that matter
    begin with the frame's word, which is taken off and put back as a NUL byte: no output of
    another program can look like one.

    Raises ConnectionLost if the connection breaks, LookFailed if the answer has no end.
    """
    token = new_token()
    program = frame(proc, args, token, steps)
    command = SHORT if len(program) <= BYTEWISE else LONG
    yield from heard(link.where, proc, token, link.stream(command, program, limit))


def new_token() -> str:
    """The random word of one answer."""
    return "jm" + secrets.token_hex(8)


def heard(where: str, proc: str, token: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The lines of one answer: see ``call``. Raises NotBegun, LookFailed."""
    mark = token.encode()
    begun = False
    noise: list[bytes] = []
    for line, whole in _lines(chunks):
        if not begun:
            begun = line == mark + b" BEGIN"
            noise.append(line[:200])
        elif not whole:
            break
        elif line == mark + b" END":
            return
        elif line.startswith(mark + b" "):
            yield b"\0" + line[len(mark) + 1 :]
        else:
            yield line.lstrip(b"\0")
    said = printable(b" ".join(noise[-3:])) if noise and not begun else ""
    raise (LookFailed if begun else NotBegun)(
        f"{where}: the answer of '{proc}' has no end" + (f"; it said: {said}" if said else "")
    )


def _lines(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Lines, each with whether its end was heard."""
    rest = b""
    for chunk in chunks:
        *ended, rest = (rest + chunk).split(b"\n")
        yield from ((line, True) for line in ended)
    if rest:
        yield rest, False
