"""What becomes ready, and what is submitted next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.core import choose, life
from jobmon.core.choose import RETRY, TRIES, Refusal, refused
from jobmon.core.life import Job
from jobmon.core.model import Attempt, Event, JobID, Key, Kind, Life, Mono, Standing

AT = datetime(2026, 11, 20, tzinfo=UTC)
NOW = Mono(100.0)


@pytest.mark.parametrize("state", Life)
@pytest.mark.parametrize("stand", Standing)
def test_only_a_new_job_whose_needs_are_met_becomes_ready(state: Life, stand: Standing) -> None:
    job = Job(Key("m/qsub.0"), state)
    events = choose.resolve([job], lambda _: stand, AT)
    ready = state == Life.NEW and stand == Standing.CLEAR
    assert [(e.kind, e.key, e.at, e.n) for e in events] == (
        [(Kind.READY, job.key, AT, 0)] if ready else []
    )


jobs = st.dictionaries(
    st.sampled_from([Key(f"{c}/qsub.0") for c in "abcdefgh"]),
    st.tuples(
        st.sampled_from([Life.READY, Life.READY, *Life]),
        st.integers(0, 3),
        st.sampled_from([Standing.CLEAR, *Standing]),
        st.none() | st.floats(0, 200),
        st.booleans(),
    ),
)


@given(jobs, st.integers(-2, 6), st.randoms(use_true_random=False))
def test_the_first_in_the_quelists_order_that_may_go(
    told: dict[Key, tuple[Life, int, Standing, float | None, bool]], room: int, rng: object
) -> None:
    order = list(told)
    rng.shuffle(order)  # type: ignore[attr-defined]
    known = {key: Job(key, state, n) for key, (state, n, *_) in told.items()}
    refusals = {k: Refusal(1, Mono(t[3])) for k, t in told.items() if t[3] is not None}
    barred = {key for key, t in told.items() if t[4]}
    found = choose.choose(order, known, lambda k: told[k][2], refusals, barred, room, NOW)
    may = [
        key
        for key in order
        if told[key][0] == Life.READY
        and told[key][2] == Standing.CLEAR
        and (told[key][3] or 0) <= NOW
        and not told[key][4]
    ]
    assert found == [Attempt(key, told[key][1] + 1) for key in may[: max(room, 0)]]


def test_a_refused_job_waits_longer_each_time() -> None:
    refusal, pauses = None, []
    for _ in range(TRIES - 1):
        refusal = refused(refusal, NOW)
        pauses.append(refusal.again - NOW)
    assert pauses == [10, 20, 40, 80]
    assert refused(refusal, NOW).tries == TRIES
    assert refused(refusal, NOW, 1.0).again == NOW + 2.0 ** (TRIES - 1)


def attempt(job: Job, end: Kind = Kind.FAILED, jobid: str | None = "7") -> Job:
    """``job`` after one more attempt that ended so; without a job ID it was refused."""
    if job.life == Life.NEW:
        job = life.step(job, Event(AT, Kind.READY, job.key))
    n = job.n + 1
    job = life.step(job, Event(AT, Kind.SUBMITTING, job.key, n))
    if jobid is None:
        job = life.step(job, Event(AT, Kind.UNSUBMITTED, job.key, n))
        return life.step(job, Event(AT, Kind.FAILED, job.key, n))
    job = life.step(job, Event(AT, Kind.STARTED, job.key, n, JobID(jobid)))
    return life.step(job, Event(AT, end, job.key, n, JobID(jobid)))


@given(st.integers(0, 4), st.integers(0, 3))
def test_a_failed_job_is_retried_so_often_since_a_person_let_it_go(
    retries: int, reopened: int
) -> None:
    job = attempt(Job(Key("m/qsub.0")))
    for _ in range(reopened + 1):
        told = []
        while events := choose.retry([job], retries, AT):
            (event,) = events
            assert (event.kind, event.at) == (Kind.REOPENED, AT)
            told.append(event.notes[RETRY])
            before, job = job, attempt(life.step(job, event))
            assert job.n == before.n + 1
        assert told == [str(n) for n in range(1, retries + 1)]
        job = attempt(life.step(job, Event(AT, Kind.REOPENED, job.key, job.n)))  # by a person


def test_only_what_was_in_the_system_and_failed_is_retried() -> None:
    new = Job(Key("m/qsub.0"))
    refused = attempt(new, jobid=None)
    assert refused.life == Life.FAILED
    others = [attempt(new, Kind.KILLED), attempt(new, Kind.FINISHED), new, refused]
    assert choose.retry(others, 9, AT) == []
    late = life.step(attempt(new), Event(AT, Kind.FINISHED, new.key, 1))
    assert choose.retry([late], 9, AT) == [], "its marker came late"
