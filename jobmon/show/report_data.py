"""What a report tells, taken from the jobs' histories. Pure: no file, no clock, no drawing.

Times are those of the journal: when jobmon saw it happen, which is at most one look later than it
did. A job that began and ended between two looks was never seen running; how long it ran is then
not known, only how long it was in the batch system.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobmon.core.life import ENDS, Job
from jobmon.core.model import Event, Key, Kind, Life

BINS = 60
"""Bars of the throughput, at most."""

_NICE = (60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)


@dataclass(frozen=True, slots=True)
class Span:
    """One attempt's time in the batch system.

    ``state`` is how it ended, or ``submitted``, ``running`` or ``unclear`` for one that has not;
    ``end`` is then when the report was made. ``running`` is None for one never seen running.
    """

    key: Key
    n: int
    submitted: datetime
    running: datetime | None
    end: datetime
    state: str
    reason: str = ""

    @property
    def over(self) -> bool:
        return self.state in {str(kind) for kind in ENDS}

    @property
    def waited(self) -> float | None:
        """Seconds in the queue; None if it was not seen running."""
        return None if self.running is None else (self.running - self.submitted).total_seconds()

    @property
    def ran(self) -> float | None:
        """Seconds it ran, so far if it still does; None if it was not seen running."""
        return None if self.running is None else (self.end - self.running).total_seconds()

    @property
    def stayed(self) -> float:
        """Seconds in the batch system."""
        return (self.end - self.submitted).total_seconds()


def spans(job: Job, now: datetime) -> list[Span]:
    """The attempts of a job that came into the batch system, or perhaps did."""
    done: list[Span] = []
    opened: Span | None = None
    for event in job.history:
        match event.kind:
            case Kind.STARTED | Kind.UNCLEAR if opened is None:
                n = event.n or job.n
                opened = Span(job.key, n, event.at, None, now, _standing(event.kind))
            case Kind.STARTED | Kind.UNCLEAR if opened is not None:
                opened = replace(opened, state=_standing(event.kind))
            case Kind.RUNNING if opened is not None:
                opened = replace(opened, running=event.at, state="running")
            case Kind.UNSUBMITTED:
                opened = None
            case Kind.FINISHED | Kind.FAILED | Kind.KILLED if opened is not None:
                done.append(_ended(opened, event))
                opened = None
            case Kind.FINISHED if done:  # its marker came after it was given up
                done[-1] = replace(done[-1], state=str(event.kind), reason="")
    if opened is not None:
        done.append(replace(opened, end=max(now, opened.running or opened.submitted)))
    return done


def _standing(kind: Kind) -> str:
    return "unclear" if kind == Kind.UNCLEAR else "submitted"


def _ended(span: Span, event: Event) -> Span:
    end = max(event.at, span.running or span.submitted)  # clocks step back
    return replace(span, end=end, state=str(event.kind), reason=event.notes.get("reason", ""))


# --- charts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of the Gantt chart: attempts of one folder, none of which overlap."""

    folder: str
    place: int
    spans: tuple[Span, ...]


def lanes(found: Iterable[Span], folder_of: Callable[[Key], str]) -> list[Lane]:
    """As few rows for each folder as its attempts need, folders in the order they come in."""
    by_folder: dict[str, list[Span]] = {}
    for span in found:
        by_folder.setdefault(folder_of(span.key), []).append(span)
    made = []
    for folder, mine in by_folder.items():
        rows: list[list[Span]] = []
        free: list[tuple[datetime, int]] = []  # when each row's last attempt ends
        for span in sorted(mine, key=lambda s: (s.submitted, s.end)):
            if free and free[0][0] <= span.submitted:
                place = heapq.heappop(free)[1]
            else:
                place = len(rows)
                rows.append([])
            rows[place].append(span)
            heapq.heappush(free, (span.end, place))
        made += [Lane(folder, place, tuple(row)) for place, row in enumerate(rows)]
    return made


@dataclass(frozen=True, slots=True)
class Bars:
    """How many attempts ended in each interval of ``width`` seconds, by how they ended."""

    width: float
    starts: list[datetime]
    counts: dict[str, list[int]]


def throughput(found: Sequence[Span]) -> Bars:
    """The ends against time, in intervals of a length that people use."""
    ended = [span for span in found if span.over]
    if not ended:
        return Bars(_NICE[0], [], {})
    first = min(span.end for span in ended)
    length = (max(span.end for span in ended) - first).total_seconds()
    days = _NICE[-1] * (1 + length // (_NICE[-1] * BINS))
    width = next((w for w in _NICE if length / w < BINS), days)
    number = int(length // width) + 1
    counts = {str(kind): [0] * number for kind in (Kind.FINISHED, Kind.FAILED, Kind.KILLED)}
    for span in ended:
        counts[span.state][int((span.end - first).total_seconds() // width)] += 1
    starts = [first + timedelta(seconds=width * i) for i in range(number)]
    return Bars(width, starts, {state: many for state, many in counts.items() if any(many)})


def steps(
    periods: Iterable[tuple[datetime, datetime | None]], until: datetime
) -> tuple[list[datetime], list[int]]:
    """How many periods hold each moment: the times at which that changes, and the number since,
    up to ``until``. A period without an end goes on."""
    changes: Counter[datetime] = Counter()
    for begin, end in periods:
        changes[begin] += 1
        changes[end or until] -= end is not None
    times = sorted({at for at, change in changes.items() if change or at == until})
    numbers, number = [], 0
    for at in times:
        number += changes[at]
        numbers.append(number)
    return times, numbers


def by_id(
    found: Iterable[Span], id_of: Callable[[Key], str], seconds: Callable[[Span], float | None]
) -> dict[str, list[float]]:
    """What ``seconds`` gives for the attempts that finished, by the id of their jobs."""
    values: dict[str, list[float]] = {}
    for span in found:
        took = seconds(span) if span.state == Kind.FINISHED else None
        if took is not None:
            values.setdefault(id_of(span.key), []).append(took)
    return values


# --- tables ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Failures:
    """All failures with one reason; ``keys`` are those of the jobs, each once."""

    reason: str
    attempts: int
    keys: tuple[Key, ...]


def failures(jobs: Iterable[Job]) -> list[Failures]:
    """The failed attempts by reason, the commonest first; the jobs' own last words left out."""
    grouped: dict[str, list[Key]] = {}
    for job in jobs:
        failed = [event for event in job.history if event.kind == Kind.FAILED]
        if job.life == Life.FINISHED and failed and _came_late(job.history):
            failed.pop()
        for event in failed:
            reason = event.notes.get("reason", "").partition("; last words: ")[0]
            grouped.setdefault(reason or "no reason was given", []).append(job.key)
    made = [Failures(why, len(keys), tuple(dict.fromkeys(keys))) for why, keys in grouped.items()]
    return sorted(made, key=lambda group: (-group.attempts, group.reason))


def _came_late(history: Sequence[Event]) -> bool:
    """Whether the marker came after the last attempt was given up."""
    return len(history) > 1 and history[-2].kind == Kind.FAILED


def slowest(found: Iterable[Span], number: int) -> list[Span]:
    """The attempts that ran longest, those that still run among them."""
    known = (span for span in found if span.ran is not None)
    return heapq.nlargest(number, known, key=lambda span: span.ran or 0.0)


@dataclass(frozen=True, slots=True)
class CoreHours:
    """Cores asked for × running time. ``wasted`` of it is of attempts that did not finish;
    ``at_most`` is what attempts never seen running may have used besides; ``unasked`` attempts'
    scripts ask for no number of cores, and count as one core each."""

    used: float
    wasted: float
    at_most: float
    unasked: int


def core_hours(found: Iterable[Span], cores: Callable[[Key], int | None]) -> CoreHours:
    """What the attempts used, by ``cores``: how many a job's script asks for, if it says."""
    used = wasted = at_most = 0.0
    unasked = 0
    for span in found:
        asked = cores(span.key)
        unasked += asked is None
        if span.running is None:
            at_most += (asked or 1) * span.stayed / 3600 if span.over else 0.0
            continue
        hours = (asked or 1) * (span.ran or 0.0) / 3600
        used += hours
        if span.state in {Kind.FAILED, Kind.KILLED}:
            wasted += hours
    return CoreHours(used, wasted, at_most, unasked)
