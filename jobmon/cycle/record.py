"""Step 8: the files that a person reads are drawn from the journal."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass

from jobmon.core.model import Seen
from jobmon.core.text import printable
from jobmon.cycle.state import Know
from jobmon.cycle.survey import reorder, take_order
from jobmon.run import names, views
from jobmon.run.atomic import write_atomically
from jobmon.run.synced import Stamp

SHARE = 0.02
"""The share of the time that may be spent on writing the quelist."""


@dataclass(slots=True)
class Recorder:
    """Draws quelist, qsub.now and qstat; remembers how long the quelist took."""

    know: Know
    _drawn: int = -1
    _not_before: float = 0.0

    def draw(self, seen: Seen | None = None, *, at_once: bool = False) -> None:
        know = self.know
        if seen is not None:
            when = names.stamp(know.clock.wall())
            text = "\n".join(printable(line) for line in seen.listing.split("\n"))
            write_atomically(know.paths.qstat, f"# as seen at {when}\n{text}")
        listed = know.listed()
        now = [views.Now(key, listed[key]) for key in sorted(listed, key=names.order)]
        text = views.print_now(now)
        if not know.paths.now.exists() or know.paths.now.read_text("utf-8") != text:
            write_atomically(know.paths.now, text)
        reorder(know)  # an edit of this very moment is not to be drawn over
        events = sum(len(know.jobs[key].history) for key in know.order)
        if know.drawn is not None and events == self._drawn and know.paths.quelist.exists():
            return
        if at_once or know.clock.now() >= self._not_before:
            began = time.perf_counter()
            self._draw_quelist()
            know.save_present()
            self._drawn = events
            self._not_before = know.clock.now() + (time.perf_counter() - began) / SHARE

    def _draw_quelist(self) -> None:
        """Replace the quelist; an edit that fell into the file while it was replaced counts too."""
        know = self.know
        path, before = know.paths.quelist, know.drawn
        with contextlib.ExitStack() as stack:
            old = stack.enter_context(path.open("rb")) if path.exists() else None
            write_atomically(path, views.print_quelist(know.lines()))
            know.drawn = Stamp.of(path.stat())
            if old is None or before is None or Stamp.of(os.fstat(old.fileno())) == before:
                return
            know.drawn = None
            take_order(know, old.read().decode("utf-8", "surrogateescape"))
