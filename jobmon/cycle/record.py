"""Step 8: the files that a person reads are drawn from the journal."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from jobmon.core.model import JobID, Key, Kind, Seen
from jobmon.core.text import printable
from jobmon.cycle.state import Know
from jobmon.cycle.survey import reorder, take_edit
from jobmon.run import names, shown, views
from jobmon.run.atomic import write_atomically
from jobmon.run.synced import Stamp

SHARE = 0.002
"""The share of this machine's time that may be spent on drawing the quelist."""


HASTE = 15.0
"""Seconds after the start in which a daemon has more urgent things to do than the table."""


@dataclass(slots=True)
class Recorder:
    """Draws quelist, qsub.now and qstat; remembers how long the quelist took."""

    know: Know
    _listed: dict[Key, JobID | None] | None = None
    _not_before: float = 0.0
    _shown_not_before: float | None = None
    _shown: tuple[int, int, int] | None = None

    def draw(self, seen: Seen | None = None, *, at_once: bool = False) -> None:
        know = self.know
        if seen is not None:
            when = names.stamp(know.clock.wall())
            text = "\n".join(printable(line) for line in seen.listing.split("\n"))
            write_atomically(know.paths.qstat, f"# as seen at {when}\n{text}")
        self._draw_now()
        if len(know.jobs) >= shown.LARGE:
            self._draw_shown(at_once=at_once)
        reorder(know)  # an edit of this very moment is not to be drawn over
        if not know.redraw and not know.touched and know.paths.quelist.exists():
            return
        if at_once or know.clock.now() >= self._not_before:
            self._not_before = know.clock.now() + _cost(self._draw_quelist) / SHARE

    def _draw_shown(self, *, at_once: bool) -> None:
        know = self.know
        if self._shown_not_before is None:
            self._shown_not_before = know.clock.now() + HASTE
        due = at_once or know.clock.now() >= self._shown_not_before
        state = know.journal.size, len(know.present), len(know.stuck)
        if due and state != self._shown:
            self._shown_not_before = know.clock.now() + _cost(self._show) / SHARE
            self._shown = state

    def _show(self) -> None:
        know = self.know
        at = know.clock.wall()
        table = shown.table(know.jobs, know.index, know.present, know.stuck, know.paths)
        pace = shown.pace_of(table, know.index, know.settings.maxqsub, at)
        seen = shown.Shown(names.stamp(at), pace=pace)
        for row in table:
            seen.states[row.job.key] = row.state
            seen.why[row.job.key] = row.reason
            seen.submissions += sum(e.kind == Kind.SUBMITTING for e in row.job.history)
        shown.write(know.paths, seen, know.journal.size)

    def _draw_now(self) -> None:
        know = self.know
        listed = know.listed()
        if listed == self._listed and know.paths.now.exists():
            return
        now = [views.Now(key, listed[key]) for key in sorted(listed, key=names.order)]
        write_atomically(know.paths.now, views.print_now(now))
        self._listed = listed

    def _draw_quelist(self) -> None:
        """Replace the quelist; an edit that fell into the file while it was replaced counts too."""
        know = self.know
        path, before = know.paths.quelist, know.drawn
        replaced: list[BinaryIO] = []
        with contextlib.ExitStack() as stack:

            def keep_open() -> None:
                with contextlib.suppress(FileNotFoundError):
                    replaced.append(stack.enter_context(path.open("rb")))

            for key in know.touched:
                know.printed[key] = str(views.line_of(key, know.jobs[key].history))
            lines = map(know.printed.__getitem__, know.order)
            written = write_atomically(path, views.print_quelist(lines), last=keep_open)
            know.drawn, know.redraw = Stamp.of(written), False
            know.touched.clear()
            know.save_present()
            for old in replaced:
                if before is not None and Stamp.of(os.fstat(old.fileno())) != before:
                    take_edit(know, old)
                    know.drawn = Stamp.of(written)


def _cost(act: Callable[[], None]) -> float:
    """Seconds of the processor that ``act`` took."""
    began = time.thread_time()  # the thread that pulls is not counted
    act()
    return time.thread_time() - began
