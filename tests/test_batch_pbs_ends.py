"""PBS: what became of a job, by what OpenPBS 23.06 printed, and by what it and Torque may print."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_batch_contract import GOLDENS, asked
from test_batch_pbs import FINISHED, UNKNOWN, in_full, pbs, standin

from jobmon.core.model import Cause, JobID, Reason, Verdict

HISTORY = json.loads((GOLDENS / "pbs" / "lab.qstat-xf-history.json").read_text())["Jobs"]
UNKNOWN_TOO = asked("pbs/texts.txt", "unknown")[1]


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
    alive = in_full("999999.vm", job_state=state, Exit_status="1")
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
    said = [_over("7.vm"), in_full("7.vm", job_state="F", **fields)]
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
    done = in_full("7.pbs.example", job_state="C", exit_status=status)
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
    said = pbs.verdict(JobID("7.vm"), [UNKNOWN, in_full("7.vm", job_state=state, **told)])
    assert said.gone and said.reason is not None
    assert said.reason.words.isprintable() and len(said.reason.words) <= 200


def test_an_array_that_ended_is_one_end() -> None:
    whole = in_full("2308[].vm", job_state="F", Exit_status="1", array_indices_submitted="1-3")
    said = pbs.verdict(JobID("2308[].vm"), [_over("2308[].vm"), whole])
    assert said == Verdict(gone=True, reason=Reason(Cause.EXIT, "exit code 1"))
