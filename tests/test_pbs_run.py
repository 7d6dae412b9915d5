"""Whole runs on a stand-in for PBS (``tests/standins/pbs``: no PBS is had here), through real SSH.

One long run: what ends well, what ends badly, and a server that is down, hangs, takes a job and
never says so, begins its numbers anew, and keeps no history.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TestCluster, shared
from gate_lab import running
from pbs_lab import PbsNode, pbs_node
from session import events, jobmon, status, until
from story_lab import PULLS, Story, tree
from test_faults_batch import on_the_gate

STAGES = ("down", "hung", "lost", "off")
CHAIN = 'o\'dd "ü", name'
SHORT = PULLS | {"jobmon.cluster.cluster.COMMAND_LIMIT": 10, "jobmon.cycle.answers.PAUSE": 1}
BODY = {
    f"{CHAIN}/qsub.0": "echo 0 > result.0",
    f"{CHAIN}/qsub.1": "cat result.0 > result.1",
    f"{CHAIN}/qsub.2": "cat result.1 > result.2",
    "array/qsub.0": "echo 1 > part.$PBS_ARRAY_INDEX; echo $PBS_JOBID\nset -- part.?; [ $# = 3 ] || exit 0",
    "fails/qsub.0": "echo no convergence >&2; exit 3",
    "fails/qsub.1": "true",
    "slow/qsub.0": "sleep 300",
    "deleted/qsub.0": "sleep 300",
    "killed/qsub.0": "sleep 300",
}
NEEDS = {f"{CHAIN}/qsub.1": "0", f"{CHAIN}/qsub.2": "1", "fails/qsub.1": "0"}
LINES = {"array/qsub.0": "#PBS -J 1-3\n", "slow/qsub.0": "#PBS -l walltime=00:00:02\n"}


def _put(init: Path, key: str) -> None:
    path = init / key
    path.parent.mkdir(parents=True, exist_ok=True)
    job_id = path.name.removeprefix("qsub.")
    path.write_text(
        f"#!/bin/bash\n#PBS -l select=1:ncpus=1\n{LINES.get(key, '')}"
        # As on a real one, it begins in the home folder.
        '[ "$PWD" = "$HOME" ] || exit 7\ncd "$PBS_O_WORKDIR" || exit 9\n'
        f"echo x >> started.{job_id}${{PBS_ARRAY_INDEX:+.$PBS_ARRAY_INDEX}}\n"
        f"{BODY[key]}\ntouch qsub.finished.{job_id}\n"
    )
    need = f"qsub.finished.{NEEDS[key]}\n" if key in NEEDS else ""
    path.with_name(f"qsub.dependency.{job_id}").write_text(need)


@pytest.fixture(scope="module", params=[shared("pbs")])
def story(
    testcluster: TestCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Story, PbsNode]]:
    project = tmp_path_factory.mktemp("pbs") / "project"
    tree(project, STAGES, fail=("off",))
    for key in BODY:
        _put(project / "init", key)
    with pbs_node(testcluster) as node:
        node.turn("history")
        flags = ("--scheduler", "auto")
        with running(node.gate, project, *flags, constants=SHORT) as daemon:
            tale = Story(daemon)
            try:
                _ends(tale, node)
            except AssertionError:
                sys.stderr.write(daemon.said())
                raise
            _faults(tale, node)
            tale.end(code=1)
            yield tale, node


def _ends(tale: Story, node: PbsNode) -> None:
    """Everything but the stages comes to its end."""
    twin = tale.daemon.twin
    for name in ("deleted", "killed"):
        until((twin / name / "started.0").exists, what=f"{name} to run")
    node.run(f"qdel {tale.jobid('deleted/qsub.0')}")
    jobmon("kill", "--run", tale.daemon.run, "killed/qsub.0", code=0)
    until(lambda: tale.count("killed", "killed/"), what="the kill")
    until(lambda: tale.count("failed") == 3, what="three that failed")
    until(lambda: tale.count("finished") == 4, what="the chain and the array")
    until(lambda: all((twin / name / "started.0").exists() for name in STAGES))


def _faults(tale: Story, node: PbsNode) -> None:
    with tale.stage("down"):
        node.turn("down")
        tale.go("down")
        tale.gave_up()
        node.turn("down", on=False)
    with tale.stage("hung"):
        node.turn("hung")
        tale.go("hung")
        tale.gave_up()
        node.turn("hung", on=False)
    with tale.stage("lost") as stage:
        node.turn("jump")
        node.turn("lost")
        tale.go("lost")
        until(
            lambda: not (node.state / "lost").exists(), what="the submission that is not heard of"
        )
        stage.facts["jobid"] = tale.jobid("lost/qsub.1")
    with tale.stage("off", {"finished": 1, "failed": 1}):
        node.turn("history", on=False)
        tale.go("off")


@on_the_gate
def test_a_chain_runs_in_its_folder(story: tuple[Story, PbsNode]) -> None:
    tale, _ = story
    run = tale.daemon.run
    assert (run / CHAIN / "result.2").read_text() == "0\n"
    assert "scheduler: pbs" in (run / "jobmon.yaml").read_text()


@on_the_gate
def test_an_array_is_one_job(story: tuple[Story, PbsNode]) -> None:
    tale, _ = story
    run = tale.daemon.run
    assert re.fullmatch(r"[0-9]+\[\]\.vm", tale.jobid("array/qsub.0"))
    assert tale.count("started", "array/") == 1 and tale.count("finished", "array/") == 1
    number = tale.jobid("array/qsub.0").partition("[")[0]
    printed = sorted((run / "array").glob(f"qsub.0.o{number}.*"))
    assert [path.read_text() for path in printed] == [f"{number}[{i}].vm\n" for i in (1, 2, 3)]


@on_the_gate
def test_each_end_has_its_reason(story: tuple[Story, PbsNode]) -> None:
    tale, node = story
    jobs = status(tale.daemon.run)["job"]
    said = {key: jobs[key]["reason"] for key in jobs if jobs[key]["state"] in ("failed", "killed")}
    assert "exit code 3" in said["fails/qsub.0"] and "no convergence" in said["fails/qsub.0"]
    assert said["slow/qsub.0"].startswith("out of time (limit walltime=00:00:02")
    assert said["deleted/qsub.0"] == f"deleted by hand: terminated by {node.gate.user}@localhost"
    assert jobs["killed/qsub.0"]["state"] == "killed"
    assert jobs["fails/qsub.1"]["state"] == "blocked"
    assert "no convergence" in said["off/qsub.1"]  # no history: the job's own last line


@on_the_gate
@pytest.mark.fault("Batch systems: down")
def test_a_server_that_is_down_and_comes_back(story: tuple[Story, PbsNode]) -> None:
    stage = story[0].stages["down"]
    stage.holds()
    assert "cannot connect to server vm (errno=15010)" in stage.said


@on_the_gate
@pytest.mark.fault("Batch systems: hung (every command has a limit and is ended)")
def test_a_server_that_hangs(story: tuple[Story, PbsNode]) -> None:
    stage = story[0].stages["hung"]
    stage.holds()
    assert "no answer within 10 s" in stage.said


@on_the_gate
@pytest.mark.fault("Batch systems: a submission whose answer is lost, without a token (PBS)")
def test_a_submission_that_was_not_heard_of_is_found_by_its_folder(
    story: tuple[Story, PbsNode],
) -> None:
    tale, _ = story
    stage = tale.stages["lost"]
    stage.holds()
    assert str(stage.facts["jobid"]) == "3000.vm"  # the numbers jumped, as at a restart
    assert (tale.daemon.twin / "lost" / "started.1").read_text() == "x\n"
    assert [line for line in events(tale.daemon.run) if " submitting lost/qsub.1 " in line] != []
    assert tale.count("submitting", "lost/qsub.1") == 1


@on_the_gate
def test_without_a_history_a_denial_is_enough(story: tuple[Story, PbsNode]) -> None:
    story[0].stages["off"].holds()


@on_the_gate
@pytest.mark.fault("Batch systems: nothing is doubled by any of it")
def test_each_script_ran_once_on_pbs(story: tuple[Story, PbsNode]) -> None:
    story[0].stages["end"].holds()
