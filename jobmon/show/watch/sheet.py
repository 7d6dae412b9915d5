"""A sheet of lines with a cursor that draws only what is on the screen, however many there are.

No line is a widget: ``render_line`` is asked for each line that is seen, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from jobmon.core.model import Key
from jobmon.core.text import printable
from jobmon.show.watch.board import Sight

COLOURS = {
    "held": "#e69f00",
    "waiting": "#8a8a8a",
    "blocked": "#cc79a7",
    "ready": "#7fdbda",
    "submitted": "#6f9cf0",
    "running": "bold #56b4e9",
    "finished": "#2fb56f",
    "failed": "bold #ffffff on #c8102e",
    "killed": "#f0703c",
    "unclear": "bold #000000 on #f0e442",
}
"""Told apart also by those who see red and green alike; the letters do it anyway."""
STYLES = {state: Style.parse(words) for state, words in COLOURS.items()}
HEAD = Style(bold=True, underline=True)
CURSOR = Style(color="#000000", bgcolor="#ffffff", bold=True)
PLAIN = Style()


class Sheet(ScrollView, can_focus=True):
    """``Grid`` and ``Table`` say what stands in a line and which job is where; the first line of
    the screen is the head and stays. The cursor is a row and a column."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1, 0)", show=False),
        Binding("down", "move(1, 0)", show=False),
        Binding("left", "move(0, -1)", show=False),
        Binding("right", "move(0, 1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(-1)", show=False),
        Binding("end", "edge(1)", show=False),
    ]

    class Moved(Message):
        """The cursor is elsewhere."""

    def __init__(self, sight: Sight, id: str) -> None:
        super().__init__(id=id)
        self.sight = sight
        self.row = 0
        self.column = 0

    # --- what the two say ------------------------------------------------------------------

    def extent(self) -> tuple[int, int, int]:
        """How many rows and columns there are, and how wide a row is."""
        raise NotImplementedError

    def head(self) -> list[Segment]:
        raise NotImplementedError

    def line(self, row: int) -> list[Segment]:
        raise NotImplementedError

    def key(self) -> Key | None:
        """The job under the cursor."""
        raise NotImplementedError

    def place(self, key: Key) -> tuple[int, int] | None:
        """Where a job stands."""
        raise NotImplementedError

    def column_at(self, x: int) -> int:
        """The column of a place on the screen."""
        return 0

    def reveal_column(self) -> int | None:
        """How far to scroll sideways to see the cursor, None to leave it."""
        return None

    # --- drawing ---------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        rows = self.extent()[0]
        row = y - 1 + self.scroll_offset.y
        segments = self.head() if y == 0 else self.line(row) if row < rows else []
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def renew(self) -> None:
        """The jobs shown are others, or in another order."""
        rows, columns, width = self.extent()
        self.row = max(0, min(self.row, rows - 1))
        self.column = max(0, min(self.column, columns - 1))
        self.virtual_size = Size(width, rows + 1)
        self.refresh()

    # --- the cursor --------------------------------------------------------------------------

    def goto(self, row: int, column: int) -> None:
        rows, columns, _ = self.extent()
        self.row = max(0, min(row, rows - 1))
        self.column = max(0, min(column, columns - 1))
        self.reveal()
        self.refresh()
        self.post_message(self.Moved())

    def reveal(self) -> None:
        """Scroll so that the cursor is seen."""
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height - 1)
        if self.row < top:
            top = self.row
        elif self.row >= top + height:
            top = self.row - height + 1
        self.scroll_to(x=self.reveal_column(), y=top, animate=False)

    def action_move(self, down: int, right: int) -> None:
        self.goto(self.row + down, self.column + right)

    def action_page(self, way: int) -> None:
        step = max(1, self.scrollable_content_region.height - 2)
        self.goto(self.row + way * step, self.column)

    def action_edge(self, way: int) -> None:
        self.goto(0 if way < 0 else self.extent()[0] - 1, self.column)

    def on_click(self, event: events.Click) -> None:
        row = event.y - 1 + self.scroll_offset.y
        if event.y > 0 and row < self.extent()[0]:
            self.goto(row, self.column_at(event.x))


def fitted(text: str, width: int) -> str:
    """``text`` made fit for a terminal and so many cells wide; of a longer one the end is kept."""
    shown = printable(text)
    if cell_len(shown) > width:
        while shown and cell_len(shown) >= width:
            shown = shown[max(1, (cell_len(shown) - width) // 2) :]
        shown = f"…{shown}"
    return set_cell_size(shown, width)


def widest(texts: Iterable[str], least: int, most: int) -> int:
    """How wide a column for these texts is."""
    found = least
    for text in texts:
        if found >= most:
            return most
        found = max(found, len(text) if text.isascii() else cell_len(printable(text)))
    return min(found, most)
