"""The local queue as a ``Batch``: its words turned into values, and the real thing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from localqueue_lab import Lab, until

from jobmon.cluster.base import Batch, LookFailed
from jobmon.cluster.batch.local import Local
from jobmon.core.model import (
    Accepted,
    Cause,
    JobID,
    NotRun,
    Phase,
    Reason,
    Refused,
    Unclear,
    Verdict,
)

HEAD = "jobmon local queue: jobs (ID|STATE|CORES|SUBMITTED|NAME|FOLDER)\n"
ROWS = "7|running|1|2026-11-20T17:31:02+0900|qsub.0|/a|b\n12|pending|2|t|qsub.1|/c\n"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "job"
    folder.mkdir()
    made = Lab(tmp_path.resolve() / "state", folder)
    yield made
    made.sweep()


def _batch(state: Path) -> Batch:
    return Local({"JOBMON_LOCALQUEUE": str(state), "JOBMON_LOCALQUEUE_CORES": "2"})


def _ask(words: Sequence[str], cwd: Path = Path("/")) -> tuple[int, str, str]:
    """As a link runs a command: in another folder, with next to no environment."""
    done = subprocess.run(
        words,
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONPATH": str(cwd)},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_listing() -> None:
    batch = _batch(Path("/s"))
    assert batch.parse(f"{HEAD}end 0\n") == {}
    assert batch.parse(f"a banner\n{HEAD}{ROWS}end 2\nbye\n") == {
        "7": Phase.RUNNING,
        "12": Phase.PENDING,
    }
    assert batch.parse(f"{HEAD}3|dreaming|1|t|n|f\nend 1\n") == {"3": Phase.UNKNOWN}


def test_half_a_listing_is_none() -> None:
    """Whatever is cut off its end, or out of its middle."""
    batch = _batch(Path("/s"))
    whole = f"{HEAD}{ROWS}end 2"
    for cut in range(len(whole)):
        with pytest.raises(LookFailed):
            batch.parse(whole[:cut])
    with pytest.raises(LookFailed, match="no whole answer; it said: python: not found"):
        batch.parse("python: not found\n")
    with pytest.raises(LookFailed):
        batch.parse(HEAD + ROWS.split("\n", 1)[1] + "end 2\n")


@pytest.mark.parametrize(
    ("code", "text", "answer"),
    [
        (
            0,
            'node07\nYour job 12 ("qsub.0") has been accepted by the local queue of jobmon\nbye 9\n',
            Accepted(JobID("12")),
        ),
        (
            3,
            'Your job 12 ("x") has been accepted by the local queue of jobmon\nBroken pipe',
            Accepted(JobID("12")),
        ),
        (
            1,
            "hello\njobmon localqueue: refused: q asks for 64 cores, this machine has 2: lower it\n",
            Refused("q asks for 64 cores, this machine has 2: lower it"),
        ),
        (2, "jobmon localqueue: not done: /s: Read-only\n", NotRun("/s: Read-only")),
        (127, "sh: python: not found", NotRun("sh: python: not found")),
        (
            3,
            "jobmon localqueue: unclear: /s: gone",
            Unclear("jobmon localqueue: unclear: /s: gone"),
        ),
        (0, "", Unclear("exit 0 without a word")),
        (137, "", Unclear("exit 137 without a word")),
        (1, "Traceback: oh", Unclear("Traceback: oh")),
        (0, "Your job 12 (", Unclear("Your job 12 (")),
    ],
)
def test_accepted(code: int, text: str, answer: object) -> None:
    assert _batch(Path("/s")).accepted(code, text) == answer


def _shown(line: str) -> str:
    return f"jobmon local queue: show\n{line}\n    token: t\nend 1\n"


@pytest.mark.parametrize(
    ("code", "out", "verdict"),
    [
        (0, _shown("job 12 pending"), Verdict(False)),
        (0, _shown("job 12 running"), Verdict(False)),
        (0, _shown("job 1 ended exit 3"), Verdict(False)),
        (0, "", Verdict(False)),
        (0, "jobmon local queue: show\njob 12 ended exit 3\n", Verdict(False)),
        (1, "jobmon localqueue: not done", Verdict(False)),
        (0, _shown("job 12 ended exit 3"), Verdict(True, reason=Reason(Cause.EXIT, "exit code 3"))),
        (
            0,
            _shown("job 12 ended signal 9"),
            Verdict(True, reason=Reason(Cause.EXIT, "killed by signal 9 (SIGKILL)")),
        ),
        (
            0,
            _shown("job 12 ended deleted"),
            Verdict(True, reason=Reason(Cause.DELETED, "deleted from the local queue")),
        ),
        (
            0,
            _shown("job 12 ended lost"),
            Verdict(
                True,
                reason=Reason(
                    Cause.NODE, "the machine went down, or the job's processes were killed"
                ),
            ),
        ),
        (
            0,
            _shown("job 12 ended unstarted /x: no"),
            Verdict(True, reason=Reason(Cause.NEVER_STARTED, "it could not be started: /x: no")),
        ),
        (
            1,
            "jobmon local queue: show\nunknown 12\nend 1\n",
            Verdict(True, reason=Reason(Cause.FORGOTTEN, "the local queue knows no job 12")),
        ),
    ],
)
def test_verdict(code: int, out: str, verdict: Verdict) -> None:
    assert _batch(Path("/s")).verdict(JobID("12"), [(code, out, "")]) == verdict


def test_find_needs_a_whole_answer() -> None:
    batch = _batch(Path("/s"))
    head = "jobmon local queue: tokens (ID|TOKEN)\n"
    assert batch.find([(0, f"{head}1|a b|c\nend 1\n", "")]) == {"a b|c": "1"}
    with pytest.raises(LookFailed, match="Read-only"):
        batch.find([(2, "", "jobmon localqueue: not done: /s: Read-only")])
    with pytest.raises(LookFailed):
        batch.find([(0, f"{head}1|a\n", "")])


@pytest.mark.parametrize("name", ["plain", "it's $x; グ"])
def test_the_real_queue(lab: Lab, name: str) -> None:
    batch = _batch(lab.state)
    folder = lab.folder / name
    folder.mkdir()
    for module in ("json.py", "jobmon.py", "re.py"):  # must not be imported
        (folder / module).write_text("raise SystemExit(9)")
    (folder / "qsub.0").write_text("while [ ! -e go ]; do sleep 0.02; done; exit 4\n")

    def submit(script: str, token: str) -> JobID:
        text = (folder / script).read_text()
        code, out, err = _ask([*batch.submit_command(text, token), script], folder)
        answer = batch.accepted(code, out + err)
        assert isinstance(answer, Accepted), answer
        return answer.jobid

    def verdict(job: JobID) -> Verdict:
        return batch.verdict(job, [_ask(words) for words in batch.confirm_commands(job)])

    first, second = submit("qsub.0", "run/key 1"), submit("qsub.0", "run/key 2")
    third = submit("qsub.0", "run/key 3")
    until(lambda: list(_phases(batch).values()).count(Phase.RUNNING) == 2)
    assert _phases(batch) == {first: Phase.RUNNING, second: Phase.RUNNING, third: Phase.PENDING}
    assert verdict(first) == verdict(third) == Verdict(gone=False)
    code, out, _ = _ask(batch.delete_command([third, second]))
    assert code == 0 and re.findall(r"^job (\d+) deleted", out, re.M) == [third, second]
    (folder / "go").touch()
    until(lambda: not _phases(batch))
    assert verdict(first) == Verdict(True, reason=Reason(Cause.EXIT, "exit code 4"))
    for job in (second, third):
        reason = verdict(job).reason
        assert reason is not None and reason.cause is Cause.DELETED
    assert verdict(JobID("99")).gone
    found = batch.find([_ask(words) for words in batch.find_commands("me")])
    assert found == {"run/key 1": first, "run/key 2": second, "run/key 3": third}
    (folder / "qsub.1").write_text("#SBATCH -n 3\n")
    code, out, err = _ask([*batch.submit_command("", "t"), "qsub.1"], folder)
    assert isinstance(batch.accepted(code, out + err), Refused)


def _phases(batch: Batch) -> dict[JobID, Phase]:
    return dict(batch.parse(_ask(batch.list_command("me"))[1]))
