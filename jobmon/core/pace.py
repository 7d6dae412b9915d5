"""How quick a run goes and how long the rest will take, from what jobs of the same id took.

Seconds here are differences of the journal's wall times: they are shown, nothing hangs on them.
A job's time is that from its submission to its end, since for that long it keeps a place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobmon.core.life import Job
from jobmon.core.model import Key, Kind, Life
from jobmon.core.needs import Needs
from jobmon.core.rows import Row

WINDOW = 3600.0
"""Seconds over which the rate is taken."""

EIGHTY = 1.2816
"""Standard deviations on either side of the mean that hold 80 % of a normal distribution."""

IGNORANCE = 0.5
"""The standard deviation of what was seen only once, as a share of what it took."""

LEFT = frozenset({"waiting", "ready", "submitted", "running"})
"""The states of jobs that go on by themselves."""


@dataclass(frozen=True, slots=True)
class Pace:
    """``per_hour``: jobs finished an hour, None before the first. ``left``: jobs that can still go,
    ``unknown`` of them of ids of which none has finished. ``to_end``: seconds to the end of those,
    with the ends of an interval that should hold it in four of five cases; None if nothing is
    known yet, or nothing is left."""

    per_hour: float | None
    left: int
    unknown: int
    to_end: tuple[float, float, float] | None


@dataclass(slots=True)
class Took:
    """What the finished jobs of one id took."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        self.squares += seconds * seconds

    @property
    def mean(self) -> float:
        return self.total / self.count

    @property
    def variance(self) -> float:
        """Of the next one to come: how they differ, and how little their mean is known."""
        if self.count < 2:
            return (IGNORANCE * self.mean) ** 2
        spread = (self.squares - self.total * self.mean) / (self.count - 1)
        return max(0.0, spread)


def took(job: Job) -> float | None:
    """Seconds from the last submission to the end of a finished job; None if that is not known."""
    if job.life != Life.FINISHED:
        return None
    began = submitted(job)
    return None if began is None else max(0.0, (job.history[-1].at - began).total_seconds())


def submitted(job: Job) -> datetime | None:
    """When the last attempt that was taken up by the batch system was submitted."""
    starts = (event.at for event in reversed(job.history) if event.kind == Kind.STARTED)
    return next(starts, None)


def pace(
    rows: Sequence[Row],
    needs: Callable[[Key], Needs],
    maker: Callable[[str], Key | None],
    id_of: Callable[[Key], str],
    places: int,
    at: datetime,
) -> Pace:
    """The pace of a run at ``at``. ``places``: how many jobs may be in the batch system at once.

    What is left is done when the places have worked it off, or, if that is later, when the longest
    of its chains is through.
    """
    known: dict[str, Took] = {}
    ends: list[datetime] = []
    for row in rows:
        seconds = took(row.job)
        if seconds is not None:
            known.setdefault(id_of(row.job.key), Took()).add(seconds)
            ends.append(row.job.history[-1].at)
    rate = _rate(rows, ends, at)
    left = {row.job.key: row for row in rows if row.state in LEFT and not row.cause}
    ids = {key: id_of(key) for key in left}
    unknown = sum(id_ not in known for id_ in ids.values())
    if not left or not known:
        return Pace(rate, len(left), unknown, None)
    pooled = Took()
    for one in known.values():
        pooled.count += one.count
        pooled.total += one.total
        pooled.squares += one.squares
    each = {key: known.get(ids[key], pooled) for key in left}
    rest = {key: _rest(left[key].job, one.mean, at) for key, one in each.items()}
    return Pace(rate, len(left), unknown, _to_end(rest, each, needs, maker, max(1, places)))


def _rate(rows: Iterable[Row], ends: Sequence[datetime], at: datetime) -> float | None:
    if not ends:
        return None
    first = min(e.at for row in rows for e in row.job.history if e.kind == Kind.STARTED)
    until = at if any(row.job.in_system for row in rows) else max(ends)
    window = min(WINDOW, (until - first).total_seconds())
    if window <= 0:
        return None
    return sum((until - end).total_seconds() < window for end in ends) * 3600.0 / window


def _rest(job: Job, mean: float, at: datetime) -> float:
    """What a job will still take; one that is over its time, a quarter of it."""
    began = submitted(job) if job.in_system else None
    if began is None:
        return mean
    return max(mean - max(0.0, (at - began).total_seconds()), mean / 4)


def _to_end(
    rest: Mapping[Key, float],
    each: Mapping[Key, Took],
    needs: Callable[[Key], Needs],
    maker: Callable[[str], Key | None],
    places: int,
) -> tuple[float, float, float]:
    work = sum(rest.values()) / places
    chain, variance = _longest(rest, each, needs, maker)
    if work >= chain:
        alike: dict[int, tuple[Took, int]] = {}
        for one in each.values():
            alike[id(one)] = one, alike.get(id(one), (one, 0))[1] + 1
        variance = sum(
            one.variance * (count + count * count / one.count) for one, count in alike.values()
        )
        variance /= places * places
    middle, spread = max(work, chain), EIGHTY * math.sqrt(variance)
    return max(0.0, middle - spread), middle, middle + spread


def _longest(
    rest: Mapping[Key, float],
    each: Mapping[Key, Took],
    needs: Callable[[Key], Needs],
    maker: Callable[[str], Key | None],
) -> tuple[float, float]:
    """Seconds of the longest chain of jobs that wait for each other, and their variance."""
    through: dict[Key, tuple[float, float]] = {}
    for start in rest:
        todo = [start]
        while todo:
            key = todo[-1]
            if key in through:
                todo.pop()
                continue
            before = [
                made
                for need in needs(key) or ()
                if not need.absent and (made := maker(need.path)) in rest and made is not None
            ]
            new = [made for made in before if made not in through]
            if new and len(todo) <= len(rest):  # a ring is no state of LEFT, but may just arise
                todo += new
                continue
            longest = max((through.get(made, (0.0, 0.0)) for made in before), default=(0.0, 0.0))
            own = each[key].variance * (1 + 1 / each[key].count)
            through[key] = longest[0] + rest[key], longest[1] + own
            todo.pop()
    return max(through.values(), default=(0.0, 0.0))
