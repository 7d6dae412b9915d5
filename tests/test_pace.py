"""How quick a run goes, and how long the rest takes, from what jobs of the same id took."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_lab import FAILED, FINISHED, READY, RUNNING, Life, run_of

from jobmon.core.model import Key, Kind
from jobmon.core.pace import Pace
from jobmon.run import shown
from jobmon.run.paths import Paths
from jobmon.show.read import view
from jobmon.show.status import pace_words
from jobmon.show.words import bar, nth, span


def pace(
    folder: Path,
    needs: Mapping[str, str | None],
    lives: Mapping[str, Life],
    now: float = 100.0,
    places: int = 2,
) -> Pace:
    seen = view(run_of(folder, needs, lives, now=now))
    at = datetime.now().astimezone()
    return shown.pace_of(seen.rows(), seen.index, places, at)


def chain(folder: str, length: int) -> dict[str, str | None]:
    return {f"{folder}/qsub.{i}": f"qsub.finished.{i - 1}\n" if i else "" for i in range(length)}


def took(seconds: float, begin: float = 0.0) -> Life:
    return ((begin, Kind.READY), (begin, Kind.STARTED), (begin + seconds, Kind.FINISHED))


def test_nothing_is_known_before_the_first_end(tmp_path: Path) -> None:
    found = pace(tmp_path, chain("a", 2), {"a/qsub.0": RUNNING})
    assert found == Pace(None, 2, 2, None)
    assert pace_words(found) == [] == pace_words(None)
    assert pace_words(Pace(12345.6, 0, 0, None)) == ["12,346 jobs finished an hour"]
    assert pace_words(Pace(1.234, 0, 0, None)) == ["1.23 jobs finished an hour"]


def test_the_rest_is_the_work_over_the_places(tmp_path: Path) -> None:
    needs = {f"m{i}/qsub.0": "" for i in range(12)}
    lives = {f"m{i}/qsub.0": took(60) for i in range(2)}
    found = pace(tmp_path, needs, {**lives, **{f"m{i}/qsub.0": READY for i in range(2, 12)}}, 120)
    assert found.left == 10 and found.unknown == 0
    assert found.to_end is not None
    low, middle, high = found.to_end
    assert low == middle == high == pytest.approx(300)  # 10 jobs of 60 s, two at a time
    assert found.per_hour == pytest.approx(120, rel=0.1)  # two in the minute until the last end


def test_a_long_chain_takes_longer_than_the_work_alone(tmp_path: Path) -> None:
    needs = {**chain("a", 1), **chain("b", 4)}
    found = pace(tmp_path, needs, {"a/qsub.0": took(100)}, places=50)
    assert found.to_end is not None and found.to_end[1] == pytest.approx(400)
    assert found.unknown == 3, "only id 0 has finished"
    words = pace_words(found)[0]
    assert "about 6 min 40 s to the end (" in words
    assert words.endswith("a guess for 3 of the 4 jobs left: none of their id has finished yet")


def test_times_of_the_same_id_count_and_their_spread(tmp_path: Path) -> None:
    needs = {**chain("a", 2), **chain("b", 2), **chain("c", 2)}
    lives = {
        "a/qsub.0": took(10), "a/qsub.1": took(1000, 20),
        "b/qsub.0": took(10), "b/qsub.1": took(2000, 20), "c/qsub.0": took(10),
    }  # fmt: skip
    found = pace(tmp_path, needs, lives, 3000)
    assert found.left == 1 and found.to_end is not None
    low, middle, high = found.to_end
    assert middle == pytest.approx(1500), "what id 1 took, not id 0"
    assert low < 1000 and high > 2000


def test_what_cannot_go_is_not_waited_for(tmp_path: Path) -> None:
    needs = {**chain("a", 1), **chain("f", 3), "held/qsub.0": None}
    found = pace(tmp_path, needs, {"a/qsub.0": FINISHED, "f/qsub.0": FAILED})
    assert found.left == 0 and found.to_end is None and found.per_hour is not None


def test_a_job_that_runs_has_less_left_and_one_over_its_time_a_quarter(tmp_path: Path) -> None:
    needs = {f"{name}/qsub.0": "" for name in "abc"}
    lives = {"a/qsub.0": took(100), "b/qsub.0": ((0, Kind.READY), (40, Kind.STARTED))}
    found = pace(tmp_path / "1", needs | {"c/qsub.0": None}, lives, now=100, places=1)
    assert found.to_end is not None and found.to_end[1] == pytest.approx(40, abs=5)
    found = pace(tmp_path / "2", needs | {"c/qsub.0": None}, lives, now=900, places=1)
    assert found.to_end is not None and found.to_end[1] == pytest.approx(25)


def test_it_travels_in_what_the_daemon_leaves(tmp_path: Path) -> None:
    run = run_of(tmp_path, chain("a", 1), {"a/qsub.0": FINISHED})
    paths = Paths(run)
    left = Pace(12.5, 3, 1, (1.0, 2.0, 3.0))
    states = {Key(f"m{i}/qsub.0"): "waiting" for i in range(shown.LARGE)}
    shown.write(paths, shown.Shown("then", states=states, pace=left), paths.journal.stat().st_size)
    read = shown.read(paths)
    assert read is not None and read.pace == left
    paths.shown.write_text(paths.shown.read_text().replace('"pace"', '"else"'))
    older = shown.read(paths)
    assert older is not None and older.pace is None


@given(st.floats(0, 1e9))
def test_a_span_in_words_is_nearly_what_it_was(seconds: float) -> None:
    sizes = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    words = span(seconds).split()
    told = sum(int(n) * sizes[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(told - seconds) <= max(1.0, 0.1 * seconds)


def test_spans_bars_and_places() -> None:
    assert [span(s) for s in (0, 45, 200, 7200, 275000, 86400 * 30)] == [
        "0 s", "45 s", "3 min 20 s", "2 h", "3 d 4 h", "30 d",
    ]  # fmt: skip
    assert span(timedelta(hours=11, minutes=40).total_seconds()) == "12 h"
    assert (bar(0, 10), bar(1, 10**6), len(bar(10, 10)), bar(0, 0)) == ("", "█", 30, "")
    assert [nth(n) for n in (1, 2, 3, 4, 11, 12, 21, 112)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "112th",
    ]  # fmt: skip
