"""Clocks that differ, step back or stop; files that show late; folders that are not where they were."""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import FAR
from faults_lab import DATE, Lab
from session import (
    LOCAL,
    agree,
    count,
    daemon,
    events,
    jobmon,
    only_run,
    put,
    ran_once,
    status,
    twin_of,
    until,
)

from jobmon.act import make
from jobmon.core.model import Key, Kind
from jobmon.cycle.begin import set_aside
from jobmon.cycle.look import UNHEARD
from jobmon.cycle.loop import Loop
from jobmon.cycle.survey import take_order
from jobmon.run.journal import Journal
from jobmon.run.paths import Paths
from jobmon.run.usage import UsageError

HOUR = 3600.0


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path)
    made.put("m/qsub.0")
    made.put("m/qsub.1", "qsub.finished.0\n")
    return made


def kinds(lab: Lab, key: str = "m/qsub.0") -> list[str]:
    return [line.split(" ")[1] for line in events(lab.run) if line.split(" ")[2] == key]


# --- what is seen late -------------------------------------------------------------------------


@pytest.mark.fault("Disks and clocks: a marker visible 45 seconds late")
def test_a_marker_that_shows_45_seconds_late(lab: Lab) -> None:
    """The batch system denies the job long before its marker can be seen."""
    lab.farm.late = 45.0
    lab.session()
    assert kinds(lab) == ["ready", "submitting", "started", "running", "finished"]
    assert lab.farm.submissions == {"m/qsub.0": 1, "m/qsub.1": 1}
    agree(lab.run)


@pytest.mark.fault("Disks and clocks: a marker visible only after the grace")
def test_a_marker_that_shows_after_a_job_was_called_failed(lab: Lab) -> None:
    """It makes the job finished after all, and what waited for it goes on."""
    lab.put("other/qsub.0")
    lab.farm.late = 200.0
    lab.session()
    lab.time.sleep(600)
    lab.session()
    assert kinds(lab)[-2:] == ["failed", "finished"]
    assert "finished m/qsub.1" in lab.said or kinds(lab, "m/qsub.1")[-1] == "failed"
    assert set(lab.farm.submissions.values()) == {1}
    agree(lab.run)


# --- clocks that differ ------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [3600, -3600])
@pytest.mark.fault("Disks and clocks: clocks an hour apart")
def test_clocks_an_hour_apart(
    project: Path, tmp_path: Path, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster's: a stand-in ``date``, and files with such times. Edits here are pushed, results
    come home, the loop over there submits."""
    tools = tmp_path / "tools"
    tools.mkdir()
    # All that is asked over there is the time in seconds.
    (tools / "date").write_text(f"#!/bin/sh\necho $(($({shutil.which('date')} +%s) + {ahead}))\n")
    (tools / "date").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    when = time.time() + ahead
    dated = f"python3 -c 'import os; os.utime(\"result\", ({when}, {when}))'"
    gate = "until [ -e go ]; do sleep 0.1; done"
    put(project / "init", "m/qsub.0", f"echo x >> started.0; echo a > result; {dated}; {gate}")
    put(
        project / "init",
        "m/qsub.1",
        f"echo x >> started.1; cat input > result; echo b >> result; {dated}",
        "qsub.finished.0\n",
    )
    (project / "init" / "m" / "input").write_text("old\n")
    with daemon("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until((twin / "m" / "result").exists, what="a result there")
        (run / "m" / "input").write_text("new\n")
        os.utime(run / "m" / "input", (when, when))
        (run / "m" / "go").touch()
        assert process.wait(60) == 0
    assert (run / "m" / "result").read_text() == "new\nb\n"
    assert "conflict" not in (tmp_path / "out").read_text()
    ran_once(twin)
    agree(run)


# --- wall time that steps back -----------------------------------------------------------------


@pytest.mark.fault("Disks and clocks: wall time stepping back")
def test_wall_time_steps_back_again_and_again(lab: Lab) -> None:
    def back() -> None:
        lab.time.wall -= timedelta(hours=1)

    lab.farm.at_look = back
    lab.session()
    times = [line.split(" ")[0] for line in events(lab.run)]
    assert times != sorted(times), "it stepped back between events"
    assert kinds(lab) == ["ready", "submitting", "started", "running", "finished"]
    assert status(lab.run)["counts"] == {"finished": 2}
    agree(lab.run)


@pytest.mark.fault("Disks and clocks: wall time stepping back")
def test_names_made_of_the_time_never_take_another_s_place(lab: Lab) -> None:
    lab.session()
    assert lab.know is not None
    lab.know.clock = lab.time.clock()  # it stands still now
    for text in ("one\n", "two\n", "three\n"):
        take_order(lab.know, text)
    kept = sorted(path.read_text() for path in lab.run.glob("quelist.rejected.*"))
    assert kept == ["one\n", "three\n", "two\n"]

    paths = Paths(lab.run)
    for _ in range(2):
        with Journal.open(paths.journal) as journal:
            paths.journal.write_text("a journal\n")
            set_aside(paths, journal, "20261120_173102").close()
    assert len(list(lab.run.glob("qsub.log.before.*"))) == 2
    with pytest.raises(UsageError, match=f"{DATE} is there already"):
        lab.make()
    one = make.aside(paths.journal)
    one.touch()
    assert make.aside(paths.journal) != one


# --- a machine that sleeps ---------------------------------------------------------------------


def asleep(lab: Lab, *, counted: bool) -> None:
    """The machine sleeps for eight hours; its steady clock counts them, or stands still."""
    lab.time.nap = (8 * HOUR if counted else 0.0, 8 * HOUR)


@pytest.fixture(params=[True, False], ids=["clock goes on", "clock stands still"])
def counted(request: pytest.FixtureRequest) -> Iterator[bool]:
    yield request.param


@pytest.mark.fault("Disks and clocks: a machine asleep for eight hours")
def test_asleep_with_a_doubt(lab: Lab, counted: bool) -> None:
    """A job left the listing right before, and its end is told only minutes after the waking."""
    slept: list[float] = []

    def look() -> None:
        if not lab.farm.queue and lab.farm.submissions and not slept:
            asleep(lab, counted=counted)
            slept.append(lab.time.mono + lab.time.nap[0])
        if slept:
            lab.farm.silent = lab.time.mono < slept[0] + 400

    lab.farm.fails = {"m/qsub.0"}
    lab.farm.at_look = look
    lab.session()
    assert kinds(lab) == ["ready", "submitting", "started", "running", "failed"]
    assert lab.farm.asked[Key("m/qsub.0")] >= 2
    agree(lab.run)


@pytest.mark.fault("Disks and clocks: a machine asleep for eight hours")
def test_asleep_while_jobs_run_and_end(lab: Lab, counted: bool) -> None:
    """Twenty seconds of work ended long ago, and the marker was there all the time."""

    def look() -> None:
        if lab.farm.queue and not sum(lab.farm.asked.values()) and lab.time.mono < 1100:
            asleep(lab, counted=counted)

    lab.farm.at_look = look
    lab.session()
    assert kinds(lab)[-1] == kinds(lab, "m/qsub.1")[-1] == "finished"
    assert not lab.farm.asked, "a marker needs no question"
    assert lab.farm.submissions == {"m/qsub.0": 1, "m/qsub.1": 1}


@pytest.mark.fault("Disks and clocks: a machine asleep for eight hours")
def test_asleep_in_the_middle_of_a_submission(lab: Lab, counted: bool) -> None:
    """What became of it is known only a minute after the waking: until then nobody says unclear."""
    woke: list[float] = []

    def prepare(loop: Loop) -> None:
        lab.farm.unheard = {"m/qsub.0"}

    def look() -> None:
        (attempt, *_) = [*lab.farm.record, None]
        if attempt is not None and not woke:
            asleep(lab, counted=counted)
            woke.append(lab.time.mono + lab.time.nap[0])
        if woke and lab.farm.unheard and lab.time.mono > woke[0] + UNHEARD - 30:
            lab.farm.unheard.clear()
            lab.farm.adopt("m/qsub.0")

    lab.farm.at_look = look
    lab.session(prepare)
    assert kinds(lab) == ["ready", "submitting", "started", "running", "finished"]
    assert str(Kind.UNCLEAR) not in kinds(lab)
    agree(lab.run)


# --- folders that are not where they were ------------------------------------------------------


def waiting(folder: Path) -> tuple[Path, str]:
    """A file, and what waits for it in a script."""
    go = folder / "go"
    return go, f"until [ -e {shlex.quote(str(go))} ]; do sleep 0.1; done"


@pytest.mark.fault("Disks and clocks: a run folder moved and resumed")
def test_a_run_folder_that_is_moved_under_a_daemon_and_again(project: Path, tmp_path: Path) -> None:
    go, wait = waiting(tmp_path)
    for i, needs in enumerate(("", "qsub.finished.0\n", "qsub.finished.1\n")):
        put(project / "init", f"m/qsub.{i}", f"echo x >> started.{i}; {wait}", needs)
    with daemon("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "started") == 1, what="a submission")
        twin = twin_of(project)
        moved = tmp_path / "else where"
        project.rename(moved)
        assert process.wait(90) == 2, "it ends by itself"
    go.touch()
    assert not project.exists(), "nothing is written where the run was"
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert "removed while in use" in (tmp_path / "out").read_text()
    run = only_run(moved)
    jobmon("--ldir", run, "--once", code=1)
    again = run.rename(tmp_path / run.name)  # out of its project, while nobody looks
    jobmon("--ldir", again, code=0)
    assert status(again)["counts"] == {"finished": 3}
    ran_once(twin)
    agree(again)


@pytest.mark.fault("Disks and clocks: a run folder moved and resumed")
def test_a_run_folder_that_is_its_own_twin_is_missed_where_it_was(tmp_path: Path) -> None:
    """Its scripts name the folder that they ran in, so it cannot go on elsewhere: said, no harm."""
    project = tmp_path / "project"
    (project / "jobmon.yaml").parent.mkdir()
    (project / "jobmon.yaml").write_text(LOCAL)
    put(project / "init", "m/qsub.0", "echo x >> started.0")
    put(project / "init", "m/qsub.1", "echo x >> started.1", "go\n")
    jobmon("--ldir", project, code=1)
    run = only_run(project)
    (run / "m" / "go").touch()
    moved = run.rename(tmp_path / run.name)
    done = jobmon("--ldir", moved, code=2)
    assert f"{run} is missing; bring it back, or start a new run" in done.stdout
    assert count(moved, "submitting") == 1
    moved.rename(run)
    jobmon("--ldir", run, code=0)
    ran_once(run)


@pytest.mark.fault("Disks and clocks: the twin deleted")
@pytest.mark.fault("Disks and clocks: the twin exchanged")
def test_a_twin_that_is_deleted_or_exchanged_in_the_middle(project: Path, tmp_path: Path) -> None:
    go, wait = waiting(tmp_path)
    for i, needs in enumerate(("", "qsub.finished.0\n")):
        put(project / "init", f"m/qsub.{i}", f"echo x >> started.{i}; {wait}", needs)
    jobmon("--ldir", project, "--datedir", "other", "--initonly", code=0)
    other = project.parent / FAR / "other"
    with daemon("--ldir", project, "--datedir", "this", log=tmp_path / "out") as process:
        run, twin = project / "this", project.parent / FAR / "this"
        until((twin / "m" / "started.0").exists, what="the first job")
        until(lambda: count(run, "started") == 1, what="its ID")
        away = twin.rename(tmp_path / "away")
        assert process.wait(90) == 2
    go.touch()
    assert f"{twin} is missing; bring it back" in (tmp_path / "out").read_text()
    other.rename(twin)
    before = events(run)
    done = jobmon("--ldir", run, code=2)
    assert f"{twin} belongs to another run" in done.stdout
    assert events(run) == before, "nothing is concluded"
    assert status(run)["state"]["m/qsub.0"] in {"submitted", "running"}
    assert not list(twin.rglob("started.*")), "nothing was done in the other run's folder"
    shutil.rmtree(twin)
    away.rename(twin)
    jobmon("--ldir", run, code=0)  # the job went on in its folder, wherever that was
    ran_once(twin)
    agree(run)
