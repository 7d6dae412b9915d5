"""``jobmon retry --set``: placeholders filled in anew, for these jobs only, from init/'s scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from session import agree, events, hurry, jobmon, only_run, put, script, status, twin_of

from jobmon.run import owner

BODY = "echo __maxcore__ __nk__ >> asked; [ __maxcore__ -ge 32 ] || exit 3"


@pytest.fixture
def run(project: Path) -> Path:
    """Two jobs that fail with too few cores, and one that does not."""
    put(project / "init", "a/qsub.0", BODY)
    put(project / "init", "a/qsub.1", "true", "qsub.finished.0\n")
    put(project / "init", "b/qsub.0", BODY)
    put(project / "init", "fixed/qsub.0", "exit 3")
    hurry(project, "placeholders: {nk: 4}")
    jobmon("--ldir", project, code=1)
    return only_run(project)


def unchanged(run: Path) -> dict[str, bytes]:
    """All that a retry could change here."""
    return {str(p): p.read_bytes() for p in run.rglob("qsub*") if p.is_file()}


def test_a_new_attempt_with_other_values(project: Path, run: Path) -> None:
    before = unchanged(run)
    dry = jobmon("retry", "--run", run, "a", "--set", "maxcore=32", "--dry-run", code=1).stdout
    assert dry.splitlines()[:2] == [
        "would retry 1 job(s): a/qsub.0",
        "would set __maxcore__ to 32 in their scripts",
    ]
    assert "not retried, blocked: a/qsub.1: was not run yet" in dry
    assert unchanged(run) == before

    said = jobmon("retry", "--run", run, "a/qsub.0", "--set", "maxcore=32", code=0).stdout
    assert said.startswith("1 job(s) begin a new attempt; 'jobmon --ldir")
    assert unchanged(run).keys() == before.keys()
    changed = [path for path, data in unchanged(run).items() if data != before[path]]
    assert [Path(path).relative_to(run).as_posix() for path in sorted(changed)] == [
        "a/qsub.0",
        "qsub.log",
    ]
    assert events(run)[-1].endswith(" reopened a/qsub.0 - n=1 set_maxcore=32")
    assert "set_maxcore=32" in jobmon("explain", "--run", run, "a/qsub.0", code=0).stdout
    jobmon("--ldir", run, code=1)
    assert status(run)["state"] == {
        "a/qsub.0": "finished",
        "a/qsub.1": "finished",
        "b/qsub.0": "failed",
        "fixed/qsub.0": "failed",
    }
    assert (twin_of(project) / "a" / "asked").read_text() == "16 4\n32 4\n"
    assert (twin_of(project) / "b" / "asked").read_text() == "16 4\n"
    agree(run)


def test_what_was_set_before_stays_set(project: Path, run: Path) -> None:
    jobmon("retry", "--run", run, "b", "--set", "maxcore=20", code=0)
    jobmon("--ldir", run, code=1)
    jobmon("retry", "--run", run, "b", "--set", "nk=6", code=0)
    jobmon("--ldir", run, code=1)
    jobmon("retry", "--run", run, "b", code=0)
    jobmon("--ldir", run, code=1)
    assert (twin_of(project) / "b" / "asked").read_text() == "16 4\n20 4\n20 6\n20 6\n"


def refused(run: Path, *words: str) -> str:
    before = unchanged(run)
    said = jobmon("retry", "--run", run, *words, code=2)
    assert said.stdout == "" and unchanged(run) == before
    return said.stderr


def test_what_cannot_be_set_is_refused_and_nothing_changed(project: Path, run: Path) -> None:
    init = project / "init"
    by_hand = "by hand, and retry without --set\n"
    said = refused(run, "fixed", "--set", "maxcore=32")
    assert said == (
        f"jobmon: --set maxcore: {init}/fixed/qsub.0 has no __maxcore__; it has none that can be set\n"
    )
    assert "has no __nkk__; it has" in refused(run, "a", "--set", "nkk=3")
    assert "maxcore wants a whole number, 1 or more" in refused(run, "a", "--set", "maxcore=many")
    assert "__cwd__ follows from where the job is" in refused(run, "a", "--set", "cwd=/x")
    assert "--set nk: one line is wanted" in refused(run, "a", "--set", "nk=1\n2")
    assert "--set nk: name=value is wanted" in refused(run, "a", "--set", "nk")
    assert "is given twice" in refused(run, "a", "--set", "nk=1", "--set", "nk=2")

    (run / "b" / "qsub.0").write_text("#!/bin/sh\n# by hand\n")
    said = refused(run, "a/qsub.0", "b", "--set", "maxcore=32")
    assert f"{run}/b/qsub.0 is not what {init}/b/qsub.0 makes: one of them was changed" in said
    assert said.endswith(by_hand)
    (init / "a" / "qsub.0").unlink()
    said = refused(run, "a/qsub.0", "--set", "maxcore=32")
    assert (
        said == f"jobmon: {init}/a/qsub.0: No such file or directory; edit {run}/a/qsub.0 {by_hand}"
    )
    assert "1 job(s) begin" in jobmon("retry", "--run", run, "a/qsub.0", code=0).stdout


def test_a_retry_that_was_cut_off_behind_the_script_goes_on(project: Path, run: Path) -> None:
    """The script is written before the journal says so: the same request is then done once more."""
    path = run / "a" / "qsub.0"
    path.write_bytes(path.read_bytes().replace(b" 16", b" 32"))
    wanted = path.read_bytes()
    owner.request(run, {"do": "retry", "keys": ["a/qsub.0"], "set": {"maxcore": "32"}})
    jobmon("--ldir", run, code=1)
    assert path.read_bytes() == wanted
    assert (twin_of(project) / "a" / "asked").read_text() == "16 4\n32 4\n"


def test_a_script_edited_after_the_request_is_left_as_it_is(project: Path, run: Path) -> None:
    owner.request(run, {"do": "retry", "keys": ["a/qsub.0", "b/qsub.0"], "set": {"maxcore": "32"}})
    (run / "a" / "qsub.0").write_text(script("echo mine > asked", "0").replace("__cwd__", "/"))
    done = jobmon("--ldir", run, code=1)
    assert re.search(r"'jobmon retry' leaves a/qsub.0 as it is: .* was changed", done.stdout)
    state = status(run)["state"]
    assert (state["a/qsub.0"], state["b/qsub.0"]) == ("failed", "finished")


def test_a_header_s_placeholders_can_be_set_too(project: Path) -> None:
    (project / "header").write_text("#SBATCH -n 1\n# __nk__ points\n")
    put(project / "init", "a/qsub.0", "grep -q '^# 8 points' qsub.0 || exit 3")
    path = project / "init" / "a" / "qsub.0"
    path.write_text(path.read_text().replace("#SBATCH -n 1\n", "__HEADER__"))
    hurry(project, "placeholders: {nk: 4}", f"qsubheader: {project}/header")
    jobmon("--ldir", project, code=1)
    run = only_run(project)
    jobmon("retry", "--run", run, "a", "--set", "nk=8", code=0)
    jobmon("--ldir", run, code=0)
    (project / "header").unlink()
    assert (
        "header: the header cannot be read"
        in jobmon("retry", "--run", run, "a", "--set", "nk=9", code=2).stderr
    )
