"""What the cycle takes over from the run folder: new jobs, changed needs, a person's order."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobmon.core.model import Event, JobID, Key, Kind, Life, Need
from jobmon.cycle.record import Recorder
from jobmon.cycle.state import Clock, Know
from jobmon.cycle.survey import survey
from jobmon.run import atomic
from jobmon.run.journal import Journal
from jobmon.run.options import Settings
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity
from jobmon.run.synced import Stamp, Synced
from jobmon.run.tree import Tree
from jobmon.show.read import view

AT = datetime(2026, 11, 20, 17, 31, 2, tzinfo=UTC)


@pytest.fixture
def know(tmp_path: Path) -> Iterator[Know]:
    paths = Paths(tmp_path / "run")
    paths.run.mkdir()
    synced = Synced(paths.synced)
    with Journal.open(paths.journal) as journal:
        yield Know(
            paths,
            Settings(remote="local"),
            Identity("r-1", "me@here", "local", "/twin"),
            journal,
            synced,
            Tree(paths.run, synced),
            Clock(wall=lambda: AT),
        )
    synced.close()


def put(know: Know, name: str, text: str = "") -> None:
    path = know.paths.run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def record(know: Know, key: str, *kinds: Kind) -> None:
    for kind in kinds:
        know.record([Event(AT, kind, Key(key), 1, JobID("7") if kind == Kind.STARTED else None)])


def test_a_new_script_is_a_new_job(know: Know) -> None:
    put(know, "m/qsub.0")
    put(know, "m/qsub.dependency.0", "x\n")
    survey(know, whole=True)
    key = Key("m/qsub.0")
    assert know.jobs[key].life == Life.NEW
    assert know.index.of(key) == (Need("m/x"),)
    assert know.renewed == {key}
    assert know.changed["m"].keys() == {"m/qsub.0", "m/qsub.dependency.0"}
    know.renewed.clear()
    survey(know, whole=True)
    assert not know.renewed, "nothing changed since"
    put(know, "new/qsub.0")
    survey(know)
    assert "new/qsub.0" in know.jobs, "also in a new folder, without a look at everything"


def test_changed_needs_are_minded_and_those_of_ended_jobs_not(know: Know) -> None:
    for name in ("a", "b"):
        put(know, f"{name}/qsub.0")
        put(know, f"{name}/qsub.dependency.0")
    survey(know, whole=True)
    record(know, "a/qsub.0", Kind.FINISHED)
    know.renewed.clear()
    for name in ("a", "b"):
        put(know, f"{name}/qsub.dependency.0", "y\n")
    survey(know, whole=True)
    assert know.renewed == {"b/qsub.0"}
    assert Key("a/qsub.0") not in know.index


def test_contrary_needs_that_are_changed_again(know: Know) -> None:
    put(know, "m/qsub.0")
    for text in ("x\nnot x\n", "y\n", ""):
        put(know, "m/qsub.dependency.0", text)
        survey(know, whole=True)
    assert know.index.of(Key("m/qsub.0")) == ()
    assert not list(know.index.paths())


@pytest.mark.fault("Hands of users: a folder deleted on one side (here)")
def test_a_script_that_is_deleted_here_is_held_and_said_once(
    know: Know, caplog: pytest.LogCaptureFixture
) -> None:
    put(know, "m/qsub.0")
    put(know, "m/qsub.dependency.0")
    survey(know, whole=True)
    know.synced.put((name, stamp) for name, stamp in know.changed["m"].items())
    assert know.index.of(Key("m/qsub.0")) == ()
    (know.paths.run / "m/qsub.0").unlink()
    with caplog.at_level(logging.WARNING):
        survey(know, whole=True)
        survey(know, whole=True)
    assert know.index.of(Key("m/qsub.0")) is None
    assert [r.getMessage() for r in caplog.records] == [
        "m/qsub.0 was deleted here; it is held until it is back"
    ]
    assert not know.changed


def test_a_job_that_was_ready_and_whose_script_is_gone_is_shown_so(know: Know) -> None:
    put(know, "m/qsub.1")
    record(know, "m/qsub.0", Kind.READY)
    assert {row.job.key: (row.state, row.reason) for row in view(know.paths.run).rows()} == {
        "m/qsub.0": ("held", "held: its script is gone here; bring m/qsub.0 back to let it go"),
        "m/qsub.1": ("held", "held: touch m/qsub.dependency.1 to let it go"),
    }


def test_complaints_are_said_once(know: Know, caplog: pytest.LogCaptureFixture) -> None:
    put(know, "m/qsub.0")
    put(know, "m/qsub.dependency.0", "/etc/passwd\n")
    with caplog.at_level(logging.WARNING):
        survey(know, whole=True)
        survey(know, whole=True)
    assert len(caplog.records) == 1 and "line 1" in caplog.records[0].getMessage()


def test_a_conflict_ends_when_the_file_is_as_it_was_synced(know: Know) -> None:
    put(know, "m/x", "theirs")
    know.conflicts = {"m/x", "m/gone", "n/y"}
    survey(know, whole=True)
    assert know.conflicts == {"m/x", "n/y"}
    know.synced.put([("m/x", Stamp.of((know.paths.run / "m/x").stat()))])
    survey(know, whole=True)
    assert know.conflicts == {"n/y"}


@pytest.fixture
def listed(know: Know) -> Know:
    """Three jobs that are ready, drawn."""
    for name in "abc":
        put(know, f"{name}/qsub.0")
        put(know, f"{name}/qsub.dependency.0")
    survey(know, whole=True)
    for name in "abc":
        record(know, f"{name}/qsub.0", Kind.READY)
    Recorder(know).draw(at_once=True)
    return know


def test_a_person_may_reorder_the_quelist(listed: Know) -> None:
    head, *rest = listed.paths.quelist.read_text().splitlines()
    listed.paths.quelist.write_text("\n".join([head, *reversed(rest)]) + "\n")
    survey(listed)
    assert [key[0] for key in listed.order] == ["c", "b", "a"]
    assert listed.redraw, "it is drawn again"


class Editor:
    """Turns the quelist's lines about in small steps, one each time that jobmon waits for it."""

    def __init__(self, know: Know) -> None:
        head, *rest = know.paths.quelist.read_text().splitlines(keepends=True)
        self.lines = [head, *reversed(rest)]
        self.path = know.paths.quelist
        know.clock = replace(know.clock, sleep=self.go_on)

    def begin(self) -> None:
        self.file = self.path.open("w")

    def go_on(self, seconds: float) -> None:
        if self.lines:
            self.file.write(self.lines.pop(0))
            self.file.flush()


@pytest.mark.fault("Hands of users: quelist edited while the daemon runs")
def test_an_edit_that_is_being_written_is_waited_for(listed: Know) -> None:
    editor = Editor(listed)
    editor.begin()
    survey(listed)
    assert [key[0] for key in listed.order] == ["c", "b", "a"]
    assert not list(listed.paths.run.glob("quelist.rejected.*"))


@pytest.mark.fault("Hands of users: quelist edited while the daemon runs")
@pytest.mark.parametrize("how", ["in place", "renamed"])
def test_an_edit_that_falls_into_a_drawing_counts(
    listed: Know, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    editor = Editor(listed)
    flush = atomic.flush

    def at_the_disk(fd: int) -> None:
        monkeypatch.setattr(atomic, "flush", flush)
        if how == "in place":
            editor.begin()
        else:
            new = listed.paths.run / "new"
            new.write_text("".join(editor.lines))
            new.replace(editor.path)
            editor.lines = []

    monkeypatch.setattr(atomic, "flush", at_the_disk)
    listed.redraw = True
    recorder = Recorder(listed)
    recorder.draw(at_once=True)
    recorder.draw(at_once=True)
    assert [key[0] for key in listed.order] == ["c", "b", "a"]
    rows = listed.paths.quelist.read_text().splitlines()[1:]
    assert [row[0] for row in rows] == ["c", "b", "a"]
    assert not list(listed.paths.run.glob("quelist.rejected.*"))


@pytest.mark.fault("Hands of users: quelist edited while the daemon runs")
def test_a_second_edit_before_the_first_was_drawn_counts(listed: Know) -> None:
    head, *rest = listed.paths.quelist.read_text().splitlines()
    for order in ([2, 1, 0], [1, 2, 0]):
        listed.paths.quelist.write_text("\n".join([head, *(rest[i] for i in order)]) + "\n")
        os.utime(listed.paths.quelist, (order[0], order[0]))
        survey(listed)
    assert [key[0] for key in listed.order] == ["b", "c", "a"]


def test_an_editor_that_puts_the_old_quelist_away_first(listed: Know) -> None:
    listed.paths.quelist.rename(listed.paths.run / "quelist~")
    survey(listed)
    assert [key[0] for key in listed.order] == ["a", "b", "c"]


@pytest.mark.fault("Hands of users: quelist edited while the daemon runs")
def test_any_other_edit_is_kept_aside(listed: Know, caplog: pytest.LogCaptureFixture) -> None:
    before = listed.paths.quelist.read_text()
    edited = before.replace("a/qsub.0 ready", "a/qsub.0 finished")
    listed.paths.quelist.write_text(edited + "x\n")
    survey(listed)
    assert [key[0] for key in listed.order] == ["a", "b", "c"]
    (aside,) = listed.paths.run.glob("quelist.rejected.*")
    assert aside.read_text() == edited + "x\n"
    assert aside.name in caplog.text
    Recorder(listed).draw(at_once=True)
    assert listed.paths.quelist.read_text() == before
    survey(listed)
    assert len(list(listed.paths.run.glob("quelist.rejected.*"))) == 1
