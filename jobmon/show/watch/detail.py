"""The pane beside the sheet: explain of the job under the cursor, its output, or what was done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import RichLog, Static

from jobmon.core.rows import STATES, Row
from jobmon.core.text import clean
from jobmon.run.names import BadFile
from jobmon.run.usage import UsageError
from jobmon.show import explain_text
from jobmon.show.explain import explain
from jobmon.show.read import View
from jobmon.show.watch.board import LETTERS
from jobmon.show.watch.hands import Ask, Closed, Hands

DELAY = 0.15
"""Seconds that the cursor rests on a job before its files are read."""

MOST_LINES = 5000
"""Lines of output that are kept."""

KEYS = """\
arrows, page up/down, home, end   move; a click does too
t  table, or grid     s  sort the table     B  backwards     tab  scroll the other pane
f  filter: states, parts of keys, patterns; empty for all
/  search   n  next      p  previous
e  why: all about the job     o  its output     once more closes it
space  mark     a  mark all in sight, or none
h hold   l release (let go)   r retry   k kill   K kill and hold
   for the marked jobs, else for that under the cursor; each asks first
q  quit
"""


class Explained(Message):
    """What explain found of the job that was asked for the ``nth`` time."""

    def __init__(self, nth: int, lines: Sequence[str]) -> None:
        super().__init__()
        self.nth, self.lines = nth, lines


class Piece(Message):
    """A piece of output of the job that was asked for the ``nth`` time."""

    def __init__(self, nth: int, text: str) -> None:
        super().__init__()
        self.nth, self.text = nth, text


class Detail(VerticalScroll):
    """``what``: ``explain``, ``output``, ``keys`` or ``told``; empty while it is closed."""

    def __init__(
        self, named: Path | None, hands: Hands, ask: Ask, now: Callable[[], datetime], id: str
    ) -> None:
        super().__init__(id=id)
        self.named, self.hands, self.ask, self.now = named, hands, ask, now
        self.what = ""
        self.nth = 0  # what comes of an older question is passed over
        self.shown: tuple[object, ...] = ()
        self.gone = threading.Event()
        self.words = Static(id="words")
        self.log_ = RichLog(id="log", max_lines=MOST_LINES, wrap=True, min_width=20)

    def compose(self) -> ComposeResult:
        yield self.words
        yield self.log_

    def on_mount(self) -> None:
        self.choose("")

    def on_unmount(self) -> None:
        self.gone.set()

    def choose(self, what: str) -> None:
        """Show this, or nothing where it was shown already."""
        self.close()
        self.what = "" if what == self.what else what
        self.shown = ()
        self.display = bool(self.what)
        self.log_.display = self.what == "output"
        self.words.display = self.what != "output"

    def tell(self, lines: Sequence[str]) -> None:
        """Show what came of an act."""
        self.choose("told") if self.what != "told" else None
        self._words(lines)

    def close(self) -> None:
        """What is being read is not wanted any more."""
        self.gone.set()
        self.nth += 1

    def show(self, row: Row | None, view: View | None) -> None:
        """The job under the cursor is this one, and stands so."""
        if self.what == "keys":
            legend = "  ".join(f"{LETTERS[state]} {state}" for state in STATES)
            self._words([*KEYS.splitlines(), "", legend])
        elif row is None or not self.what or self.what == "told":
            if self.what in {"explain", "output"}:
                self.close()
                self.shown = ()
                self._words(["no job stands there"])
        elif self.what == "explain":
            self._explain(row, view)
        else:
            self._output(row)

    def _explain(self, row: Row, view: View | None) -> None:
        known = view is not None and row.job.key in view.by_key
        asked = (row.job.key, row.state, len(row.job.history), id(view))
        if asked == self.shown:
            return
        other = self.shown[:1] != asked[:1]
        self.shown = asked
        self.close()
        if view is None or not known:
            why = f": {row.reason}" if row.reason else ""
            self._words([f"{row.job.key} is {row.state}{why}", "reading the run …"])
            return
        nth, key = self.nth, row.job.key

        def work() -> None:
            try:
                lines = explain_text.lines(explain(view, key, self.now()), self.named)
            except (OSError, BadFile, UsageError) as error:
                lines = [str(error)]
            self.post_message(Explained(nth, lines))

        if other:
            self.set_timer(DELAY, lambda: self._begin(nth, work))
        else:
            self._begin(nth, work)

    def _begin(self, nth: int, work: Callable[[], None]) -> None:
        if nth == self.nth:
            threading.Thread(target=work, daemon=True).start()

    @on(Explained)
    def explained(self, message: Explained) -> None:
        if message.nth == self.nth:
            self._words(message.lines)

    def _output(self, row: Row) -> None:
        asked = (row.job.key, row.job.n, row.job.in_system)
        if asked == self.shown:
            return
        again = self.shown[:2] == asked[:2]
        self.shown = asked
        if again:
            return  # it ended; what follows it says so
        self.close()
        log = self.log_
        log.clear()
        nth, gone = self.nth, threading.Event()
        self.gone = gone

        def write(text: str) -> None:
            self.post_message(Piece(nth, text))

        def wait(seconds: float) -> None:
            if gone.wait(seconds):
                raise Closed

        def work() -> None:
            self.hands.output(row.job, self.ask, lambda line: write(f"{line}\n"), write, wait)

        self.set_timer(DELAY, lambda: self._begin(nth, work))

    @on(Piece)
    def piece(self, message: Piece) -> None:
        if message.nth == self.nth:
            text = message.text.removesuffix("\n").expandtabs()
            self.log_.write(Text(text))

    def _words(self, lines: Sequence[str]) -> None:
        if self.what == "output":
            log = self.log_
            log.clear()
            log.write(Text("\n".join(lines)))
            return
        self.words.update(Text("\n".join(map(clean, lines))))
