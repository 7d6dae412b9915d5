"""Grid Engine against what 8.1.9 printed, and against what it may print."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_batch_contract import GOLDENS, Answered, asked, recorded

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch.sge import GridEngine
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

sge = GridEngine()
SUBMITTED = recorded("sge/qsub.txt")
LISTING = (GOLDENS / "sge" / "lab.qstat.xml").read_text()
GONE = (1, "", "Following jobs do not exist: \n8\n")
NO_RECORD = (1, "", "error: job id 8 not found\n")


def _document(*rows: tuple[str, str]) -> str:
    lists = "".join(
        f'<job_list state="running"><JB_job_number>{number}</JB_job_number><state>{state}</state>'
        "</job_list>"
        for number, state in rows
    )
    return f"<?xml version='1.0'?>\n<job_info><queue_info>{lists}</queue_info></job_info>\n"


def test_recorded_listings() -> None:
    assert sge.parse(LISTING) == {
        "4": Phase.RUNNING,
        "5": Phase.RUNNING,
        "9": Phase.RUNNING,  # an array of three rows
        "11": Phase.RUNNING,
        "12": Phase.PENDING,
        "8": Phase.STUCK,
        "7": Phase.HELD,
    }
    (_, text, _), *_ = asked("sge/listing.txt", "some")
    assert sge.parse(text) == {
        "4": Phase.STUCK,
        "5": Phase.HELD,
        "6": Phase.RUNNING,  # two of its tasks run, four wait
        "7": Phase.HELD,  # suspended
        "8": Phase.ENDING,
        "9": Phase.PENDING,
    }


def test_no_jobs_is_a_document_and_no_text_is_no_listing() -> None:
    (_, text, _), *_ = asked("sge/listing.txt", "none")
    assert sge.parse(text) == {}
    with pytest.raises(LookFailed, match="no whole XML listing; it said: nothing"):
        sge.parse("")


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("r", Phase.RUNNING),
        ("t", Phase.RUNNING),
        ("Rr", Phase.RUNNING),
        ("hr", Phase.RUNNING),
        ("qw", Phase.PENDING),
        ("Rq", Phase.PENDING),
        ("hqw", Phase.HELD),
        ("hRwq", Phase.HELD),
        ("s", Phase.HELD),
        ("hs", Phase.HELD),
        ("S", Phase.HELD),
        ("T", Phase.HELD),
        ("Eqw", Phase.STUCK),
        ("Ehqw", Phase.STUCK),
        ("dr", Phase.ENDING),
        ("dt", Phase.ENDING),
        ("dEqw", Phase.ENDING),
        ("", Phase.UNKNOWN),
        ("X", Phase.UNKNOWN),
    ],
)
def test_phases(state: str, phase: Phase) -> None:
    assert sge.parse(_document(("7", state))) == {"7": phase}


@given(st.from_regex(r"[A-Za-z]{0,6}", fullmatch=True))
def test_an_unknown_state_keeps_its_row_and_the_rest(state: str) -> None:
    listing = sge.parse(_document(("7", state), ("8", "r")))
    assert listing.keys() == {"7", "8"}
    assert listing[JobID("8")] is Phase.RUNNING


def test_noise_around_the_document_is_passed_over() -> None:
    assert sge.parse("node07\n<b>hello\n" + LISTING + "bye\n") == sge.parse(LISTING)


@given(st.integers(0, len(LISTING.rstrip()) - 1))
def test_half_a_document_is_a_failed_look(length: int) -> None:
    with pytest.raises(LookFailed):
        sge.parse(LISTING[:length])


@pytest.mark.parametrize("declared", ["<!DOCTYPE job_info [", "<!ENTITY a 'b'>", "<!doctype x>"])
def test_declarations_are_not_read(declared: str) -> None:
    with pytest.raises(LookFailed, match="declarations"):
        sge.parse(declared + LISTING)


def test_a_job_without_a_number_is_a_failed_look() -> None:
    with pytest.raises(LookFailed, match="without a number"):
        sge.parse(_document(("7x", "r")))


def test_a_name_that_xml_does_not_allow_hides_nobody() -> None:
    odd = LISTING.replace("run1", "gr\udcfc\x1b\x00\ufffe")
    assert sge.parse(odd) == sge.parse(LISTING)


@pytest.mark.parametrize(
    ("script", "where"),
    [
        ("#!/bin/sh\n#$ -pe smp 4\n", ["-cwd"]),
        ("#!/bin/sh\n#$ -cwd -V\n", []),
        ("#!/bin/sh\n#$-cwd\n", []),
        ("#!/bin/sh\n#$ -j y -wd /scratch/x\n", []),
        ("#!/bin/sh\n# -cwd\necho -cwd\n#$ -N a-cwd\n", ["-cwd"]),
    ],
)
def test_a_script_runs_in_its_own_folder_unless_it_says_where(
    script: str, where: list[str]
) -> None:
    assert sge.submit_command(script, "t1.2") == ["qsub", "-ac", "jobmon=t1.2", *where]


def _expected(answer: Answered) -> type[Answer]:
    code, out, err = answer.output
    if code == 0:
        return Accepted if "submitted" in out else Unclear
    if "env SGE" in answer.command:
        return NotRun
    return Unclear if "answer list" in err else Refused


@pytest.mark.parametrize("answer", SUBMITTED, ids=[a.command for a in SUBMITTED])
def test_recorded_answers_of_qsub(answer: Answered) -> None:
    said = sge.accepted(answer.output[0], answer.text)
    assert type(said) is _expected(answer)
    if isinstance(said, Accepted):
        assert f" {said.jobid}" in answer.output[1]
        assert said.jobid.isdigit()


def test_recorded_ids_of_the_lab() -> None:
    lines = (GOLDENS / "sge" / "lab.qsub.txt").read_text().splitlines()[1:]
    ids = [sge.accepted(0, f"node07\n{line}\n12") for line in lines]
    assert ids == [Accepted(JobID(n)) for n in ("4", "5", "6", "7", "8", "9", "10")]


@pytest.mark.parametrize(
    ("code", "text", "answer"),
    [
        (
            0,
            'Unable to run job: warning: no suitable queues\nYour job 32 ("q") has been submitted',
            Accepted(JobID("32")),
        ),
        (
            1,
            'Unable to run job: unknown resource "nosuch"\nExiting.',
            Refused('unknown resource "nosuch"'),
        ),
        (
            1,
            'Unable to run job: denied: host "x" is no submit host.\nExiting.',
            Refused('denied: host "x" is no submit host.'),
        ),
        (
            127,
            "sh: 1: qsub: not found",
            NotRun("'qsub' cannot be run there: sh: 1: qsub: not found"),
        ),
    ],
)
def test_answers(code: int, text: str, answer: Answer) -> None:
    assert sge.accepted(code, text) == answer


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1, "Unable to run job: failed receiving gdi request response for mid=1\nExiting."),
        (1, 'Unable to run job: unable to contact qmaster using port 6444 on host "x"\nExiting.'),
        (0, 'Unable to run job: unknown resource "nosuch"\nExiting.'),
        (0, 'Your job 1 ("a") has been submitted\nYour job 2 ("b") has been submitted'),
        (0, "35"),
        (143, "Terminated"),
        (127, "sh: 1: ./qsub.0: not found"),
    ],
)
def test_what_is_unclear(code: int, text: str) -> None:
    assert isinstance(sge.accepted(code, text), Unclear)


def test_find_in_recorded_answers() -> None:
    assert sge.find(asked("sge/find.txt", "none")) == {}
    found = sge.find(asked("sge/find.txt", "some"))
    expected = {"tok-eqw": "4", "tok-held": "5", "tok-arr": "6", "s": "7", "tok-run": "8", "p": "9"}
    assert found == expected
    found = sge.find(asked("sge/find.txt", "contexts"))
    assert found == {"tok_1": "32", "tok_2": "33", "tok_3": "34", "tok_4": "35"}


def test_find_needs_qstat() -> None:
    with pytest.raises(LookFailed, match="exit code 1: error: commlib error"):
        sge.find(asked("sge/confirm.txt", "down"))


@pytest.mark.parametrize(
    ("case", "jobid", "gone", "reason"),
    [
        # The accounting has a record of it, and it waits all the same.
        (
            "eqw",
            "4",
            False,
            Reason(
                Cause.NEVER_STARTED,
                'error: can\'t open output file "/nonexistent/": Is a directory',
            ),
        ),
        ("held", "5", False, None),
        ("arr", "6", False, None),
        ("susp", "7", False, None),
        (
            "run",
            "8",
            True,
            Reason(Cause.EXIT, "deleted by hand (qdel), or else killed by signal 9 (Killed)"),
        ),
        ("pend", "9", False, None),
        ("unknown", "999999", True, None),
    ],
)
def test_recorded_ends(case: str, jobid: str, gone: bool, reason: Reason | None) -> None:
    outputs = asked("sge/confirm.txt", case)
    assert sge.verdict(JobID(jobid), outputs) == Verdict(gone=gone, reason=reason)


@pytest.mark.parametrize(
    ("jobid", "reason"),
    [
        (
            "2",
            Reason(Cause.TIME, "out of time (limit h_rt=3, used 3s), killed by signal 9 (Killed)"),
        ),
        ("3", Reason(Cause.EXIT, "exit code 3")),
        (
            "4",
            Reason(Cause.EXIT, "deleted by hand (qdel), or else killed by signal 9 (Killed)"),
        ),
        ("5", Reason(Cause.EXIT, "killed by signal 11 (Segmentation fault)")),
        ("6", Reason(Cause.EXIT, "exit code 1")),  # had a limit of memory, did not reach it
        ("8", Reason(Cause.EXIT, "ended with exit code 0 but wrote no marker")),
        (
            "23",
            Reason(
                Cause.TIME,
                "out of time (limit s_rt=2, used 3s), killed by signal 10 (User defined signal 1)",
            ),
        ),
        ("25", Reason(Cause.EXIT, "exit code 1")),  # the second task of an array
        (
            "26",
            Reason(
                Cause.NEVER_STARTED, "the script was not started: changing into working directory"
            ),
        ),
    ],
)
def test_recorded_records(jobid: str, reason: Reason) -> None:
    said = [a.output for a in recorded("sge/confirm.txt") if a.command == f"qacct -j {jobid}"]
    denied = (1, "", f"Following jobs do not exist: \n{jobid}\n")
    assert sge.verdict(JobID(jobid), [denied, said[-1]]) == Verdict(gone=True, reason=reason)


def test_the_record_and_the_error_of_the_lab() -> None:
    lab = (GOLDENS / "sge" / "lab.qacct-j-fail.txt").read_text()
    denied = (1, "", "Following jobs do not exist: \n10\n")
    assert sge.verdict(JobID("10"), [denied, (0, lab, "")]).reason == Reason(
        Cause.EXIT, "exit code 3"
    )
    lab = (GOLDENS / "sge" / "lab.qstat-j-eqw.txt").read_text()
    words = 'error: can\'t open output file "/nonexistent/dir/": No such file or directory'
    assert sge.verdict(JobID("8"), [(0, lab, ""), NO_RECORD]) == Verdict(
        gone=False, reason=Reason(Cause.NEVER_STARTED, words)
    )


@pytest.mark.fault("Batch systems: an id counter that starts again (an old record)")
def test_only_the_denial_of_this_very_id_counts() -> None:
    assert sge.verdict(JobID("8"), [GONE, NO_RECORD]) == Verdict(gone=True)
    assert sge.verdict(JobID("8"), [GONE]) == Verdict(gone=False)
    record = (0, "=" * 62 + "\njobnumber    8\nfailed       0\nexit_status  3\n", "")
    for no in (
        (1, "", "Following jobs do not exist: \n88\n"),
        (1, "", "Following jobs do not exist: \n"),
        (0, "", ""),
        (124, "", ""),
        *asked("sge/confirm.txt", "down"),
    ):
        assert not sge.verdict(JobID("8"), [no, record]).gone


@pytest.mark.fault("Batch systems: an id counter that starts again (an old record)")
def test_a_number_used_again_shows_its_newest_submission() -> None:
    def record(when: str, task: str, status: int) -> str:
        said = f"jobnumber    8\ntaskid {task}\nqsub_time {when}\nfailed 0\nexit_status  {status}\n"
        return "=" * 62 + "\n" + said

    text = record("2019", "undefined", 7) + record("2026", "1", 9) + record("2026", "1", 0)
    text += record("2026", "2", 4)
    reason = Reason(Cause.EXIT, "exit code 4")
    assert sge.verdict(JobID("8"), [GONE, (0, text, "")]).reason == reason


def test_a_limit_of_memory_that_was_reached_is_named() -> None:
    text = (
        "=" * 62 + "\njobnumber    8\nfailed       100 : assumedly after job\n"
        "exit_status  137                  (Killed)\nru_wallclock 3s\nmaxvmem      1.2GB\n"
        "category     -l h_rt=3600,h_vmem=1G\n"
    )
    words = "out of memory (limit h_vmem=1G, used 1.2GB), killed by signal 9 (Killed)"
    assert sge.verdict(JobID("8"), [GONE, (0, text, "")]).reason == Reason(Cause.MEMORY, words)


def test_delete_command() -> None:
    assert sge.delete_command([JobID("7"), JobID("8")]) == ["qdel", "7", "8"]
