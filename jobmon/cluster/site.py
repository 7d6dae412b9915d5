"""What ``jobmon check`` asks of a cluster. Nothing is submitted or changed there."""

from __future__ import annotations

import secrets
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobmon.cluster import ledger
from jobmon.cluster.base import SHORT, Link, LookFailed, Step, call, frame
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import Wanted
from jobmon.core.site import Site
from jobmon.core.text import printable

TRIPS = 5
"""How many empty calls tell how long a round trip takes."""

LIMIT = 20
"""Seconds that a command over there may take."""


@dataclass(frozen=True, slots=True)
class Room:
    """The nearest folder on the way to the one meant that is ``there``.

    ``bytes`` are free in it, None where ``df`` does not tell; ``run`` is whose twin it is.
    """

    there: str
    writable: bool
    bytes: int | None
    run: str


@dataclass(slots=True)
class Told:
    """The answers to steps of ``check.sh``, in their order; ``files`` by path."""

    room: Room | None = None
    files: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    outputs: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trips:
    """Seconds: of a round trip, and by how much the clock there is ahead of ours."""

    median: float
    ahead: float


def unasked(link: Link) -> bytes:
    """What the remote shell prints before the program that it was asked for begins.

    Raises ConnectionLost, and LookFailed if the program does not begin.
    """
    token = "jm" + secrets.token_hex(8)
    heard = b"".join(link.stream(SHORT, frame("check", [], token), 60.0))
    before, begun, _ = heard.partition(f"\n{token} BEGIN\n".encode())
    if not begun:
        raise LookFailed(
            f"{link.where}: the shell there runs no /bin/sh; it said: "
            f"{printable(before[-300:]) or 'nothing'}"
        )
    return before


def tell(link: Link, steps: Sequence[Step]) -> Told:
    """Do these steps of ``check.sh``. Raises ConnectionLost, LookFailed."""
    told = Told()
    lines = call(link, "check", [], steps, limit=2.0 * LIMIT)
    for line in lines:
        word, _, rest = ledger.text(line[1:] if line[:1] == b"\0" else b"").partition(" ")
        match word:
            case "room":
                can, free, run, there = rest.split(" ", 3)
                room = int(free) * 1024 if free.isdigit() else None
                told.room = Room(there, can == "yes", room, run.removeprefix("-"))
            case "file":
                kind, _, path = rest.partition(" ")
                told.files[path] = kind
            case "command":
                told.commands.append(rest)
            case "says":
                told.outputs.append((int(rest), ledger.said(lines)))
    return told


def trips(link: Link) -> Trips:
    """Make a few empty calls. The clocks are compared by the quickest of them.

    Raises ConnectionLost, LookFailed.
    """
    taken: list[tuple[float, float]] = []
    for _ in range(TRIPS):
        wall, began = time.time(), time.monotonic()
        clock = next(_clocks(call(link, "check", [])), None)
        took = time.monotonic() - began
        if clock is None:
            raise LookFailed(f"{link.where}: 'date +%s' tells no time there")
        # date cuts its second off: half of one is what is missing on average
        taken.append((took, clock + 0.5 - (wall + took / 2)))
    return Trips(statistics.median(took for took, _ in taken), min(taken)[1])


def _clocks(lines: Iterator[bytes]) -> Iterator[int]:
    for line in list(lines):
        word, _, rest = line.partition(b" ")
        if word == b"\0clock" and rest.isdigit():
            yield int(rest)


def rsync_goes(link: Link, folder: str, ways: Site) -> None:
    """Let rsync talk to itself over there, about no file at all. Raises ClusterError."""
    with tempfile.TemporaryDirectory(prefix="jm") as here:
        Rsync(link, Path(here), folder, (), ways).pull(Wanted((), (), (), ()))
