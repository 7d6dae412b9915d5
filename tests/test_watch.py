"""``jobmon watch``, driven by Textual's own person; what the screen shows, as text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.widgets import Input
from watch_lab import START, Asked, Person, add, driven, run_of, screen, shown, text_of
from watch_picture import PICTURE, picture

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import owner
from jobmon.run.paths import Paths
from jobmon.show.watch.app import Watch
from jobmon.show.watch.asking import Question

GOLDENS = Path(__file__).parent / "goldens" / "watch"

READY, STARTED, RUNNING, FINISHED = Kind.READY, Kind.STARTED, Kind.RUNNING, Kind.FINISHED
DONE = ((0, READY), (1, STARTED), (2, RUNNING), (32, FINISHED))
LATER = ((32, READY), (33, STARTED), (34, RUNNING), (80, FINISHED))
FAILED = (*LATER[:3], (70, Kind.FAILED, {"reason": "out of time (limit 1:00:00)", "cause": "time"}))


def materials(folder: Path) -> Path:
    """Chains of four iterations, each in another place of its life."""
    needs: dict[str, str | None] = {}
    for name in ("mp-2", "mp-10", "mp-149", "GaAs x=0.25", "mp-9"):
        for i in range(4):
            needs[f"{name}/qsub.{i}"] = f"qsub.finished.{i - 1}\n" if i else ""
    needs["mp-9/qsub.0"] = None
    needs["mp-2/qsub.bands"] = "qsub.finished.3\n"
    return run_of(
        folder,
        needs,
        {
            "mp-2/qsub.0": DONE,
            "mp-2/qsub.1": LATER,
            "mp-2/qsub.2": ((80, READY), (81, STARTED), (82, RUNNING)),
            "mp-10/qsub.0": DONE,
            "mp-10/qsub.1": FAILED,
            "mp-149/qsub.0": DONE,
            "mp-149/qsub.1": ((32, READY), (33, STARTED)),
            "GaAs x=0.25/qsub.0": ((0, READY),),
        },
    )


async def compare(person: Person, name: str) -> None:
    """Hold the screen against the golden; ``JOBMON_WRITE_GOLDENS=1`` writes it."""
    path = GOLDENS / f"{name}.txt"
    await shown(person, "? keys", "q quit")
    if os.environ.get("JOBMON_WRITE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*screen(person.app), ""]))
    assert screen(person.app) == path.read_text().splitlines()


def test_the_grid(tmp_path: Path) -> None:
    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("down", "down", "down", "right")
        await shown(person, "mp-10/qsub.1 failed")
        await compare(person, "grid")

    driven(materials(tmp_path), drive)


def test_the_table(tmp_path: Path) -> None:
    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("t", "s")
        await shown(person, "by state", "out of time")
        await compare(person, "table")

    driven(materials(tmp_path), drive, size=(100, 34))


def test_explain_of_the_job_under_the_cursor(tmp_path: Path) -> None:
    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("e", "down", "down", "down", "right", "right")
        await shown(person, "mp-10/qsub.2 is blocked", "jobmon retry")
        await compare(person, "explain")
        await person.press("left")
        await shown(person, "mp-10/qsub.1 is failed", "its life:")
        await person.press("up", "end", "right", "right", "right")  # no job is there
        await shown(person, "no job stands there")
        await person.press("e")
        await person.until(lambda: "no job stands there" not in "\n".join(screen(app)))

    driven(materials(tmp_path), drive, size=(130, 30))


def test_filter_search_and_the_way_back(tmp_path: Path) -> None:
    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.line("slash", "149")
        await shown(person, "mp-149/qsub.0 finished")
        await person.press("n")
        await shown(person, "mp-149/qsub.1 submitted")
        await person.press("p", "p")
        await shown(person, "mp-149/qsub.3 waiting")
        await person.line("slash", "nowhere")
        await shown(person, "no job in sight has nowhere in its key")
        await person.line("f", "blocked held")
        text = await shown(person, "6 of 21 jobs · filter: blocked held")
        assert "mp-9 " in text and "mp-149 " not in text
        await person.press("t")
        await person.line("f", "blocked held mp-1*")
        text = await shown(person, "2 of 21 jobs · filter: blocked held mp-1*")
        assert "mp-10/qsub.2" in text and "mp-9" not in text
        await person.line("f", " ")
        await shown(person, "21 jobs · by folder")
        await person.line("f", "x", "escape")
        await shown(person, "21 jobs · by folder")

    driven(materials(tmp_path), drive)


def test_nothing_is_done_without_a_yes(tmp_path: Path) -> None:
    asked = Asked()

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        for no in ("n", "escape", "q"):
            await person.press("k")
            await shown(person, "Delete from the batch system GaAs x=0.25/qsub.0?", "would kill 1")
            await person.press("enter", "space", no)
            await person.until(lambda: not isinstance(app.screen, Question))
        asked.able = False
        await person.press("r")
        await shown(person, "Begin a new attempt of", "would retry 1", "n  back")
        await person.press("y", "n")
        await person.until(lambda: not isinstance(app.screen, Question))
        assert asked.done == []

    driven(materials(tmp_path), drive, asked.hands())


@pytest.mark.parametrize(
    ("press", "verb"),
    [("h", "hold"), ("l", "release"), ("r", "retry"), ("k", "kill"), ("K", "kill and hold")],
)
def test_a_key_a_question_a_yes(tmp_path: Path, press: str, verb: str) -> None:
    asked = Asked()

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("down", press)
        await shown(person, "mp-2/qsub.0?", f"would {verb} 1 job(s)")
        await person.press("y")
        await shown(person, f"did {verb} 1 job(s)")

    driven(materials(tmp_path), drive, asked.hands())
    assert asked.done == [(verb, ("mp-2/qsub.0",))]


def test_marked_jobs_are_what_is_meant(tmp_path: Path) -> None:
    asked = Asked()

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("space", "space")
        assert "*r " in await shown(person, "2 marked")
        await person.press("h")
        await shown(person, "Keep from being submitted 2 jobs?", "would hold 2")
        await person.press("y")
        await shown(person, "did hold 2")
        assert "marked" not in "\n".join(screen(app))
        await person.line("f", "failed")
        await person.press("a", "r")
        await shown(person, "mp-10/qsub.1?")
        await person.press("y")
        await shown(person, "did retry 1")
        await person.press("a")
        await shown(person, "1 marked")
        await person.press("a")
        await person.until(lambda: app.sight.marks == set())

    driven(materials(tmp_path), drive, asked.hands())
    assert asked.done == [
        ("hold", ("GaAs x=0.25/qsub.0", "mp-2/qsub.0")),
        ("retry", ("mp-10/qsub.1",)),
    ]


@pytest.mark.parametrize("typed", ["4711", None])
def test_what_a_login_asks_is_asked_here(tmp_path: Path, typed: str | None) -> None:
    asked = Asked(code="wanted")

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("h")
        await shown(person, "would hold")
        await person.press("y")
        await shown(person, "one-time code:")
        await person.until(lambda: isinstance(app.focused, Input))
        await person.press(*(typed or ""))
        assert "4711" not in "\n".join(screen(app)).partition("one-time code:")[2]
        await person.press("enter" if typed else "escape")
        await shown(person, f"the answer was {typed}", "did hold 1")

    driven(materials(tmp_path), drive, asked.hands())


def test_the_output_is_followed_as_long_as_it_is_looked_at(tmp_path: Path) -> None:
    asked = Asked()

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("o", "down", "right", "right")
        await shown(person, "==> mp-2/qsub.2.o353121 <==", "iteration 1")
        add(app.follower.run, Event(START, Kind.FINISHED, Key("mp-2/qsub.2"), 1, JobID("353121")))
        await shown(person, "mp-2/qsub.2 finished", "iteration 1")
        await person.press("left")
        text = await shown(person, "mp-2/qsub.1.o353111")
        assert "353121" not in text
        await person.press("o")
        await person.until(lambda: {"mp-2/qsub.2", "mp-2/qsub.1"} <= set(asked.closed))

    driven(materials(tmp_path), drive, asked.hands())


def test_it_follows_the_journal_and_says_who_has_the_run(tmp_path: Path) -> None:
    run = materials(tmp_path)
    key = Key("GaAs x=0.25/qsub.0")

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "no daemon has this run", f"{key} ready")
        add(run, Event(START, Kind.SUBMITTING, key, 1), Event(START, STARTED, key, 1, JobID("9")))
        await shown(person, f"{key} submitted")
        with owner.acquire(run):
            await shown(person, f"process {os.getpid()} on ")
        await shown(person, "no daemon has this run")
        (run / "new").mkdir()
        (run / "new" / "qsub.0").write_text("#!/bin/sh\n")
        await shown(person, "22 jobs", "h  held             2")

    driven(run, drive)


def test_what_is_wrong_is_said_and_looked_at_again(tmp_path: Path) -> None:
    run = materials(tmp_path)
    journal = Paths(run).journal
    good = journal.read_text()
    journal.write_text("nonsense\n" + good)

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "line 1:", "TIME KIND KEY JOBID")
        journal.write_text(good)
        text = await shown(person, "21 jobs", "finished")
        assert "line 1" not in text

    driven(run, drive, size=(240, 30))


def test_the_keys_are_told(tmp_path: Path) -> None:
    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("question_mark")
        text = await shown(person, "l release (let go)", "? unclear")
        assert "X failed" in text
        await person.press("q")

    driven(materials(tmp_path), drive, size=(120, 40))


def test_names_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    name = "物性 [b]\x1b[31m\x07"

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "物性 [b]\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}")
        await person.press("e")
        await shown(person, "[31m\N{REPLACEMENT CHARACTER}/qsub.0 is ready")
        await person.press("h")
        await shown(person, "Keep from being submitted 物性 [b]", "would hold 1")

    driven(run_of(tmp_path, {f"{name}/qsub.0": ""}, {}), drive)


def test_the_picture_of_the_manual_is_made_by_its_script() -> None:
    """Not compared sign by sign: another version of Textual draws it otherwise."""
    assert text_of(picture()) == text_of(PICTURE.read_text("utf-8"))
