"""What becomes ready, and what is submitted next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from jobmon.core.life import Job
from jobmon.core.model import Attempt, Event, Key, Kind, Life, Mono, Standing

TRIES = 5
"""How often a job that the batch system refuses is tried before it is called failed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A clear no of the batch system: how often so far, and when to try again."""

    tries: int
    again: Mono


def resolve(jobs: Iterable[Job], standing: Callable[[Key], Standing], at: datetime) -> list[Event]:
    """Which of ``jobs`` became ready: new ones whose dependencies are met now."""
    return [
        Event(at, Kind.READY, job.key)
        for job in jobs
        if job.life == Life.NEW and standing(job.key) == Standing.CLEAR
    ]


def choose(
    order: Iterable[Key],
    jobs: Mapping[Key, Job],
    standing: Callable[[Key], Standing],
    refusals: Mapping[Key, Refusal],
    barred: Set[Key],
    room: int,
    now: Mono,
) -> list[Attempt]:
    """The next attempts, in the order of the quelist, at most ``room``.

    ``barred`` are jobs that a person must look at first (a file changed on both sides).
    """
    chosen: list[Attempt] = []
    for key in order:
        if len(chosen) >= room:
            break
        job = jobs[key]
        if job.life != Life.READY or key in barred or standing(key) != Standing.CLEAR:
            continue
        if key in refusals and now < refusals[key].again:
            continue
        chosen.append(Attempt(key, job.n + 1))
    return chosen


def refused(before: Refusal | None, now: Mono) -> Refusal:
    """The refusal after one more: pauses of 10, 20, 40, 80 s."""
    tries = (before.tries if before else 0) + 1
    return Refusal(tries, Mono(now + 10.0 * 2 ** (tries - 1)))
