"""The simulated world: one clock, what is to happen when, and what really happened.

Nothing here knows jobmon. Time passes only in ``advance``; whatever is due by then happens in
order. Several things may wait in the same world: jobs that run, remote programs that nobody
listens to any more, a person who edits a file.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

EPOCH = 1_800_000_000.0
"""What the cluster's clock says, in seconds, when the world begins."""


@dataclass(slots=True)
class Due:
    """Something that is to happen; ``off`` once it will not."""

    action: Callable[[], None]
    off: bool = False


@dataclass(slots=True)
class World:
    """The clock and the calendar. ``chance`` decides all that is left to chance."""

    chance: Random
    now: float = 0.0
    _calendar: list[tuple[float, int, Due]] = field(default_factory=list)
    _number: count[int] = field(default_factory=count)

    def after(self, seconds: float, action: Callable[[], None]) -> Due:
        """Have ``action`` happen in ``seconds``; it must not let time pass itself."""
        due = Due(action)
        heapq.heappush(self._calendar, (self.now + seconds, next(self._number), due))
        return due

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        calendar = self._calendar
        while calendar and calendar[0][0] <= until:
            time, _, due = heapq.heappop(calendar)
            self.now = max(self.now, time)
            if not due.off:
                due.off = True
                due.action()
        self.now = max(self.now, until)


@dataclass(slots=True)
class Faults:
    """Which faults may happen in this world, how likely each, and how often each did.

    After ``until`` nothing goes wrong any more: a run must then come to its end.
    """

    world: World
    likely: dict[str, float]
    until: float
    happened: Counter[str] = field(default_factory=Counter)

    def strike(self, name: str) -> bool:
        """Whether this fault happens here and now."""
        likely = self.likely.get(name)
        if likely is None or self.world.now >= self.until:
            return False
        if self.world.chance.random() >= likely:
            return False
        self.happened[name] += 1
        return True

    def possible(self, name: str) -> bool:
        """Whether the fault is one of this world at all (also after ``until``)."""
        return name in self.likely
