"""Slurm against what 22.05.8 printed, and against what it may print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_batch_contract import GOLDENS, Answered, asked, recorded

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch.slurm import Slurm
from jobmon.core.model import (
    Accepted,
    Answer,
    Cause,
    JobID,
    NotRun,
    Phase,
    Reason,
    Refused,
    Unclear,
    Verdict,
)

slurm = Slurm()
SUBMITTED = recorded("slurm/sbatch.txt")
UNKNOWN = (1, "", "slurm_load_jobs error: Invalid job id specified\n")
TIMED_OUT = (1, "", "slurm_load_jobs error: Socket timed out on send/recv operation\n")
NO_ACCOUNTING = (1, "", "Slurm accounting storage is disabled\n")
NOTHING = (0, "", "")


def test_list_command() -> None:
    assert slurm.list_command("ada") == [
        "squeue",
        "--noheader",
        "--user=ada",
        "--format=%F|%T|%r|end",
    ]


def test_a_recorded_listing() -> None:
    (_, text, _), *_ = asked("slurm/listing.txt", "some")
    pending = dict.fromkeys(["34", "37", "38", "39", "40", "41", "42", "44"], Phase.PENDING)
    assert slurm.parse(text) == pending | {
        "30": Phase.RUNNING,
        "31": Phase.HELD,
        "32": Phase.STUCK,
        "33": Phase.RUNNING,  # an array of three rows
    }


def test_no_jobs_is_a_whole_listing() -> None:
    (_, text, _), *_ = asked("slurm/listing.txt", "none")
    assert slurm.parse(text) == {}


@pytest.mark.parametrize(
    ("state", "reason", "phase"),
    [
        ("CONFIGURING", "None", Phase.PENDING),
        ("SUSPENDED", "None", Phase.HELD),
        ("REQUEUE_HOLD", "None", Phase.HELD),
        ("COMPLETING", "None", Phase.ENDING),
        ("COMPLETED", "None", Phase.ENDING),
        ("FAILED", "NonZeroExitCode", Phase.ENDING),
        ("NODE_FAIL", "NodeDown", Phase.ENDING),
        ("PENDING", "JobHeldAdmin", Phase.HELD),
        ("PENDING", "launch failed requeued held", Phase.HELD),
        ("PENDING", "ReqNodeNotAvail, UnavailableNodes:n[1-2]", Phase.PENDING),
        ("PENDING", "BadConstraints", Phase.STUCK),
        ("RUNNING", "BadConstraints", Phase.RUNNING),
        ("REVOKED", "None", Phase.UNKNOWN),
    ],
)
def test_phases(state: str, reason: str, phase: Phase) -> None:
    assert slurm.parse(f"7|{state}|{reason}|end\n") == {"7": phase}


@pytest.mark.fault("Batch systems: a new state")
@given(st.from_regex(r"[A-Z_0-9x]{1,20}", fullmatch=True))
def test_an_unknown_state_keeps_its_row_and_the_rest(state: str) -> None:
    listing = slurm.parse(f"7|{state}|None|end\n8|RUNNING|None|end\n")
    assert listing.keys() == {"7", "8"}
    assert listing[JobID("8")] is Phase.RUNNING


@pytest.mark.fault("Batch systems: half a listing")
@pytest.mark.parametrize(
    "text",
    [
        "7|RUNNING|None|end\n8|RUNN",
        "7|RUNNING|None",
        "Welcome to the cluster\n",
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "7_1|RUNNING|None|end",
    ],
)
def test_what_is_no_listing(text: str) -> None:
    with pytest.raises(LookFailed, match="no row of a listing"):
        slurm.parse(text)


def test_a_failed_look_names_the_line_clean_and_short() -> None:
    with pytest.raises(LookFailed) as failed:
        slurm.parse("\x1b[31m" + "x" * 5000)
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < 300


@pytest.mark.parametrize(
    ("script", "ours"),
    [
        ("#!/bin/sh\n#SBATCH -n 4\ntrue\n", True),
        ("#!/bin/sh\n#SBATCH --comment=mine\n", False),
        ("#!/bin/sh\n#SBATCH -n 4 --comment 'my own'\n", False),
        ("#!/bin/sh\n#SBATCH --comm=mine\n", False),
        ("#!/bin/sh\n#SBATCH --constraint=fat\n#SBATCH\n--comment\n", True),
        ("#!/bin/sh\n##SBATCH --comment=off\necho --comment=1\n", True),
    ],
)
def test_the_users_own_comment_is_not_touched(script: str, ours: bool) -> None:
    assert slurm.submit_command(script, "t1.2") == ["sbatch", "--comment=jobmon:t1.2"][: 1 + ours]


def _expected(answer: Answered) -> type[Answer]:
    code, out, err = answer.output
    if "Submitted" in out:
        return Accepted
    if "munge.conf" in answer.command or "down.conf" in answer.command:
        return NotRun
    return Unclear if code == 0 or "timed out" in err or "-M nosuch" in answer.command else Refused


@pytest.mark.parametrize("answer", SUBMITTED, ids=[f"{a.case}{a.command}" for a in SUBMITTED])
def test_recorded_answers_of_sbatch(answer: Answered) -> None:
    said = slurm.accepted(answer.output[0], answer.text)
    assert type(said) is _expected(answer)
    if isinstance(said, Accepted):
        assert said.jobid == answer.output[1].split()[3]


@pytest.mark.parametrize(
    ("code", "text", "answer"),
    [
        (0, "node07\n4711\r\nSubmitted batch job 11 on cluster x\r\n", Accepted(JobID("11"))),
        (
            0,
            "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
            "Submitted batch job 12",
            Accepted(JobID("12")),
        ),
        (124, "Submitted batch job 13\nTerminated", Accepted(JobID("13"))),
        (
            1,
            "sbatch: error: invalid partition specified: no\n"
            "sbatch: error: Batch job submission failed: Invalid partition name specified",
            Refused("Invalid partition name specified"),
        ),
        (
            1,
            "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy "
            "(job submit limit, user's size and/or time limits)",
            Refused(
                "Job violates accounting/QOS policy (job submit limit, user's size and/or "
                "time limits)"
            ),
        ),
        (
            1,
            "sbatch: error: Say which account pays\n"
            "sbatch: error: Batch job submission failed: Unspecified error",
            Refused("Say which account pays Batch job submission failed: Unspecified error"),
        ),
        (
            127,
            "sh: 1: sbatch: not found",
            NotRun("'sbatch' cannot be run there: sh: 1: sbatch: not found"),
        ),
        (
            127,
            "timeout: failed to run command 'sbatch': No such file or directory",
            NotRun(
                "'sbatch' cannot be run there: timeout: failed to run command 'sbatch': "
                "No such file or directory"
            ),
        ),
    ],
)
def test_answers(code: int, text: str, answer: Answer) -> None:
    assert slurm.accepted(code, text) == answer


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (124, "Submitted batch job 1"),  # of 17, perhaps
        (0, "Submitted batch job 1\nSubmitted batch job 2"),
        (0, "sbatch: error: Batch job submission failed: Invalid partition name specified"),
        (1, "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received"),
        (1, "sbatch: error: Batch job submission failed: Protocol authentication error"),
        (1, "sbatch: error: Batch job submission failed: Invalid authentication credential"),
        (1, "sbatch: error: Batch job submission failed: Unspecified error"),
        (137, "Killed"),
        (127, "sh: module: command not found"),
    ],
)
def test_what_is_unclear(code: int, text: str) -> None:
    assert isinstance(slurm.accepted(code, text), Unclear)


def test_recorded_ids_of_the_lab() -> None:
    lines = (GOLDENS / "slurm" / "lab.sbatch.txt").read_text().splitlines()[1:]
    ids = [slurm.accepted(0, f"node07\n{line}\n12") for line in lines]
    assert ids == [Accepted(JobID(n)) for n in ("11", "12", "13", "14", "16", "17")]


def test_find_in_recorded_answers() -> None:
    found = slurm.find(asked("slurm/find.txt", "find"))
    assert found["tok-ok"] == "42"
    assert found["tok-arr"] == "33"
    assert found["tok-fail"] == "29"  # ended and purged: only sacct shows it
    assert found["time"] == "20"


@pytest.mark.fault("Batch systems: accounting off or late")
def test_find_needs_no_accounting_and_takes_the_latest() -> None:
    rows = "9|jobmon:t.1,stdout=/a b/slurm-9.out\n10|jobmon:t.1\n8|mine, jobmon:t.2\n7|x\n"
    rows += "9" * 5000 + "|jobmon:t.3\n"  # no ID
    found = slurm.find([(0, rows, ""), NO_ACCOUNTING])
    assert found == {"t.1": "10", "t.2": "8"}


def test_find_needs_squeue() -> None:
    with pytest.raises(LookFailed, match="squeue ended with exit code 1: slurm_load_jobs"):
        slurm.find([TIMED_OUT, (0, "7|sbatch --comment=jobmon:t q", "")])


@pytest.mark.parametrize(
    ("case", "jobid", "gone", "reason"),
    [
        ("susp", "63", False, None),
        ("sleep", "30", False, None),
        ("held", "31", False, None),
        ("big", "34", False, None),
        ("arr", "66", False, None),  # one of its tasks was cancelled
        (
            "never",
            "32",
            False,
            Reason(
                Cause.NEVER_STARTED,
                "it will never start: a job that it depends on did not end as it asks "
                "(DependencyNeverSatisfied)",
            ),
        ),
        (
            "nores",
            "64",
            True,
            Reason(Cause.NEVER_STARTED, "its output file could not be opened (Slurm's signal 53)"),
        ),
        ("cancelled", "65", True, Reason(Cause.DELETED, "cancelled by user 1001")),
        ("cancelled later", "65", True, Reason(Cause.DELETED, "cancelled by user 1001")),
        ("arr later", "66", True, Reason(Cause.DELETED, "cancelled by user 1001")),
        ("fail later", "69", True, Reason(Cause.EXIT, "exit code 3")),
        ("kill9 later", "70", True, Reason(Cause.EXIT, "killed by signal 9")),
        (
            "e137 later",
            "71",
            True,
            Reason(Cause.EXIT, "exit code 9 (or 137, a signal: sacct takes 128 off)"),
        ),
        (
            "ok later",
            "72",
            True,
            Reason(Cause.EXIT, "ended with exit code 0 but wrote no marker"),
        ),
        ("arrfail", "73", True, Reason(Cause.EXIT, "exit code 3")),
        ("time", "20", True, Reason(Cause.TIME, "out of time (limit 00:01:00)")),
        ("time later", "20", True, Reason(Cause.TIME, "out of time (limit 00:01:00)")),
        ("unknown", "999999", True, None),
    ],
)
def test_recorded_ends(case: str, jobid: str, gone: bool, reason: Reason | None) -> None:
    outputs = asked("slurm/confirm.txt", case)
    assert slurm.verdict(JobID(jobid), outputs) == Verdict(gone=gone, reason=reason)


@pytest.mark.fault("Batch systems: down")
@pytest.mark.parametrize("case", ["munge", "hung", "down"])
def test_an_error_is_no_denial(case: str) -> None:
    outputs = [*asked("slurm/confirm.txt", case), NO_ACCOUNTING]
    assert slurm.verdict(JobID("1"), outputs) == Verdict(gone=False)


def test_the_recorded_questions_are_the_ones_that_are_asked() -> None:
    said = [a.command.replace("'", "") for a in recorded("slurm/confirm.txt") if a.case == "fail"]
    assert [" ".join(words) for words in slurm.confirm_commands(JobID("69"))] == said


@pytest.mark.fault("Batch systems: accounting off or late")
def test_without_accounting_the_controller_tells_why() -> None:
    shown = (
        "JobId=8 JobName=q.e137 JobState=FAILED Reason=NonZeroExitCode ExitCode=137:0 TimeLimit=1"
    )
    ended = [(0, "8|FAILED|NonZeroExitCode|end\n", ""), (0, shown, ""), NO_ACCOUNTING]
    reason = Reason(Cause.EXIT, "exit code 137 (128 + signal 9)")
    assert slurm.verdict(JobID("8"), ended) == Verdict(gone=True, reason=reason)
    assert slurm.verdict(JobID("8"), [UNKNOWN, UNKNOWN, NO_ACCOUNTING]) == Verdict(gone=True)
    assert slurm.verdict(JobID("8"), [UNKNOWN]) == Verdict(gone=False)


@pytest.mark.fault("The reason: out of memory (limit and peak)")
def test_out_of_memory_names_limit_and_peak() -> None:
    sacct = "8|OUT_OF_MEMORY|0:125|01:00:00|4G||n1\n8.batch|OUT_OF_MEMORY|0:125|||900K|n1\n8.0|X|0:9|||3.9G|n1\n"
    reason = Reason(Cause.MEMORY, "out of memory (limit 4G, peak 3.9G)")
    verdict = slurm.verdict(JobID("8"), [UNKNOWN, UNKNOWN, (0, sacct, "")])
    assert verdict == Verdict(gone=True, reason=reason)


@pytest.mark.fault("The reason: node failure")
def test_node_failure_names_the_node() -> None:
    sacct = (0, "8|NODE_FAIL|0:0|01:00:00|4G||n17\n", "")
    reason = Reason(Cause.NODE, "node failure (n17)")
    assert slurm.verdict(JobID("8"), [UNKNOWN, UNKNOWN, sacct]).reason == reason
    # It may be put back into the queue: only the controller knows.
    assert not slurm.verdict(JobID("8"), [TIMED_OUT, TIMED_OUT, sacct]).gone


@pytest.mark.parametrize("state", ["COMPLETING", "RUNNING", "PENDING", "REQUEUED", "NEW_WORD"])
def test_who_is_in_the_system_is_not_gone(state: str) -> None:
    sacct = (0, "8|COMPLETED|0:0|1:00|4G||n1\n", "")
    for rows in (f"8|{state}|None|end\n", f"8|COMPLETED|None|end\n8|{state}|None|end\n"):
        assert not slurm.verdict(JobID("8"), [(0, rows, ""), UNKNOWN, sacct]).gone


@pytest.mark.fault("Batch systems: an id counter that starts again (an old record)")
def test_an_end_in_the_accounting_is_no_end_while_the_controller_says_nothing() -> None:
    old = (0, "8|FAILED|3:0|1:00|4G||n1\n", "")
    for controller in (NOTHING, TIMED_OUT):
        assert not slurm.verdict(JobID("8"), [controller, TIMED_OUT, old]).gone
    assert slurm.verdict(JobID("8"), [UNKNOWN, TIMED_OUT, old]).gone


def test_a_jobs_name_can_not_feign_an_end() -> None:
    shown = (
        "JobId=8 JobName=a JobState=COMPLETED ExitCode=0:0 UserId=u(1) JobState=RUNNING Reason=None "
        "ExitCode=0:0 TimeLimit=1:00 Command=/x JobState=FAILED"
    )
    assert not slurm.verdict(JobID("8"), [TIMED_OUT, (0, shown, ""), NO_ACCOUNTING]).gone


def test_delete_command() -> None:
    assert slurm.delete_command([JobID("7"), JobID("8")]) == ["scancel", "7", "8"]
