"""PBS against what OpenPBS 23.06 printed, and against what it and Torque may print."""

import importlib.util
import json
from collections.abc import Mapping
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
    Cause,
    JobID,
    NotRun,
    Phase,
    Reason,
    Refused,
    Unclear,
    Verdict,
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
HISTORY = json.loads((GOLDENS / "pbs" / "lab.qstat-xf-history.json").read_text())["Jobs"]
JOBS = json.loads((GOLDENS / "pbs" / "lab.qstat-f.json").read_text())["Jobs"]
UNKNOWN, UNKNOWN_TOO = asked("pbs/texts.txt", "unknown")
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


def _row(jobid: str, state: str) -> str:
    return str(standin.row(jobid, "hpcuser", "a-name", state))


def _in_full(jobid: str, **fields: str) -> tuple[int, str, str]:
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
    assert pbs.parse(HEAD + _row("7.vm", state)) == {"7.vm": phase}


@pytest.mark.fault("Batch systems: a new state")
@given(st.from_regex(r"[!-~]", fullmatch=True))
def test_an_unknown_state_keeps_its_row_and_the_rest(state: str) -> None:
    listing = pbs.parse(HEAD + _row("7.vm", state) + _row("8.vm", "R"))
    assert listing.keys() == {"7.vm", "8.vm"}
    assert listing[JobID("8.vm")] is Phase.RUNNING
    assert state in "QWTMRBHSUEFXC" or listing[JobID("7.vm")] is Phase.UNKNOWN


def test_what_a_narrow_column_cuts_is_marked() -> None:
    """OpenPBS puts a star at the end of what it cuts; old Torques cut and say nothing."""
    rows = _row("12345678.gadi-pbs", "R") + _row("1234567[].example", "Q")
    assert pbs.parse(HEAD + rows) == {
        "12345678.gadi-*": Phase.RUNNING,
        "1234567[].exam*": Phase.PENDING,
    }
    fills = "123456.pbs-main".ljust(15) + _row("7.vm", "R")[15:]
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
    for odd in ("Connection reset\n", "2304.vm hpcuser\n", "x" + _row("7.vm", "R")):
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


# --- what became of a job --------------------------------------------------------------


def _told(jobid: str) -> tuple[int, str, str]:
    return 0, str(standin.full(jobid, HISTORY[jobid])), ""


def _over(jobid: str) -> tuple[int, str, str]:
    code, out, err = FINISHED
    return code, out, err.replace("13.vm", jobid)


@pytest.mark.parametrize(
    ("jobid", "reason"),
    [
        ("2312.vm", Reason(Cause.EXIT, "ended with exit code 0 but wrote no marker")),
        ("2313.vm", Reason(Cause.EXIT, "exit code 3")),
        ("2314.vm", Reason(Cause.TIME, "out of time (limit walltime=00:00:05, used 00:00:12)")),
        ("2315.vm", Reason(Cause.DELETED, "terminated by hpcuser@localhost")),
    ],
)
def test_recorded_ends(jobid: str, reason: Reason) -> None:
    said = [_over(jobid), _told(jobid)]
    assert pbs.verdict(JobID(jobid), said) == Verdict(gone=True, reason=reason)


def test_the_unknown_id_is_a_denial_without_a_history() -> None:
    jobid = JobID("999999.vm")
    no_history = (0, "", "qstat: PBS is not configured to maintain job history 999999.vm\n")
    for second in (UNKNOWN_TOO, no_history, (124, "", "")):
        assert pbs.verdict(jobid, [UNKNOWN, second]) == Verdict(gone=True)
    torque = (153, "", "qstat: Unknown Job Id Error 999999.vm\n")
    assert pbs.verdict(jobid, [torque, (2, "", "usage")]) == Verdict(gone=True)
    assert pbs.verdict(JobID("13.vm"), [FINISHED, (124, "", "")]) == Verdict(gone=True)


@pytest.mark.fault("Batch systems: down")
def test_an_error_is_no_denial() -> None:
    for case in ("down", "malformed"):
        assert not pbs.verdict(JobID("13.vm"), asked("pbs/texts.txt", case)).gone
    for no in ((0, "", ""), (124, "", ""), (137, "", ""), (153, "", "")):
        assert not pbs.verdict(JobID("13.vm"), [no, no]).gone
    assert not pbs.verdict(JobID("13.vm"), [UNKNOWN]).gone


@pytest.mark.fault("Batch systems: an id counter that starts again (an old record)")
def test_only_the_denial_of_this_very_id_counts() -> None:
    for other in ("99999.vm", "999999[].vm", "9999990.vm", "999999.other"):
        assert not pbs.verdict(JobID(other), [UNKNOWN, UNKNOWN_TOO]).gone
    assert not pbs.verdict(JobID("7.vm"), [_over("8.vm"), (124, "", "")]).gone
    assert pbs.verdict(JobID("999999.vm.example.org"), [UNKNOWN, UNKNOWN_TOO]).gone


@pytest.mark.parametrize("state", "QRHEBWTSUM?")
def test_a_job_in_any_other_state_is_not_gone(state: str) -> None:
    alive = _in_full("999999.vm", job_state=state, Exit_status="1")
    assert pbs.verdict(JobID("999999.vm"), [alive, UNKNOWN_TOO]) == Verdict(gone=False)
    # One that moved to a server which does not answer is denied here.
    assert pbs.verdict(JobID("999999.vm"), [UNKNOWN, alive]) == Verdict(gone=False)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"Exit_status": "265"}, Reason(Cause.EXIT, "deleted by hand (qdel), or else killed by signal 9")),
        ({"Exit_status": "267"}, Reason(Cause.EXIT, "killed by signal 11")),
        ({"Exit_status": "139"}, Reason(Cause.EXIT, "exit code 139 (128 + signal 11)")),
        ({"Exit_status": "-28"}, Reason(Cause.TIME, "out of time")),
        (
            {
                "Exit_status": "271",
                "Resource_List.walltime": "01:00:00",
                "resources_used.walltime": "01:00:11",
            },
            Reason(
                Cause.TIME,
                "out of time (limit walltime=01:00:00, used 01:00:11), killed by signal 15",
            ),
        ),
        (
            {
                "Exit_status": "-27",
                "Resource_List.mem": "1gb",
                "resources_used.mem": "1048600kb",
                "comment": "Job run and exceeded resource mem",
            },
            Reason(Cause.MEMORY, "out of memory (limit mem=1gb, used 1048600kb)"),
        ),
        (
            {
                "Exit_status": "137",
                "Resource_List.mem": "1gb",
                "resources_used.mem": "1048576kb",
            },
            Reason(
                Cause.MEMORY,
                "out of memory (limit mem=1gb, used 1048576kb), killed by signal 9",
            ),
        ),
        (
            {"Exit_status": "-25", "comment": "Job run and exceeded resource ncpus (sum)"},
            Reason(
                Cause.EXIT,
                "it exceeded its ncpus, PBS says: Job run and exceeded resource ncpus (sum)",
            ),
        ),
        ({"Exit_status": "-2"}, Reason(Cause.NEVER_STARTED, "PBS could not run it (Exit_status -2)")),
        (
            {"Exit_status": "-4"},
            Reason(Cause.NODE, "PBS could not run it to its end (Exit_status -4)"),
        ),
        (
            {"comment": "Job deleted as result of dependency on job 6.vm"},
            Reason(
                Cause.NEVER_STARTED,
                "Job deleted as result of dependency on job 6.vm",
            ),
        ),
        ({"stime": "Fri Nov 20 18:59:33 2026"}, Reason(Cause.EXIT, "PBS tells no exit code")),
    ],
)  # fmt: skip
def test_reasons(fields: dict[str, str], reason: Reason) -> None:
    said = [_over("7.vm"), _in_full("7.vm", job_state="F", **fields)]
    assert pbs.verdict(JobID("7.vm"), said) == Verdict(gone=True, reason=reason)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("3", Reason(Cause.EXIT, "exit code 3")),
        ("-11", Reason(Cause.TIME, "out of time")),
        ("-10", Reason(Cause.MEMORY, "out of memory")),
        ("271", Reason(Cause.EXIT, "deleted by hand (qdel), or else killed by signal 15")),
    ],
)
def test_torque_keeps_what_is_completed_for_a_while(status: str, reason: Reason) -> None:
    done = _in_full("7.pbs.example", job_state="C", exit_status=status)
    usage = (2, "", "usage: qstat")
    assert pbs.verdict(JobID("7.pbs.example"), [done, usage]) == Verdict(gone=True, reason=reason)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "Exit_status",
                "exit_status",
                "comment",
                "stime",
                "Resource_List.mem",
                "resources_used.mem",
                "Resource_List.walltime",
                "resources_used.walltime",
            ]
        ),
        st.text(max_size=30),
    ),
    st.sampled_from("FCX"),
)
def test_any_words_about_an_end_are_an_end_with_a_reason(told: dict[str, str], state: str) -> None:
    said = pbs.verdict(JobID("7.vm"), [UNKNOWN, _in_full("7.vm", job_state=state, **told)])
    assert said.gone and said.reason is not None
    assert said.reason.words.isprintable() and len(said.reason.words) <= 200


def test_an_array_that_ended_is_one_end() -> None:
    whole = _in_full("2308[].vm", job_state="F", Exit_status="1", array_indices_submitted="1-3")
    said = pbs.verdict(JobID("2308[].vm"), [_over("2308[].vm"), whole])
    assert said == Verdict(gone=True, reason=Reason(Cause.EXIT, "exit code 1"))


# --- whose job it is -------------------------------------------------------------------


def _places(outputs: list[tuple[int, str, str]], *asked: str) -> Mapping[JobID, str]:
    return pbs.places([["qstat", "-f", *asked]] * len(outputs), outputs)


def test_places_in_recorded_answers() -> None:
    there = dict.fromkeys(JOBS, "/home/hpcuser/gold/qsub.0")
    found = _places([(0, FULL, "")])
    assert found == {k: v for k, v in there.items() if "--" not in JOBS[k]["Submit_arguments"]} | {
        k: f"/home/hpcuser/gold/{JOBS[k]['Submit_arguments'].split()[-1]}"
        for k in found
        if JOBS[k]["Submit_arguments"].split()[-1] != "qsub.0"
    }
    assert found[JobID("2308[].vm")] == "/home/hpcuser/gold/qsub.0"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=90))
def test_the_folder_comes_through_the_broken_lines(name: str) -> None:
    if ",," in name or name.endswith((",", "/")) or name.startswith(","):
        return  # OpenPBS itself prints one comma of several
    folder = f"/home/a/{name}"
    told = {
        "job_state": "Q",
        "Variable_List": {"PBS_O_HOME": "/home/a", "PBS_O_WORKDIR": folder, "PBS_O_HOST": "h"},
        "Submit_arguments": "-W x qsub.relax",
    }
    text = standin.full("7.vm", told)
    assert _places([(0, text, "")]) == {"7.vm": f"{folder}/qsub.relax"}


def test_a_line_may_be_broken_within_a_letter() -> None:
    whole = standin.full(
        "7.vm",
        {"job_state": "Q", "Variable_List": {"PBS_O_WORKDIR": "/ü"}, "Submit_arguments": "q"},
    )
    raw = whole.encode().replace("ü".encode(), b"\xc3\n\t\xbc")
    assert _places([(0, raw.decode("utf-8", "surrogateescape"), "")]) == {"7.vm": "/ü/q"}


@pytest.mark.parametrize(
    "fields",
    [
        {"Submit_arguments": "qsub.0"},
        {"Variable_List": "PBS_O_WORKDIR=/a"},
        {"Variable_List": "PBS_O_WORKDIR=/a", "Submit_arguments": "-- /bin/true"},
        {"Variable_List": "PBS_O_WORKDIR=relative", "Submit_arguments": "qsub.0"},
        {"Variable_List": "X=1,PBS_O_WORKDIR=/a,PBS_O_WORKDIR=/b", "Submit_arguments": "qsub.0"},
    ],
)
def test_a_place_that_is_not_sure_is_none(fields: dict[str, str]) -> None:
    assert _places([_in_full("7.vm", job_state="Q", **fields)]) == {}


def test_torque_tells_the_folder_by_itself() -> None:
    fields = {"Variable_List": "PBS_O_WORKDIR=/a,b", "init_work_dir": "/a,b", "submit_args": "q.0"}
    assert _places([_in_full("7.vm", job_state="Q", **fields)]) == {"7.vm": "/a,b/q.0"}


def test_who_is_asked_about() -> None:
    past = (0, "1.vm\n2304.vm\n99.vm\nnoise 7\n12345678.gadi-pbs\n", "")
    known = {JobID("2305.vm"), JobID("1.vm"), JobID("12345679.gadi-pbs")}
    cut = _row("12345678.gadi-pbs", "R") + _row("12345679.gadi-pbs", "R")
    assert pbs.place_commands([(0, LISTING + cut, ""), past], known) == [
        ["qstat", "-f", "2304.vm", "2306.vm", "2307.vm", "2308[].vm", "2310.vm", "2311.vm", "12345678"],
        ["qstat", "-x", "-f", "99.vm"],
    ]  # fmt: skip
    assert pbs.place_commands([(0, "", ""), (2, "1.vm\n", "usage")], set()) == []
    many = "".join(_row(f"{n}.vm", "Q") for n in range(250))
    asked_of = pbs.place_commands([(0, HEAD + many, ""), (1, "", "")], set())
    assert [len(command) for command in asked_of] == [102, 102, 52]


def test_each_job_that_was_asked_about_must_be_shown_or_denied() -> None:
    code, _, err = UNKNOWN
    assert set(_places([(code, FULL, err)], *JOBS, "999999.vm")) == set(_places([(0, FULL, "")]))
    assert _places([(0, FULL, "")], "2304", "2308[]")  # cut in the listing, asked by their numbers
    code, _, err = FINISHED
    assert _places([(0, FULL, ""), (code, FULL, err)]) == {}  # the history has it next time
    down = asked("pbs/texts.txt", "down")[0]
    half = FULL[: FULL.index("Job Id: 2311.vm")]
    for lost in (
        down,
        (153, "", UNKNOWN[2] + down[2]),
        (124, half, ""),
        (0, half, ""),
        (0, "", ""),
        (0, FULL[:-1], ""),
    ):
        with pytest.raises(LookFailed):
            _places([lost], *JOBS)


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
