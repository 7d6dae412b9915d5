"""``jobmon resolve`` ends a doubt, and nothing but a doubt."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from session import agree, count, daemon, hurry, jobmon, only_run, put, status, twin_of, until

from jobmon.cluster.batch.local import Local
from jobmon.cluster.ledger import record_name
from jobmon.core.life import Job
from jobmon.core.model import Accepted, Attempt, Event, JobID, Key, Kind, Life
from jobmon.core.settle import give_up
from jobmon.cycle.hands import untenable
from jobmon.run.journal import Journal

AT = datetime.now().astimezone()


def unclear(run: Path, twin: Path, name: str, jobid: str | None = None) -> None:
    """What is left of an attempt of which nobody can tell: its claim without an answer, and, for
    one that was accepted, that it left the listing."""
    key = Key(f"{name}/qsub.0")
    record = twin / ".jobmon" / "record"
    record.mkdir(exist_ok=True)
    (record / record_name(Attempt(key, 1))).write_text(f"key {key}\n")
    told = [Event(AT, Kind.READY, key), Event(AT, Kind.SUBMITTING, key, 1)]
    if jobid is not None:
        told.append(Event(AT, Kind.STARTED, key, 1, JobID(jobid)))
    told.append(Event(AT, Kind.UNCLEAR, key, 1, notes={"reason": "nobody can tell"}))
    journal = Journal.open(run / "qsub.log")
    journal.append(told)
    journal.close()


def by_hand(folder: Path) -> str:
    """Submit ``qsub.0`` of a folder without jobmon; its job ID."""
    command = [*Local().submit_command("", "somebody-else"), "qsub.0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    answer = Local().accepted(0, done.stdout)
    assert isinstance(answer, Accepted)
    return answer.jobid


@pytest.mark.fault("The protocol: unclear and jobmon resolve")
def test_a_doubt_is_ended_as_a_person_says(project: Path, tmp_path: Path) -> None:
    hurry(project)
    for name in ("lost", "adopted", "gone", "behind"):
        put(
            project / "init",
            f"{name}/qsub.0",
            "echo x >> runs; until [ -e go ]; do sleep 0.1; done",
        )
    put(project / "init", "behind/qsub.0", "true", "../lost/qsub.finished.0\n")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    unclear(run, twin, "lost")
    unclear(run, twin, "adopted")
    unclear(run, twin, "gone", "999999")
    real = by_hand(twin / "adopted")

    def resolve(*words: str, code: int) -> str:
        done = jobmon("resolve", "--run", run, *words, code=code)
        return done.stdout + done.stderr

    assert "lost/qsub.0  nobody can tell; see 'jobmon resolve --help'" in jobmon(
        "status", "--run", run, code=0
    ).stdout  # fmt: skip
    before = (run / "qsub.log").read_bytes()
    assert "either --lost or --jobid" in resolve("lost", code=2)
    assert "either --lost or --jobid" in resolve("lost", "--lost", "--jobid", "7", code=2)
    assert "behind/qsub.0 is waiting, not unclear" in resolve("behind", "--lost", code=2)
    assert "no job, folder or pattern" in resolve("nosuch", "--lost", code=2)
    assert "means 4 jobs" in resolve(".", "--lost", code=2)
    assert "job ID 999999 belongs to gone/qsub.0" in resolve("lost", "--jobid", "999999", code=2)
    assert "'7; rm' is no job ID" in resolve("lost", "--jobid", "7; rm", code=2)
    assert "job ID of gone/qsub.0 is known: 999999" in resolve("gone", "--jobid", real, code=2)
    assert (run / "qsub.log").read_bytes() == before, "nothing was changed"

    assert "gone/qsub.0: attempt 1 is taken as lost" in resolve("gone", "--lost", code=0)
    failed = status(run)["job"]["gone/qsub.0"]
    assert (failed["state"], failed["cause"]) == ("failed", "forgotten")
    assert failed["reason"] == "said to be gone by 'jobmon resolve'"
    assert f"adopted/qsub.0: is job {real}" in resolve("adopted", "--jobid", real, code=0)
    assert "adopted/qsub.0 is submitted, not unclear" in resolve("adopted", "--lost", code=2)
    with daemon("--ldir", run, "--forever", log=tmp_path / "out"):
        until(lambda: "running" in (tmp_path / "out").read_text() or count(run, "running"))
        assert status(run)["state"]["lost/qsub.0"] == "unclear", "looked for, not found"
        assert "asked process" in resolve("lost", "--lost", code=0)
        for name in ("lost", "adopted"):
            (twin / name / "go").touch()
        until(lambda: count(run, "finished") == 3, what="three ends")
        jobmon("retry", "--run", run, "gone", code=0)
        (twin / "gone" / "go").touch()
        until(lambda: count(run, "finished") == 4, what="the last end")
        jobmon("stop", "--run", run, code=0)
    assert {(twin / name / "runs").read_text() for name in ("lost", "adopted", "gone")} == {"x\n"}
    started = {job["key"]: job["jobid"] for job in status(run)["jobs"]}
    assert started["adopted/qsub.0"] == real
    agree(run)


KEY, OTHER = Key("m/qsub.0"), Key("o/qsub.0")


def doubtful(jobid: str | None) -> Job:
    return Job(KEY, Life.UNCLEAR, 1, JobID(jobid) if jobid else None, True)


@pytest.mark.parametrize(
    ("jobid", "killing", "kind"),
    [
        (None, False, Kind.UNSUBMITTED),
        ("7", False, Kind.FAILED),
        (None, True, Kind.KILLED),
        ("7", True, Kind.KILLED),
    ],
)
def test_what_is_given_up_becomes(jobid: str | None, killing: bool, kind: Kind) -> None:
    event = give_up(doubtful(jobid), {KEY} if killing else set(), AT)
    assert (event.kind, event.key, event.n, event.jobid) == (kind, KEY, 1, jobid)


@pytest.mark.parametrize(
    ("word", "able"),
    [
        *((word, True) for word in ("8", "353143", "101.server", "20[].pbs-1.example", "20[]")),
        *(
            (word, False)
            for word in (
                "",
                "-1",
                "x",
                "7",
                "101.",
                "101.-x",
                "1.2.3",
                "20[1]",
                "20[].server;x",
                "8 9",
                "8\n",
                "٣",
                "66_2",
                "8;",
                "9" * 19,
            )
        ),
    ],
)
def test_a_plausible_id_of_no_other_job(word: str, able: bool) -> None:
    other = Job(
        OTHER, Life.FINISHED, 1, None, True, (Event(AT, Kind.STARTED, OTHER, 1, JobID("7")),)
    )
    jobs = {KEY: doubtful(None), OTHER: other}
    assert (untenable(jobs, KEY, JobID(word)) == "") == able
    assert untenable({KEY: doubtful("5")}, KEY, JobID("5")) == ""
