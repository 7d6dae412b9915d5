"""What a person's hands do to a run in its middle: edit, delete, start it on two hosts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults_lab import Lab
from session import (
    agree,
    count,
    daemon,
    environment,
    jobmon,
    only_run,
    put,
    ran_once,
    script,
    status,
    twin_of,
    until,
)

from jobmon.cluster.copying import Copy
from jobmon.run import owner

# --- scripts edited between attempts -----------------------------------------------------------


@pytest.mark.parametrize("where", ["here", "there"])
@pytest.mark.fault("Hands of users: scripts edited between attempts")
def test_a_script_that_is_edited_between_attempts(project: Path, where: str) -> None:
    """The next attempt runs what stands here: an edit here goes up first, one there is undone."""
    put(project / "init", "m/qsub.0", "echo x >> started.0; cat word; sleep 280")
    (project / "init" / "m" / "word").write_text("from here\n")
    jobmon("--ldir", project, "--once", code=1)
    run, twin = only_run(project), twin_of(project)
    until((twin / "m" / "started.0").exists, what="the first attempt")
    jobmon("kill", "--run", run, "m", code=0)
    side = run if where == "here" else twin
    text = script(f"echo x >> started.0; echo {where} > edited", "0")
    (side / "m" / "qsub.0").write_text(text.replace("__cwd__", str(twin / "m")))
    if where == "there":
        ours = (run / "m" / "qsub.0").read_text().replace("sleep 280", "echo ours > edited")
        (run / "m" / "qsub.0").write_text(ours)
        os.utime(run / "m" / "qsub.0", (1e9, 1e9))  # older than the edit there: no matter
        (twin / "m" / "qsub.0").write_text(text.replace("__cwd__", str(twin / "m")))
    jobmon("release", "--run", run, "m", code=0)
    done = jobmon("--ldir", run, code=None)
    if where == "there":  # changed on both sides: a person is to choose, and deletes theirs
        assert done.returncode == 1 and "changed on both sides" in done.stdout
        (twin / "m" / "qsub.0").unlink()
        jobmon("--ldir", run, code=0)
    assert (run / "m" / "edited").read_text() == ("here\n" if where == "here" else "ours\n")
    assert (twin / "m" / "started.0").read_text() == "x\nx\n", "two attempts"
    assert count(run, "started") == 2
    agree(run)


@pytest.mark.parametrize("first", ["edit", "push"])
def test_a_script_edited_while_the_whole_tree_is_pushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """Whatever a first push took along, what stands here goes up before it is submitted."""
    lab = Lab(tmp_path)
    lab.put("m/qsub.0")
    whole = Copy.push_tree

    def push_tree(self: Copy, ours: Sequence[str]) -> None:
        if first == "push":
            whole(self, ours)
        (lab.run / "m" / "qsub.0").write_text("#!/bin/sh\ntouch qsub.finished.0 edited\n")
        if first == "edit":
            whole(self, ours)

    monkeypatch.setattr(Copy, "push_tree", push_tree)
    lab.session()
    assert lab.farm.submissions
    assert "edited" in (lab.twin / "m" / "qsub.0").read_text()


@pytest.mark.fault("Hands of users: scripts edited between attempts")
def test_a_script_edited_only_there_is_ours_again_before_it_is_submitted(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.put("m/qsub.0")

    def edit() -> None:
        if not lab.farm.record:
            (lab.twin / "m" / "qsub.0").write_text("#!/bin/sh\nexit 0\n")

    lab.farm.at_look = edit
    lab.time.limit = 2000
    with pytest.raises(AssertionError, match="does not come to its end"):
        lab.session()  # as long as somebody keeps editing it there, it is not submitted
    assert not lab.farm.submissions
    lab.farm.at_look = lambda: None
    lab.time.limit = 1e6
    lab.session()
    assert lab.farm.submissions == {"m/qsub.0": 1}


# --- folders deleted on one side ---------------------------------------------------------------


@pytest.mark.fault("Hands of users: a folder deleted on one side (here)")
def test_a_folder_deleted_here(project: Path, tmp_path: Path) -> None:
    """Its job that runs goes on to its end; those not submitted yet are held, and nothing of the
    folder there is deleted."""
    put(
        project / "init",
        "m/qsub.0",
        "echo x >> started.0; until [ -e go ]; do sleep 0.1; done; echo y > result",
    )
    put(project / "init", "m/qsub.1", "echo x >> started.1", "qsub.finished.0\n")
    put(project / "init", "other/qsub.0", "echo x >> started.0; sleep 1", "../m/qsub.finished.0\n")
    with daemon("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until((twin / "m" / "started.0").exists, what="the first job")
        shutil.rmtree(run / "m")
        until(lambda: "m/qsub.1 was deleted here; it is held" in (tmp_path / "out").read_text())
        (twin / "m" / "go").touch()
        assert process.wait(60) == 1
    assert status(run)["state"] == {"m/qsub.0": "finished", "other/qsub.0": "finished"}
    assert (run / "m" / "result").read_text() == "y\n", "its results still come home"
    assert not (run / "m" / "qsub.1").exists(), "what was deleted stays deleted"
    assert (twin / "m" / "qsub.1").exists()
    ran_once(twin)
    agree(run)


@pytest.mark.fault("Hands of users: a folder deleted on one side (here)")
def test_a_request_for_a_folder_deleted_here_blocks_no_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.put("m/qsub.0", needs=None)
    lab.put("n/qsub.0", needs=None)
    lab.put("o/qsub.0")  # so that there is something to wait for

    asked: list[str] = []

    def look() -> None:
        if lab.farm.queue and not asked:
            shutil.rmtree(lab.run / "m")
            for name in "mn":
                body = {"do": "release", "keys": [f"{name}/qsub.0"]}
                asked.append(owner.request(lab.run, body))

    lab.farm.at_look = look
    lab.session()
    assert lab.states()["n/qsub.0"] == "finished"
    assert not list(lab.run.glob(".jobmon/requests/*"))


@pytest.mark.fault("Hands of users: a folder deleted on one side (there)")
def test_a_folder_deleted_there(project: Path) -> None:
    """Scripts and inputs go up again before its job is submitted, also from folders below."""
    put(project / "init", "m/qsub.0", "echo x >> started.0; cat input parts/more > result")
    (project / "init" / "m" / "input").write_text("input\n")
    (project / "init" / "m" / "parts").mkdir()
    (project / "init" / "m" / "parts" / "more").write_text("more\n")
    put(project / "init", "gate/qsub.0", "echo x >> started.0")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    shutil.rmtree(twin / "m")
    said = jobmon("--ldir", run, code=0).stdout
    assert "gone on the cluster, pushed again: 3 file(s)" in said
    assert (run / "m" / "result").read_text() == "input\nmore\n"
    ran_once(twin)
    agree(run)


@pytest.mark.fault("Hands of users: a folder deleted on one side (there)")
def test_a_folder_deleted_there_under_a_job_that_runs(project: Path, tmp_path: Path) -> None:
    """With it goes the marker: the job is failed, on the queue's word, and nothing is run twice."""
    gate = f"until [ -e {shlex.quote(str(tmp_path / 'go'))} ]; do sleep 0.1; done"
    put(project / "init", "m/qsub.0", f"echo x >> ../started.0; {gate}")
    put(project / "init", "n/qsub.0", "echo x >> started.0", "../m/qsub.finished.0\n")
    with daemon("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, twin = only_run(project), twin_of(project)
        until((twin / "started.0").exists, what="the job")
        shutil.rmtree(twin / "m")
        (tmp_path / "go").touch()
        assert process.wait(60) == 1
    assert status(run)["state"] == {"m/qsub.0": "failed", "n/qsub.0": "blocked"}
    assert (run / "m" / "qsub.0").exists(), "nothing is ever deleted by a sync"
    ran_once(twin)
    agree(run)


# --- files changed on both sides ---------------------------------------------------------------


@pytest.mark.fault("Hands of users: files changed on both sides")
def test_status_names_what_was_changed_on_both_sides(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    (project / "init" / "m" / "input").write_text("first\n")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    (run / "m" / "input").write_text("ours\n")
    (twin / "m" / "input").write_text("theirs, longer\n")
    jobmon("--ldir", run, "--once", code=1)
    line = "  conflict m/input  changed on both sides: make both alike, or delete one"
    assert line in jobmon("status", "--run", run, code=0).stdout.splitlines()
    assert status(run)["conflicts"] == ["m/input"]
    jobmon("kill", "--run", run, "m", code=0)  # another command forgets nothing of it
    assert status(run)["conflicts"] == ["m/input"]
    shutil.copy2(run / "m" / "input", twin / "m" / "input")  # the person has chosen
    jobmon("--ldir", run, code=0)
    assert status(run)["conflicts"] == []
    assert "conflict" not in jobmon("status", "--run", run, code=0).stdout


# --- the quelist -------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["nonsense\n", "", "\0\xff\n", None])
@pytest.mark.fault("Hands of users: quelist edited while the daemon runs")
def test_a_quelist_spoilt_or_deleted_in_the_middle_is_drawn_again(
    tmp_path: Path, edit: str | None
) -> None:
    lab = Lab(tmp_path)
    for name in "abc":
        lab.put(f"{name}/qsub.0")
    done: list[str] = []

    def look() -> None:
        if lab.farm.queue and not done:
            done.append((lab.run / "quelist").read_text())
            if edit is None:
                (lab.run / "quelist").unlink()
            else:
                (lab.run / "quelist").write_text(edit, "utf-8")

    lab.farm.at_look = look
    lab.session()
    assert done
    assert lab.farm.submissions == {"a/qsub.0": 1, "b/qsub.0": 1, "c/qsub.0": 1}
    agree(lab.run)
    kept = [path.read_text() for path in lab.run.glob("quelist.rejected.*")]
    assert kept == ([] if edit is None else [edit])


# --- the same run on two hosts -----------------------------------------------------------------

ELSEWHERE = """
import sys
from jobmon.run import host
host._machine = lambda: "another machine"
host._boot = lambda: "another boot"
host.socket.gethostname = lambda: "elsewhere"
from jobmon.cli import main
sys.argv[0] = "jobmon"
main()
"""
"""A stand-in for another host that shares the disk: the same program, another machine's name."""


@contextmanager
def elsewhere(*args: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", ELSEWHERE, *map(str, args)]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment()
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.fault("Hands of users: the same run started on two hosts that share a disk")
def test_the_same_run_started_on_two_hosts(project: Path, tmp_path: Path) -> None:
    """The second is refused and told the way out; taken over, the first ends by itself."""
    wait = "until [ -e go ]; do sleep 0.1; done"
    for i, needs in enumerate(("", "qsub.finished.0\n", "qsub.finished.1\n")):
        put(project / "init", f"m/qsub.{i}", f"echo x >> started.{i}; {wait}", needs)
    with elsewhere("--ldir", project, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "started") == 1, what="a submission from there")
        refused = jobmon("--ldir", run, code=2).stderr
        assert f"is held by process {process.pid} on host elsewhere" in refused
        assert "--take-over takes the run" in refused
        assert "on elsewhere has this run" in jobmon("status", "--run", run, code=0).stdout
        with daemon("--ldir", run, "--take-over", log=tmp_path / "ours") as ours:
            assert process.wait(90) == 2
            (twin_of(project) / "m" / "go").touch()
            assert ours.wait(120) == 0
        assert "taken over" in (tmp_path / "ours").read_text()
    assert "the lock was taken by another" in (tmp_path / "out").read_text()
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert status(run)["counts"] == {"finished": 3}
    assert count(run, "started") == 3
    ran_once(twin_of(project))
    agree(run)
