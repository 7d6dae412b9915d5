"""What takes its time is said: a spinner on a terminal, one plain line elsewhere.

Whoever has the terminal says so (``on_terminal``); before that, and in a daemon, a step is silent.
Of one that is over within a second nothing is seen. The spinner stands on stderr, below what
else is printed: whoever prints or asks puts it ``aside`` meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

SOON = 1.0
"""Seconds after which a step that is not over is shown."""


@dataclass(eq=False, slots=True)
class _Step:
    words: str
    began: float
    over: bool = False


@dataclass(slots=True)
class _Terminal:
    """The steps under way, in whatever threads, and where they are shown."""

    plain: Callable[[str], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _late: list[_Step] = field(default_factory=list)
    _aside: int = 0
    _drawn: Progress | None = None

    @contextlib.contextmanager
    def step(self, words: str, after: float = SOON) -> Iterator[None]:
        it = _Step(words, time.monotonic())
        live = _is_live()
        timer = threading.Timer(SOON if live else after, self._show, [it, live])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._over(it)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        with self._lock:
            self._aside += 1
            self._draw()
        try:
            yield
        finally:
            with self._lock:
                self._aside -= 1
                self._draw()

    def _show(self, it: _Step, live: bool) -> None:
        if not live:
            self.plain(f"{it.words} …")
            return
        with self._lock:
            if not it.over:
                self._late.append(it)
                self._draw()

    def _over(self, it: _Step) -> None:
        with self._lock:
            it.over = True
            if it in self._late:
                self._late.remove(it)
                self._draw()

    def _draw(self) -> None:
        """Show the steps that are late, unless somebody prints; the lock is held."""
        with contextlib.suppress(OSError, ValueError):  # a terminal that is gone ends no work
            drawn, self._drawn = self._drawn, None
            if drawn is not None:
                drawn.stop()
            if self._late and not self._aside:
                self._drawn = _spinners(self._late)
                self._drawn.start()


class _Shown(Protocol):
    def step(self, words: str, after: float = SOON) -> AbstractContextManager[None]: ...

    def aside(self) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class _Far:
    """Steps whose begin and end are told to the process that has the terminal."""

    tell: Callable[[str, bool], object]

    @contextlib.contextmanager
    def step(self, words: str, after: float = SOON) -> Iterator[None]:
        self.tell(words, True)
        try:
            yield
        finally:
            self.tell(words, False)

    def aside(self) -> AbstractContextManager[None]:
        return contextlib.nullcontext()


_shown: _Shown | None = None


def on_terminal(plain: Callable[[str], None]) -> None:
    """Show from now on what takes long; ``plain`` prints a line where there is no terminal."""
    global _shown  # noqa: PLW0603 (there is one terminal, as there is one root of logging)
    _shown = _Terminal(plain)


def by_terminal_of(tell: Callable[[str, bool], object]) -> None:
    """Have another process show it: ``tell`` takes the words, and whether the step begins."""
    global _shown  # noqa: PLW0603
    _shown = _Far(tell)


def silence() -> None:
    """Show nothing from now on, whoever asked for it before."""
    global _shown  # noqa: PLW0603
    _shown = None


def step(words: str, after: float = SOON) -> AbstractContextManager[None]:
    """Say ``words`` while the body takes more than a second (without a terminal, ``after``)."""
    return contextlib.nullcontext() if _shown is None else _shown.step(words, after)


def aside() -> AbstractContextManager[None]:
    """Keep the spinner out of the way of what the body prints or asks."""
    return contextlib.nullcontext() if _shown is None else _shown.aside()


def _is_live() -> bool:
    """Whether stderr is a terminal that can move its cursor and that this process may write to."""
    if os.environ.get("TERM", "dumb") in {"dumb", "unknown", ""}:
        return False
    try:
        return os.tcgetpgrp(sys.stderr.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # no terminal, not ours, or closed
        return False


def _spinners(steps: list[_Step]) -> Progress:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    class Screen(Console):
        def show_cursor(self, show: bool = True) -> bool:
            return False  # one that was hidden would stay so behind a process that is killed

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    drawn = Progress(
        *columns,
        console=Screen(stderr=True),
        transient=True,
        refresh_per_second=8,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    for it in steps:
        drawn.add_task(it.words, total=None)
        drawn.tasks[-1].start_time = it.began
    return drawn
