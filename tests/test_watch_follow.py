"""What the live view is told of a run: at once, when it is read, and as the journal grows."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.segment import Segment
from watch_lab import START, Person, add, driven, now, run_of, shown

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import shown as left
from jobmon.run.journal import Journal
from jobmon.run.paths import Paths
from jobmon.show.watch.app import Watch
from jobmon.show.watch.follow import TREE_PAUSE, Follower, News
from jobmon.show.watch.sheet import Sheet

A, B, C = Key("m/qsub.0"), Key("m/qsub.1"), Key("m/qsub.2")


class Seconds:
    """A clock that a test moves; it stands still while something is read."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def small(folder: Path) -> Path:
    needs: dict[str, str | None] = {A: "", B: "qsub.finished.0\n", C: "qsub.finished.1\n"}
    return run_of(folder, needs, {A: ((0, Kind.READY),)})


def states(news_rows: object) -> list[str]:
    assert isinstance(news_rows, dict)
    return [row.state for _, row in sorted(news_rows.items())]


def test_a_small_run_is_read_whole_and_then_followed(tmp_path: Path) -> None:
    run, clock = small(tmp_path), Seconds()
    follower = Follower(run, now, clock)
    assert follower.first().order is None
    news = follower.turn()
    assert news.order == [A, B, C] and states(news.rows) == ["ready", "waiting", "waiting"]
    assert news.view is not None and "no daemon" in news.daemon
    assert not follower.turn().rows
    begun = Event(START, Kind.SUBMITTING, A, 1), Event(START, Kind.STARTED, A, 1, JobID("7"))
    add(run, *begun, Event(START, Kind.FAILED, A, 1, JobID("7"), {"reason": "exit code 1"}))
    news = follower.turn()  # what hangs on files, too
    assert states(news.rows) == ["failed", "blocked", "blocked"]
    assert news.view is not None and news.view.by_key[A].reason == "exit code 1"


def test_standing_that_is_dear_to_work_out_comes_later_than_the_events(tmp_path: Path) -> None:
    run, clock = small(tmp_path), Seconds()
    follower = Follower(run, now, clock)
    follower.turn()
    follower._standing_again = 100.0  # as if that had taken ten seconds
    begun = Event(START, Kind.SUBMITTING, A, 1), Event(START, Kind.STARTED, A, 1, JobID("7"))
    add(run, *begun)
    clock.at = 1.0
    news = follower.turn()
    assert news.order is None and news.view is None
    assert [(key, row.state, row.job.jobid) for key, row in news.rows.items()] == [
        (A, "submitted", "7")
    ]
    follower._tree_again = 1000.0
    add(run, Event(START, Kind.FINISHED, A, 1, JobID("7")), Event(START, Kind.READY, B))
    assert states(follower.turn().rows) == ["finished", "ready"]
    clock.at = 101.0
    news = follower.turn()
    assert news.order is not None and states(news.rows) == ["finished", "ready", "waiting"]


def test_the_tree_is_read_again_in_time(tmp_path: Path) -> None:
    run, clock = small(tmp_path), Seconds()
    follower = Follower(run, now, clock)
    follower.turn()
    (run / "m" / "qsub.dependency.1").unlink()
    assert not follower.turn().rows
    clock.at = TREE_PAUSE
    assert states(follower.turn().rows) == ["ready", "held", "blocked"]


def test_a_journal_begun_anew_is_read_anew(tmp_path: Path) -> None:
    run, clock = small(tmp_path), Seconds()
    follower = Follower(run, now, clock)
    follower.turn()
    Paths(run).journal.rename(run / "qsub.log.before.20261120")  # as a start afresh does
    add(run, Event(START, Kind.FINISHED, C))
    assert states(follower.turn().rows)[2] == "finished"


def test_a_hand_in_the_journal_is_told_and_no_end(tmp_path: Path) -> None:
    run, clock = small(tmp_path), Seconds()
    follower = Follower(run, now, clock)
    follower.turn()
    add(run, Event(START, Kind.RUNNING, A, 1, JobID("7")))
    assert "cannot become running" in follower.turn().trouble
    assert "cannot become running" in follower.turn().trouble  # until it is looked at again
    Paths(run).journal.unlink()
    clock.at = 2 * TREE_PAUSE
    news = follower.turn()
    assert news.trouble == "" and len(news.rows) == 3


# --- a large run -------------------------------------------------------------------------------

MANY = 100_000


class AtOnce(Follower):
    """Tells only what can be told at once."""

    def turn(self) -> News:
        return News(daemon="no daemon")


def large(folder: Path) -> Path:
    """What a daemon leaves of a run of 100,000 jobs; its tree is not made, as nothing reads it."""
    run = folder / "materials" / "20261120_210000"
    paths = Paths(run)
    paths.hidden.mkdir(parents=True)
    seen = left.Shown("2026-11-20T23:00:00+00:00")
    kinds = itertools.cycle(["finished", "running", "waiting", "waiting"])
    for i in range(MANY // 4):
        seen.states.update({Key(f"mp-{i}/qsub.{j}"): next(kinds) for j in range(4)})
    with Journal.open(paths.journal) as journal:
        journal.append([Event(START, Kind.READY, Key("mp-0/qsub.0"))])
        left.write(paths, seen, journal.size)
        journal.append([Event(START, Kind.READY, Key("mp-0/qsub.2"))])
    return run


def test_a_large_run_is_followed_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, read, go = large(tmp_path), threading.Event(), threading.Event()
    key = Key("mp-7/qsub.1")
    whole = Follower._whole

    def slow(self: Follower) -> object:
        found = whole(self)
        read.set()
        assert go.wait(60)
        return found

    monkeypatch.setattr(Follower, "_whole", slow)
    follower = Follower(run, now, Seconds())
    assert len(follower.first().rows) == MANY
    assert not follower.turn().rows
    assert read.wait(60)
    add(run, Event(START, Kind.READY, key), Event(START, Kind.SUBMITTING, key, 1))
    assert [(k, row.state) for k, row in follower.turn().rows.items()] == [(key, "submitted")]
    go.set()
    while (news := follower.turn()).view is None:
        time.sleep(0.05)
    assert news.rows.keys() == {"mp-0/qsub.0", "mp-0/qsub.2"}  # no script is there
    news = follower.turn()
    assert news.rows[key].state == "submitted"  # what came meanwhile is not lost


def counted(
    line: Callable[[int], list[Segment]], drawn: list[int]
) -> Callable[[int], list[Segment]]:
    def draw(row: int) -> list[Segment]:
        drawn.append(row)
        return line(row)

    return draw


def test_of_a_large_run_only_what_is_seen_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = large(tmp_path)
    drawn: list[int] = []

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "100000 jobs", "reading the run", "R  running      25000")
        assert len(list(app.query("*"))) < 60  # widgets
        for sheet in app.query(Sheet):
            monkeypatch.setattr(sheet, "line", counted(sheet.line, drawn))
        keys = ["down", "pagedown", "end", "home", "t", "pagedown", "end", "up"]
        await person.press(*keys)
        await shown(person, "mp-24999/qsub.3", "mp-24999/qsub.2 waiting")
        assert 0 < len(set(drawn)) < 30 * len(keys)
        drawn.clear()
        await person.line("slash", "mp-12345/")
        await shown(person, "mp-12345/qsub.0 finished")
        await person.line("f", "running")
        await shown(person, "25000 of 100000 jobs")
        assert 0 < len(set(drawn)) < 30 * 20

    driven(run, drive, follower=AtOnce(run, now))
