"""What status shows of a large run without reading it, and what a run has spent."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session import jobmon

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import shown, spending
from jobmon.run.journal import Journal
from jobmon.run.paths import Paths

AT = datetime(2026, 11, 21, tzinfo=UTC)
KEY = Key("m/qsub.0")


def left(run: Path, jobs: int) -> Paths:
    """A run folder in which a daemon left the table of so many waiting jobs."""
    paths = Paths(run)
    paths.hidden.mkdir(parents=True)
    paths.settings.write_text("remote: local\n")
    seen = shown.Shown("2026-11-21T00:00:00+00:00")
    seen.states = {Key(f"m{i}/qsub.0"): "waiting" for i in range(jobs - 1)} | {KEY: "failed"}
    seen.why = {KEY: "exit code 1"}
    with Journal.open(paths.journal) as journal:
        journal.append([Event(AT, Kind.READY, KEY)])
        shown.write(paths, seen, journal.size)
        journal.append(
            [
                Event(AT, Kind.READY, Key("m1/qsub.0")),
                Event(AT, Kind.SUBMITTING, Key("m1/qsub.0"), 1),
                Event(AT, Kind.STARTED, Key("m1/qsub.0"), 1, JobID("7")),
                Event(AT, Kind.READY, Key("m2/qsub.0")),
            ]
        )
    return paths


def test_what_happened_since_is_laid_on_top(tmp_path: Path) -> None:
    seen = shown.read(left(tmp_path, shown.LARGE))
    assert seen is not None
    assert seen.states[Key("m1/qsub.0")] == "submitted" and seen.submissions == 1
    assert seen.states[Key("m2/qsub.0")] == "ready"
    assert [row.reason for row in seen.rows() if row.state == "failed"] == ["exit code 1"]


@pytest.mark.parametrize("spoilt", ["small", "torn", "no journal", "journal begun anew"])
def test_else_the_run_is_read(tmp_path: Path, spoilt: str) -> None:
    paths = left(tmp_path, shown.LARGE - (spoilt == "small"))
    if spoilt == "torn":
        paths.shown.write_bytes(paths.shown.read_bytes()[:-9])
    if spoilt == "no journal":
        paths.journal.unlink()
    if spoilt == "journal begun anew":
        paths.journal.write_text("")
    assert shown.read(paths) is None


def test_status_of_a_large_run_says_as_of_when(tmp_path: Path) -> None:
    left(tmp_path, shown.LARGE)
    text = jobmon("status", "--run", tmp_path, code=0).stdout
    assert f"waiting      {shown.LARGE - 3}" in text
    assert "files as seen at 2026-11-21T00:00:00+00:00" in text
    assert "failed   m/qsub.0  exit code 1" in text


@given(st.dictionaries(st.sampled_from(["logins", "channels", "sent", "received"]), st.integers(0)))
def test_what_was_spent_is_one_line(counts: dict[str, int]) -> None:
    text = spending.words(counts, 3)
    assert "\n" not in text and text.endswith(", 3 submissions")
    assert f"{counts.get('channels', 0)} channels" in text


def test_sizes_in_words() -> None:
    assert "999 B sent, 1.2 kB received" in spending.words({"sent": 999, "received": 1234}, 0)
    assert "12 MB sent, 3000 GB received" in spending.words(
        {"sent": 12 * 10**6, "received": 3 * 10**12}, 0
    )


def test_a_torn_account_begins_at_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spent.json"
    spending.write(path, {"logins": 3})
    assert spending.read(path) == {"logins": 3}
    path.write_text("{")
    assert spending.read(path) == {} == spending.read(tmp_path / "none")
