"""What a person does to a run in the middle of it, on this machine's own queue."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from session import (
    agree,
    chain,
    count,
    daemon,
    environment,
    events,
    jobmon,
    only_run,
    put,
    ran_once,
    script,
    status,
    twin_of,
    until,
)

from jobmon.act import kill as killer
from jobmon.core.model import Key


def test_touching_a_dependency_file_lets_a_held_job_go(project: Path) -> None:
    put(project / "init", "m/qsub.0", needs=None)
    jobmon("--ldir", project, code=1)
    run = only_run(project)
    (run / "m" / "qsub.dependency.0").touch()
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 1}


def test_what_a_person_changes_reaches_the_cluster_first(project: Path) -> None:
    put(project / "init", "m/qsub.0", "touch gate.seen; until [ -e go ]; do sleep 0.1; done")
    put(project / "init", "m/qsub.1", "echo old > which", "qsub.finished.0\n")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until((twin_of(project) / "m" / "gate.seen").exists, what="the first job")
        new = script("cat input > which", "1").replace("__cwd__", str(twin_of(project) / "m"))
        (run / "m" / "qsub.1").write_text(new)
        (run / "m" / "input").write_text("new\n")
        (run / "m" / "go").touch()
        assert process.wait(60) == 0
    assert (run / "m" / "which").read_text() == "new\n"


@pytest.mark.fault("Hands of users: scripts edited between attempts")
def test_the_run_folder_s_script_counts_over_the_cluster_s(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo 'echo hijacked > which' > qsub.1; sleep 1")
    put(project / "init", "m/qsub.1", "echo ours > which", "qsub.finished.0\n")
    jobmon("--ldir", project, code=0)
    assert (only_run(project) / "m" / "which").read_text() == "ours\n"


@pytest.mark.fault("Hands of users: files changed on both sides")
def test_a_file_changed_on_both_sides_is_left_alone_until_a_person_chooses(project: Path) -> None:
    put(project / "init", "m/qsub.0", "cat input > which")
    put(project / "init", "other/qsub.0")
    (project / "init" / "m" / "input").write_text("first\n")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    (run / "m" / "input").write_text("ours\n")
    (twin / "m" / "input").write_text("theirs, longer\n")
    done = jobmon("--ldir", run, code=1)
    assert done.stdout.count("m/input was changed here and on the cluster; neither") == 1
    assert "conflict m/input" in done.stdout
    assert status(run)["state"] == {"m/qsub.0": "ready", "other/qsub.0": "finished"}
    assert (run / "m" / "input").read_text() == "ours\n"
    assert (twin / "m" / "input").read_text() == "theirs, longer\n"
    (twin / "m" / "input").unlink()  # the person has chosen
    jobmon("--ldir", run, code=0)
    assert (run / "m" / "which").read_text() == "ours\n"


def _save(path: Path, text: str) -> None:
    """As editors do, beside it first: the daemon may draw it at any moment."""
    beside = path.parent.with_name("edited")
    beside.write_bytes(text.encode())
    beside.replace(path)


def _turned_about(quelist: Path) -> bool:
    """Whether jobmon has drawn the lines in the order asked for here, with an editor's CRLF."""
    text = quelist.read_bytes().decode()
    head, *lines = text.splitlines()
    turned = sorted(lines, reverse=True)
    if lines != turned:
        _save(quelist, "\r\n".join([head, *turned, ""]))
    return lines == turned and "\r" not in text


def _spoilt(quelist: Path) -> bool:
    """Whether jobmon has kept aside, and drawn over, what is asked for here and no order."""
    text = quelist.read_bytes().decode()
    kept = list(quelist.parent.glob("quelist.rejected.*"))
    if "nonsense" not in text and not kept:
        _save(quelist, f"{text}nonsense\n")
    return "nonsense" not in text and bool(kept)


@pytest.mark.fault("Hands of users: quelist edited while the daemon runs")
def test_quelist_may_be_reordered_and_nothing_else(project: Path) -> None:
    for name in "abcd":
        wait = "until [ -e go ]; do sleep 0.1; done" if name in "ad" else "true"
        put(project / "init", f"{name}/qsub.0", wait)
    with daemon("--ldir", project, "--maxqsub=1", log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/quelist")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until(lambda: "a/qsub.0 ready" in (run / "quelist").read_text(), what="the quelist")
        until(lambda: count(run, "started") == 1, what="the first job")
        until(lambda: _turned_about(run / "quelist"), what="the new order, drawn by jobmon")
        (twin / "a" / "go").touch()
        until(lambda: count(run, "started") == 2, what="the second job")
        until(lambda: _spoilt(run / "quelist"), what="what is no order, drawn over")
        (twin / "d" / "go").touch()
        assert process.wait(150) == 0
    started = [line.split(" ")[2] for line in events(run) if line.split(" ")[1] == "started"]
    assert started == [f"{name}/qsub.0" for name in "adcb"]
    kept = [path.read_text() for path in run.glob("quelist.rejected.*")]
    assert kept and all(text.endswith("nonsense\n") for text in kept)
    agree(run)


def test_a_quelist_edited_while_nobody_looks(project: Path) -> None:
    for name in "abc":
        put(project / "init", f"{name}/qsub.0")
    jobmon("--ldir", project, "--maxqsub=1", "--once", code=1)
    run = only_run(project)
    head, *lines = (run / "quelist").read_text().splitlines()
    (run / "quelist").write_text("\n".join([head, lines[0], lines[2], lines[1]]) + "\n")
    jobmon("--ldir", run, "--maxqsub=1", code=0)
    started = [line.split(" ")[2] for line in events(run) if line.split(" ")[1] == "started"]
    assert started == ["a/qsub.0", "c/qsub.0", "b/qsub.0"]
    edited = (run / "quelist").read_text().replace("finished@", "failed@")
    (run / "quelist").write_text(edited)
    jobmon("--ldir", run, code=0)
    assert [p.read_text() for p in run.glob("quelist.rejected.*")] == [edited]
    agree(run)


def test_with_the_quelist_renamed_away_the_next_start_is_afresh(project: Path) -> None:
    put(project / "init", "done/qsub.0")
    put(project / "init", "runs/qsub.0", "echo x >> started.0; sleep 6")
    put(project / "init", "failed/qsub.0", "[ -e mended ] || exit 1")
    with daemon("--ldir", project, log=project.parent / "out"):
        until(lambda: list(project.glob("2*/quelist")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1 and count(run, "started") == 3)
        jobmon("stop", "--run", run, code=0)
    (run / "quelist").rename(run / "quelist.old")
    (run / "failed" / "mended").touch()
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 3}
    ran_once(twin_of(project))
    assert count(run, "started") == 4, "three adopted, one of which was gone and is started anew"
    agree(run)


def test_once_does_one_cycle(project: Path) -> None:
    chain(project / "init", "m")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    assert count(run, "started") == 1
    agree(run)
    jobmon("--ldir", run, code=0)
    ran_once(twin_of(project))


def test_kill_takes_a_job_that_wrote_its_marker_and_goes_on(project: Path) -> None:
    put(project / "init", "m/qsub.0", "touch qsub.finished.0; sleep 280")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1, what="its marker")
        assert (run / "qsub.now").read_text().endswith(" ! m/qsub.0\n"), "it is in the queue still"
        done = jobmon("kill", "--run", run, code=0)
        process.wait(60)
    assert "1 had ended by themselves, 0 left" in done.stdout
    assert (run / "qsub.now").read_text() == ""
    jobmon("--ldir", run, "--once", code=0)
    assert "end 0" in (run / "qstat").read_text(), "nothing is left in the queue"
    assert status(run)["counts"] == {"finished": 1}


def test_once_again_and_again_settles_a_failure(project: Path) -> None:
    put(project / "init", "m/qsub.0", "exit 3")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    end = time.monotonic() + 60
    while status(run)["state"]["m/qsub.0"] != "failed":
        assert time.monotonic() < end
        jobmon("--ldir", run, "--once", code=1)
    agree(run)


def test_a_job_waits_until_all_its_inputs_are_there(project: Path, tmp_path: Path) -> None:
    put(project / "init", "first/qsub.0")
    with daemon("--ldir", project, "--forever", log=tmp_path / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1, what="the first job")
        put(tmp_path, "new/qsub.0", "ls parts | wc -l > count")
        text = (tmp_path / "new" / "qsub.0").read_text()
        folder = str(twin_of(project) / "new")
        (tmp_path / "new" / "qsub.0").write_text(text.replace("__cwd__", folder))
        (tmp_path / "new" / "parts").mkdir()
        for number in range(5000):
            (tmp_path / "new" / "parts" / f"in{number}").touch()
        (tmp_path / "new").rename(run / "new")
        until(lambda: count(run, "finished") == 2, limit=90, what="the job with many inputs")
    assert (twin_of(project) / "new" / "count").read_text().split() == ["5000"]


@pytest.mark.fault("Hands of users: dozens of jobmon commands at once")
def test_kills_beside_each_other_all_end_well(project: Path) -> None:
    for name in "abc":
        put(project / "init", f"{name}/qsub.0", "sleep 280")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    kills = [
        subprocess.Popen(
            [sys.executable, "-m", "jobmon", "kill", "--run", run],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )
        for _ in range(3)
    ]
    told = [kill.communicate(timeout=100)[0] for kill in kills]
    assert [kill.returncode for kill in kills] == [0, 0, 0], told
    assert sum("3 killed" in text for text in told) == 1, told
    assert status(run)["counts"] == {"killed": 3}
    agree(run)


def test_a_kill_also_counts_what_was_submitted_after_it_was_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(project / "init", "m/qsub.0", "sleep 200")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        now = run / "qsub.now"
        until(lambda: now.exists() and now.read_text(), what="a job in the batch system")
        process.send_signal(signal.SIGSTOP)
        now.rename(run / "kept")
        now.touch()  # as it was drawn a cycle before
        seen, said = threading.Event(), list[str]()
        now_of = killer._now

        def listed(run: Path) -> set[Key]:
            if found := now_of(run):
                seen.set()
            return found

        monkeypatch.setattr(killer, "_now", listed)
        flags: dict[str, Any] = {"hold": False, "dry": False, "ask": lambda p, e: ""}
        with ThreadPoolExecutor(1) as pool:
            killing = pool.submit(killer.kill, run, ["m"], [], say=said.append, **flags)
            until(lambda: list((run / ".jobmon" / "requests").glob("*.json")), what="a request")
            (run / "kept").replace(now)
            until(seen.is_set, what="kill to look")
            process.send_signal(signal.SIGCONT)
            assert killing.result(120) == 0
        assert "1 killed, 0 had ended by themselves, 0 left" in said[-1]
