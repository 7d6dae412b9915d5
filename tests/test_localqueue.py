"""The local queue through its command line, with real scripts, crashes and crowds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from localqueue_lab import Lab, until

from jobmon.localqueue.place import state_folder
from jobmon.localqueue.runner import fitting

WEIRD = ["a b", "it's", 'say "x"', "$HOME", "a;b", "-n", "グラフェン é", "a|b", "#x %20", "back\\s"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "job"
    folder.mkdir()
    made = Lab(tmp_path.resolve() / "state", folder)
    yield made
    made.sweep()


def test_a_job_from_submission_to_its_record(lab: Lab) -> None:
    lab.folder.joinpath("qsub.0").write_text(
        "#!/bin/bash\n#PBS -l select=1:ncpus=2\n#PBS -N nm\n"
        'cd "$PBS_O_WORKDIR"\necho "$PBS_JOBID $JOB_ID $SLURM_JOB_ID $JOBMON_JOBID $NSLOTS"\n'
        'echo "$PBS_JOBNAME $JOB_NAME $SLURM_JOB_NAME $FROM"; wc -l < "$PBS_NODEFILE"\n'
        'echo "$SGE_O_WORKDIR $SLURM_SUBMIT_DIR $PWD" >&2\nexit 3\n'
    )
    done = lab.run("submit", "--token", "run key 1", "--", "qsub.0", env={"FROM": "submitter"})
    assert (done.out, done.code) == (
        'Your job 1 ("nm") has been accepted by the local queue of jobmon\n',
        0,
    )
    lab.wait(1)
    shown = lab.run("show", "1").out
    assert shown.startswith("jobmon local queue: show\njob 1 ended exit 3\n    token: run key 1\n")
    assert f"    folder: {lab.folder}\n    script: {lab.folder}/qsub.0\n" in shown
    assert f"    stdout: {lab.folder}/nm.o1\n    stderr: {lab.folder}/nm.e1\n" in shown
    assert shown.endswith("\nend 1\n") and "    started: 20" in shown and "    ended: 20" in shown
    assert (lab.folder / "nm.o1").read_text() == "1 1 1 1 2\nnm nm nm submitter\n2\n"
    assert (lab.folder / "nm.e1").read_text() == f"{lab.folder} {lab.folder} {lab.folder}\n"
    assert lab.listed() == {}
    assert lab.run("find").out.splitlines()[1:] == ["1|run key 1", "end 1"]
    until(lambda: not lab.own())  # the runner left by itself


def test_the_script_is_taken_as_it_was(lab: Lab) -> None:
    first = lab.submit("while [ ! -e go ]; do sleep 0.05; done; echo first\n")
    (lab.folder / "qsub.0").write_text("echo second\n")
    (lab.folder / "go").touch()
    lab.wait(first)
    assert (lab.folder / f"qsub.0.o{first}").read_text() == "first\n"


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("#PBS -j oe\n", {"qsub.0.o1": "oe"}),
        ("#PBS -o a.out -e sub/b.err\n", {"a.out": "o", "sub/b.err": "e"}),
        ("#SBATCH -o %x-%j.log -J nm\n", {"nm-1.log": "oe"}),
        ("#$ -o sub/\n", {"sub/qsub.0.o1": "o", "qsub.0.e1": "e"}),
        ("#$ -S /bin/sh\n", {"qsub.0.o1": "o", "qsub.0.e1": "e"}),
    ],
)
def test_outputs_go_where_the_script_says(lab: Lab, text: str, files: dict[str, str]) -> None:
    lab.wait(lab.submit(f"{text}printf o; printf e >&2\n"))
    made = {str(p.relative_to(lab.folder)): p for p in lab.folder.rglob("*") if p.is_file()}
    made.pop("qsub.0")
    assert {name: path.read_text() for name, path in made.items()} == files


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("exit 0", "ended exit 0"),
        ("kill -9 $$", "ended signal 9"),
        ("kill -TERM $$", "ended signal 15"),  # scripts start with the usual signals
        ("#!/no/such/interpreter", "ended exit 127"),
        ("#!/usr/bin/env python3\nimport sys; sys.exit(5)", "ended exit 5"),
        ("#PBS -o /dev/null/x", "ended unstarted"),
    ],
)
def test_how_it_ended(lab: Lab, text: str, how: str) -> None:
    job = lab.submit(text)
    lab.wait(job)
    assert lab.state_of(job).startswith(how)


@pytest.mark.parametrize("name", WEIRD)
def test_weird_folders(lab: Lab, name: str) -> None:
    folder = lab.folder / name
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit('shadowed')")
    (folder / "jobmon.py").write_text("raise SystemExit('shadowed')")
    job = lab.submit('cd "$PBS_O_WORKDIR" && touch done\n', name="qsub.x-1", cwd=folder)
    lab.wait(job)
    assert lab.state_of(job) == "ended exit 0"
    assert (folder / "done").exists() and (folder / f"qsub.x-1.e{job}").read_text() == ""
    assert f"    folder: {folder}\n" in lab.run("show", str(job)).out


def test_refusals_and_mistakes(lab: Lab) -> None:
    (lab.folder / "qsub.0").write_text("#SBATCH -n 64\n")
    done = lab.run("submit", "qsub.0")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        "jobmon localqueue: refused: qsub.0 asks for 64 cores, this machine has 2: lower it"
    )
    assert done.err.count("\n") == 1
    (lab.folder / "qsub.1").write_text("#$ -t 1-4\n")
    assert "job array" in lab.run("submit", "qsub.1").err
    assert lab.run("submit", "missing").code == 1
    assert lab.run("submit", ".").code == 1
    assert lab.run("list", env={"JOBMON_LOCALQUEUE_CORES": "two"}).code == 2
    assert lab.run("list", env={"JOBMON_LOCALQUEUE": "/dev/null/x"}).code == 2
    assert lab.run("submit", "--token", "a\nb", "qsub.0").code == 2
    assert lab.run("nonsense").code == 2
    unknown = lab.run("show", "7", "x")
    assert (unknown.code, unknown.out.splitlines()[1:]) == (1, ["unknown 7", "unknown x", "end 2"])
    gone = lab.run("delete", "7")
    assert (gone.code, gone.out) == (1, "unknown 7: the local queue knows no such job\n")
    assert lab.listed() == {}


def test_order_and_cores(lab: Lab) -> None:
    """Two cores: never more in use, strictly first in first out, a big job not overtaken."""
    text = "#SBATCH -n {n}\necho begin {i} {n} >> log; sleep 0.1; echo end {i} {n} >> log\n"
    sizes = [1, 1, 2, 1, 1, 2, 1]
    lab.submit("#SBATCH -n 2\nwhile [ ! -e go ]; do sleep 0.02; done\n")  # until all are there
    jobs = [lab.submit(text.format(i=i, n=n)) for i, n in enumerate(sizes)]
    (lab.folder / "go").touch()
    lab.wait(*jobs)
    used, begun = 0, []
    for line in (lab.folder / "log").read_text().splitlines():
        what, i, n = line.split()
        used += int(n) if what == "begin" else -int(n)
        assert 0 <= used <= 2
        begun += [int(i)] if what == "begin" else []
    # Two single ones may write in either order, what is behind a big one not.
    assert sorted(begun) == list(range(7))
    assert set(begun[:2]) == {0, 1} and begun[2] == 2 and set(begun[3:5]) == {3, 4}
    assert begun[5:] == [5, 6]


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 9), st.integers(1, 6))
def test_fitting_is_a_prefix_within_the_cores(sizes: list[int], used: int, cores: int) -> None:
    chosen = fitting(list(enumerate(sizes)), used, cores)
    assert chosen == list(range(len(chosen)))
    total = used + sum(sizes[: len(chosen)])
    assert not chosen or total <= cores or (used == 0 and len(chosen) == 1)
    if len(chosen) < len(sizes):
        assert total and total + sizes[len(chosen)] > cores


def test_a_crowd_of_submitters(lab: Lab) -> None:
    """A hundred submissions from eight at a time, looks beside them: each job runs once."""
    for i in range(100):
        (lab.folder / f"qsub.{i}").write_text(f"#!/bin/sh\necho {i} >> log.{i}\n")

    def submit(i: int) -> int:
        if i % 10 == 0:
            lab.listed()
        done = lab.run("submit", "--token", f"t{i}", f"qsub.{i}")
        assert done.code == 0, done
        return int(done.out.split()[2])

    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(submit, range(100)))
    assert sorted(jobs) == list(range(1, 101))
    until(lambda: not lab.listed())
    for i in range(100):
        assert (lab.folder / f"log.{i}").read_text() == f"{i}\n"
    rows = lab.run("find").out.splitlines()[1:-1]
    assert {tuple(row.split("|")) for row in rows} == {
        (str(job), f"t{i}") for i, job in enumerate(jobs)
    }
    until(lambda: not lab.own())


def test_the_folder_is_called_as_the_submitter_calls_it(lab: Lab) -> None:
    link = lab.folder.with_name("link")
    link.symlink_to(lab.folder)
    (lab.folder / "qsub.0").write_text("echo $PBS_O_WORKDIR\n")
    for named, folder in ((link, link), (Path("/"), lab.folder), (Path("/none"), lab.folder)):
        job = int(lab.run("submit", "qsub.0", env={"PWD": str(named)}).out.split()[2])
        lab.wait(job)
        assert (lab.folder / f"qsub.0.o{job}").read_text() == f"{folder}\n"


def test_as_a_module(lab: Lab) -> None:
    root = str(Path(__file__).resolve().parents[1])
    environ = {**os.environ, "PYTHONPATH": root, "JOBMON_LOCALQUEUE": str(lab.state)}
    words = [sys.executable, "-m", "jobmon.localqueue", "list"]
    done = subprocess.run(words, env=environ, cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nend 0\n")


def test_ids_are_never_used_again(lab: Lab) -> None:
    first = lab.submit("exit 0")
    lab.wait(first)
    assert lab.listed() == {}
    (lab.state / "last").unlink()
    assert lab.submit("exit 0") == first + 1
    (lab.state / "last").write_text("junk")
    (lab.folder / "qsub.0").write_text("exit 0")
    done = lab.run("submit", "qsub.0")
    assert done.code == 2 and "write the highest ID" in done.err


def test_old_records_are_pruned_and_torn_tokens_passed_over(lab: Lab) -> None:
    for token in ("old", "new"):
        (lab.folder / "qsub.0").write_text("exit 0")
        lab.run("submit", "--token", token, "qsub.0")
    lab.wait(1, 2)
    until(lambda: not lab.own())
    assert lab.listed() == {}
    with (lab.state / "tokens").open("a") as file:
        file.write("3 to")
    os.utime(lab.state / "ended" / "1", (1, 1))
    (lab.state / "pruned").unlink()
    lab.run("submit", "--token", "third", "qsub.0")
    lab.wait(3)
    assert lab.run("show", "1").out.splitlines()[1] == "unknown 1"
    assert lab.run("find").out.splitlines()[1:] == ["2|new", "3|third", "end 2"]


def test_where_the_state_is() -> None:
    host = os.uname().nodename.split(".")[0]
    assert state_folder({"JOBMON_LOCALQUEUE": "/a"}) == Path("/a")
    assert state_folder({"XDG_STATE_HOME": "/s"}) == Path(f"/s/jobmon/localqueue/{host}")
    relative = state_folder({"XDG_STATE_HOME": "s"})
    assert relative == Path.home() / ".local/state/jobmon/localqueue" / host


def test_the_state_is_private(lab: Lab) -> None:
    lab.wait(lab.submit("umask; touch made\n"))
    assert (lab.state.stat().st_mode & 0o777) == 0o700
    umask = os.umask(0)
    os.umask(umask)
    assert ((lab.folder / "made").stat().st_mode & 0o777) == 0o666 & ~umask
