"""The benchmarks measure what they say: their big runs have the jobs named, their page every row.

No benchmark runs here, and no time is looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobmon.core.life import fold
from jobmon.core.model import Life
from jobmon.run import journal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import bigrun, page, rows


@pytest.mark.parametrize(("jobs", "alive"), [(100, 100), (1000, 100), (1000, 1000), (1001, 7)])
def test_a_shape_has_the_jobs_named(jobs: int, alive: int) -> None:
    sizes = [size for _, size in bigrun.Shape(jobs, alive).folders()]
    assert sum(sizes) == jobs
    assert len(sizes) >= alive
    assert set(sizes) <= {1, 2, 3, 4}


def test_a_big_run_is_one_that_jobmon_can_read(tmp_path: Path) -> None:
    big = bigrun.make(tmp_path / "big", bigrun.Shape(300, 20))
    jobs = fold(journal.read(big.run / "qsub.log"))
    assert sum(job.in_system for job in jobs.values()) == 20 == len(big.alive)
    assert {job.life for job in jobs.values()} == {
        Life.STARTED,
        Life.RUNNING,
        Life.READY,
        Life.FINISHED,
    }
    assert len(big.batch.listing.read_text().splitlines()) == 20


def test_the_page_has_every_row_also_where_nothing_was_measured(tmp_path: Path) -> None:
    target = tmp_path / "performance.md"
    target.write_text(f"# head\n{page.BEGIN}\nwas here before\n{page.END}\ntail\n")
    assert page.write({"groups": {}}, target) == 1
    text = target.read_text()
    assert text.startswith("# head\n")
    assert text.endswith("tail\n")
    assert "was here before" not in text
    assert text.count("| not measured | - |") == len(rows.ROWS)


def test_a_limit_that_is_not_kept_is_said(tmp_path: Path) -> None:
    verdicts = {row.name: row.read for row in rows.ROWS}
    assert verdicts["memory"]({"rss_mb": 100.0, "peak_mb": 301.0})[1] is False
    small = {"quiet_ms": 20.0, "quiet_mean_ms": 21.0}
    for big, kept in ((30.0, True), (31.0, False)):
        raw = {"small": small, "big": {"quiet_ms": big, "quiet_mean_ms": big}}
        assert verdicts["cycle"](raw)[1] is kept
