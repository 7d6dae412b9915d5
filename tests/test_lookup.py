"""Whose job one is that carries no token: what may be adopted by its place, and what may not."""

from __future__ import annotations

import pytest

from jobmon.cluster.lookup import adopted, candidates, earlier
from jobmon.core.model import Accepted, Answer, Attempt, JobID, Key, NotRun, Refused, Unclear

KEY = Key("mp-1/qsub.0")
FIRST, SECOND, THIRD = (Attempt(KEY, n) for n in (1, 2, 3))
A, B, C = JobID("101.vm"), JobID("102.vm"), JobID("103.vm")
TWINS = ("/home/a/runs/2026", "/data/a/runs/2026")


def test_a_job_is_known_by_either_name_of_the_twin_and_by_no_other() -> None:
    places = {
        A: "/home/a/runs/2026/mp-1/qsub.0",
        B: "/data/a/runs/2026/mp-1/qsub.0",
        C: "/net/a/runs/2026/mp-1/qsub.0",
        JobID("1.vm"): "/home/a/runs/2025/mp-1/qsub.0",
        JobID("2.vm"): "/home/a/runs/2026/mp-1/qsub.01",
        JobID("3.vm"): "/home/a/runs/2026/mp-1/sub/qsub.0",
    }
    assert candidates(FIRST, TWINS, places, set()) == {A, B}
    assert candidates(FIRST, TWINS, places, {A}) == {B}
    assert candidates(Attempt(Key("mp-1/qsub.1"), 1), TWINS, places, set()) == set()


def test_only_earlier_attempts_without_a_known_id_are_asked_for() -> None:
    assert earlier(FIRST, set()) == []
    assert earlier(THIRD, set()) == [FIRST, SECOND]
    assert earlier(THIRD, {FIRST, THIRD}) == [SECOND]


@pytest.mark.parametrize(
    ("found", "before", "jobid"),
    [
        ({A}, [], A),
        ({A, B}, [], None),
        (set(), [], None),
        ({A, B}, [Accepted(A)], B),
        ({A}, [Accepted(A)], None),
        ({A}, [NotRun("late"), Refused("no")], A),
        ({A}, [None], None),  # it may be that one's
        ({A, B}, [Accepted(A), None], None),
        ({A}, [Unclear("protocol error")], None),
    ],
)
def test_what_is_adopted(
    found: set[JobID], before: list[Answer | None], jobid: JobID | None
) -> None:
    assert adopted(found, before) == jobid
