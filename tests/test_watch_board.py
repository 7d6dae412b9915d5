"""The live view's values: which jobs are in sight, in which order, and what a cell stands for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from watch_lab import NOW, START

from jobmon.core.life import fold
from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.core.rows import STATES, Row
from jobmon.show.select import chosen
from jobmon.show.watch.board import (
    LETTERS,
    SORTS,
    Board,
    Sight,
    fitting,
    how_long,
    in_order,
    layout,
    ordered,
)
from jobmon.show.watch.sheet import COLOURS, fitted, widest


def row(key: str, state: str, *kinds: Kind, minute: float = 0) -> Row:
    at = START + timedelta(minutes=minute)
    told = []
    for i, kind in enumerate(kinds):
        jobid = JobID("1") if kind not in {Kind.READY, Kind.SUBMITTING} else None
        told.append(Event(at + timedelta(minutes=10 * i), kind, Key(key), int(i > 0), jobid))
    job = fold(told)[Key(key)] if told else fold([Event(at, Kind.READY, Key(key))])[Key(key)]
    return Row(job, state, (), "")


GOES = (Kind.READY, Kind.SUBMITTING, Kind.STARTED, Kind.RUNNING)


def board() -> Board:
    rows = [
        row("mp-2/qsub.0", "finished", *GOES, Kind.FINISHED),
        row("mp-2/qsub.1", "running", *GOES, minute=60),
        row("mp-10/qsub.0", "failed", *GOES, Kind.FAILED, minute=20),
        row("mp-10/qsub.1", "ready", minute=90),
        row("a[1]/qsub.0", "running", *GOES, minute=30),
    ]
    found = Board()
    found.renew({r.job.key: r for r in rows}, in_order(r.job.key for r in rows))
    return found


def test_every_state_has_a_letter_of_its_own_and_a_colour() -> None:
    assert list(LETTERS) == list(STATES) == list(COLOURS)
    assert len(set(LETTERS.values())) == len(STATES)


def test_the_order_is_folder_by_folder_as_people_count() -> None:
    keys = ["b/qsub.10", "b/qsub.9", "a10/qsub.0", "a9/qsub.0", "b/c/qsub.0", "qsub.0"]
    assert in_order(map(Key, keys)) == [
        *("qsub.0", "a9/qsub.0", "a10/qsub.0", "b/qsub.9", "b/qsub.10", "b/c/qsub.0"),
    ]


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        ("", ["a[1]/qsub.0", "mp-2/qsub.0", "mp-2/qsub.1", "mp-10/qsub.0", "mp-10/qsub.1"]),
        ("failed ready", ["mp-10/qsub.0", "mp-10/qsub.1"]),
        ("mp-1", ["mp-10/qsub.0", "mp-10/qsub.1"]),
        ("mp-*/qsub.0", ["mp-2/qsub.0", "mp-10/qsub.0"]),
        ("running [1]", ["a[1]/qsub.0"]),
        ("held", []),
        ("nowhere", []),
    ],
)
def test_a_filter_is_of_states_and_of_keys(words: str, keys: list[str]) -> None:
    assert fitting(board(), words) == keys


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [
        ("folder", "a[1]/qsub.0", "mp-10/qsub.1"),
        ("state", "mp-10/qsub.0", "mp-2/qsub.0"),
        ("time", "a[1]/qsub.0", "mp-10/qsub.1"),
        ("latest", "mp-2/qsub.1", "mp-2/qsub.0"),
    ],
)
def test_the_orders_of_the_table(sort: str, first: str, last: str) -> None:
    assert sort in SORTS
    there = board()
    found = ordered(there, there.order, sort, backwards=False)
    assert (found[0], found[-1]) == (first, last)
    assert ordered(there, there.order, sort, backwards=True) == found[::-1]


def test_a_key_that_reads_as_a_pattern_means_its_job_alone() -> None:
    """What is done to the job under the cursor is done to no other."""
    keys = [Key("a[1]/qsub.0"), Key("a1/qsub.0"), Key("b*/qsub.0"), Key("b2/qsub.0")]
    assert chosen(keys, ["a[1]/qsub.0", "b*/qsub.0"]) == ([keys[0], keys[2]], [])
    assert chosen(keys, ["b*"]) == (keys[2:], [])


def test_a_change_moves_the_counts_and_may_bring_a_job() -> None:
    there = board()
    there.change({Key("mp-2/qsub.1"): row("mp-2/qsub.1", "finished", *GOES, Kind.FINISHED)})
    there.change({Key("mp-3/qsub.0"): row("mp-3/qsub.0", "ready")})
    assert there.counts["finished"] == 2 and there.counts["running"] == 1
    assert there.order[3] == "mp-3/qsub.0" and there.state(Key("mp-3/qsub.0")) == "ready"
    assert there.state(Key("no/qsub.0")) == ""


def test_marked_jobs_that_are_gone_are_no_longer_meant() -> None:
    sight = Sight(board())
    sight.choose()
    assert sight.meant(Key("mp-2/qsub.0")) == ["mp-2/qsub.0"] and sight.meant(None) == []
    sight.marks = {Key("mp-10/qsub.1"), Key("mp-2/qsub.1"), Key("gone/qsub.0")}
    assert not sight.choose()
    assert sight.meant(Key("mp-2/qsub.0")) == ["mp-2/qsub.1", "mp-10/qsub.1"]


def test_a_search_goes_round() -> None:
    sight = Sight(board(), words="mp")
    sight.choose()
    keys = [sight.found("qsub.1", Key("mp-2/qsub.0"), step) for step in (1, -1)]
    assert keys == ["mp-2/qsub.1", "mp-10/qsub.1"]
    assert sight.found("qsub.1", Key("mp-10/qsub.1"), 1) == "mp-2/qsub.1"
    assert sight.found("a[1]", None, 1) is None and sight.found("", None, 1) is None


def test_how_long_is_that_of_its_state_or_what_it_took() -> None:
    there = board().rows
    assert how_long(there[Key("mp-2/qsub.1")], NOW) == 30 * 60
    assert how_long(there[Key("mp-2/qsub.0")], NOW) == 20 * 60
    assert how_long(there[Key("mp-10/qsub.0")], NOW) is None


def test_the_grid_has_a_place_for_each_job() -> None:
    keys = [Key(k) for k in ("a/qsub.10", "a/qsub.9", "b/qsub.scf", "qsub.9")]
    places = layout(keys)
    assert places.folders == ("a", "b", "") and places.ids == ("9", "10", "scf")
    assert [places.place(key) for key in keys] == [(0, 1), (0, 0), (1, 2), (2, 0)]
    assert [places.key(*places.place(key) or (9, 9)) for key in keys] == keys
    assert places.place(Key("c/qsub.9")) is None and places.key(3, 0) is None


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("mp-1", 6, "mp-1  "),
        ("very/long/mp-149", 8, "…/mp-149"),
        ("物性物性物性", 8, "…性物性 "),
        ("a\x1b[31mb\n", 8, "a�[31mb "),
    ],
)
def test_names_fit_their_column_and_the_terminal(text: str, width: int, shown: str) -> None:
    assert fitted(text, width) == shown


def test_a_column_is_as_wide_as_its_names_within_limits() -> None:
    assert widest(["a", "物性"], 2, 12) == 4
    assert widest(["a"], 3, 12) == 3 and widest(["a" * 50], 3, 12) == 12
