"""``jobmon watch``, driven by Textual's own pilot; what the screen shows, as text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot
from watch_lab import START, Asked, add, driven, run_of, screen, shown, text_of
from watch_picture import PICTURE, picture

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import owner
from jobmon.run.paths import Paths
from jobmon.show.watch.app import Watch

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


def compare(name: str, text: str) -> None:
    """Hold a screen against the golden; ``JOBMON_WRITE_GOLDENS=1`` writes it."""
    path = GOLDENS / f"{name}.txt"
    if os.environ.get("JOBMON_WRITE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert text + "\n" == path.read_text()


def test_the_grid(tmp_path: Path) -> None:
    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("down", "down", "down", "right")
        compare("grid", await shown(pilot, "mp-10/qsub.1 failed"))

    driven(materials(tmp_path), drive)


def test_the_table(tmp_path: Path) -> None:
    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("t", "s")
        compare("table", await shown(pilot, "by state", "out of time"))

    driven(materials(tmp_path), drive, size=(100, 34))


def test_explain_of_the_job_under_the_cursor(tmp_path: Path) -> None:
    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("e", "down", "down", "down", "right", "right")
        compare("explain", await shown(pilot, "mp-10/qsub.2 is blocked", "jobmon retry"))
        await pilot.press("left")
        await shown(pilot, "mp-10/qsub.1 is failed", "its life:")
        await pilot.press("up", "end", "right", "right", "right")  # no job is there
        await shown(pilot, "no job stands there")
        await pilot.press("e")
        await pilot.pause()
        assert "no job stands there" not in "\n".join(screen(app))

    driven(materials(tmp_path), drive, size=(130, 30))


def test_filter_search_and_the_way_back(tmp_path: Path) -> None:
    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("slash", *"149", "enter")
        await shown(pilot, "mp-149/qsub.0 finished")
        await pilot.press("n")
        await shown(pilot, "mp-149/qsub.1 submitted")
        await pilot.press("p", "p")
        await shown(pilot, "mp-149/qsub.3 waiting")
        await pilot.press("slash", *"nowhere", "enter")
        await shown(pilot, "no job in sight has nowhere in its key")
        await pilot.press("f", *"blocked held", "enter")
        text = await shown(pilot, "6 of 21 jobs · filter: blocked held")
        assert "mp-9 " in text and "mp-149 " not in text
        await pilot.press("t", "f", *"blocked held mp-1*", "enter")
        text = await shown(pilot, "2 of 21 jobs · filter: blocked held mp-1*")
        assert "mp-10/qsub.2" in text and "mp-9" not in text
        await pilot.press("f", "backspace", "enter")
        await shown(pilot, "21 jobs · by folder")
        await pilot.press("f", "x", "escape")
        await shown(pilot, "21 jobs · by folder")

    driven(materials(tmp_path), drive)


def test_nothing_is_done_without_a_yes(tmp_path: Path) -> None:
    asked = Asked()

    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        for no in ("n", "escape", "q"):
            await pilot.press("k")
            await shown(pilot, "Delete from the batch system GaAs x=0.25/qsub.0?", "would kill 1")
            await pilot.press("enter", "space", no)
            await pilot.pause()
        asked.able = False
        await pilot.press("r")
        await shown(pilot, "Begin a new attempt of", "would retry 1", "n  back")
        await pilot.press("y", "n")
        await pilot.pause()
        assert asked.done == []

    driven(materials(tmp_path), drive, asked.hands())


@pytest.mark.parametrize(
    ("press", "verb"),
    [("h", "hold"), ("l", "release"), ("r", "retry"), ("k", "kill"), ("K", "kill and hold")],
)
def test_a_key_a_question_a_yes(tmp_path: Path, press: str, verb: str) -> None:
    asked = Asked()

    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("down", press)
        await shown(pilot, "mp-2/qsub.0?", f"would {verb} 1 job(s)")
        await pilot.press("y")
        await shown(pilot, f"did {verb} 1 job(s)")

    driven(materials(tmp_path), drive, asked.hands())
    assert asked.done == [(verb, ("mp-2/qsub.0",))]


def test_marked_jobs_are_what_is_meant(tmp_path: Path) -> None:
    asked = Asked()

    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("space", "space")
        assert "*r " in await shown(pilot, "2 marked")
        await pilot.press("h")
        await shown(pilot, "Keep from being submitted 2 jobs?", "would hold 2")
        await pilot.press("y")
        await shown(pilot, "did hold 2")
        assert "marked" not in "\n".join(screen(app))
        await pilot.press("f", *"failed", "enter", "a", "r")
        await shown(pilot, "mp-10/qsub.1?")
        await pilot.press("y")
        await shown(pilot, "did retry 1")
        await pilot.press("a", "a")
        assert app.sight.marks == set()

    driven(materials(tmp_path), drive, asked.hands())
    assert asked.done == [
        ("hold", ("GaAs x=0.25/qsub.0", "mp-2/qsub.0")),
        ("retry", ("mp-10/qsub.1",)),
    ]


@pytest.mark.parametrize("typed", ["4711", None])
def test_what_a_login_asks_is_asked_here(tmp_path: Path, typed: str | None) -> None:
    asked = Asked(code="wanted")

    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("h")
        await shown(pilot, "would hold")
        await pilot.press("y")
        await shown(pilot, "one-time code:")
        await pilot.press(*(typed or ""), "enter" if typed else "escape")
        assert "4711" not in "\n".join(screen(app)).partition("one-time code:")[2]
        await shown(pilot, f"the answer was {typed}", "did hold 1")

    driven(materials(tmp_path), drive, asked.hands())


def test_the_output_is_followed_as_long_as_it_is_looked_at(tmp_path: Path) -> None:
    asked = Asked()

    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("o", "down", "right", "right")
        await shown(pilot, "==> mp-2/qsub.2.o353121 <==", "iteration 1")
        add(app.follower.run, Event(START, Kind.FINISHED, Key("mp-2/qsub.2"), 1, JobID("353121")))
        await shown(pilot, "mp-2/qsub.2 finished", "iteration 1")
        await pilot.press("left")
        text = await shown(pilot, "mp-2/qsub.1.o353111")
        assert "353121" not in text
        await pilot.press("o")
        while set(asked.closed) != {"mp-2/qsub.2", "mp-2/qsub.1"}:
            await pilot.pause(0.05)

    driven(materials(tmp_path), drive, asked.hands())


def test_it_follows_the_journal_and_says_who_has_the_run(tmp_path: Path) -> None:
    run = materials(tmp_path)
    key = Key("GaAs x=0.25/qsub.0")

    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "no daemon has this run", f"{key} ready")
        add(run, Event(START, Kind.SUBMITTING, key, 1), Event(START, STARTED, key, 1, JobID("9")))
        await shown(pilot, f"{key} submitted")
        with owner.acquire(run):
            await shown(pilot, f"process {os.getpid()} on ")
        await shown(pilot, "no daemon has this run")
        (run / "new").mkdir()
        (run / "new" / "qsub.0").write_text("#!/bin/sh\n")
        await shown(pilot, "22 jobs", "h  held             2")

    driven(run, drive)


def test_what_is_wrong_is_said_and_looked_at_again(tmp_path: Path) -> None:
    run = materials(tmp_path)
    journal = Paths(run).journal
    good = journal.read_text()
    journal.write_text("nonsense\n" + good)

    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "line 1: ", "rename qsub.log and quelist away")
        journal.write_text(good)
        text = await shown(pilot, "21 jobs", "finished")
        assert "line 1" not in text

    driven(run, drive)


def test_the_keys_are_told(tmp_path: Path) -> None:
    async def drive(pilot: Pilot[None], app: Watch) -> None:
        await shown(pilot, "blocked")
        await pilot.press("question_mark")
        text = await shown(pilot, "l release (let go)", "? unclear")
        assert "X failed" in text
        await pilot.press("q")

    driven(materials(tmp_path), drive, size=(120, 40))


def test_the_picture_of_the_manual_is_made_by_its_script() -> None:
    """Not compared sign by sign: another version of Textual draws it otherwise."""
    assert text_of(picture()) == text_of(PICTURE.read_text("utf-8"))
