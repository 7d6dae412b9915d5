"""quelist and qsub.now: as the design prints them, read back the same, reordered by a person."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_journal import times
from test_names import keys, texts

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import views
from jobmon.run.names import BadFile
from jobmon.run.views import Line, Mark, Now

JAPAN = timezone(timedelta(hours=9))
PATH = Path("run/quelist")
GOLDEN = (
    "# jobmon quelist 1\n"
    "mp-149/qsub.0 ready@2026-11-20T17:31:02+09:00 started@2026-11-20T17:31:04+09:00@353143 "
    "finished@2026-11-20T17:52:10+09:00\n"
)


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-20T{clock}+09:00")


marks = st.one_of(
    st.builds(Mark, st.sampled_from(sorted(views.SHOWN - {Kind.STARTED})), times),
    st.builds(Mark, st.just(Kind.STARTED), times, st.none() | texts.map(JobID)),
)
lines = st.lists(
    st.builds(Line, keys, st.lists(marks, min_size=1, max_size=5).map(tuple)),
    unique_by=lambda line: line.key,
    max_size=6,
)


def test_the_line_of_the_design() -> None:
    key = Key("mp-149/qsub.0")
    jobid = JobID("353143")
    history = [
        Event(at("17:31:02"), Kind.READY, key),
        Event(at("17:31:03"), Kind.SUBMITTING, key, 1),
        Event(at("17:31:04"), Kind.STARTED, key, 1, jobid),
        Event(at("17:52:10"), Kind.FINISHED, key, 1, jobid),
    ]
    drawn = views.lines_of(history)
    assert views.print_quelist(drawn) == GOLDEN
    assert views.read_quelist(GOLDEN, PATH) == drawn


def test_a_further_attempt_goes_on_on_the_same_line() -> None:
    key = Key("a b/qsub.relax")
    history = [
        Event(at("01:00:00"), Kind.READY, key),
        Event(at("01:00:01"), Kind.SUBMITTING, key, 1),
        Event(at("01:00:02"), Kind.UNSUBMITTED, key, 1),
        Event(at("01:00:03"), Kind.SUBMITTING, key, 2),
        Event(at("01:00:04"), Kind.STARTED, key, 2, JobID("2308[].vm x")),
        Event(at("01:00:05"), Kind.RUNNING, key, 2, JobID("2308[].vm x")),
        Event(at("01:00:06"), Kind.FAILED, key, 2, JobID("2308[].vm x"), {"words": "exit 1"}),
        Event(at("01:00:07"), Kind.REOPENED, key),
        Event(at("01:00:08"), Kind.READY, key),
        Event(at("01:00:09"), Kind.UNCLEAR, key, 3),
    ]
    assert views.print_quelist(views.lines_of(history)) == (
        "# jobmon quelist 1\na%20b/qsub.relax"
        " ready@2026-11-20T01:00:00+09:00"
        " started@2026-11-20T01:00:04+09:00@2308[].vm%20x"
        " running@2026-11-20T01:00:05+09:00"
        " failed@2026-11-20T01:00:06+09:00"
        " ready@2026-11-20T01:00:08+09:00"
        " unclear@2026-11-20T01:00:09+09:00\n"
    )


def test_jobs_stand_in_the_order_in_which_they_became_ready() -> None:
    def event(kind: Kind, key: str, **notes: str) -> Event:
        return Event(at("01:00:00"), kind, Key(key), notes=notes)

    history = [
        event(Kind.FINISHED, "c/qsub.0"),  # a marker that was there before: never ready, no line
        event(Kind.FINISHED, "d/qsub.0"),
        event(Kind.READY, "b/qsub.0"),
        event(Kind.STARTED, "adopted/qsub.0"),
        event(Kind.FINISHED, "old/qsub.0", imported="quelist"),
        event(Kind.READY, "a/qsub.0"),
        event(Kind.READY, "b/qsub.0"),
        event(Kind.READY, "d/qsub.0"),  # retried
    ]
    drawn = views.lines_of(history)
    assert [line.key.removesuffix("/qsub.0") for line in drawn] == ["b", "adopted", "old", "a", "d"]
    assert [mark.kind for mark in drawn[-1].marks] == [Kind.FINISHED, Kind.READY]


@given(lines)
def test_a_quelist_reads_back_the_same(some: list[Line]) -> None:
    text = views.print_quelist(some)
    assert views.read_quelist(text, PATH) == some
    assert views.read_quelist(text.replace("\n", "\n\n").rstrip("\n"), PATH) == (some)
    assert text.count("\n") == len(some) + 1


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("mp-149/out ready@2026-11-20T17:31:02+09:00", "names no script"),
        ("mp-149/qsub.0 spre@20251120_173102", "no kind@TIME"),
        ("mp-149/qsub.0 submitting@2026-11-20T17:31:02+09:00", "no kind@TIME"),
        ("mp-149/qsub.0 ready@20251120_173102", "no time like"),
        ("mp-149/qsub.0 ready", "no time like"),
        ("mp-149/qsub.0 ready@2026-11-20T17:31:02+09:00@7", "does not belong"),
        ("mp-149/qsub.0 started@2026-11-20T17:31:02+09:00@", "job ID is missing"),
        ("mp-149/qsub.0 started@2026-11-20T17:31:02+09:00@-", "does not belong"),
        ("mp-149/qsub.0  ready@2026-11-20T17:31:02+09:00", "no kind@TIME"),
        ("mp-149/qsub.0 ready@2026-11-20T17:31:02+09:00\r", "no time like"),
        ("a/qsub.0 ready@2026-11-20T17:31:02+09:00", "'a/qsub.0' stands there twice"),
    ],
)
def test_a_bad_line_of_quelist_is_named(row: str, what: str) -> None:
    good = "a/qsub.0 ready@2026-11-20T17:31:02+09:00"
    with pytest.raises(BadFile, match=what) as caught:
        views.read_quelist(f"{views.HEADER}\n{good}\n{row}\n", PATH)
    assert str(caught.value).startswith("run/quelist, line 3: ")
    assert "rename quelist away" in str(caught.value)


def test_a_quelist_needs_its_first_line_unless_it_is_empty() -> None:
    assert views.read_quelist("", PATH) == views.read_quelist("\n", PATH) == []
    for text in ["# jobmon quelist 2\n", GOLDEN.partition("\n")[2]]:
        with pytest.raises(BadFile, match="line 1: the first line is not '# jobmon quelist 1'"):
            views.read_quelist(text, PATH)


# --- a person's edits ----------------------------------------------------------------------


def life(name: str, *kinds: Kind) -> Line:
    shown = (Mark(kind, at(f"01:00:{i:02}")) for i, kind in enumerate(kinds or [Kind.READY]))
    return Line(Key(f"{name}/qsub.0"), tuple(shown))


@given(lines, st.integers(0, 6), st.randoms(use_true_random=False))
def test_any_order_of_an_earlier_printing_is_taken(
    current: list[Line], new: int, rng: random.Random
) -> None:
    """What was printed, then reordered, while jobs went on and others became ready."""
    old = current[: max(len(current) - new, min(len(current), 1))]
    seen = [Line(line.key, line.marks[: rng.randint(1, len(line.marks))]) for line in old]
    rng.shuffle(seen)
    wanted = [line.key for line in seen] + [line.key for line in current[len(old) :]]
    assert views.reorder(current, views.print_quelist(seen)) == wanted


@given(lines.filter(bool), st.data())
def test_any_other_edit_is_refused(current: list[Line], data: st.DataObject) -> None:
    rows = views.print_quelist(current).split("\n")[:-1]
    i = data.draw(st.integers(1, len(rows) - 1))
    edit = data.draw(
        st.sampled_from(["twice", "unknown", "changed", "no mark", "header", "longer"])
    )
    if edit == "twice":
        rows.insert(data.draw(st.integers(1, len(rows))), rows[i])
    elif edit == "unknown":
        rows.append("no-such-folder-here/qsub.0 ready@2026-11-20T17:31:02+09:00")
    elif edit == "changed":
        spot = data.draw(st.integers(0, len(rows[i]) - 1))
        rows[i] = rows[i][:spot] + "~" + rows[i][spot + (rows[i][spot] != "~") :]
    elif edit == "no mark":
        rows[i] = rows[i].split(" ")[0]
    elif edit == "header":
        del rows[0]
    else:
        rows[i] += " finished@2026-11-20T17:31:02+09:00"
    assert views.reorder(current, "\n".join(rows) + "\n") is None


def test_a_deleted_line_is_refused_but_jobs_that_came_meanwhile_are_appended() -> None:
    current = [life("a"), life("b"), life("c"), life("d")]

    def edited(names: str) -> str:
        return views.print_quelist(life(name) for name in names)

    assert views.reorder(current, edited("cba")) == [f"{n}/qsub.0" for n in "cbad"]
    assert views.reorder(current, edited("dba")) is None
    assert views.reorder(current, edited("")) is None
    assert views.reorder(current, "") is None
    assert views.reorder([], edited("")) == []


def test_a_mark_is_not_cut_in_the_middle() -> None:
    current = [life("a", Kind.READY, Kind.STARTED)]
    text = views.print_quelist(current)
    assert views.reorder(current, text) == ["a/qsub.0"]
    assert views.reorder(current, text[:-4] + "\n") is None


# --- qsub.now ------------------------------------------------------------------------------


def test_the_row_of_the_design() -> None:
    jobs = [Now(Key("mp-149/qsub.0"), JobID("353143"))]
    assert views.print_now(jobs) == "0 353143 ! mp-149/qsub.0\n"
    assert views.read_now("0 353143 ! mp-149/qsub.0\n", PATH) == jobs
    assert views.print_now([]) == ""
    assert views.read_now("", PATH) == []


def test_a_job_whose_id_is_not_known_shows_a_dash() -> None:
    jobs = [Now(Key("a b/qsub.x"), None)]
    assert views.print_now(jobs) == "x - ! a%20b/qsub.x\n"
    assert views.read_now("x - ! a%20b/qsub.x\n", PATH) == jobs


@given(st.lists(st.builds(Now, keys, st.none() | texts.map(JobID)), max_size=5))
def test_qsub_now_reads_back_the_same(jobs: list[Now]) -> None:
    assert views.read_now(views.print_now(jobs), PATH) == jobs


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("353143 /abs/qsub.0 ! jobid qsub_file", "not ID JOBID ! KEY"),
        ("0 353143 mp-149/qsub.0", "not ID JOBID ! KEY"),
        ("1 353143 ! mp-149/qsub.0", "'1' is not the id of 'mp-149/qsub.0'"),
        ("0 353143 ! mp-149/out", "names no script"),
        ("0  ! mp-149/qsub.0", "job ID is missing"),
    ],
)
def test_a_bad_row_of_qsub_now_is_named(row: str, what: str) -> None:
    with pytest.raises(BadFile, match=f"line 2: .*{what}.*; delete the file"):
        views.read_now(f"0 1 ! a/qsub.0\n{row}\n", PATH)
