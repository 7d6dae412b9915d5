"""PBS against what OpenPBS 23.06 printed, and against what it and Torque may print."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_batch_contract import GOLDENS, asked, recorded

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch.pbs import Pbs
from jobmon.cluster.batch.pbs_end import same, shown
from jobmon.core.model import (
    Accepted,
    Answer,
    JobID,
    NotRun,
    Phase,
    Refused,
    Unclear,
)

STANDIN = Path(__file__).parent / "standins" / "pbs" / "server.py"


def _standin() -> ModuleType:
    """The stand-in's own file, for the formats that it prints."""
    spec = importlib.util.spec_from_file_location("pbs_standin", STANDIN)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pbs = Pbs()
standin = _standin()
LISTING = asked("pbs/listing.txt", "some")[0][1]
FULL = asked("pbs/full.txt", "some")[0][1]
JOBS = json.loads((GOLDENS / "pbs" / "lab.qstat-f.json").read_text())["Jobs"]
UNKNOWN = asked("pbs/texts.txt", "unknown")[0]
FINISHED = asked("pbs/texts.txt", "finished")[0]
HEAD = LISTING[: LISTING.index("2304.vm")]
TORQUE_HEAD = (
    "\npbs.example: \n" + " " * 82 + "Req'd       Req'd       Elap\n"
    "Job ID                  Username    Queue    Jobname          SessID  NDS   TSK   Memory"
    "      Time    S   Time\n"
    "----------------------- ----------- -------- ---------------- ------ ----- ------ ---------"
    " --------- - ---------\n"
)
"""As Torque 6 has it in its ``qstat.c``."""


def row(jobid: str, state: str) -> str:
    return str(standin.row(jobid, "hpcuser", "a-name", state))


def in_full(jobid: str, **fields: str) -> tuple[int, str, str]:
    return 0, str(standin.full(jobid, fields)), ""


def test_the_stand_in_prints_as_the_real_one_did() -> None:
    assert "".join(standin.full(jobid, told) for jobid, told in JOBS.items()) == FULL
    rows = (
        standin.row(
            jobid,
            told["Job_Owner"].partition("@")[0],
            told["Job_Name"],
            told["job_state"],
            str(told.get("session_id", " -- ")),
            told["Resource_List"]["ncpus"],
        )
        for jobid, told in JOBS.items()
    )
    assert standin.HEAD + "".join(rows) == LISTING


def test_recorded_listings() -> None:
    assert pbs.parse(LISTING) == {
        "2304.vm": Phase.RUNNING,
        "2305.vm": Phase.RUNNING,
        "2306.vm": Phase.PENDING,
        "2307.vm": Phase.HELD,
        "2308[].vm": Phase.RUNNING,  # an array of three tasks
        "2310.vm": Phase.RUNNING,
        "2311.vm": Phase.RUNNING,
    }
    ((_, nothing, _),) = asked("pbs/listing.txt", "none")
    assert pbs.parse(nothing) == {}


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("Q", Phase.PENDING),
        ("W", Phase.PENDING),
        ("T", Phase.PENDING),
        ("M", Phase.PENDING),
        ("R", Phase.RUNNING),
        ("B", Phase.RUNNING),
        ("H", Phase.HELD),
        ("S", Phase.HELD),
        ("U", Phase.HELD),
        ("E", Phase.ENDING),
        ("F", Phase.ENDING),
        ("X", Phase.ENDING),
        ("C", Phase.ENDING),
    ],
)
def test_phases(state: str, phase: Phase) -> None:
    assert pbs.parse(HEAD + row("7.vm", state)) == {"7.vm": phase}


@pytest.mark.fault("Batch systems: a new state")
@given(st.from_regex(r"[!-~]", fullmatch=True))
def test_an_unknown_state_keeps_its_row_and_the_rest(state: str) -> None:
    listing = pbs.parse(HEAD + row("7.vm", state) + row("8.vm", "R"))
    assert listing.keys() == {"7.vm", "8.vm"}
    assert listing[JobID("8.vm")] is Phase.RUNNING
    assert state in "QWTMRBHSUEFXC" or listing[JobID("7.vm")] is Phase.UNKNOWN


def test_what_a_narrow_column_cuts_is_marked() -> None:
    """OpenPBS puts a star at the end of what it cuts; old Torques cut and say nothing."""
    rows = row("12345678.gadi-pbs", "R") + row("1234567[].example", "Q")
    assert pbs.parse(HEAD + rows) == {
        "12345678.gadi-*": Phase.RUNNING,
        "1234567[].exam*": Phase.PENDING,
    }
    fills = "123456.pbs-main".ljust(15) + row("7.vm", "R")[15:]
    assert pbs.parse(HEAD + fills) == {"123456.pbs-main*": Phase.RUNNING}


def test_torques_listing() -> None:
    row = (
        "4711.pbs.example        alice       batch    qsub.0             4242     1      4       -- "
        "  01:00:00 R  00:10:00\n"
        "4712[].pbs.example      alice       batch    qsub.1              --      1      4       -- "
        "  01:00:00 C       -- \n"
        "1234567.pbs.cluster.example.org alice       batch    qsub.1    --      1      4       -- "
        "  01:00:00 H       -- \n"
    )
    assert pbs.parse(TORQUE_HEAD + row) == {
        "4711.pbs.example": Phase.RUNNING,
        "4712[].pbs.example": Phase.ENDING,
        "1234567.pbs.cluster.example.org*": Phase.HELD,
    }


def test_what_stands_above_the_listing_is_passed_over() -> None:
    assert pbs.parse("node07\nLast login: 12\n" + LISTING) == pbs.parse(LISTING)


@pytest.mark.fault("Batch systems: half a listing")
@given(st.integers(1, len(LISTING) - 1))
def test_half_a_line_is_a_failed_look(length: int) -> None:
    if LISTING[length - 1] == "\n" and length >= len(HEAD):
        assert set(pbs.parse(LISTING[:length])) <= set(pbs.parse(LISTING))
    elif LISTING[:length].strip():
        with pytest.raises(LookFailed):
            pbs.parse(LISTING[:length])


@pytest.mark.parametrize("case", ["plain", "tasks", "history"])
def test_other_formats_are_no_listing(case: str) -> None:
    ((_, text, _),) = asked("pbs/listing.txt", case)
    with pytest.raises(LookFailed):
        pbs.parse(text)
    for name in ("lab.qstat-dsv.txt", "lab.qstat-f.json"):
        with pytest.raises(LookFailed):
            pbs.parse((GOLDENS / "pbs" / name).read_text())


def test_a_line_that_is_no_row_is_a_failed_look() -> None:
    for odd in ("Connection reset\n", "2304.vm hpcuser\n", "x" + row("7.vm", "R")):
        with pytest.raises(LookFailed, match="no row"):
            pbs.parse(LISTING + odd)


def test_recorded_ids() -> None:
    heard = [pbs.accepted(*_heard(a.output)) for a in recorded("pbs/qsub.txt")]
    ids = ["2304", "2305", "2306", "2307", "2308[]", "2310", "2311"]
    assert heard == [Accepted(JobID(f"{n}.vm")) for n in ids]


def _heard(output: tuple[int, str, str]) -> tuple[int, str]:
    return output[0], (output[1] + output[2]).rstrip("\n")


@pytest.mark.parametrize(
    ("code", "text", "answer"),
    [
        (0, "Welcome\n12\n4711.pbs.example.org\nbye", Accepted(JobID("4711.pbs.example.org"))),
        (0, "qsub: warning: project is low\n7.vm", Accepted(JobID("7.vm"))),
        (170, "qsub: Unknown queue", Refused("Unknown queue")),
        (
            188,
            "qsub: Job violates queue and/or server resource limits",
            Refused("Job violates queue and/or server resource limits"),
        ),
        (
            188,
            "qsub: Job exceeds queue and/or server resource limits",
            Refused("Job exceeds queue and/or server resource limits"),
        ),
        (1, "qsub: script not a file", Refused("script not a file")),
        (173, "qsub: Unauthorized Request ", Refused("Unauthorized Request")),
        (32, "qsub: your group has no hours left", Refused("your group has no hours left")),
        (
            170,
            "qsub: submit error (Unknown queue MSG=cannot locate queue nosuch)",
            Refused("Unknown queue"),
        ),
        (
            127,
            "sh: 1: qsub: not found",
            NotRun("'qsub' cannot be run there: sh: 1: qsub: not found"),
        ),
    ],
)
def test_answers(code: int, text: str, answer: Answer) -> None:
    assert pbs.accepted(code, text) == answer


@pytest.mark.fault("Batch systems: down")
@pytest.mark.parametrize(
    ("code", "text"),
    [
        _heard(asked("pbs/texts.txt", "downsub")[0]),
        (111, "qsub: cannot connect to server pbs (errno=111) Connection refused"),
        (175, "No Permission.\nqsub: cannot connect to server vm (errno=15007)"),
        (4, "qsub: Request not allowed: Server shutting down"),
        # What passes by itself, when another of the jobs has ended.
        (182, "qsub: Maximum number of jobs already in queue workq"),
        (38, "qsub: would exceed queue workq's per-user limit"),
        (39, "qsub: would exceed limit on resource ncpus in queue workq"),
        (
            182,
            "qsub: submit error (Maximum number of jobs already in queue MSG=total number of "
            "current user's jobs exceeds the queue limit: user a@b, queue batch)",
        ),
    ],
)
def test_what_surely_was_not_submitted(code: int, text: str) -> None:
    assert isinstance(pbs.accepted(code, text), NotRun)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (159, "qsub: Batch protocol error"),
        (255, "Failed to recv data from background qsub"),
        (155, "qsub: PBS server internal error"),
        (1, "qsub: Error (15031) submitting job"),
        (1, "qsub: End of File"),
        (1, "Connection to server timed out. Trying againqsub: submit error (Unknown queue)"),
        (0, "qsub: Unknown queue"),
        (0, "7.vm\n8.vm"),
        (0, "2304"),  # any number that a login prints
        (143, "2304.v"),
        (1, "2304.vm"),  # its end may be missing
        (127, "sh: 1: ./qsub.0: not found"),
    ],
)
def test_what_is_unclear(code: int, text: str) -> None:
    assert isinstance(pbs.accepted(code, text), Unclear)


def test_find_needs_the_listing() -> None:
    assert pbs.find([(0, LISTING, ""), (2, "", "usage")]) == {}
    with pytest.raises(LookFailed, match="exit code 255: Connection refused"):
        pbs.find([*asked("pbs/texts.txt", "down")])


def test_two_spellings_of_an_id() -> None:
    assert same("7.vm", "7.vm.example.org") and same("7", "7.vm") and same("7[].a", "7[].a")
    assert not same("7.vm", "7.vm2") and not same("7.vm", "7[].vm") and not same("7.a", "8.a")


def test_slurms_wrappers_are_another_dialect() -> None:
    text = (GOLDENS / "pbs" / "wrapper.qstat-f.txt").read_text()
    assert shown(text) == {}
    plain = (GOLDENS / "pbs" / "wrapper.qstat-plain.txt").read_text()
    with pytest.raises(LookFailed):
        pbs.parse(plain)
    listing = (GOLDENS / "pbs" / "wrapper.qstat.txt").read_text()
    assert set(pbs.parse(listing)) == {str(n) for n in range(11, 18)}  # a name may hold spaces
    taken = (GOLDENS / "pbs" / "wrapper.qsub.txt").read_text().splitlines()[-1]
    assert isinstance(pbs.accepted(0, taken), Unclear)


def test_nothing_but_the_script_goes_to_qsub() -> None:
    assert pbs.submit_command("#!/bin/sh\n#PBS -N x -v A=1 -o out\n", "t1.2") == ["qsub"]


def test_delete_command() -> None:
    ids = [JobID("7.vm"), JobID("8[].vm")]
    assert pbs.delete_command(ids) == ["qdel", "7.vm", "8[].vm"]
