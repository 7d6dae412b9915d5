"""What the live view shows of a run's jobs: values only, no screen, no file and no clock.

``Board`` is what is known of every job, ``Sight`` which of them are shown, in which order.
"""

from __future__ import annotations

import fnmatch
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobmon.core.model import Key
from jobmon.core.pace import took
from jobmon.core.rows import STATES, Row
from jobmon.run import names
from jobmon.show.causes import WORST
from jobmon.show.status import lasted

LETTERS = {
    "held": "h",
    "waiting": "w",
    "blocked": "b",
    "ready": "r",
    "submitted": "S",
    "running": "R",
    "finished": "F",
    "failed": "X",
    "killed": "K",
    "unclear": "?",
}
"""A letter for each state: small before the batch system has the job."""

SORTS = ("folder", "state", "time", "latest")
"""The orders of the table: as people count, the worst first, what takes longest first, what
happened last first."""


@dataclass(slots=True)
class Board:
    """Every job of the run; ``order`` is that of their folders, as people count."""

    rows: dict[Key, Row] = field(default_factory=dict)
    order: list[Key] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def renew(self, rows: Mapping[Key, Row], order: Sequence[Key]) -> None:
        """All is as given here."""
        self.rows, self.order = dict(rows), list(order)
        self.counts = Counter(row.state for row in self.rows.values())

    def change(self, rows: Mapping[Key, Row]) -> None:
        """These jobs are as given here now; a new one may be among them."""
        new = [key for key in rows if key not in self.rows]
        for key, row in rows.items():
            before = self.rows.get(key)
            if before is not None:
                self.counts[before.state] -= 1
            self.counts[row.state] += 1
            self.rows[key] = row
        if new:
            self.order = in_order([*self.order, *new])

    def state(self, key: Key) -> str:
        """The state of a job, empty for one that is not there."""
        row = self.rows.get(key)
        return row.state if row is not None else ""


@dataclass(slots=True)
class Sight:
    """What of the board is shown: ``keys``, those that fit ``words``, ordered by ``sort``."""

    board: Board = field(default_factory=Board)
    words: str = ""
    sort: str = SORTS[0]
    backwards: bool = False
    marks: set[Key] = field(default_factory=set)
    keys: list[Key] = field(default_factory=list)

    def choose(self) -> bool:
        """Choose and order the keys anew; whether that changed them."""
        before = self.keys
        chosen = fitting(self.board, self.words)
        self.keys = ordered(self.board, chosen, self.sort, backwards=self.backwards)
        self.marks &= self.board.rows.keys()
        return self.keys != before

    def meant(self, cursor: Key | None) -> list[Key]:
        """The jobs that something is to be done with: those marked, or else that of the cursor."""
        if self.marks:
            return [key for key in self.board.order if key in self.marks]
        return [cursor] if cursor is not None else []

    def found(self, text: str, start: Key | None, step: int) -> Key | None:
        """The next key from ``start`` on that holds ``text``, or fits it as a pattern; with
        ``step`` -1 the one before. Behind the end it goes on at the beginning."""
        keys = self.keys
        if not keys or not text:
            return None
        here = keys.index(start) if start in self.board.rows and start in keys else -1
        fits = _fit([text])
        for i in range(1, len(keys) + 1):
            key = keys[(here + step * i) % len(keys)]
            if fits(key):
                return key
        return None


def fitting(board: Board, words: str) -> list[Key]:
    """The jobs in one of the states named in ``words``, and with a key that fits one of the others;
    without either, any will do."""
    states = {word for word in words.split() if word in STATES}
    others = [word for word in words.split() if word not in STATES]
    keys = board.order
    if states:
        keys = [key for key in keys if board.rows[key].state in states]
    if others:
        fits = _fit(others)
        keys = [key for key in keys if fits(key)]
    return keys


def in_order(keys: Iterable[Key]) -> list[Key]:
    """The keys folder by folder, folders and ids as people count."""
    inside: dict[str, list[Key]] = {}
    for key in keys:
        inside.setdefault(key.rpartition("/")[0], []).append(key)
    by_id = names.natural
    return [
        key
        for folder in sorted(inside, key=names.order)
        for key in sorted(inside[folder], key=lambda key: by_id(key.rpartition("/")[2]))
    ]


def _fit(words: Sequence[str]) -> Callable[[Key], bool]:
    """Whether a key holds one of ``words``, or it or its folder fits one as a pattern."""
    patterns = [word for word in words if set(word) & set("*?[")]

    def fits(key: Key) -> bool:
        return any(word in key for word in words) or any(
            fnmatch.fnmatchcase(key, word) or fnmatch.fnmatchcase(names.split(key)[0], word)
            for word in patterns
        )

    return fits


def ordered(board: Board, keys: Sequence[Key], sort: str, *, backwards: bool) -> list[Key]:
    """The keys, which come folder by folder, in one of the orders of SORTS."""
    rows = board.rows
    found = list(keys)
    if sort == "state":
        found.sort(key=lambda key: WORST.index(rows[key].state))
    elif sort == "latest":
        found.sort(key=lambda key: -_last(rows[key]))
    elif sort == "time":
        found.sort(key=lambda key: -_seconds(rows[key]))
    return found[::-1] if backwards else found


def _last(row: Row) -> float:
    return row.job.history[-1].at.timestamp() if row.job.history else 0.0


def _seconds(row: Row) -> float:
    """Orders by time without a clock: of those that go on, the first to begin leads all others."""
    seconds = took(row.job)
    if seconds is not None:
        return seconds
    going = row.job.in_system and row.job.history
    return 1e12 - row.job.history[-1].at.timestamp() if going else -1.0


def how_long(row: Row, now: datetime) -> float | None:
    """Seconds since its state began, or that it took; None where neither is known."""
    since = lasted(row, now)
    return took(row.job) if since is None else since


@dataclass(frozen=True, slots=True)
class Layout:
    """The grid: a row for each folder, a column for each id, both as people count."""

    folders: tuple[str, ...]
    ids: tuple[str, ...]
    row_of: Mapping[str, int]
    column_of: Mapping[str, int]

    def key(self, row: int, column: int) -> Key | None:
        """The key that would stand there; whether there is such a job, the board knows."""
        if 0 <= row < len(self.folders) and 0 <= column < len(self.ids):
            return names.key(self.folders[row], self.ids[column])
        return None

    def place(self, key: Key) -> tuple[int, int] | None:
        """Where a job stands, None if it is not in the grid."""
        folder, job_id = names.split(key)
        row, column = self.row_of.get(folder), self.column_of.get(job_id)
        return None if row is None or column is None else (row, column)


def layout(keys: Sequence[Key]) -> Layout:
    """The grid that holds these jobs, whose folders stay in the order in which they come."""
    folders: dict[str, int] = {}
    ids: dict[str, None] = {}
    for key in keys:
        folder, job_id = names.split(key)
        folders.setdefault(folder, len(folders))
        ids.setdefault(job_id)
    columns = tuple(sorted(ids, key=names.natural))
    return Layout(tuple(folders), columns, folders, {job_id: i for i, job_id in enumerate(columns)})
