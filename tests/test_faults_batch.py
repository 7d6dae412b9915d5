"""Batch systems that are down, hang, lie or are changed by hand, under a whole run.

The real Slurm and Grid Engine do the work; what stands before their commands are stand-ins that
pass on, or print what a broken one prints, as a test tells them while the run goes on.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
from conftest import TestCluster, shared
from faults_lab import Lab, Running
from gate_lab import SSHD, Gate, gate, running
from session import status, until
from shell_lab import SHELLS
from story_lab import PULLS, Story, tree
from test_batch_contract import asked, recorded

from jobmon.cluster.base import frame
from jobmon.cluster.ledger import Order
from jobmon.core.model import Accepted, Answer, Attempt, JobID, Key

Test = TypeVar("Test", bound=Callable[..., None])
STAGES = (
    *("down", "hung", "hungsubmit", "empty", "halfline", "halfrows", "garbage", "state"),
    *("off", "late", "old", "deleted", "held"),
)
SHORT = PULLS | {"jobmon.cluster.cluster.COMMAND_LIMIT": 4, "jobmon.cycle.answers.PAUSE": 1}
GARBAGE = "head -c 3000 /dev/urandom; echo '<html><b>502</b> RUNNING 17 qsub.0</html>'; exit 0"
NOTHING = "exit 0"
CONTROL = {"hpc": ("squeue", "scontrol"), "sge": ("qstat",)}
LIST = {"hpc": "squeue", "sge": "qstat"}
SUBMIT = {"hpc": "sbatch", "sge": "qsub"}
SYSTEM = {"hpc": "slurm", "sge": "sge"}
TELL = {"hpc": "sacct", "sge": "qacct"}
HALF_ROWS = {
    "hpc": '"$real" "$@" | awk "NR % 2"; exit 0',
    "sge": '"$real" "$@" | awk \'/<job_list/ { skip = ++n % 2 } !skip; /<\\/job_list>/ { skip = 0 }\'; exit 0',
}
NEW_STATE = {
    "hpc": '"$real" "$@" | sed "s/RUNNING/TELEPORTING/"; exit 0',
    "sge": '"$real" "$@" | sed "s,<state>r</state>,<state>X</state>,"; exit 0',
}


def on_the_gate(test: Test) -> Test:
    """Of the tests of the one long run."""
    no_sshd = pytest.mark.skipif(SSHD is None, reason="no sshd")
    marked: Test = pytest.mark.cluster(no_sshd(test))
    return marked


def says(code: int, out: str, err: str) -> str:
    return f"cat <<'OUT'\n{out}OUT\ncat >&2 <<'ERR'\n{err}ERR\nexit {code}"


def down(host: str) -> dict[str, str]:
    """What each command prints while nobody listens, as recorded."""
    if host == "sge":
        gone = says(*asked("sge/confirm.txt", "down")[0])
        return {"qstat": gone, "qsub": gone, "qdel": gone}
    gone = says(*asked("slurm/confirm.txt", "down")[0])
    refused = next(a for a in recorded("slurm/sbatch.txt") if "SLURM_CONF=down.conf" in a.command)
    return {"squeue": gone, "scontrol": gone, "sbatch": says(*refused.output)}


@pytest.fixture(scope="module", params=map(shared, ["hpc", "sge"]))
def story(
    testcluster: TestCluster,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Story]:
    project = tmp_path_factory.mktemp("lies") / "project"
    tree(project, STAGES, fail=("off", "late"), late=("held",))
    ssh = "fabric" if request.param == "hpc" else "openssh"
    with (
        gate(testcluster, request.param) as node,
        running(
            node, project, "--ssh", ssh, "--scheduler", SYSTEM[request.param], constants=SHORT
        ) as daemon,
    ):
        tale = Story(daemon)
        tale.begun()
        _lies(tale, node, request.param)
        _by_hand(tale, node, request.param)
        tale.end(code=1)
        yield tale


def _lies(tale: Story, node: Gate, host: str) -> None:
    with tale.stage("down"):
        for name, text in down(host).items():
            node.lie(name, text)
        tale.go("down")
        tale.gave_up()
        node.truth(LIST[host])  # seen again, but nothing can be submitted yet
        until(
            lambda: tale.count("unsubmitted", "down/qsub.1"),
            what="a submission that reached nobody",
        )
        node.truth()
    with tale.stage("hung") as stage:
        pids = node.root / "hung"
        node.lie(LIST[host], f"echo $$ >>{pids}; sleep 600 & echo $! >>{pids}; wait")
        tale.go("hung")
        tale.gave_up()
        node.truth()
        until(lambda: not any(map(_lives, pids.read_text().split())), what="their end")
        stage.facts["calls"] = len(pids.read_text().split())
    with tale.stage("hungsubmit"):
        calls = node.root / "calls"
        node.lie(SUBMIT[host], f'echo "$@" >>{calls}; "$real" "$@" >/dev/null 2>&1; sleep 600')
        tale.go("hungsubmit")
        until(calls.exists, what="the submission that hangs")
        node.truth()
    with tale.stage("empty"):
        for name in CONTROL[host]:
            node.lie(name, NOTHING)
        node.lie(TELL[host], NOTHING)
        tale.go("empty")
        time.sleep(5)
        node.truth()
    with tale.stage("halfline"):
        node.lie(LIST[host], '"$real" "$@" | head -c 99; exit 0')
        tale.go("halfline")
        tale.gave_up()
        node.truth()
    with tale.stage("halfrows"):
        node.lie(LIST[host], HALF_ROWS[host])
        tale.go("halfrows")
        time.sleep(4)
        node.truth()
    with tale.stage("garbage"):
        for name in (*CONTROL[host], TELL[host]):
            node.lie(name, GARBAGE)
        tale.go("garbage")
        tale.gave_up()
        node.truth()
    with tale.stage("state"):
        node.lie(LIST[host], NEW_STATE[host])
        tale.go("state")
        tale.looks(3)
        node.truth()
    with tale.stage("off", {"finished": 1, "failed": 1}):
        out = "Slurm accounting storage is disabled\n"
        node.lie(TELL[host], says(1, "", out if host == "hpc" else "no accounting file\n"))
        tale.go("off")
        until(lambda: tale.count("failed", "off/"), what="the end of a job")
    with tale.stage("late", {"finished": 1, "failed": 1}):
        late = (0, "", "") if host == "hpc" else (1, "", "error: job id 9 not found\n")
        node.lie(TELL[host], says(*late))
        tale.go("late")
        until(lambda: tale.count("failed", "late/"), what="the end of a job")
    node.truth()
    with tale.stage("old"):
        # The number of a living job stands in the accounting as that of an old one.
        number = tale.jobid("old/qsub.0")
        for name, text in _quiet(host, number).items():
            node.lie(name, text)
        node.lie(TELL[host], says(0, _old_record(host, number), ""))
        time.sleep(4)
        node.truth()
        tale.go("old")


def _quiet(host: str, number: str) -> dict[str, str]:
    """Nothing is listed, and asked for this one job nothing is said; all with exit code 0."""
    if host == "hpc":
        listing = f'case "$*" in *--jobs={number}*) exit 0 ;; *--jobs*) ;; *) exit 0 ;; esac'
        return {"squeue": listing, "scontrol": f'case "$*" in *" {number}") exit 0 ;; esac'}
    empty = "<job_info><queue_info></queue_info><job_info></job_info></job_info>"
    return {
        "qstat": f'case "$*" in *-xml*) echo "{empty}"; exit 0 ;; "-j {number}") exit 0 ;; esac'
    }


def _old_record(host: str, number: str) -> str:
    if host == "hpc":
        return f"{number}|FAILED|3:0|1:00|4G||n1\n"
    text = (Path(__file__).parent / "goldens/sge/lab.qacct-j-fail.txt").read_text()
    return text.partition("\n")[2].replace("jobnumber    10 ", f"jobnumber    {number} ")


def _by_hand(tale: Story, node: Gate, host: str) -> None:
    with tale.stage("deleted", {"failed": 1}):
        delete = "scancel" if host == "hpc" else "qdel"
        node.run(f"{delete} {tale.jobid('deleted/qsub.0')}")
    with tale.stage("held"):
        tale.go("held")
        number = tale.jobid("held/qsub.1")
        slurm = host == "hpc"
        node.run(f"scontrol hold {number}" if slurm else f"qhold {number}")
        tale.looks(2)
        name = f"scontrol update JobId={number} JobName=other" if slurm else f"qalter -N o {number}"
        node.run(name)
        tale.looks(2)
        assert status(tale.daemon.run)["state"]["held/qsub.1"] == "submitted"
        begin = f"scontrol update JobId={number} StartTime=now"
        node.run(begin if slurm else f"qalter -a 202001010000 {number}")
        node.run(f"scontrol release {number}" if slurm else f"qrls {number}")


def _lives(pid: str) -> bool:
    """Whether it runs: one that nobody has waited for yet does not."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, check=False).stdout
    return said.strip()[:1] not in (b"", b"Z")


@on_the_gate
@pytest.mark.fault("Batch systems: down")
def test_a_batch_system_that_is_down(story: Story) -> None:
    story.stages["down"].holds()


@on_the_gate
@pytest.mark.fault("Batch systems: hung (every command has a limit and is ended)")
def test_a_batch_system_that_hangs_is_ended_with_its_children(story: Story) -> None:
    story.stages["hung"].holds()
    assert story.stages["hung"].facts["calls"]
    assert story.stages["hung"].times("no answer within 4 s, so it was ended") == 1


@on_the_gate
@pytest.mark.fault("Batch systems: hung (a submission that was accepted all the same)")
def test_a_submission_that_hangs_after_it_was_accepted(story: Story) -> None:
    story.stages["hungsubmit"].holds()
    assert (story.daemon.gate.root / "calls").read_text().count("\n") == 1


@on_the_gate
@pytest.mark.fault("Batch systems: empty with exit code 0")
def test_a_batch_system_that_says_nothing_with_exit_code_0(story: Story) -> None:
    story.stages["empty"].holds()


@on_the_gate
@pytest.mark.fault("Batch systems: half a listing")
@pytest.mark.parametrize("stage", ["halfline", "halfrows"])
def test_half_a_listing(story: Story, stage: str) -> None:
    story.stages[stage].holds()


@on_the_gate
@pytest.mark.fault("Batch systems: garbage")
def test_a_batch_system_that_prints_garbage(story: Story) -> None:
    story.stages["garbage"].holds()
    said = story.stages["garbage"].said
    assert [c for c in said if not c.isprintable() and c != "\n"] == []


@on_the_gate
@pytest.mark.fault("Batch systems: a new state")
def test_a_new_state_is_in_the_batch_system_and_said_once(story: Story) -> None:
    story.stages["state"].holds()
    assert story.daemon.said().count("in a state that jobmon does not know") == 1


@on_the_gate
@pytest.mark.fault("Batch systems: accounting off or late")
@pytest.mark.parametrize("stage", ["off", "late"])
def test_accounting_that_is_off_or_late(story: Story, stage: str) -> None:
    story.stages[stage].holds()
    reason = status(story.daemon.run)["job"][f"{stage}/qsub.1"]["reason"]
    assert "no convergence" in reason


@on_the_gate
@pytest.mark.fault("Batch systems: an id counter that starts again (an old record)")
def test_an_old_record_of_the_same_number_is_no_end(story: Story) -> None:
    story.stages["old"].holds()


@on_the_gate
@pytest.mark.fault("Batch systems: jobs deleted by hand")
def test_a_job_that_is_deleted_by_hand(story: Story) -> None:
    story.stages["deleted"].holds()
    assert story.stages["end"].trouble == ""
    found = status(story.daemon.run)
    assert found["state"]["deleted/qsub.1"] == "blocked"
    assert found["job"]["deleted/qsub.0"]["reason"]


@on_the_gate
@pytest.mark.fault("Batch systems: jobs held or changed by hand")
def test_a_job_that_is_held_and_changed_by_hand(story: Story) -> None:
    story.stages["held"].holds()


@on_the_gate
@pytest.mark.fault("Batch systems: nothing is doubled by any of it")
def test_each_script_ran_once_under_all_of_it(story: Story) -> None:
    story.stages["end"].holds()
    counts = status(story.daemon.run)["counts"]
    assert counts == {"finished": 2 * len(STAGES) - 4, "failed": 3, "blocked": 1}


# --- without the long run ----------------------------------------------------------------------


@pytest.mark.fault("Batch systems: hung (where there is no timeout command)")
@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_is_ended_with_its_children_where_there_is_no_timeout(
    tmp_path: Path, shell: str
) -> None:
    words = SHELLS[shell]
    for name in ("sh", "cat", "sleep", "ps", "kill"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    pids = tmp_path / "pids"
    # When the first of its children is dead, it would come to a good end before the second is.
    sleeps = f"sleep 300 &\necho $! >>{pids}\n"
    hangs = f"{sleeps}first=$!\n{sleeps}echo begun\nwait $first\necho over\nexit 0\n"
    (tmp_path / "hangs").write_text(f"#!/bin/sh\necho $$ >{pids}\n{hangs}")
    (tmp_path / "hangs").chmod(0o755)
    steps = [["x", "hangs"], ["x", "cat", "pids"], ["q"]]
    program = frame("ask", ["", "r", "2"], "jmX", steps)
    began = time.monotonic()
    done = subprocess.run(
        [shutil.which(words[0]) or "", *words[1:], "-c", program],
        stdin=subprocess.DEVNULL,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert time.monotonic() - began < 200, "it would sleep for 300 s"
    assert "begun\n\njmX ran 137\n" in done.stdout and "\njmX ran 0\n" in done.stdout
    assert "jmX whole" in done.stdout and "over" not in done.stdout
    assert len(pids.read_text().split()) == 3
    until(lambda: not any(map(_lives, pids.read_text().split())), what="their end")


@pytest.mark.fault("Batch systems: an id counter that starts again (a number twice in one run)")
def test_a_number_that_two_jobs_of_a_run_were_given(tmp_path: Path) -> None:
    lab = Lab(tmp_path, {"maxqsub": 1})
    for n in range(3):
        lab.put(f"m/qsub.{n}", f"qsub.finished.{n - 1}\n" if n else "")
    submit = lab.farm.submit

    def again(orders: Sequence[Order]) -> Iterator[tuple[Attempt, Answer | None]]:
        for attempt, answer in submit(orders):
            if isinstance(answer, Accepted):
                lab.farm.queue[JobID("7")] = lab.farm.queue.pop(answer.jobid)
                lab.farm.record[attempt] = JobID("7")
            yield attempt, Accepted(JobID("7")) if isinstance(answer, Accepted) else answer

    def listed() -> None:
        """Whoever asks to kill the first job must not be given the number of the next."""
        assert lab.know is not None
        numbers = [n for n in lab.know.listed().values() if n is not None]
        assert len(numbers) == len(set(numbers))

    lab.farm.submit = again  # type: ignore[method-assign]
    lab.farm.at_look = listed
    lab.session()
    assert set(lab.states().values()) == {"finished"}
    assert set(lab.farm.submissions.values()) == {1}


@pytest.mark.fault("Batch systems: an id counter that starts again (another's job has the number)")
@pytest.mark.parametrize("ended", ["finished", "failed"])
def test_a_number_that_somebody_else_s_job_was_given(tmp_path: Path, ended: str) -> None:
    """Our job ended unseen. It is not called anything without evidence: a marker counts at once,
    a failure is only known when the number has left the listing."""
    lab = Lab(tmp_path)
    lab.put("m/qsub.0")
    lab.farm.fails = {"theirs", *(["m/qsub.0"] if ended == "failed" else [])}
    leaves = lab.time.mono + 3600

    def given_away() -> None:
        if lab.farm.submissions and not lab.farm.queue and lab.time.mono < leaves:
            (number,) = [jobid for jobid in lab.farm.record.values() if jobid is not None]
            lab.farm.queue[number] = Running(Key("theirs"), leaves)

    lab.farm.at_look = given_away
    lab.session()
    assert lab.states() == {"m/qsub.0": ended}
    assert (lab.time.mono >= leaves) == (ended == "failed")
    assert lab.farm.submissions == {"m/qsub.0": 1}
