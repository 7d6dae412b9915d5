"""The run as it changes, for the live view: read from its files alone, by a thread of its own.

What a daemon left of a large run comes first, then the run as read whole, then the journal's new
events as they come. What files say (waiting, blocked, held) follows as often as reading them is
cheap: ``SHARE`` says how much of the time that may take.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from jobmon.core.life import IllegalEvent, Job, step
from jobmon.core.model import Event, Key
from jobmon.core.rows import Row
from jobmon.run import journal, shown
from jobmon.run.journal import JournalError
from jobmon.run.names import BadFile
from jobmon.run.paths import Paths
from jobmon.run.shown import Shown
from jobmon.show.read import View, later, view_of
from jobmon.show.status import daemon_words, pace_of_view, pace_words
from jobmon.show.watch.board import in_order

SHARE = 10.0
"""Times what the standing of all jobs took to work out that pass before it is again."""

TREE_SHARE = 50.0
"""The same for reading the whole tree, where a person may have changed something."""

TREE_PAUSE = 5.0
"""Seconds between two readings of the tree at least."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class News:
    """``rows``: all jobs, where ``order`` is given, else those that something happened to.

    ``view``: the run as read whole. ``daemon``, ``pace``: lines for the head. ``trouble``: why
    the run cannot be read.
    """

    rows: Mapping[Key, Row] = field(default_factory=dict)
    order: Sequence[Key] | None = None
    view: View | None = None
    daemon: str = ""
    pace: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Whole:
    """The run as read whole, which took so long, up to a byte of the journal's file."""

    seen: View
    file: tuple[int, int] | None
    offset: int
    stamps: tuple[object, ...]
    seconds: float


@dataclass(slots=True)
class Follower:
    """Follows one run. ``first`` is quick; each ``turn`` then tells what is new."""

    run: Path
    now: Clock
    mono: Callable[[], float] = time.monotonic
    _left: Shown = field(default_factory=lambda: Shown(""))
    _view: View | None = None
    _reading: Future[_Whole] | None = None
    _order: list[Key] = field(default_factory=list)
    _file: tuple[int, int] | None = None
    _offset: int = 0
    _unfolded: list[Event] = field(default_factory=list)
    _ahead: dict[Key, Job] = field(default_factory=dict)  # of the view, by the unfolded events
    _stamps: tuple[object, ...] = ()
    _standing_again: float = 0.0
    _tree_again: float = 0.0
    _pace: str = ""
    _trouble: str = ""

    def first(self) -> News:
        """What can be told at once: all of a large run that a daemon left something of."""
        try:
            with _uncollected():
                left = shown.read(Paths(self.run))
                if left is None:
                    return self._news()
                self._left = left
                rows = {row.job.key: row for row in left.rows()}
                order = in_order(rows)
        except (BadFile, JournalError) as error:
            self._trouble = str(error)
            return self._news()
        self._pace = "; ".join(pace_words(left.pace))
        return self._news(rows, order)

    def turn(self) -> News:
        """What is new since. What is wrong with the run folder is told, and tried again."""
        try:
            return self._turn()
        except (BadFile, JournalError) as error:
            self._trouble = str(error)
        except IllegalEvent as error:
            self._trouble = f"{Paths(self.run).journal}: {error}; {journal.WAY_OUT}"
        except OSError as error:
            self._trouble = f"{error.filename or self.run}: {error.strerror}"
        self._view = None
        self._tree_again = self.mono() + TREE_PAUSE
        return self._news()

    def _turn(self) -> News:
        began = self.mono()
        if self._reading is not None and self._reading.done():
            done, self._reading = self._reading, None
            return self._take(done.result())
        if self._due(began):
            if not self._large():
                return self._take(self._whole())
            if self._reading is None:
                self._reading = _beside(self._whole)
        return self._since_left() if self._view is None else self._since(self._view, began)

    def _due(self, began: float) -> bool:
        """Whether the run is to be read whole."""
        anew = self._view is not None and _which(Paths(self.run).journal) != self._file
        return anew or began >= self._tree_again

    def _large(self) -> bool:
        """Whether that takes so long that the journal is followed meanwhile."""
        known = self._view.jobs if self._view is not None else self._left.states
        return len(known) >= shown.LARGE

    def _since_left(self) -> News:
        """The new events on top of what a daemon left."""
        left = self._left
        if not left.states:
            return self._news()
        events, left.offset = journal.follow(Paths(self.run).journal, left.offset)
        left.add(events)
        rows = {e.key: Row(Job(e.key), left.states[e.key], (), left.why[e.key]) for e in events}
        return self._news(rows)

    def _since(self, seen: View, began: float) -> News:
        """The new events on top of the view."""
        path = Paths(self.run).journal
        if _which(path) != self._file:  # it is being read anew
            return self._news()
        before = self._offset
        events, self._offset = journal.follow(path, before)
        if self._offset < before:
            self._file = None
            return self._news()
        self._unfolded += events
        stamps = self._stamped()
        if began >= self._standing_again and (self._unfolded or stamps != self._stamps):
            self._stamps = stamps
            told, self._unfolded = self._unfolded, []
            return self._stands(later(seen, told))
        return self._news({event.key: self._right_after(event, seen) for event in events})

    def _right_after(self, event: Event, seen: View) -> Row:
        """A job right after an event, until its standing is worked out."""
        before = self._ahead.get(event.key) or seen.jobs.get(event.key) or Job(event.key)
        job = self._ahead[event.key] = step(before, event)
        return Row(job, shown.state_after(event), (), job.why, job.cause)

    def _whole(self) -> _Whole:
        """Read all of it; changes nothing here, as it may be done in another thread."""
        began, stamps, path = self.mono(), self._stamped(), Paths(self.run).journal
        with _uncollected():
            file = _which(path)
            told, offset = journal.follow(path, 0)
            seen = view_of(self.run, told)
            if len(seen.by_key) >= shown.LARGE:
                gc.freeze()
        return _Whole(seen, file, offset, stamps, self.mono() - began)

    def _take(self, whole: _Whole) -> News:
        self._file, self._offset, self._stamps = whole.file, whole.offset, whole.stamps
        self._unfolded = []
        self._tree_again = self.mono() + max(TREE_PAUSE, TREE_SHARE * whole.seconds)
        return self._stands(whole.seen)

    def _stands(self, seen: View) -> News:
        began = self.mono()
        self._view, self._trouble = seen, ""
        self._ahead.clear()
        rows = seen.by_key
        if rows.keys() != set(self._order):
            self._order = in_order(rows)
        self._pace = "; ".join(pace_words(pace_of_view(seen, self.now())))
        end = self.mono()
        self._standing_again = end + SHARE * (end - began)
        return self._news(rows, list(self._order), seen)

    def _stamped(self) -> tuple[object, ...]:
        """What says that a daemon saw something anew that is in no event."""
        paths = Paths(self.run)
        return tuple(_stamp(path) for path in (paths.present, paths.memory))

    def _news(
        self,
        rows: Mapping[Key, Row] | None = None,
        order: Sequence[Key] | None = None,
        seen: View | None = None,
    ) -> News:
        return News(rows or {}, order, seen, daemon_words(self.run), self._pace, self._trouble)


def _beside(work: Callable[[], _Whole]) -> Future[_Whole]:
    """Do it in a thread of its own, which does not keep the program from ending."""
    done: Future[_Whole] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 (raised where the result is taken)
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return done


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """So much is made meanwhile, and stays, that going through it for garbage takes seconds."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _which(path: Path) -> tuple[int, int] | None:
    """Which file has this name now; None where none has."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
