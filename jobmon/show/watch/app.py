"""The live view: puts what the follower tells on the screen, and the person's keys into acts.

Whatever reads files or takes time runs in a thread and comes back as a message; the screen never
waits. Nothing is changed without a question.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import ContentSwitcher, Footer, Static

from jobmon.core.model import Key
from jobmon.core.text import printable
from jobmon.show.read import View
from jobmon.show.watch import head as lines
from jobmon.show.watch.asking import Line, Question
from jobmon.show.watch.board import SORTS, Sight
from jobmon.show.watch.detail import Detail
from jobmon.show.watch.follow import Follower, News
from jobmon.show.watch.grid import Grid
from jobmon.show.watch.hands import VERBS, Hands
from jobmon.show.watch.sheet import Sheet
from jobmon.show.watch.table import Table

PAUSE = 1.0
"""Seconds between two looks at the journal."""


class Came(Message):
    """There is news of the run."""

    def __init__(self, news: News) -> None:
        super().__init__()
        self.news = news


class Told(Message):
    """What a verb would do (``question`` is then still open), or what it did."""

    def __init__(self, lines: list[str], question: Question | None, *, able: bool = True) -> None:
        super().__init__()
        self.lines, self.question, self.able = lines, question, able


class Watch(App[None]):
    """``jobmon watch``. ``now`` is the wall's time, for what is shown only."""

    CSS_PATH = "watch.tcss"
    TITLE = "jobmon watch"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 (as App has it)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "keys", key_display="?"),
        Binding("t", "turn", "table"),
        Binding("e,enter", "detail('explain')", "why", key_display="e"),
        Binding("o", "detail('output')", "output"),
        Binding("f", "filter", "filter"),
        Binding("slash", "search", "search", show=False),
        Binding("n", "again(1)", "next", show=False),
        Binding("p,N", "again(-1)", "previous", show=False),
        Binding("s", "sort", "sort", show=False),
        Binding("B", "backwards", "backwards", show=False),
        Binding("space", "mark", "mark", show=False),
        Binding("a", "mark_all", "mark all", show=False),
        Binding("h", "do('hold')", "hold"),
        Binding("l", "do('release')", "release"),
        Binding("r", "do('retry')", "retry"),
        Binding("k", "do('kill')", "kill"),
        Binding("K", "do('kill and hold')", "kill and hold", show=False),
        Binding("q", "leave", "quit"),
    ]

    def __init__(
        self,
        follower: Follower,
        hands: Hands,
        now: Callable[[], datetime],
        named: Path | None = None,
    ) -> None:
        """``named``: the run, where the commands that are shown have to name it."""
        super().__init__()
        self.named = named
        self.follower = follower
        self.hands = hands
        self.now = now
        self.sight = Sight()
        self.view: View | None = None
        self.news = News()
        self.sought = ""
        self.at_work = ""
        self.warned = False
        self.said = ""
        self.stale = False  # the sheet that is not on the screen
        self.over = threading.Event()
        # Held by name: what comes when the screen is being closed still finds them.
        self.head, self.trouble = Static(id="head"), Static(id="trouble")
        self.counts, self.below = Static(id="counts"), Static(id="below")
        self.sheets = (Grid(self.sight, id="grid"), Table(self.sight, id="table", now=now))
        self.switcher = ContentSwitcher(initial="grid", id="sheets")
        self.detail = Detail(named, hands, self.ask, now, id="detail")

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.trouble
        yield self.counts
        with Container(id="middle"):
            with self.switcher:
                yield from self.sheets
            yield self.detail
        yield self.below
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.sheet.focus()
        self._tick()
        self.set_interval(PAUSE, self._tick)
        threading.Thread(target=self._follow, daemon=True).start()

    def on_unmount(self) -> None:
        self.over.set()

    @property
    def sheet(self) -> Sheet:
        """The one on the screen."""
        return self.sheets[self.switcher.current == "table"]

    # --- what comes --------------------------------------------------------------------------

    def _follow(self) -> None:
        self.post_message(Came(self.follower.first()))
        while not self.over.is_set():
            self.post_message(Came(self.follower.turn()))
            self.over.wait(PAUSE)

    @on(Came)
    def came(self, message: Came) -> None:
        self._take(message.news)

    def _take(self, news: News) -> None:
        self.news = news
        board = self.sight.board
        if news.order is not None:
            board.renew(news.rows, news.order)
        elif news.rows:
            board.change(news.rows)
        if news.view is not None:
            self.view = news.view
        if news.order is not None or news.rows:
            self._choose()
            self._show_detail()
        self._tick()

    def _choose(self) -> None:
        """Which jobs are in sight may have changed; the cursor stays on its job."""
        here = self.sheet.key()
        changed = self.sight.choose()
        self.stale |= changed
        self.sheet.renew() if changed else self.sheet.refresh()
        place = self.sheet.place(here) if changed and here is not None else None
        if place is not None and place != (self.sheet.row, self.sheet.column):
            self.sheet.goto(*place)

    def _tick(self) -> None:
        run, news = self.follower.run, self.news
        reading = "" if self.view is not None or news.trouble else "reading the run …"
        name = f"{run.parent.name}/{run.name}"
        at = f"{self.now():%H:%M:%S}"
        self.head.update(lines.head(name, news.daemon, news.pace or reading, at))
        self.trouble.display = bool(news.trouble)
        self.trouble.update(Text(printable(news.trouble)))
        self.counts.update(lines.counts(self.sight.board, self.size.width))
        busy = f"{self.at_work} is at work · " if self.at_work else ""
        said = f"{self.said} · " if self.said else ""
        words = said + busy + lines.below(self.sight, len(self.sight.marks))
        here = self.sheet.key()
        if here is not None:
            words += f" · {printable(here)} {self.sight.board.state(here)}"
        self.below.update(Text(words, no_wrap=True, overflow="ellipsis"))
        if self.sheet.id == "table":
            self.sheet.refresh()

    def _say(self, words: str) -> None:
        """Say something until the cursor moves."""
        self.said = words
        self._tick()

    def on_resize(self) -> None:
        self._tick()

    # --- looking -------------------------------------------------------------------------------

    @on(Sheet.Moved)
    def moved(self) -> None:
        self.said = ""
        self._show_detail()
        self._tick()

    def _show_detail(self) -> None:
        key = self.sheet.key()
        row = self.sight.board.rows.get(key) if key is not None else None
        self.detail.show(row, self.view)

    def action_turn(self) -> None:
        """Grid to table, and back."""
        here = self.sheet.key()
        self.switcher.current = "table" if self.sheet.id == "grid" else "grid"
        self.sheet.focus()
        if self.stale:
            self.stale = False
            self.sheet.renew()
        place = self.sheet.place(here) if here is not None else None
        if place is not None:
            self.sheet.goto(*place)
            self.call_after_refresh(self.sheet.reveal)  # once it knows its size

    def action_detail(self, what: str) -> None:
        self.detail.choose(what)
        self._show_detail()

    def action_keys(self) -> None:
        self.detail.choose("keys")
        self._show_detail()

    def action_filter(self) -> None:
        prompt = "Show only these: states (failed), parts of keys, patterns (mp-*/qsub.3)"
        self.push_screen(Line(prompt, self.sight.words), self._filter)

    def _filter(self, words: str | None) -> None:
        if words is not None:
            self.sight.words = words.strip()
            self._choose()
            self.moved()

    def action_search(self) -> None:
        self.push_screen(
            Line("Go to the next job with this in its key, or that fits"), self._search
        )

    def _search(self, text: str | None) -> None:
        if text:
            self.sought = text
            self.action_again(1)

    def action_again(self, step: int) -> None:
        key = self.sight.found(self.sought, self.sheet.key(), step)
        place = self.sheet.place(key) if key is not None else None
        if place is not None:
            self.sheet.goto(*place)
        elif self.sought:
            self._say(f"no job in sight has {printable(self.sought)} in its key")

    def action_sort(self) -> None:
        self.sight.sort = SORTS[(SORTS.index(self.sight.sort) + 1) % len(SORTS)]
        self._choose()
        self._tick()

    def action_backwards(self) -> None:
        self.sight.backwards = not self.sight.backwards
        self._choose()
        self._tick()

    def action_mark(self) -> None:
        key = self.sheet.key()
        if key is not None:
            self.sight.marks ^= {key}
            self.sheet.action_move(1, 0)

    def action_mark_all(self) -> None:
        """Mark all in sight; if they are, none."""
        shown = set(self.sight.keys)
        self.sight.marks = set() if shown <= self.sight.marks else shown
        self.sheet.refresh()
        self._tick()

    # --- doing ---------------------------------------------------------------------------------

    def action_do(self, verb: str) -> None:
        keys = self.sight.meant(self.sheet.key())
        if self.at_work:
            self._say(f"{self.at_work} is still at work")
        elif keys:
            what = keys[0] if len(keys) == 1 else f"{len(keys)} jobs"
            question = Question(f"{VERBS[verb]} {what}?")
            self.push_screen(question, lambda yes: self._do(verb, keys) if yes else None)
            self._in_thread(verb, keys, question)

    def _do(self, verb: str, keys: list[Key]) -> None:
        self.at_work = verb
        self.detail.tell([f"{verb} …"])
        self.sight.marks.clear()
        self._choose()
        self._in_thread(verb, keys, None)
        self._tick()

    def _in_thread(self, verb: str, keys: list[Key], question: Question | None) -> None:
        def work() -> None:
            lines: list[str] = []
            able = self.hands.do(verb, keys, question is not None, self.ask, lines.append)
            self.post_message(Told(lines, question, able=able))

        threading.Thread(target=work, daemon=True).start()

    @on(Told)
    def told(self, message: Told) -> None:
        if message.question is None:
            self.at_work = ""
            self.warned = False
            self.detail.tell(message.lines)
            self._tick()
        elif message.question.is_running:
            message.question.tell(message.lines, able=message.able)

    def ask(self, prompt: str, echo: bool) -> str | None:
        """For threads: what the person answers to a login."""
        answer: Future[str | None] = Future()
        screen = Line(prompt, echo=echo)
        self.call_from_thread(self.push_screen, screen, answer.set_result)
        return answer.result()

    def action_leave(self) -> None:
        if self.at_work and not self.warned:
            self.warned = True
            self._say(f"{self.at_work} is still at work; q once more leaves it")
        else:
            self.exit()
