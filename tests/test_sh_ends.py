"""How a submitting shell ends: the one at home leaves, a command hangs, and all is done."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shell_lab import SHELLS, Lab

from jobmon.cluster import ledger
from jobmon.cluster.base import call, frame
from jobmon.core.model import Accepted, JobID, Unclear


@pytest.fixture(params=SHELLS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, SHELLS[request.param])


def until(true: Callable[[], object], limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def lives(pid: str) -> bool:
    """Also a zombie, whose parent has gone, is no more."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, check=False)
    return done.stdout.strip()[:1] not in (b"", b"Z")


@pytest.mark.parametrize("hangup", [False, True])
def test_the_one_at_home_leaves_while_qsub_is_at_work(lab: Lab, hangup: bool) -> None:
    """Its answer is recorded all the same; nothing more is begun."""
    lab.mode("slow")
    orders = [lab.order("m/qsub.0"), lab.order("m/qsub.1"), lab.order("m/qsub.2")]
    with subprocess.Popen(
        lab.argv(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write(lab.wire(*orders))
        process.stdin.close()
        until(lab.calls)
        process.stdout.close()
        if hangup:
            os.killpg(process.pid, signal.SIGHUP)
        (lab.fake / "go").touch()
        process.wait(60)
    assert (lab.entry(orders[0]) or "").endswith("accepted 1\nend\n")
    assert lab.entry(orders[2]) is None
    assert len(lab.calls()) == 1
    assert lab.cluster.recover([o.attempt for o in orders]) == {
        orders[0].attempt: Accepted(JobID("1")),
        orders[1].attempt: ledger.GIVEN_UP,
        orders[2].attempt: ledger.GIVEN_UP,
    }


def test_a_submit_command_that_hangs_is_ended(lab: Lab) -> None:
    """With what it started, and the next one has its turn."""
    pids = lab.fake / "pids"
    qsub = (lab.bin / "qsub").read_text().splitlines()
    there = shlex.quote(str(pids))
    # When the first of its children is dead, it would go on to submit before the second is.
    sleeps = f"echo $$ >{there}; sleep 60 & one=$!; sleep 60 & echo $one $! >>{there}; wait $one"
    hangs = f"[ -e {there} ] || {{ {sleeps}; }}"
    lab.program("qsub", "\n".join([qsub[0], hangs, *qsub[1:], ""]))
    orders = [lab.order(), lab.order("m/qsub.1")]
    by_name = {ledger.record_name(order.attempt): order.attempt for order in orders}
    began = time.monotonic()
    lines = call(lab.link, "submit", lab.args(limit=2), lab.steps(*orders))
    first, second = dict(ledger.submit_answers(lines, by_name, lab.batch)).values()
    assert isinstance(first, Unclear) and "137" in first.words
    assert second == Accepted(JobID("1"))
    assert time.monotonic() - began < 50, "it would sleep for 60 s"
    assert (lab.entry(orders[0]) or "").endswith("ran 137\n\nend\n")
    until(lambda: not any(map(lives, pids.read_text().split())))


def test_nothing_is_left_running(lab: Lab) -> None:
    with subprocess.Popen(
        lab.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        program = frame("submit", lab.args(limit=6000), "jmTOKEN", lab.steps(lab.order()))
        process.communicate(program, timeout=60)
    assert len(lab.calls()) == 1

    def ours() -> list[str]:
        rows = subprocess.run(
            ["ps", "-A", "-o", "pgid=,args="], capture_output=True, text=True, check=True
        )
        return [row for row in rows.stdout.split("\n") if row.split()[:1] == [str(process.pid)]]

    until(lambda: not ours())
