"""``jobmon retry --clean``: named files go on both sides before a new attempt, and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session import (
    agree,
    count,
    daemon,
    events,
    hurry,
    jobmon,
    only_run,
    put,
    status,
    twin_of,
    until,
)
from shell_lab import RUN_ID, SHELLS, Lab
from test_retry import dies

from jobmon.cluster.files import Clear, Files
from jobmon.cluster.ledger import record_name
from jobmon.core.model import Attempt, Key
from jobmon.run import clearing, names, owner

LEAVES = (
    "[ -e mended ] || { echo x > core.1; echo x > big.tmp; echo x > .dot.tmp; echo x > kept.dat; "
    "exit 3; }; ls -A > seen"
)


@pytest.fixture
def run(project: Path) -> Path:
    """A job that failed and left files in both its folders, with an input of that kind."""
    put(project / "init", "m/qsub.0", LEAVES)
    put(project / "init", "m/qsub.1", "true", "qsub.finished.0\n")
    (project / "init" / "m" / "input.tmp").write_text("an input")
    hurry(project)
    jobmon("--ldir", project, code=1)
    return only_run(project)


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_named_files_go_on_both_sides_and_the_job_goes_again(project: Path, run: Path) -> None:
    twin = twin_of(project)
    (run / "m" / "mended").touch()
    (run / "m" / "only-here.tmp").touch()
    before = names_in(twin / "m")
    dry = jobmon(
        "retry", "--run", run, "m/qsub.0", "--clean", "*.tmp", "--clean", "core*", "--dry-run",
        code=0,
    ).stdout  # fmt: skip
    assert dry.splitlines() == [
        "would retry 1 job(s): m/qsub.0",
        "would delete in m: big.tmp (here and there), core.1 (here and there), "
        "only-here.tmp (here)",
    ]
    assert names_in(twin / "m") == before and (run / "m" / "big.tmp").exists()

    said = jobmon(
        "retry", "--run", run, "m/qsub.0", "--clean", "*.tmp", "--clean", "core*", code=0
    ).stdout
    assert said.startswith(
        "cleared for m/qsub.0: big.tmp, core.1, only-here.tmp\n1 job(s) begin a new attempt; "
    )
    gone = {"big.tmp", "core.1"}
    assert names_in(twin / "m") == before - gone
    assert not names_in(run / "m") & {*gone, "only-here.tmp"}
    assert {"input.tmp", ".dot.tmp", "kept.dat", "mended"} <= names_in(run / "m")
    assert "cleared=big.tmp,%20core.1,%20only-here.tmp" in events(run)[-1]
    jobmon("--ldir", run, code=0)
    assert "big.tmp" not in (twin / "m" / "seen").read_text()
    assert status(run)["counts"] == {"finished": 2}
    agree(run)


def test_by_a_daemon_and_with_values_set(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo x > old.tmp; [ __maxcore__ -ge 32 ] || exit 3")
    put(project / "init", "w/qsub.0", "until [ -e go ]; do sleep 0.1; done")
    hurry(project)
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "failed") == 1, what="the failure")
        words = ("--clean", "*.tmp", "--set", "maxcore=32")
        said = jobmon("retry", "--run", run, "m", *words, code=0).stdout.splitlines()
        assert said[0].startswith("asked process ")
        assert said[1:] == ["cleared for m/qsub.0: old.tmp", "1 job(s) begin a new attempt"]
        until(lambda: count(run, "finished") == 1, what="its end")
        (twin_of(project) / "w" / "go").touch()
        assert process.wait(60) == 0
    (line,) = (line for line in events(run) if " reopened " in line)
    assert line.endswith(" n=1 set_maxcore=32 cleared=old.tmp")
    agree(run)


def test_nothing_is_cleared_while_a_job_of_the_folder_runs(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo x > s.tmp; exit 3")
    put(project / "init", "m/qsub.1", "echo x > s.tmp; until [ -e go ]; do sleep 0.1; done")
    hurry(project)
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until(lambda: count(run, "failed") == 1 and (twin / "m/s.tmp").exists(), what="the failure")
        said = jobmon("retry", "--run", run, "m/qsub.0", "--clean", "*.tmp", code=2).stderr
        assert said == (
            "jobmon: m/qsub.1 is in the batch system and has its files in the folder of m/qsub.0; "
            "wait for its end or kill it before --clean there\n"
        )
        asked = {"do": "retry", "keys": ["m/qsub.0"], "clean": ["*.tmp"]}
        request = owner.request(run, asked)  # as if it had begun just after that was looked at
        until(lambda: not owner.request_path(run, request).exists(), what="the request")
        kept = json.loads((run / ".jobmon" / "memory.json").read_text())
        assert kept["changes"] == {"m/qsub.0": [1, {}, ["*.tmp"]]}
        look = (run / "qstat").stat().st_mtime_ns
        until(lambda: (run / "qstat").stat().st_mtime_ns > look, what="one more cycle")
        assert (twin / "m" / "s.tmp").exists() and count(run, "reopened") == 0
        (twin / "m" / "go").touch()
        until(lambda: count(run, "reopened") == 1, what="the retry")
        assert process.wait(60) == 1
    assert "cleared for m/qsub.0: s.tmp" in (run / "jobmon.log").read_text()
    agree(run)


def test_a_cluster_that_cannot_be_reached_leaves_all_as_it_was(project: Path, run: Path) -> None:
    twin = twin_of(project)
    twin.rename(twin.with_name("away"))
    for dry in ((), ("--dry-run",)):
        said = jobmon("retry", "--run", run, "m/qsub.0", "--clean", "*", *dry, code=2).stderr
        assert re.search(r"far 'away' ü/\d+_\d+ is missing; bring it back", said), said
    assert (run / "m" / "big.tmp").exists() and count(run, "reopened") == 0
    twin.with_name("away").rename(twin)
    jobmon("--ldir", run, code=1)
    assert count(run, "reopened") == 0, "what failed is forgotten"


def test_a_file_that_cannot_be_removed_keeps_the_job_as_it_is(project: Path, run: Path) -> None:
    twin = twin_of(project)
    (run / "m" / "big.tmp").unlink()
    (run / "m" / "big.tmp").mkdir()  # it cannot be unlinked, whoever asks
    said = jobmon("retry", "--run", run, "m/qsub.0", "--clean", "big.*", code=1).stdout
    assert "not retried: m/qsub.0; jobmon.log says why" in said
    assert count(run, "reopened") == 0 and status(run)["state"]["m/qsub.0"] == "failed"
    assert twin.is_dir()


def test_no_clearing_is_lost_by_kill_9_and_none_does_harm_twice(project: Path, run: Path) -> None:
    there, here = twin_of(project) / "m" / "big.tmp", run / "m" / "big.tmp"
    (run / "m" / "mended").touch()
    owner.request(run, {"do": "retry", "keys": ["m/qsub.0"], "clean": ["*.tmp"]})
    dies(run, "jobmon.run.owner", "done")  # it is remembered, and the request still there
    dies(run, "jobmon.cluster.files", "Files.clear")
    assert owner.waiting(run) == [] and there.exists() and here.exists()
    dies(run, "jobmon.cycle.hands", "let_go")  # all is cleared, and the journal does not know
    assert not there.exists() and not here.exists() and count(run, "reopened") == 0
    jobmon("--ldir", run, code=0)
    assert (count(run, "reopened"), count(run, "started"), count(run, "finished")) == (1, 3, 2)
    agree(run)


def test_patterns_that_leave_the_folder_are_refused(project: Path, run: Path) -> None:
    for pattern in ("../*", "", "out/*", "/etc/passwd"):
        said = jobmon("retry", "--run", run, "m/qsub.0", "--clean", pattern, code=2).stderr
        assert "a name or pattern in the job folder is wanted, without '/'" in said
    (project / "init").rename(project / "was")
    said = jobmon("retry", "--run", run, "m/qsub.0", "--clean", "*", code=2).stderr
    assert f"{project}/init is gone, so what a job begins from is not known" in said
    assert count(run, "reopened") == 0


# --- which files ------------------------------------------------------------------------------

OWN = ("qsub.0", "qsub.dependency.0", "qsub.finished.1", "qsub.finished.x", "input.dat")


@given(st.lists(st.text(max_size=8), max_size=5), st.lists(st.text(max_size=4), max_size=3))
def test_what_makes_up_a_job_is_never_cleared(found: list[str], patterns: list[str]) -> None:
    goes = clearing.goes("m", [*found, *OWN, ".", ".."], [*patterns, "*", ".*"], {"input.dat"})
    assert set(goes) <= set(found) - {*OWN, ".", ".."}
    assert all(names.part(name) is None for name in goes)


def test_which_files_go() -> None:
    found = ["a.dat", "b.dat", ".a.dat", "quelist", "qsub.log", "qsub.0.o12"]
    assert clearing.goes("m", found, ["a*", "qsub.*"], {"b.dat"}) == [
        "a.dat", "qsub.0.o12", "qsub.log",
    ]  # fmt: skip
    assert clearing.goes("", found, ["*"], {"b.dat"}) == ["a.dat", "qsub.0.o12"]
    assert clearing.goes("m", found, [".*"], set()) == [".a.dat"]


# --- there ------------------------------------------------------------------------------------


@pytest.fixture(params=SHELLS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, SHELLS[request.param])


WEIRD = "-a 'b\" $HOME `x` é;*\\"


def test_files_there_are_named_and_cleared_and_links_only_as_such(lab: Lab) -> None:
    folder = lab.twin / WEIRD
    folder.mkdir()
    (folder / "deep").mkdir()
    others = lab.twin / "other"
    others.mkdir()
    (others / "kept").write_text("x")
    for name in (WEIRD, "-rf", ".dot", "x"):
        (folder / name).write_text("x")
    (folder / "link").symlink_to(others)
    (folder / "dangling").symlink_to("nowhere")
    files = Files(lab.link, str(lab.twin), RUN_ID)
    assert files.names([WEIRD, "none"]) == {
        WEIRD: [*sorted(["-rf", WEIRD, "dangling", "link", "x"]), ".dot"], "none": [],
    }  # fmt: skip
    attempt = Attempt(Key(f"{WEIRD}/qsub.0"), 2)
    goes = (WEIRD, "-rf", "link", "dangling", "gone already", ".dot")
    assert files.clear([Clear(attempt, WEIRD, goes)]) == {}
    assert names_in(folder) == {"deep", "x"} and (others / "kept").exists()
    assert files.clear([Clear(attempt, WEIRD, ("deep",))]) == {
        attempt: "'deep' cannot be removed on the cluster; see its rights"
    }


def test_a_clearing_that_comes_late_does_nothing(lab: Lab) -> None:
    (lab.twin / "m").mkdir()
    (lab.twin / "m" / "x").write_text("the next attempt's")
    attempt = Attempt(Key("m/qsub.0"), 2)
    (lab.twin / ".jobmon" / "record" / record_name(attempt)).touch()
    files = Files(lab.link, str(lab.twin), RUN_ID)
    assert files.clear([Clear(attempt, "m", ("x",))]) == {
        attempt: "a new attempt has begun meanwhile"
    }
    assert (lab.twin / "m" / "x").exists()
