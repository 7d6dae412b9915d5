"""Exactly-once: the protocol between the journal here and the record on the cluster.

The promise: an attempt (key, n) reaches the batch system at most once, and a new attempt is
made only when it is proven that the last one never can.

The record is a folder of the twin, ``.jobmon/record/``, with a file for each attempt, named by
a hash of the key and by n. Creating that file exclusively is the *claim*: whoever creates it,
and nobody else, ever decides what becomes of the attempt.

1. The journal says ``submitting KEY n``, flushed, before the cluster hears of it.
2. ``submit.sh`` claims (key, n) before all else, so that what it passes over nobody else can win
   (a copy of the run folder may be at work, too), sees that it has time and that the script is
   ours, checks the dependencies once more where the files are made,
   removes the marker of an earlier attempt, calls the submit command, and writes exit code and
   output into the record, which ends in a line ``end``. It asks the cluster's clock right before
   each submission and does nothing after its time, so a loop that wakes up late is harmless;
   and it would be harmless without that, because of the claim. The sums of a few scripts are
   read by one process before their claims: that a script is ours is about an edit over there,
   which can come between any reading of it and the batch system's own anyhow.
3. The answer, or the record read at any later time, says ``started KEY n JOBID``.

Recovery needs no knowledge of whether the old loop lives: it claims the same attempt.
*Won*: the loop can never submit it, n + 1 is safe. *Lost*, and the record is whole: that is the
answer. *Lost*, not whole: the loop is at it just now, or died between the claim and the last
line. Then the attempt is looked up in the listing and the accounting by its token, or by its
place where the system has none (``lookup.py``); what is found is adopted. Found nothing: unclear,
and never submitted again unasked.

The one window: a login node that dies after the batch system accepted and before one line was
written, on a system that does not show the job. That is said (``unclear``), not guessed at.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from jobmon.cluster.base import Batch, LookFailed, Step
from jobmon.core.model import (
    Answer,
    Attempt,
    Differs,
    Key,
    Marked,
    Need,
    NotRun,
    Unclear,
)
from jobmon.core.text import printable

LOOP_SECONDS = 60
"""How long a submitting loop may go on, by the cluster's clock."""

CLOCK = "/proc/uptime"
"""A file over there that begins with a count of seconds, read without a process; else ``date``."""

SUMS = 16
"""How many scripts' sums are read at once: that many submissions are the age of the last one."""

GIVEN_UP = NotRun("was given up before it reached the batch system")
"""The answer of a recovery that won the claim."""

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt to be submitted, with all that the loop over there must know.

    ``again``: an earlier attempt may have run, so that a marker found is that one's.
    """

    attempt: Attempt
    folder: str
    script: str
    text: bytes
    marker: str
    needs: tuple[Need, ...]
    again: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the record: the attempt's job, and the answer if it is whole."""

    name: str
    key: Key | None
    lines: tuple[str, ...]
    whole: bool


def record_name(attempt: Attempt) -> str:
    """The record file of an attempt: a key may be longer than a file name can be."""
    return f"{_digest(attempt.key)}.{attempt.n}"


def _digest(key: Key) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def token(run_id: str, attempt: Attempt) -> str:
    """What identifies an attempt in the batch system, where that has a place for it."""
    return f"{run_id}-{record_name(attempt)}"


def cksum(data: bytes) -> str:
    """What POSIX ``cksum`` prints for ``data``: CRC and length.

    Its CRC is the mirror image of zlib's, over the data and then the length, without the
    first inversion (IEEE Std 1003.1, cksum).
    """
    length = len(data).to_bytes((len(data).bit_length() + 7) // 8, "little")
    mirrored = (data + length).translate(_REVERSED)
    crc = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return f"{int(f'{crc:032b}'[::-1], 2) ^ 0xFFFFFFFF} {len(data)}"


def steps(orders: Sequence[tuple[Order, Sequence[str]]]) -> Iterator[Step]:
    """What ``submit.sh`` does for these attempts, each with the command that submits it."""
    for first in range(0, len(orders), SUMS):
        some = orders[first : first + SUMS]
        yield ["v", *(f"{order.folder or '.'}/{order.script}" for order, _ in some)]
        for order, command in some:
            yield from _attempt(order, command)


def _attempt(order: Order, command: Sequence[str]) -> Iterator[Step]:
    name, job = record_name(order.attempt), order.attempt.key
    ours = [order.folder or ".", order.script, cksum(order.text), order.marker]
    yield ["r", name, job, *ours, "again" if order.again else "new"]
    for absent, needs in groupby(order.needs, key=attrgetter("absent")):
        yield ["z" if absent else "n", *(need.path for need in needs)]
    yield ["g", *command]


def submit_answers(
    lines: Iterator[bytes], by_name: Mapping[str, Attempt], batch: Batch
) -> Iterator[tuple[Attempt, Answer | None]]:
    """The answers of ``submit.sh`` as they come; None where somebody else has the claim."""
    for line in lines:
        if not line.startswith(b"\0did "):
            continue
        name, _, what = text(line[5:]).partition(" ")
        output = said(lines) if what.startswith("ran ") else ""
        if name in by_name:
            yield by_name[name], _meaning(what, output, batch)


def entries(lines: Iterator[bytes]) -> Iterator[tuple[str, Entry | None]]:
    """What ``recover.sh`` says of each record: (name, None) where the claim was won.

    Raises LookFailed if not all that was asked for was answered.
    """
    whole = False
    for line in lines:
        if line.startswith(b"\0won "):
            yield text(line[5:]), None
        elif line.startswith(b"\0record "):
            name = text(line[8:])
            body = said(lines).rstrip("\n").split("\n")
            key = Key(body[0].removeprefix("key ")) if body[0].startswith("key ") else None
            if key is not None and not name.startswith(f"{_digest(key)}."):
                key = None  # torn: another job may be called so
            ended = body[-1] == "end" and len(body) > 2
            yield name, Entry(name, key, tuple(body[1:-1] if ended else body[1:]), ended)
        elif line == b"\0whole":
            whole = True
    if not whole:
        raise LookFailed("half an answer of the remote record; it is left out")


def entry_answer(entry: Entry, batch: Batch) -> Answer | None:
    """The answer that a record holds; None if it is not whole."""
    if not entry.whole:
        return None
    return _meaning(entry.lines[0], "\n".join(entry.lines[1:]), batch)


def _meaning(what: str, output: str, batch: Batch) -> Answer | None:
    word, _, rest = what.partition(" ")
    match word:
        case "ran" if rest.isascii() and rest.isdigit():
            return batch.accepted(int(rest), output)
        case "lost":
            return None
        case "marked":
            return Marked()
        case "unmet":
            return NotRun(f"{rest} changed meanwhile")
        case "differs":
            return Differs()
        case "late":
            return NotRun("the loop's time was over")
        case "recovered":
            return GIVEN_UP
        case "unwritable":
            return NotRun("the record on the cluster cannot be written (quota? disk full?)")
    return Unclear(f"the record says: {printable(what)}")


def said(lines: Iterator[bytes]) -> str:
    """The lines up to the frame's ``said``, as text."""
    body = []
    for line in lines:
        if line == b"\0said":
            break
        body.append(text(line))
    return "\n".join(body)


def text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
