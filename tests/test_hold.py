"""``jobmon hold`` and ``release``, and what ``--dry-run`` of each command says without doing it."""

from __future__ import annotations

from pathlib import Path

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
from view_lab import FAILED, FINISHED, READY, RUNNING, run_of


def test_a_held_job_goes_when_it_is_released(project: Path) -> None:
    hurry(project)
    for name in ("a", "b"):
        put(project / "init", f"{name}/qsub.0", "until [ -e go ]; do sleep 0.1; done")
        put(project / "init", f"{name}/qsub.1", "true", "qsub.finished.0\n")
    with daemon("--ldir", project, "--maxqsub=1", "--forever", log=project.parent / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "running") == 1, what="a running job")
        seen = len(events(run))
        dry = jobmon("hold", "--run", run, ".", "--dry-run", code=1).stdout
        assert dry.splitlines() == [
            "would hold 3 job(s): a/qsub.1, b/qsub.0, b/qsub.1",
            "not held, running: a/qsub.0: is in the batch system and goes on; "
            "'jobmon kill --hold' ends and holds it",
        ]
        assert status(run)["counts"] == {"waiting": 2, "ready": 1, "running": 1}
        assert len(events(run)) == seen
        said = jobmon("hold", "--run", run, ".", code=1).stdout.splitlines()
        assert said[0].startswith("asked process ")
        assert said[1] == "3 job(s) are held until 'jobmon release'"
        assert said[2].startswith("not held, running: a/qsub.0")
        for name in ("a", "b"):
            (twin_of(project) / name / "go").touch()
        until(lambda: count(run, "finished") == 1, what="the running job's end")
        assert status(run)["counts"] == {"held": 3, "finished": 1}
        assert "is held already" in jobmon("hold", "--run", run, "b", code=0).stdout
        again = jobmon("release", "--run", run, "--state", "held", "--dry-run", code=0).stdout
        assert again == "would release 3 job(s): a/qsub.1, b/qsub.0, b/qsub.1\n"
        let_go = jobmon("release", "--run", run, ".", code=0).stdout
        assert "released 3 job(s)\n" in let_go
        assert "not released, finished: a/qsub.0: has ended" in let_go
        until(lambda: count(run, "finished") == 4, what="the other ends")
        jobmon("stop", "--run", run, code=0)
    assert (run / "b" / "qsub.dependency.1").read_text() == "qsub.finished.0\n"
    agree(run)


NEEDS = {
    "a/qsub.0": "", "f/qsub.0": "", "f/qsub.1": "qsub.finished.0\n", "g/qsub.0": "",
    "h/qsub.0": None, "r/qsub.0": "",
}  # fmt: skip
LIVES = {"a/qsub.0": RUNNING, "f/qsub.0": FAILED, "g/qsub.0": FINISHED, "r/qsub.0": READY}


def tree(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_dry_runs_say_what_would_be_done_and_do_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path, NEEDS, LIVES)
    before = tree(run)
    jobid = status(run)["job"]["a/qsub.0"]["jobid"]

    def dry(verb: str, *words: str, code: int = 0) -> list[str]:
        said = jobmon(verb, "--run", run, *words, "--dry-run", code=code).stdout.splitlines()
        assert tree(run) == before
        return said

    nobody = f"no daemon has {run}; nothing would be done"
    assert dry("stop") == [nobody]
    assert dry("kill") == [nobody, f"would delete 1 job(s): a/qsub.0 ({jobid})"]
    assert dry("kill", "f", "r") == ["would delete 0 job(s): none of them is in the batch system"]
    assert dry("kill", "--state", "running", "--hold") == [
        f"would delete 1 job(s): a/qsub.0 ({jobid})",
        "would hold 1 job(s): a/qsub.0",
    ]
    assert dry("hold", "r", "f/qsub.1") == ["would hold 2 job(s): f/qsub.1, r/qsub.0"]
    assert dry("hold", "g", "f/qsub.0", code=1) == [
        "would hold 0 job(s)",
        "not held, failed: f/qsub.0: has ended, and goes no more by itself; "
        "'jobmon retry' would let it",
        "not held, finished: g/qsub.0: has ended",
    ]
    assert dry("release", ".") == [
        "would release 1 job(s): h/qsub.0",
        "not released, running: a/qsub.0: is in the batch system",
        "not released, failed: f/qsub.0: has ended; 'jobmon retry' begins a new attempt",
        "not released, finished: g/qsub.0: has ended",
    ]
    assert dry("retry", "--state", "failed") == ["would retry 1 job(s): f/qsub.0"]


def test_a_daemon_that_stop_would_end_is_named(project: Path) -> None:
    put(project / "init", "m/qsub.0", needs=None)
    with daemon("--ldir", project, "--forever", log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/.jobmon/lock")), what="the lock")
        run = only_run(project)
        said = jobmon("stop", "--run", run, "--dry-run", code=0).stdout
        assert said.startswith(f"would end process {process.pid} on ")
        assert said.endswith("; its jobs would go on\n")
        assert process.poll() is None
        killed = jobmon("kill", "--run", run, "--dry-run", code=0).stdout.splitlines()
        assert killed[0].startswith(f"would end process {process.pid}")
        assert process.poll() is None


def test_jobs_must_be_named(tmp_path: Path) -> None:
    run = run_of(tmp_path, NEEDS, LIVES)
    for verb in ("hold", "release", "retry"):
        said = jobmon(verb, "--run", run, code=2).stderr
        assert said == "jobmon: no job is named: give KEYS, '.' for all, or --state\n"
        said = jobmon(verb, "--run", run, "x*", code=2).stderr
        assert said == f"jobmon: x*: no job, folder or pattern of {run} is called so\n"
