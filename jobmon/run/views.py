"""``quelist`` and ``qsub.now``: drawn from the journal for people, read back where it is missing.

quelist: the line ``# jobmon quelist 1``, then a line a job, in the order of submission:
``KEY kind@TIME …``, ``started@TIME@JOBID`` alone with a job ID. A further attempt goes on on the
same line. qsub.now: a line ``ID JOBID ! KEY`` for each job that is in the batch system.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import names
from jobmon.run.names import BadFile

HEADER = "# jobmon quelist 1"
IMPORTED = "imported"
"""The note of an event that was read from an older quelist; its job is in the quelist."""

WAY_OUT = "mend the line, or rename quelist away: the next start is then afresh"
NOW_WAY_OUT = "delete the file: it is drawn again"

SHOWN = frozenset(Kind) - {Kind.SUBMITTING, Kind.UNSUBMITTED, Kind.REOPENED}
_KINDS = {str(kind): kind for kind in SHOWN}


@dataclass(frozen=True, slots=True)
class Mark:
    """One step in a job's life as quelist shows it; only ``started`` has a job ID."""

    kind: Kind
    at: datetime
    jobid: JobID | None = None

    def __str__(self) -> str:
        behind = f"@{names.encode_jobid(self.jobid)}" if self.jobid is not None else ""
        return f"{self.kind}@{names.stamp(self.at)}{behind}"


@dataclass(frozen=True, slots=True)
class Line:
    """One job's whole life."""

    key: Key
    marks: tuple[Mark, ...] = ()

    def __str__(self) -> str:
        return " ".join((names.encode(self.key), *map(str, self.marks)))


@dataclass(frozen=True, slots=True)
class Now:
    """A job that is in the batch system; ``jobid`` is None while it is not known."""

    key: Key
    jobid: JobID | None


def mark(event: Event) -> Mark | None:
    """What quelist shows of an event, None for what it does not show."""
    if event.kind not in SHOWN:
        return None
    return Mark(event.kind, event.at, event.jobid if event.kind is Kind.STARTED else None)


def lists(event: Event) -> bool:
    """Whether a job is in the quelist from this event on (it may be there already)."""
    return event.kind in (Kind.READY, Kind.STARTED) or IMPORTED in event.notes


def line_of(key: Key, history: Iterable[Event]) -> Line:
    """The line of one job that had these events."""
    return Line(key, tuple(shown for event in history if (shown := mark(event))))


def lines_of(events: Iterable[Event]) -> list[Line]:
    """The lines of the jobs that ever became ready (or were adopted or imported), in that order."""
    lives: dict[Key, list[Event]] = {}
    listed: dict[Key, None] = {}
    for event in events:
        lives.setdefault(event.key, []).append(event)
        if lists(event):
            listed.setdefault(event.key)
    return [line_of(key, lives[key]) for key in listed]


# --- quelist -------------------------------------------------------------------------------


def print_quelist(lines: Iterable[Line | str]) -> str:
    return "".join(f"{line}\n" for line in (HEADER, *lines))


def read_quelist(text: str, path: Path) -> list[Line]:
    """The lines of a quelist; an empty file has none. Raises BadFile that names the line."""
    rows = text.split("\n")
    if not any(rows):
        return []
    if rows[0] != HEADER:
        raise BadFile(path, 1, f"the first line is not '{HEADER}'", WAY_OUT)
    lines: dict[Key, Line] = {}
    for line_no, row in enumerate(rows[1:], 2):
        if not row:
            continue
        try:
            line = _parse_line(row)
        except ValueError as error:
            raise BadFile(path, line_no, str(error), WAY_OUT) from error
        if line.key in lines:
            raise BadFile(path, line_no, f"{line.key!r} stands there twice", WAY_OUT)
        lines[line.key] = line
    return list(lines.values())


def _parse_line(row: str) -> Line:
    key, *marks = row.split(" ")
    return Line(names.read_key(key), tuple(map(_parse_mark, marks)))


def _parse_mark(word: str) -> Mark:
    name, _, rest = word.partition("@")
    time, at, jobid = rest.partition("@")
    kind = _KINDS.get(name)
    if kind is None:
        raise ValueError(f"{word!r} is no kind@TIME")
    if at and (kind is not Kind.STARTED or jobid == "-"):
        raise ValueError(f"{word!r} has a job ID that does not belong there")
    return Mark(kind, names.parse_stamp(time), names.decode_jobid(jobid) if at else None)


def reorder(current: Sequence[Line], edited_text: str) -> list[Key] | None:
    """The order that a person gave the lines, or None for an edit that is more than an order.

    Each line must be what was printed for its job now or earlier. Jobs that became ready since
    the person read the file are appended; as they are the last of ``current``, a line that is
    missing before them was deleted, which is no order.
    """
    lines = edited_text.removeprefix("\ufeff").split("\n")  # editors add one, or CRLF
    rows = [row for row in (line.removesuffix("\r") for line in lines) if row]
    if rows.count(HEADER) != 1:
        return None
    printed = {names.encode(line.key): line for line in current}
    keys: dict[Key, None] = {}
    for row in rows:
        if row == HEADER:
            continue
        line = printed.get(row.partition(" ")[0])
        if line is None or line.key in keys or not _was_printed(line, row):
            return None
        keys.setdefault(line.key)
    if current and not keys:
        return None
    first = {line.key for line in current[: len(keys)]}
    if first != keys.keys():
        return None
    return [*keys, *(line.key for line in current[len(keys) :])]


def _was_printed(line: Line, row: str) -> bool:
    """Whether ``row`` is the line's text, now or when it had fewer marks (but one at least)."""
    return str(line) == row or (" " in row and str(line).startswith(f"{row} "))


# --- qsub.now ------------------------------------------------------------------------------


def print_now(jobs: Iterable[Now]) -> str:
    return "".join(
        f"{names.split(job.key)[1]} {names.encode_jobid(job.jobid)} ! {names.encode(job.key)}\n"
        for job in jobs
    )


def read_now(text: str, path: Path) -> list[Now]:
    """The jobs that were in the batch system. Raises BadFile that names the line."""
    jobs: list[Now] = []
    for line_no, row in enumerate(text.split("\n"), 1):
        if not row:
            continue
        try:
            jobs.append(_parse_now(row))
        except ValueError as error:
            raise BadFile(path, line_no, str(error), NOW_WAY_OUT) from error
    return jobs


def _parse_now(row: str) -> Now:
    words = row.split(" ")
    if len(words) != 4 or words[2] != "!":
        raise ValueError("it is not ID JOBID ! KEY")
    key = names.read_key(words[3])
    if names.split(key)[1] != words[0]:
        raise ValueError(f"{words[0]!r} is not the id of {key!r}")
    return Now(key, names.decode_jobid(words[1]))
