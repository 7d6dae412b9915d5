"""The simulated worlds: no promise is broken in them, and a broken program is caught."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.xdist_group("simulation"),  # one at a time: each takes all the cores
    pytest.mark.long,
    pytest.mark.timeout(1500),  # seconds; beside much else it comes last
]


def simulate(*words: str) -> subprocess.CompletedProcess[str]:
    """``scripts/simulate WORDS``, with the Python that runs the tests; other tests go before."""
    return subprocess.run(
        ["nice", sys.executable, "-m", "simulation", *words],
        env=os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )


def test_no_promise_is_broken_in_2000_worlds() -> None:
    told = simulate("--seeds", "2000")
    assert told.returncode == 0, told.stdout + told.stderr
    last = told.stdout.splitlines()[-1]
    assert re.fullmatch(
        r"2000 worlds, \d{4,} faults of \d\d kinds, \d{4,} submissions, .*: 0 broken", last
    ), last


REGRESSIONS = {
    "a full disk while the twin is made": ("disk full there",),
    "listings are empty while a job runs, and its marker is late": ("empty answer",),
    "a push breaks off and the person edits again": ("push breaks off", "script edited"),
    "a kill in the middle of a push, and the person edits again": (
        "kill -9 while pushing",
        "script edited",
    ),
    "a pull breaks off and the job runs again": ("pull breaks off", "requeued"),
    "a killed daemon had half a line of the journal": ("power failure", "kill -9 at a write"),
    "the disk is full while the journal is written": ("disk full here",),
    "asleep while a job is in doubt": ("asleep for eight hours", "half a listing"),
    "the login node dies between qsub and its record": ("login node dies after qsub",),
    "a killed daemon remembers a doubt about the attempt before": ("kill -9 at a write",),
    "an old loop wakes up after the recovery": ("drop while submitting", "old loop"),
}
"""What the simulation, or a person before it, found broken: these worlds are full of it."""


@pytest.mark.parametrize("name", REGRESSIONS)
def test_what_was_found_once_stays_mended(name: str) -> None:
    sure = [word for fault in REGRESSIONS[name] for word in ("--sure", fault)]
    told = simulate("--seeds", "60", "--first", "1000000", *sure)
    assert told.returncode == 0, told.stdout + told.stderr


def test_each_broken_variant_is_caught() -> None:
    told = simulate("--variants", "--seeds", "3000")
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count(": caught after ") >= 13


def test_the_same_seed_is_the_same_world() -> None:
    def world(seed: str) -> str:
        return re.sub(r"process \d+|/dev/shm/\S+", "", simulate("--seed", seed).stdout)

    assert world("7") == world("7") != world("8")
