"""The table: a line for each job in sight, with its state, for how long, its job ID and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rich.segment import Segment

from jobmon.core.life import OPEN
from jobmon.core.model import Key
from jobmon.core.rows import Row
from jobmon.core.text import printable
from jobmon.show.status import waits
from jobmon.show.watch.board import LETTERS, Sight, how_long
from jobmon.show.watch.sheet import CURSOR, HEAD, PLAIN, STYLES, Sheet, fitted, widest
from jobmon.show.words import span

MOST_KEY = 40
STATE, TIME, JOBID = 12, 12, 12
"""Cells of the columns behind the key."""


class Table(Sheet):
    """The jobs in sight, in their order. A marked job has a ``*`` before its key."""

    def __init__(self, sight: Sight, id: str, now: Callable[[], datetime]) -> None:
        super().__init__(sight, id)
        self.now = now
        self.names_wide = 8

    def renew(self) -> None:
        self.names_wide = widest(self.sight.keys, 8, MOST_KEY)
        super().renew()

    def extent(self) -> tuple[int, int, int]:
        return len(self.sight.keys), 1, 1  # what does not fit is told by explain

    def key(self) -> Key | None:
        return self.sight.keys[self.row] if self.row < len(self.sight.keys) else None

    def place(self, key: Key) -> tuple[int, int] | None:
        try:
            return self.sight.keys.index(key), 0
        except ValueError:
            return None

    def head(self) -> list[Segment]:
        words = f" {'job':{self.names_wide}} {'state':{STATE}}{'for':{TIME}}{'job ID':{JOBID}}why"
        return [Segment(words.ljust(self.size.width), HEAD)]

    def line(self, row: int) -> list[Segment]:
        key = self.sight.keys[row]
        one = self.sight.board.rows[key]
        seconds = how_long(one, self.now())
        mark = "*" if key in self.sight.marks else " "
        segments = [
            Segment(f"{mark}{fitted(key, self.names_wide)} "),
            Segment(f"{LETTERS[one.state]} {one.state:{STATE - 2}}", STYLES[one.state]),
            Segment(f"{span(seconds) if seconds is not None else '':{TIME}}"),
            Segment(f"{fitted(_jobid(one), JOBID - 1)} "),
        ]
        left = max(0, self.size.width - self.names_wide - 2 - STATE - TIME - JOBID)
        segments.append(Segment((printable(one.reason) or waits(one))[:left]))
        if row == self.row:
            return [Segment(s.text, (s.style or PLAIN) + CURSOR) for s in segments]
        return segments


def _jobid(row: Row) -> str:
    return row.job.jobid if row.job.jobid is not None and row.job.life not in OPEN else "-"
