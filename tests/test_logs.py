"""``jobmon logs``: a job's output, from here once it has come home, else from the cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import TestCluster
from hypothesis import given
from hypothesis import strategies as st
from session import FAST, count, daemon, environment, hurry, jobmon, only_run, put, until
from shell_lab import RUN_ID, SHELLS, Lab
from view_lab import FAILED, READY, run_of

from jobmon.cluster.files import Files, Piece
from jobmon.core.model import JobID, Key
from jobmon.run.script import OUTPUTS
from jobmon.show import outputs
from jobmon.show.read import view

GiveDir = Callable[[str], str]


def logs(run: Path, *words: str, code: int = 0) -> str:
    return jobmon("logs", "--run", run, *words, code=code).stdout


def following(run: Path, key: str, out: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "jobmon", "logs", "--run", str(run), "-f", key]
    with out.open("wb") as file:
        return subprocess.Popen(
            argv, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment()
        )


# --- which files ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "jobid", "files", "mine"),
    [
        ([], "12", ["qsub.0.o12", "qsub.0.e12", "qsub.0.o1", "qsub.0.o123"], "qsub.0.e12 qsub.0.o12"),
        ([], "12", ["slurm-12.out", "slurm-112.out", "slurm-12_4.out"], "slurm-12.out slurm-12_4.out"),
        ([], "101.server", ["job.o101", "job.o1013"], "job.o101"),
        ([], "23[].server", ["job.o23.1", "job.o24.1"], "job.o23.1"),
        (["run.log"], "12", ["run.log", "other.log", "x.o11"], "run.log"),
        (["log.*"], "12", ["log.11", "log.12"], "log.12"),
        (["*.out"], "12", ["a.out", "b.dat"], "a.out"),
        (["logs/x.o*"], "12", ["logs/x.o12", "logs/x.o9", "x.o9"], "logs/x.o12"),
        (["[[]a].log"], "12", ["[a].log", "a.log"], "[a].log"),
        (["*.[0-9]*.out"], "12", ["job.12.out", "job.13.out"], "job.12.out"),
        (["*.[0-9]*.out"], "12", ["job.13.out"], ""),
        ([], None, ["qsub.0.o12"], ""),
        ([], "12", ["result.dat", "o12"], ""),
    ],
)  # fmt: skip
def test_the_files_of_an_attempt(
    own: list[str], jobid: str | None, files: list[str], mine: str
) -> None:
    patterns = [*OUTPUTS, *own]
    found = outputs.chosen(files, patterns, JobID(jobid) if jobid else None)
    assert found == mine.split()


def test_where_they_are_looked_for() -> None:
    assert outputs.folders(["*.o1", "a/b/x.*", "*/y", "run.log"]) == ["", "a/b"]


@given(st.text(), st.text(max_size=5))
def test_any_name_fits_itself(name: str, jobid: str) -> None:
    known = outputs.chosen([name], [name], JobID(jobid) if jobid else None)
    assert known == [name] or set("*?[\\") & set(name)


# --- from here --------------------------------------------------------------------------------


def test_what_has_come_home_is_printed_and_nobody_asked(tmp_path: Path) -> None:
    run = run_of(
        tmp_path, {"a/qsub.0": "", "r/qsub.0": ""}, {"a/qsub.0": FAILED, "r/qsub.0": READY}
    )
    jobid = view(run).jobs[Key("a/qsub.0")].jobid
    (run / "a" / f"qsub.0.o{jobid}").write_text("".join(f"line {i}\n" for i in range(200)))
    (run / "a" / f"qsub.0.e{jobid}").write_bytes(b"a\tb\x1b[2J\r50%\r100%\r\nno end")
    lines = logs(run, "a", "-n", "3").splitlines()
    assert lines == [
        f"==> a/qsub.0.e{jobid} <==",
        "a\tb\ufffd[2J", "50%", "100%", "no end",
        f"==> a/qsub.0.o{jobid} <==",
        "line 197", "line 198", "line 199",
    ]  # fmt: skip
    assert len(logs(run, "a").splitlines()) > 100
    assert logs(run, "r", code=1) == (
        "r/qsub.0 has not run yet; 'jobmon explain' says what it waits for\n"
    )


# --- from there -------------------------------------------------------------------------------


def test_while_it_runs_and_followed_to_its_end(project: Path) -> None:
    body = "echo first; until [ -e go ]; do sleep 0.1; done; echo last; echo é >&2; exit 3"
    put(project / "init", "m/qsub.0", body)
    hurry(project)
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "running"), what="the job to run")
        twin = next(project.parent.glob(f"far*/{run.name}/m"))
        until(lambda: "first" in "".join(p.read_text() for p in twin.glob("*.o*")), what="output")
        lines = logs(run, "m/qsub.0").splitlines()
        assert [line for line in lines if not line.startswith("==>")] == ["first"]
        assert any(line.startswith("==> m/qsub.0.o1 on ") for line in lines)
        out = project.parent / "followed"
        follower = following(run, "m", out)
        try:
            until(lambda: "first" in out.read_text(), what="what is there")
            (twin / "go").touch()
            assert follower.wait(60) == 0
        finally:
            follower.kill()
            follower.wait()
        assert process.wait(60) == 1
    told = out.read_text().splitlines()
    assert told.index("first") < told.index("last") and "é" in told
    assert told[-1].startswith("m/qsub.0 failed: exit code 3")
    assert logs(run, "m").count("==>") == 2, "it has come home"
    (run / "m" / "qsub.0.o1").unlink()
    (run / "m" / "qsub.0.e1").unlink()
    assert " on " in logs(run, "m").splitlines()[0], "and is still there"
    for path in twin.glob("qsub.0.[oe]1"):
        path.unlink()
    assert logs(run, "m", code=1).startswith("m/qsub.0 has no output yet, neither here nor on ")


def test_over_ssh_from_slurm(testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path) -> None:
    project, rdir = tmp_path / "project", remote_dir("hpc")
    body = "i=0; until [ -e go ]; do echo line $i; i=$((i+1)); sleep 0.3; done; echo last"
    put(project / "init", "m 'x'/qsub.0", body)
    (project / "jobmon.yaml").write_text(FAST)
    flags = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    with daemon("--ldir", project, *flags, log=tmp_path / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run, out = only_run(project), tmp_path / "followed"
        until(lambda: count(run, "running"), what="the job to run")
        follower = following(run, "m 'x'", out)
        try:
            until(lambda: out.exists() and out.read_text().count("line ") > 5, what="its output")
            shown = logs(run, "m 'x'", "-n", "2").splitlines()
            assert shown[0].startswith("==> m 'x'/slurm-") and shown[0].endswith("hpcuser@hpc <==")
            assert len(shown) == 3 and shown[1].startswith("line ")
            testcluster.run("hpc", f"touch \"$HOME/{rdir}/{run.name}/m 'x'/go\"")
            assert follower.wait(90) == 0
        finally:
            follower.kill()
            follower.wait()
        assert process.wait(60) == 0
    told = [line for line in out.read_text().splitlines() if not line.startswith("==>")]
    *numbered, last, end = told
    assert (last, end) == ("last", "m 'x'/qsub.0 finished")
    assert numbered == [f"line {i}" for i in range(len(numbered))], "all of it, each line once"


def test_a_cluster_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"a/qsub.0": ""}, {"a/qsub.0": FAILED})
    said = jobmon("logs", "--run", run, "a", code=2).stderr
    assert "is missing; bring it back, or start a new run" in said


@pytest.fixture(params=SHELLS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, SHELLS[request.param])


def test_pieces_are_exact(lab: Lab) -> None:
    (lab.twin / "m").mkdir()
    path = lab.twin / "m" / "-a 'b"
    data = b"one\n\ntwo\xff\n\n\nthree"
    path.write_bytes(data)
    files, name = Files(lab.link, str(lab.twin), RUN_ID), "m/-a 'b"
    for start in range(len(data) + 1):
        for most in (1, 4, 100):
            if start % 4 == 0 or most == 4:
                wanted = Piece(start, len(data), data[start : start + most])
                assert files.piece(name, start, most) == wanted
    assert files.piece(name, None, 4) == Piece(len(data) - 4, len(data), data[-4:])
    assert files.piece(name, None, 999) == Piece(0, len(data), data)
    assert files.piece(name, 999, 3) == Piece(0, len(data), data[:3]), "it was begun anew"
    assert files.piece("m/none", 0, 3) is None


def test_what_is_cut_are_the_last_lines() -> None:
    cases: Sequence[tuple[bytes, int, list[str]]] = [
        (b"", 3, []), (b"a", 3, ["a"]), (b"a\n", 3, ["a"]), (b"a\nb\nc\nd\n", 2, ["c", "d"]),
        (b"a\n\n", 2, ["a", ""]), (b"a\nb", 1, ["b"]),
    ]  # fmt: skip
    assert [outputs.cut(data, n) for data, n, _ in cases] == [wanted for *_, wanted in cases]
