"""What becomes ready, and what is submitted next."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.core import choose
from jobmon.core.choose import TRIES, Refusal, refused
from jobmon.core.life import Job
from jobmon.core.model import Attempt, Key, Kind, Life, Mono, Standing

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
