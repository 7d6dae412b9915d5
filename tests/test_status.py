"""``jobmon status``: counts with bars, the pace, those that need a person, and chosen jobs."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
from session import jobmon
from view_lab import FAILED, FINISHED, READY, RUNNING, run_of

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.core.rows import STATES
from jobmon.run import shown
from jobmon.run.journal import Journal
from jobmon.run.paths import Paths
from jobmon.show import status
from jobmon.show.read import view

NEEDS = {
    "a/qsub.0": "",
    "a/qsub.1": "qsub.finished.0\n",
    "b/qsub.0": "",
    "b/qsub.1": "qsub.finished.0\n",
    "b/qsub.2": "qsub.finished.1\nmore.dat\n",
    "b/qsub.10": "",
    "c/qsub.0": None,
}
LIVES = {
    "a/qsub.0": FINISHED,
    "a/qsub.1": RUNNING,
    "b/qsub.0": FAILED,
    "b/qsub.10": READY,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return run_of(tmp_path, NEEDS, LIVES)


def printed(run: Path, *words: str, code: int = 0) -> list[str]:
    return jobmon("status", "--run", run, *words, code=code).stdout.splitlines()


def test_of_a_run_that_has_finished_nothing_is_left(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"a/qsub.0": ""}, {"a/qsub.0": FINISHED})
    assert "no daemon has this run: nothing is left to do" in printed(run)


def test_all_of_a_run_at_a_glance(run: Path) -> None:
    lines = printed(run)
    assert lines[0] == str(run)
    bars = {line.split()[0]: line.split()[1:] for line in lines[1:7]}
    assert bars == {
        "held": ["1", "████"],
        "blocked": ["2", "█████████"],
        "ready": ["1", "████"],
        "running": ["1", "████"],
        "finished": ["1", "████"],
        "failed": ["1", "████"],
    }
    assert re.fullmatch(
        r"[\d.]+ jobs finished an hour; about 1 min( \d+ s)? to the end \(\d+ s to [\w ]+\); "
        "a guess for 2 of the 2 jobs left: none of their id has finished yet",
        lines[7],
    ), lines[7]
    assert lines[8].startswith("no daemon has this run")
    assert lines[9].startswith("spent so far: ") and lines[9].endswith(", 3 submissions")
    assert lines[10:] == [
        "in need of a person:",
        "  failed   b/qsub.0  exit code 3",
        "  held     c/qsub.0  held: touch c/qsub.dependency.0 to let it go",
        "  blocked  b/qsub.1  waits for b/qsub.0, which failed",
        "  blocked  b/qsub.2  waits for b/qsub.0, which failed",
    ]


def test_the_jobs_of_a_folder(run: Path) -> None:
    columns = [re.split(r"\s{2,}", line) for line in printed(run, "b")]
    assert [row[:2] for row in columns] == [
        ["b/qsub.0", "failed"],
        ["b/qsub.1", "blocked"],
        ["b/qsub.2", "blocked"],
        ["b/qsub.10", "ready"],
    ]
    assert columns[0][-1] == "exit code 3"
    assert columns[2][-1] == "waits for b/qsub.0, which failed"
    (finished, running) = printed(run, "a")
    assert re.fullmatch(r"a/qsub\.0  finished   1 min {8}\d+", finished)
    assert re.fullmatch(r"a/qsub\.1  running    1 min \d+ s +\d+", running)


def test_jobs_by_state_and_pattern(run: Path) -> None:
    assert [line.split()[0] for line in printed(run, "--state", "blocked", "--state", "held")] == [
        "b/qsub.1",
        "b/qsub.2",
        "c/qsub.0",
    ]
    assert [line.split()[0] for line in printed(run, "*/qsub.0", "--state", "failed")] == [
        "b/qsub.0"
    ]
    assert printed(run, "a", "--state", "failed") == []
    wrong = jobmon("status", "--run", run, "nosuch", code=2).stderr
    assert wrong == f"jobmon: nosuch: no job, folder or pattern of {run} is called so\n"
    wrong = jobmon("status", "--run", run, "--state", "dead", code=2).stderr
    assert "'dead' is not one of 'held'" in wrong and wrong.endswith(
        "See 'jobmon status --help'.\n"
    )


def test_json_has_all_of_it_and_its_fixed_names(run: Path) -> None:
    found = json.loads("\n".join(printed(run, "--json")))
    assert set(found) == {"run", "counts", "conflicts", "daemon", "spent", "pace", "jobs"}
    assert set(found["counts"]) <= set(STATES)
    assert found["daemon"] is None
    assert found["pace"]["left"] == 2 and len(found["pace"]["to_end"]) == 3
    jobs = {job["key"]: job for job in found["jobs"]}
    assert jobs.keys() == NEEDS.keys()
    assert jobs["a/qsub.0"]["took"] == 60 and jobs["a/qsub.0"]["lasted"] is None
    assert jobs["a/qsub.1"]["lasted"] >= 80 and jobs["a/qsub.1"]["attempts"] == 1
    assert jobs["b/qsub.2"]["missing"] == ["b/qsub.finished.1", "b/more.dat"]
    only = json.loads("\n".join(printed(run, "--json", "b", "--state", "failed")))
    assert [job["key"] for job in only["jobs"]] == ["b/qsub.0"]
    assert only["counts"] == found["counts"]


def test_a_run_whose_settings_cannot_be_read_has_no_pace(run: Path) -> None:
    (run / "jobmon.yaml").write_text("remote: [\n")
    assert not any("to the end" in line for line in printed(run))
    assert json.loads("\n".join(printed(run, "--json")))["pace"] is None


def test_chosen_jobs_of_a_large_run_are_the_same_without_reading_it(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now().astimezone().replace(microsecond=0)
    whole = status.as_list(status.listed(run, ["."], ()), now)
    paths = Paths(run)
    seen = view(run)
    left = shown.Shown("then")
    for row in seen.rows():
        left.states[row.job.key], left.why[row.job.key] = row.state, row.reason
    monkeypatch.setattr(shown, "LARGE", len(left.states))
    shown.write(paths, left, paths.journal.stat().st_size)
    monkeypatch.setattr(status, "view", None)  # it is not called
    assert status.as_list(status.listed(run, ["."], ()), now) == whole
    assert [row.job.key for row in status.listed(run, ["b"], ["blocked"])] == [
        "b/qsub.1",
        "b/qsub.2",
    ]
    (last,) = status.listed(run, ["b/qsub.2"], ())
    assert last.missing == ("b/qsub.finished.1", "b/more.dat")
    with Journal.open(paths.journal) as journal:  # since then
        ready = seen.jobs[Key("b/qsub.10")]
        journal.append(
            [
                Event(now, Kind.SUBMITTING, ready.key, 1),
                Event(now, Kind.STARTED, ready.key, 1, JobID("77")),
                Event(now, Kind.FINISHED, Key("a/qsub.1"), 1, seen.jobs[Key("a/qsub.1")].jobid),
            ]
        )
    ten, one = status.as_list(status.listed(run, ["b/qsub.10", "a/qsub.1"], ()), now)[::-1]
    assert ten.split() == ["b/qsub.10", "submitted", "0", "s", "77"]
    assert one.split()[:2] == ["a/qsub.1", "finished"]
