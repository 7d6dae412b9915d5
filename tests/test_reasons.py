"""Why a job failed, in words a user knows: all cases at once on the real Slurm and Grid Engine.

What the loopback cannot have (Slurm's memory limit, which needs cgroups, and a node that fails)
is shown by what such systems print: tests/test_batch_slurm.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from conftest import TestCluster
from hypothesis import given
from hypothesis import strategies as st
from scheduler import delete, sleeper
from session import FAST, agree, count, daemon, events, jobmon, only_run, put, status, until

from jobmon.core.model import Cause, Reason
from jobmon.core.reason import FORGOTTEN, told

GiveDir = Callable[[str], str]

SLURM = {
    # Slurm's own last words may come into a job's file after it was seen to have ended.
    "time": "out of time (limit 00:01:00)*",
    "exit": "exit code 3; last words: two / three / four",
    "hand": "deleted by hand: cancelled by user *",
    "launch": "never started: its output file could not be opened (Slurm's signal 53)",
    "refused": "refused: Invalid partition name specified",
    "unmarked": "ended with exit code 0 but wrote no marker",
}
SGE = {
    "time": "out of time (limit h_rt=2, used *s), killed by signal 9 (Killed)",
    "memory": "out of memory (limit h_vmem=20M, used *MB), killed by signal 9 (Killed)",
    "exit": "exit code 3; last words: two / three / four",
    "hand": "deleted by hand (qdel), or else killed by signal 9 (Killed)",  # it does not tell
    "launch": 'never started: error: can\'t open output file "/nonexistent/dir/": No such *',
    "pending": "the batch system no longer knows it",
    "refused": 'refused: Job was rejected because job requests unknown queue "nosuch"',
    "unmarked": "ended with exit code 0 but wrote no marker",
}
CAUSES = {
    "time": "time",
    "memory": "memory",
    "exit": "exit",
    "hand": "deleted",
    "launch": "never started",
    "pending": "forgotten",
    "refused": "refused",
    "unmarked": "exit",
}
OUTPUT = "for word in one two three four; do echo $word >&2; done; exit 3"


def give(init: Path, name: str, body: str, directives: Sequence[str] = (), tail: str = "") -> None:
    """One job whose script has more directives."""
    put(init, f"{name}/qsub.0", body)
    path = init / name / "qsub.0"
    more = "".join(f"{line}\n" for line in directives)
    path.write_text(path.read_text().replace("#PBS", f"{more}#PBS", 1) + tail)


def both(init: Path) -> None:
    """What is the same on every system; ``good`` shows that the others go on."""
    give(init, "exit", OUTPUT)
    give(init, "hand", "sleep 300")
    give(init, "unmarked", "exit 0")
    put(init, "good/qsub.0", "sleep 1")
    put(init, "good/qsub.1", "sleep 1", "qsub.finished.0\n")


def failed_so(run: Path, wanted: dict[str, str], causes: dict[str, str], log: Path) -> None:
    """Journal, status and terminal tell each failure in the same words."""
    seen = status(run)["job"]
    table = jobmon("status", "--run", run, code=0).stdout
    journal = {line.split(" ")[2]: line for line in events(run) if line.split(" ")[1] == "failed"}
    said = log.read_text()
    for name, words in wanted.items():
        key = f"{name}/qsub.0"
        job = seen[key]
        assert job["state"] == "failed", (key, job)
        assert fnmatchcase(job["reason"], words), (key, job["reason"])
        assert job["cause"] == causes[name], (key, job["cause"])
        assert f" cause={causes[name].replace(' ', '%20')}" in journal[key]
        assert f"  failed   {key}  {job['reason']}\n" in table
        assert f"failed {key}: {job['reason']}\n" in said


@pytest.mark.fault("The reason: out of time (with the limit)")
@pytest.mark.fault("The reason: deleted by hand")
@pytest.mark.fault("The reason: exit code N with the last lines of stderr")
@pytest.mark.fault("The reason: never started (Slurm DependencyNeverSatisfied)")
@pytest.mark.fault("The reason: refused")
@pytest.mark.fault("The protocol: a clear refusal is that job's own, others go on")
def test_slurm_tells_why(testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path) -> None:
    project, rdir = tmp_path / "project", remote_dir("hpc")
    init, out = project / "init", tmp_path / "out"
    both(init)
    sooner = "scontrol update JobId=$SLURM_JOB_ID EndTime=now+1; sleep 300"  # a limit is minutes
    give(init, "time", sooner, ["#SBATCH -t 1"])
    give(init, "launch", "true", ["#SBATCH -o /nonexistent/x"])
    give(init, "refused", "true", ["#SBATCH -p nosuch"])
    first = sleeper(testcluster, "hpc")
    give(init, "never", "true", [f"#SBATCH -d afterok:{first}"])
    (project / "jobmon.yaml").write_text(FAST + "maxqsub: 20\n")
    flags = ("--rdir", rdir, "--remote", "hpc", "--ssh-config", testcluster.ssh_config)
    with daemon("--ldir", project, *flags, log=out) as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "started") >= 6 and count(run, "running") >= 2, what="all")
        delete(testcluster, "hpc", first)
        delete(testcluster, "hpc", status(run)["job"]["hand/qsub.0"]["jobid"])
        until(lambda: status(run)["job"]["never/qsub.0"]["reason"], what="its reason")
        never = status(run)["job"]["never/qsub.0"]
        assert never["reason"].startswith("will never start by itself: it will never start")
        assert never["reason"].endswith("(DependencyNeverSatisfied)")
        assert (never["state"], never["cause"]) == ("submitted", "never started")
        assert "DependencyNeverSatisfied" in jobmon("status", "--run", run, code=0).stdout
        jobmon("kill", "--run", run, "never", code=0)
        assert process.wait(120) == 1
    failed_so(run, SLURM, CAUSES, out)
    assert status(run)["counts"] == {"finished": 2, "failed": len(SLURM), "killed": 1}
    assert out.read_text().count("refused/qsub.0 was refused (try ") == 5
    agree(run)


@pytest.mark.fault("The reason: out of time (with the limit)")
@pytest.mark.fault("The reason: out of memory (limit and peak)")
@pytest.mark.fault("The reason: deleted by hand")
@pytest.mark.fault("The reason: exit code N with the last lines of stderr")
@pytest.mark.fault("The reason: never started (SGE Eqw with its error reason)")
@pytest.mark.fault("The reason: refused")
@pytest.mark.fault("The reason: the batch system no longer knows it")
@pytest.mark.fault("The protocol: a clear refusal is that job's own, others go on")
def test_grid_engine_tells_why(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path
) -> None:
    project, rdir = tmp_path / "project", remote_dir("sge")
    init, out = project / "init", tmp_path / "out"
    both(init)
    give(init, "time", "sleep 300", ["#$ -l h_rt=2"])
    grown = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; wait"
    give(init, "memory", grown, ["#$ -l h_vmem=20M"])  # of all its processes together
    give(init, "launch", "true", ["#$ -o /nonexistent/dir/"])
    give(init, "refused", "true", ["#$ -q nosuch"])
    first = sleeper(testcluster, "sge")
    give(init, "pending", "true", [f"#$ -hold_jid {first}"])
    (project / "jobmon.yaml").write_text(FAST + "maxqsub: 20\n")
    flags = ("--rdir", rdir, "--remote", "sge", "--ssh-config", testcluster.ssh_config)
    try:
        with daemon("--ldir", project, *flags, log=out) as process:
            until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
            run = only_run(project)
            until(lambda: count(run, "started") >= 8 and count(run, "running") >= 2, what="all")
            until(lambda: status(run)["job"]["launch/qsub.0"]["reason"], what="Eqw's reason")
            launch = status(run)["job"]["launch/qsub.0"]
            assert launch["reason"].startswith("will never start by itself: error: can't open out")
            assert (launch["state"], launch["cause"]) == ("submitted", "never started")
            for name in ("hand", "pending", "launch"):
                delete(testcluster, "sge", status(run)["job"][f"{name}/qsub.0"]["jobid"])
            assert process.wait(120) == 1
    finally:
        delete(testcluster, "sge", first)
    failed_so(run, SGE, CAUSES | {"hand": "exit"}, out)
    assert status(run)["counts"] == {"finished": 2, "failed": len(SGE)}
    agree(run)


def test_the_last_lines_are_those_of_the_likeliest_file() -> None:
    reason = Reason(Cause.EXIT, "exit code 3")
    assert told(reason, ["", "\n \n", "a\nb\n\nc\x1b[2J\nd\n", "other"]).words == (
        "exit code 3; last words: b / c\N{REPLACEMENT CHARACTER}[2J / d"
    )
    assert told(None) == FORGOTTEN
    assert told(None, ["x"]).words == f"{FORGOTTEN.words}; last words: x"


@given(st.lists(st.text()), st.sampled_from(Cause))
def test_whatever_a_job_wrote_makes_one_printable_line(output: list[str], cause: Cause) -> None:
    reason = told(Reason(cause, "why"), output)
    assert reason.cause == cause
    assert reason.words.isprintable()
    assert "why" in reason.words
    assert len(reason.words) < 700
