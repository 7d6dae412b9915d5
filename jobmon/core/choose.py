"""What becomes ready, what is submitted next, and what is tried again by itself."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from jobmon.core.life import Job
from jobmon.core.model import Attempt, Event, Key, Kind, Life, Mono, Standing

TRIES = 5
"""How often a job that the batch system refuses is tried before it is called failed."""


ADOPTED, GONE = "adopted", "gone"
"""The note of events that were read from the remote record, and its value for an attempt that
was gone when it was."""

RETRY = "retry"
"""The note of a REOPENED event that no person asked for: which retry it is, from 1."""


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
    barred: Container[Key],
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


def refused(before: Refusal | None, now: Mono, first: float = 10.0) -> Refusal:
    """The refusal after one more: pauses of ``first`` seconds, and twice as long each time."""
    tries = (before.tries if before else 0) + 1
    return Refusal(tries, Mono(now + first * 2 ** (tries - 1)))


def retry(jobs: Iterable[Job], retries: int, at: datetime) -> list[Event]:
    """Which failed jobs begin a new attempt by themselves: each ``retries`` times at most since
    a person last let it go.

    Only an attempt that had a job ID and failed is proven gone; one that was refused never had
    one, and would be refused again. What was gone before a start afresh does not count.
    """
    events = []
    for job in jobs:
        if job.life == Life.FAILED and job.history and job.history[-1].jobid is not None:
            before = any(event.notes.get(ADOPTED) == GONE for event in job.history[-2:])
            if before:
                events.append(Event(at, Kind.REOPENED, job.key, job.n))
            elif _retried(job) < retries:
                notes = {RETRY: str(_retried(job) + 1)}
                events.append(Event(at, Kind.REOPENED, job.key, job.n, notes=notes))
    return events


def _retried(job: Job) -> int:
    opened = [event for event in job.history if event.kind == Kind.REOPENED]
    by_itself = takewhile(lambda event: RETRY in event.notes, reversed(opened))
    return sum(1 for _ in by_itself)
