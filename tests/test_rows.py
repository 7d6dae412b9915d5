"""What a person is shown of each job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from jobmon.core.life import OPEN, Job
from jobmon.core.model import Event, Key, Kind, Life
from jobmon.core.needs import Needs, parse
from jobmon.core.rows import STATES, Row, rows
from jobmon.core.text import printable
from jobmon.run import names

KEY = Key("m/qsub.0")


def row(
    job: Job,
    needs: Needs = (),
    present: frozenset[str] = frozenset(),
    stuck: Mapping[Key, str] = MappingProxyType({}),
) -> Row:
    runs = Job(Key("runs/qsub.0"), Life.RUNNING)
    jobs = {job.key: job, runs.key: runs}
    found = rows(jobs, {job.key: needs}.get, present, names.marker_key, str.upper, stuck)
    assert [r.job for r in found] == [job, runs]
    return found[0]


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (Life.SUBMITTING, "submitted"),
        (Life.STARTED, "submitted"),
        (Life.RUNNING, "running"),
        (Life.FINISHED, "finished"),
        (Life.FAILED, "failed"),
        (Life.KILLED, "killed"),
        (Life.UNCLEAR, "unclear"),
    ],
)
def test_what_was_submitted_is_shown_by_its_life(state: Life, shown: str) -> None:
    why = Event(datetime.now(UTC), Kind.FAILED, KEY, notes={"reason": "because"})
    assert row(Job(KEY, state, history=(why,)), None) == Row(
        Job(KEY, state, history=(why,)), shown, (), "because"
    )


@pytest.mark.parametrize("state", sorted(OPEN))
def test_what_was_not_is_shown_by_its_files(state: Life) -> None:
    job = Job(KEY, state)
    assert row(job, None) == Row(
        job, "held", (), "held: M/QSUB.0"
    )  # fmt: skip
    assert row(job) == Row(job, "ready", (), "")
    asks = parse("x\nnot y\nz", "m")
    assert row(job, asks, frozenset(["m/z", "m/y"])) == Row(
        job, "waiting", ("m/x", "not m/y"), ""
    )  # fmt: skip
    ring = row(job, parse("qsub.finished.0", "m"))
    assert (ring.state, ring.missing) == ("blocked", ("m/qsub.finished.0",))
    assert ring.reason == "ring: m/qsub.0 waits for m/qsub.0"


def test_the_states_are_the_designs() -> None:
    words = "held waiting blocked ready submitted running finished failed killed unclear"
    assert " ".join(STATES) == words


def test_printable_is_one_line_without_control_codes() -> None:
    assert printable("a\tb\n\n c\x1b[31m\x00é\udcff ") == "a b c�[31m�é�"
    assert printable(b"\xff\xe9 ok\r\n") == "�� ok"


def test_a_job_that_will_never_start_says_so_while_it_waits_there() -> None:
    stuck = {KEY: "never"}
    for life in (Life.STARTED, Life.RUNNING):
        found = row(Job(KEY, life), stuck=stuck)
        assert (found.state, found.reason) == ("submitted", "never")
    assert row(Job(KEY, Life.FINISHED), stuck=stuck).reason == ""
