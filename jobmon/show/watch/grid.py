"""The grid: folders as rows, ids as columns, each job a letter in the colour of its state.

This is what a chain of iterations looks like. The folders' names stay when it scrolls sideways.
"""

from __future__ import annotations

from rich.segment import Segment

from jobmon.core.model import Key
from jobmon.show.watch.board import LETTERS, Layout, Sight, layout
from jobmon.show.watch.sheet import CURSOR, HEAD, PLAIN, STYLES, Sheet, fitted, widest

MOST_NAME = 32
MOST_ID = 12


class Grid(Sheet):
    """The jobs in sight by folder and id. A marked job has a ``*`` before its letter."""

    def __init__(self, sight: Sight, id: str) -> None:
        super().__init__(sight, id)
        self.places: Layout = layout(())
        self.names_wide = 8
        self.cell_wide = 3

    def renew(self) -> None:
        here = self.key()
        self.places = layout(self.sight.keys)
        self.names_wide = widest(self.places.folders, 8, MOST_NAME)
        self.cell_wide = max(3, widest(self.places.ids, 1, MOST_ID) + 1)
        place = self.place(here) if here is not None else None
        if place is not None:
            self.row, self.column = place
        super().renew()

    def extent(self) -> tuple[int, int, int]:
        rows, columns = len(self.places.folders), len(self.places.ids)
        return rows, columns, self.names_wide + 1 + columns * self.cell_wide

    def key(self) -> Key | None:
        key = self.places.key(self.row, self.column)
        return key if key is not None and self.sight.board.state(key) else None

    def place(self, key: Key) -> tuple[int, int] | None:
        return self.places.place(key)

    def head(self) -> list[Segment]:
        name = Segment(fitted("folder", self.names_wide) + " ", HEAD)
        ids = (" " + fitted(self.places.ids[c], self.cell_wide - 1) for c in self._columns())
        return [name, *(Segment(text, HEAD) for text in ids)]

    def line(self, row: int) -> list[Segment]:
        folder = self.places.folders[row]
        style = CURSOR if row == self.row and not self.places.ids else PLAIN
        name = Segment(fitted(folder or ".", self.names_wide) + " ", style)
        return [name, *(self._cell(row, column) for column in self._columns())]

    def _cell(self, row: int, column: int) -> Segment:
        key = self.places.key(row, column)
        state = self.sight.board.state(key) if key is not None else ""
        sign = LETTERS.get(state, "·" if self.sight.words and state else "")
        mark = "*" if key in self.sight.marks else " "
        style = STYLES.get(state, PLAIN)
        if row == self.row and column == self.column:
            style += CURSOR
            sign = sign or "·"
        return Segment(f"{mark}{sign:1} ".ljust(self.cell_wide)[: self.cell_wide], style)

    def _columns(self) -> range:
        """Those on the screen."""
        first = self.scroll_offset.x // self.cell_wide
        return range(first, min(len(self.places.ids), first + self._fit() + 1))

    def _fit(self) -> int:
        """How many cells fit beside the names."""
        return max(1, (self.size.width - self.names_wide - 1) // self.cell_wide)

    def column_at(self, x: int) -> int:
        cells = max(0, x - self.names_wide - 1) // self.cell_wide
        return self.scroll_offset.x // self.cell_wide + cells

    def reveal_column(self) -> int | None:
        first = self.scroll_offset.x // self.cell_wide
        if self.column < first:
            return self.column * self.cell_wide
        if self.column >= first + self._fit():
            return (self.column - self._fit() + 1) * self.cell_wide
        return None
