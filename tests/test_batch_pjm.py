"""PJM against what its manuals show; one run over stand-ins that answer so."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pjm_standin import install
from session import agree, chain, count, environment, jobmon, only_run, put, ran_once, status
from test_batch_contract import asked, recorded

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch.limits import Limit, commands, limits
from jobmon.cluster.batch.pjm import Pjm
from jobmon.cluster.probe import Probe, Tried, answering
from jobmon.core.model import Accepted, Answer, Cause, JobID, NotRun, Phase, Refused, Unclear
from jobmon.run.script import directives, output_patterns

pjm = Pjm()
ERR = "[ERR.] PJM {} pjsub {}".format


# --- pjsub ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        ("normal", Accepted(JobID("5300"))),
        ("bulk", Accepted(JobID("28128"))),
        ("step", Accepted(JobID("100"))),
        ("steps", Accepted(JobID("300"))),
        ("warned", Accepted(JobID("9714"))),
        ("group", Refused("Group not authorized to submit a job: group(59999)")),
        (
            "folder",
            Refused(
                "Specify --no-check-directory option if you want to submit jobs outside the data "
                "area."
            ),
        ),
        (
            "spack",
            Refused(
                "Specify --no-check-gfscache option if you do not want to use Spack and want to "
                "submit jobs."
            ),
        ),
    ],
)
def test_what_pjsub_says(case: str, answer: Answer) -> None:
    (said,) = (said for said in recorded("pjm/pjsub.txt") if said.case == case)
    assert pjm.accepted(said.output[0], said.text) == answer


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (1, ERR("0057", "node=32 is greater than the upper limit (24)."), Refused),
        (1, ERR("0070", "No execute permission: pjsub-bulk."), Refused),
        (1, ERR("0020", "Cannot open the file (rscgrp=fx-debug) : 2."), Refused),
        (1, ERR("0057", "ru-accept=101 is greater than the upper limit (100)."), NotRun),
        (0, ERR("0057", "node=32 is greater than the upper limit (24)."), Unclear),
        (1, ERR("0090", "Communication error: invalid answer."), Unclear),
        (1, ERR("0091", "Internal error."), Unclear),
        (1, ERR("0099", "something that no manual has"), Unclear),
        (127, "sh: 1: exec: pjsub: not found", NotRun),
        (1, "qsub: Group not authorized", Unclear),
    ],
)
def test_a_refusal_is_believed_where_its_words_are_clear(code: int, text: str, kind: type) -> None:
    assert isinstance(pjm.accepted(code, text), kind)


def test_an_id_outweighs_any_error() -> None:
    text = "[INFO] PJM 0000 pjsub Job 7 submitted.\n" + ERR("0070", "No execute permission: x.")
    assert pjm.accepted(1, text) == Accepted(JobID("7"))


def test_a_script_keeps_its_own_comment() -> None:
    assert pjm.submit_command("#!/bin/sh\n", "r-1") == ["pjsub", "--comment", "jobmon:r-1"]
    for own in ("#PJM --comment mine", "#PJM -L node=1 --comment=mine"):
        assert pjm.submit_command(f"#!/bin/sh\n{own}\n", "r-1") == ["pjsub"]
    other = "#!/bin/sh\n#PJM --commented x\n##PJM --comment x\n"
    assert len(pjm.submit_command(other, "r-1")) == 3


# --- pjstat --------------------------------------------------------------------------------


def test_listings() -> None:
    (_, text, _), *_ = asked("pjm/listing.txt", "some")
    running = dict.fromkeys(("238", "239", "240", "241"), Phase.RUNNING)
    assert pjm.parse(text) == running | {
        "242": Phase.PENDING,
        "243": Phase.HELD,
        "244": Phase.STUCK,
        "245": Phase.ENDING,
    }
    (_, text, _), *_ = asked("pjm/listing.txt", "parts")
    assert pjm.parse(text) == {
        "238": Phase.RUNNING,
        "239": Phase.RUNNING,
        "240": Phase.PENDING,
    }
    (_, text, _), *_ = asked("pjm/listing.txt", "none")
    assert pjm.parse(text) == pjm.parse("") == pjm.parse("\n") == {}


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        ("ACC", Phase.PENDING),
        ("RNA", Phase.PENDING),
        ("RNP", Phase.RUNNING),
        ("RNE", Phase.RUNNING),
        ("SPP", Phase.HELD),
        ("SPD", Phase.HELD),
        ("RSM", Phase.HELD),
        ("EXT", Phase.ENDING),
        ("CCL", Phase.ENDING),
        ("RJT", Phase.ENDING),
        ("XYZ", Phase.UNKNOWN),
    ],
)
def test_phases(state: str, phase: Phase) -> None:
    assert pjm.parse(f"JOB_ID     ST\n7          {state}\n8          RUN\n") == {
        "7": phase,
        "8": Phase.RUNNING,
    }


def test_noise_around_a_listing_is_passed_over() -> None:
    text = "Welcome\n\nJOB_ID     ST\n7          RUN\nscheduled stop: never\n"
    assert pjm.parse(text) == {"7": Phase.RUNNING}


@pytest.mark.parametrize(
    "text", ["Welcome", "7          RUN\n", "JOB_ID     ST\n7\n", "JOB_ID     ST\n7          RU"]
)
def test_half_a_listing_is_a_failed_look(text: str) -> None:
    with pytest.raises(LookFailed):
        pjm.parse(text)


def test_a_job_is_found_by_its_comment_and_nothing_else() -> None:
    assert pjm.find(asked("pjm/find.txt", "live")) == {
        "r1-aa.1": "9417",
        "r1-bb.2": "9410",
        "r1-cc.1": "9411",
    }
    live, _ = asked("pjm/find.txt", "live")
    assert pjm.find([live, (1, "", "[ERR.] PJM 0201 pjstat Unknown option")]) == {"r1-aa.1": "9417"}


@given(st.lists(st.integers(1, 99), min_size=2, max_size=5, unique=True))
def test_of_two_jobs_with_a_token_the_newer_counts(numbers: list[int]) -> None:
    text = "".join(f" JOB ID : {n}\n COMMENT : jobmon:t\n" for n in numbers)
    assert pjm.find([(0, text, ""), (0, "", "")]) == {"t": str(max(numbers))}


# --- the end of a job ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "job", "cause", "words"),
    [
        ("ended", "1234567", Cause.EXIT, "exit code 3"),
        (
            "time",
            "49047939",
            Cause.TIME,
            "out of time (its elapse limit); PJM says: ELAPSE LIMIT EXCEEDED",
        ),
        ("rejected", "1234570", Cause.NEVER_STARTED, "rejected: it breaks a rule of the site"),
        ("cancelled", "1234590", Cause.DELETED, "deleted by pjdel; PJM says: no longer wanted"),
    ],
)
def test_an_end_is_what_the_history_says(case: str, job: str, cause: Cause, words: str) -> None:
    verdict = pjm.verdict(JobID(job), asked("pjm/confirm.txt", case))
    assert verdict.gone
    assert verdict.reason is not None
    assert (verdict.reason.cause, verdict.reason.words) == (cause, words)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("EXT 0   0   0  -", "ended with exit code 0 but wrote no marker"),
        ("EXT 0   0   9  -", "killed by signal 9"),
        ("EXT -   -   -  -", "ended with exit code 0 but wrote no marker"),
        ("EXT 137 23  9  -", "out of memory (the OOM killer)"),
        ("EXT 0   20  9  -", "a node failed"),
        ("EXT 0   140 0  INTERNAL ERROR", "ended by PJM itself (job end code 140); PJM says: INTERNAL ERROR"),
        ("CCL -   -   -  -", "cancelled"),
        ("RJT -   -   -  -", "rejected"),
    ],
)  # fmt: skip
def test_reasons(row: str, words: str) -> None:
    text = f"JOB_ID     ST  EC  PC  SN REASON\n7          {row}\n"
    reason = pjm.verdict(JobID("7"), [(0, "", ""), (0, text, "")]).reason
    assert reason is not None
    assert reason.words == words


def test_a_job_that_lives_or_of_which_nobody_knows_is_not_gone() -> None:
    assert not pjm.verdict(JobID("238"), asked("pjm/confirm.txt", "running")).gone
    assert not pjm.verdict(JobID("7"), asked("pjm/confirm.txt", "unknown")).gone
    stuck = pjm.verdict(JobID("244"), asked("pjm/confirm.txt", "error"))
    assert not stuck.gone
    assert stuck.reason is not None
    assert "ERR" in stuck.reason.words
    _, ended = asked("pjm/confirm.txt", "ended")
    job = JobID("1234567")
    alive = (0, "JOB_ID     ST\n1234567    QUE\n", "")
    for live in (alive, (1, "", "[ERR.] PJM 0290 pjstat"), (0, "half", "")):
        assert not pjm.verdict(job, [live, ended]).gone
    assert not pjm.verdict(JobID("8"), [(0, "", ""), ended]).gone
    running = (0, ended[1] + "1234567    RUN 0   0   0  -\n", "")
    assert not pjm.verdict(job, [(0, "", ""), running]).gone


# --- scripts, and who answers ------------------------------------------------------------------


def test_directives_and_output_files() -> None:
    script = (
        '#!/bin/sh\n#PJM -L "node=1" -j\n#PJM -o logs/%j[%b].out --err=%n.err\ntrue\n#PJM -o late\n'
    )
    assert list(directives(script)) == [
        ("PJM", ["-L", "node=1", "-j"]),
        ("PJM", ["-o", "logs/%j[%b].out", "--err=%n.err"]),
    ]
    patterns = output_patterns(script)
    assert patterns[-2:] == [r"logs/*\[*].out", "*.err"]
    assert {"*.[0-9]*.out", "*.[0-9]*.err"} <= set(patterns)
    assert "*.[0-9]*.out" not in output_patterns("#!/bin/sh\n#SBATCH -n 1\n")


def test_pjm_answers_if_its_listing_does() -> None:
    probe = Probe(path="/usr/bin", tried={"pjm": Tried(0, "/usr/bin/pjstat", "")})
    assert answering(probe) == ["pjm"]
    probe.tried["pjm"] = Tried(0, "/usr/bin/pjstat", "Welcome\nJOB_ID     ST\n7          RUN")
    assert answering(probe) == ["pjm"]
    probe.tried["pjm"] = Tried(1, "/usr/bin/pjstat", "no")
    assert answering(probe) == []
    # The listing of a site's own program.
    own = "JOB_ID  JOB_NAME  STATUS  PROJECT  RSCGROUP\n1334861 STDIN     END     gr58     x"
    probe.tried["pjm"] = Tried(0, "/usr/bin/pjstat", own)
    assert answering(probe) == []


def test_the_limits_that_pjstat_tells() -> None:
    (_, text, _) = recorded("pjm/limit.txt")[0].output
    assert len(commands("pjm", "user1")) == 2
    assert limits("pjm", "user1", [(0, ""), (0, text)]) == [
        Limit(100, "ru-accept of user user1"),
        Limit(500, "ru-accept of all users together"),
    ]
    two = text + text.replace("rscunit1", "rscunit2")
    assert not any(limit.everywhere for limit in limits("pjm", "u", [(0, ""), (0, two)]))
    assert limits("pjm", "u", [(0, ""), (1, "[ERR.] PJM 0201 pjstat")]) == []


def test_check_asks_in_the_sites_words(project: Path, tmp_path: Path) -> None:
    tools = install(tmp_path / "pjm")
    text = (project / "jobmon.yaml").read_text().replace("scheduler: local", "scheduler: pjm")
    site = f"site:\n  commands:\n    pjstat: env WRAPPED=yes '{tools}/pjstat'\n"
    (project / "jobmon.yaml").write_text(text + site)
    put(project / "init", "a/qsub.0")
    said = jobmon("check", "--ldir", project).stdout
    assert re.search(r"^green +batch system +pjm$", said, re.M), said


# --- a run over stand-ins ----------------------------------------------------------------------


def test_a_run_over_stand_ins(project: Path, tmp_path: Path) -> None:
    """A chain, a refusal, a failure with its reason and its output, a job that is killed."""
    tools = install(tmp_path / "pjm")
    text = (project / "jobmon.yaml").read_text().replace("scheduler: local\n", "scheduler: auto\n")
    (project / "jobmon.yaml").write_text(text.replace("interval: 1", "interval: 0.3"))
    chain(project / "init", "m", 2, "sleep 0.2")
    put(project / "init", "fails/qsub.0", "echo 'no convergence' >&2; exit 3")
    put(project / "init", "long/qsub.0", "sleep 300")
    put(project / "init", "big/qsub.0")
    for script in (project / "init").glob("*/qsub.?"):
        lines = "#PJM -L node=9999\n" if script.parent.name == "big" else "#PJM -L node=1\n"
        script.write_text(script.read_text().replace("#SBATCH -n 1\n", lines))
    env = environment(PATH=f"{tools}:/usr/bin:/bin:{os.environ['PATH']}")
    started = jobmon("--ldir", project, "--initonly", code=0, env=env).stdout
    assert "on pjm," in started
    run = only_run(project)
    jobmon("--ldir", run, "--once", code=1, env=env)
    jobmon("kill", "--run", run, "long", code=0, env=env)
    jobmon("--ldir", run, code=1, env=env)
    found = status(run)
    assert found["state"] == {
        "m/qsub.0": "finished",
        "m/qsub.1": "finished",
        "fails/qsub.0": "failed",
        "long/qsub.0": "killed",
        "big/qsub.0": "failed",
    }
    assert "exit code 3" in found["job"]["fails/qsub.0"]["reason"]
    assert "no convergence" in found["job"]["fails/qsub.0"]["reason"]
    assert "greater than the upper limit" in found["job"]["big/qsub.0"]["reason"]
    assert list((run / "fails").glob("qsub.0.*.err"))
    assert count(run, "started") == 4
    agree(run)
    ran_once(Path(found["run"]) if "run" in found else run)
