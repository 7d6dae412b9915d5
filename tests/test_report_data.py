"""What a report tells of the jobs' histories: attempts, lanes, series, core hours."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_lab import after, event

from jobmon.core.life import fold
from jobmon.core.model import Event, Key, Kind
from jobmon.localqueue.directives import cores_asked
from jobmon.show import report_data as data
from jobmon.show.report_data import CoreHours, Span

A, B = Key("a/qsub.0"), Key("b/qsub.1")
NOW = after(10_000)


def attempts(*events: Event) -> list[Span]:
    return [span for job in fold(events).values() for span in data.spans(job, NOW)]


def span(
    begin: float, runs: float | None, end: float, state: str = "finished", key: Key = A
) -> Span:
    return Span(key, 1, after(begin), None if runs is None else after(runs), after(end), state)


BEGUN = (event(0, Kind.READY, A, 0), event(1, Kind.SUBMITTING, A), event(2, Kind.STARTED, A))


def test_a_life_is_its_attempts() -> None:
    found = attempts(
        *BEGUN,
        event(100, Kind.RUNNING, A),
        event(300, Kind.FAILED, A, reason="exit code 3"),
        event(310, Kind.REOPENED, A),
        event(311, Kind.READY, A, 0),
        event(312, Kind.SUBMITTING, A, 2),
        event(313, Kind.STARTED, A, 2),
        event(320, Kind.FINISHED, A, 2),
    )
    first, second = found
    assert (first.n, first.waited, first.ran, first.state) == (1, 98, 200, "failed")
    assert first.reason == "exit code 3"
    assert (second.n, second.waited, second.ran, second.stayed) == (2, None, None, 7)


@pytest.mark.parametrize(
    ("more", "state", "ran", "stayed"),
    [
        ([], "submitted", None, 9998),
        ([event(100, Kind.RUNNING, A)], "running", 9900, 9998),
        ([event(100, Kind.UNCLEAR, A)], "unclear", None, 9998),
        ([event(100, Kind.UNCLEAR, A), event(200, Kind.STARTED, A)], "submitted", None, 9998),
        ([event(100, Kind.FAILED, A), event(200, Kind.FINISHED, A)], "finished", None, 98),
        ([event(100, Kind.RUNNING, A), event(50, Kind.KILLED, A)], "killed", 0, 98),
    ],
)
def test_an_attempt_as_it_stands(
    more: list[Event], state: str, ran: float | None, stayed: float
) -> None:
    (found,) = attempts(*BEGUN, *more)
    assert (found.state, found.ran, found.stayed) == (state, ran, stayed)


def test_what_was_never_in_the_batch_system_has_no_attempt() -> None:
    assert attempts(event(0, Kind.FINISHED, A, 0)) == []
    assert attempts(event(0, Kind.READY, A, 0), event(1, Kind.FAILED, A, 0, reason="refused")) == []
    assert attempts(*BEGUN[:2], event(3, Kind.UNSUBMITTED, A)) == []


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 90), st.sampled_from("ab"))))
def test_lanes_hold_every_attempt_once_and_none_overlap(many: list[tuple[int, int, str]]) -> None:
    found = [span(b, None, b + d, key=Key(f"{f}/qsub.0")) for b, d, f in many]
    rows = data.lanes(found, lambda key: key[0])
    assert sorted(str(s) for row in rows for s in row.spans) == sorted(map(str, found))
    for row in rows:
        assert {s.key[0] for s in row.spans} == {row.folder}
        assert all(b.end <= a.submitted for b, a in pairwise(row.spans))
    for folder in {row.folder for row in rows}:  # and as many as there are attempts at once
        mine = [(s.submitted, s.end) for s in found if s.key[0] == folder]
        _, numbers = data.steps(mine, NOW)
        assert sum(row.folder == folder for row in rows) == max(numbers)
        assert numbers[-1] == 0


def test_the_bars_hold_every_end_once() -> None:
    found = [span(0, None, 60 * n, "failed" if n % 7 == 0 else "finished") for n in range(1, 500)]
    bars = data.throughput([*found, span(0, 5, 6, "running")])
    assert sum(map(sum, bars.counts.values())) == 499
    assert set(bars.counts) == {"finished", "failed"}
    assert len(bars.starts) <= data.BINS
    assert bars.width == 600
    assert data.throughput([]).starts == []
    year = data.throughput([span(0, None, 0), span(0, None, 400 * 86400)])
    assert len(year.starts) <= data.BINS and year.width % 86400 == 0


def test_what_still_runs_is_in_the_batch_system_to_the_end() -> None:
    times, numbers = data.steps([(after(0), after(10)), (after(5), None)], after(60))
    assert numbers == [1, 2, 1, 1]
    assert times == [after(0), after(5), after(10), after(60)]


def test_times_by_id_are_of_those_that_finished() -> None:
    found = [span(0, 10, 30), span(0, 5, 6, "failed"), span(0, None, 9), span(0, 1, 2, key=B)]
    by_id = data.by_id(found, lambda key: key[-1], lambda each: each.ran)
    assert by_id == {"0": [20], "1": [1]}


def test_failures_are_grouped_without_their_last_words() -> None:
    told = []
    for n, words in enumerate(("x", "y", "z")):
        key = f"f{n}/qsub.0"
        told += [event(0, Kind.READY, key, 0), event(1, Kind.SUBMITTING, key)]
        told += [event(2, Kind.STARTED, key)]
        reason = "exit code 1; last words: " + words if n < 2 else "out of time"
        told.append(event(9, Kind.FAILED, key, reason=reason))
    late = [event(0, Kind.READY, B, 0), event(1, Kind.SUBMITTING, B), event(2, Kind.STARTED, B)]
    late += [event(3, Kind.FAILED, B, reason="gone"), event(4, Kind.FINISHED, B)]
    first, second = data.failures(fold([*told, *late]).values())
    assert (first.reason, first.attempts) == ("exit code 1", 2)
    assert first.keys == ("f0/qsub.0", "f1/qsub.0")
    assert (second.reason, second.keys) == ("out of time", ("f2/qsub.0",))


def test_core_hours_are_the_cores_asked_for_times_the_time_it_ran() -> None:
    found = [
        span(0, 1800, 5400),
        span(0, 0, 1800, "failed"),
        span(0, 0, 3600, "running", B),
        span(0, None, 3600, "killed"),
        span(0, None, 3600, "submitted"),
    ]
    hours = data.core_hours(found, lambda key: 8 if key == A else None)
    assert hours == CoreHours(used=8 + 4 + 1, wasted=4, at_most=8, unasked=1)


def test_the_slowest_come_first() -> None:
    found = [span(0, 1, 5), span(0, None, 99), span(0, 1, 50, "running"), span(0, 1, 9)]
    assert [each.ran for each in data.slowest(found, 2)] == [49, 8]


@pytest.mark.parametrize(
    ("script", "cores"),
    [
        ("#SBATCH -n 4\n#SBATCH -c 2\n", 8),
        ("#PBS -l select=2:ncpus=16\n", 32),
        ("#$ -pe smp 12\n", 12),
        ("#SBATCH -n 4\n#SBATCH -a 1-9\n", 4),
        ("#SBATCH -t 1:00\n", None),
        ("#SBATCH -n many\n", None),
        ("echo\n", None),
    ],
)
def test_the_cores_that_a_script_asks_for(script: str, cores: int | None) -> None:
    assert cores_asked(f"#!/bin/sh\n{script}") == cores
