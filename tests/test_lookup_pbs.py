"""Recovery on PBS, where no job has a token: over a real shell, by the stand-in's commands."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from session import until

from jobmon.cluster import ledger
from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch.pbs import Pbs
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.links.local import LocalLink
from jobmon.cluster.transfer import Same
from jobmon.core.model import Accepted, Answer, Attempt, JobID, Key, Unclear

ROOT = Path(__file__).parents[1]
RUN_ID = "r-1"
KEY = Key("o'd, \"ü\\/qsub.0")
FIRST, SECOND = Attempt(KEY, 1), Attempt(KEY, 2)


@dataclass(slots=True)
class Lab:
    """A twin whose name has all that PBS escapes; ``qsub`` submits as a hand or a loop would, and
    waits for the end: one that ends while it is asked about shows its place at the next look."""

    twin: Path
    cluster: Cluster

    def qsub(self, where: Path | None = None, variable: str = "") -> JobID:
        folder = where or (self.twin / KEY).parent
        said = subprocess.run(
            ["qsub", "qsub.0"],
            cwd=folder,
            env=os.environ | {"PWD": variable or str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        until(self._over, what="the job's end")
        return JobID(said.stdout.strip())

    def _over(self) -> bool:
        said = subprocess.run(["qstat", "-u", getpass.getuser()], capture_output=True, check=True)
        return said.stdout == b""

    def claim(self, attempt: Attempt, said: str = "") -> None:
        """The record of an attempt: claimed, and whole if ``said`` tells what qsub said."""
        record = self.twin / ".jobmon" / "record" / ledger.record_name(attempt)
        record.write_text(f"key {attempt.key}\n" + (f"ran 0\n{said}\nend\n" if said else ""))

    def recover(
        self, attempt: Attempt, known: Mapping[Attempt, JobID | None] | None = None
    ) -> Answer:
        return self.cluster.recover([attempt], lambda: dict(known or {}))[attempt]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    twin = tmp_path / "far, 'away\" \\"
    (twin / ".jobmon" / "record").mkdir(parents=True)
    (twin / ".jobmon" / "run").write_text(f"{RUN_ID}\n")
    (twin / KEY).parent.mkdir()
    (twin / KEY).write_text("#!/bin/sh\ntrue\n")
    monkeypatch.setenv("PATH", f"{ROOT}/tests/standins/pbs:{os.environ['PATH']}")
    for name, value in {
        "PBS_STANDIN": f"{tmp_path}/pbs",
        "PBS_STANDIN_PYTHON": sys.executable,
        "PBS_STANDIN_QUEUE": f"{ROOT}/jobmon/localqueue/__main__.py",
        "JOBMON_LOCALQUEUE": f"{tmp_path}/queue",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "pbs").mkdir()
    (tmp_path / "pbs" / "history").touch()
    cluster = Cluster(LocalLink(), Pbs(), Same(), str(twin), RUN_ID, getpass.getuser())
    return Lab(twin, cluster)


@pytest.mark.fault("The protocol: recovery without a token (PBS)")
def test_the_one_job_in_its_place_is_the_attempts(lab: Lab) -> None:
    """It may have ended already: the history shows it all the same."""
    lab.claim(FIRST)
    assert isinstance(lab.recover(FIRST), Unclear)
    elsewhere = lab.twin / "other"
    elsewhere.mkdir()
    (elsewhere / "qsub.0").write_text("#!/bin/sh\ntrue\n")
    lab.qsub(elsewhere)
    assert isinstance(lab.recover(FIRST), Unclear)
    jobid = lab.qsub()
    assert lab.recover(FIRST) == Accepted(jobid)


@pytest.mark.fault("The protocol: recovery without a token (PBS)")
def test_of_two_jobs_none_is_guessed(lab: Lab) -> None:
    lab.claim(FIRST)
    one, two = lab.qsub(), lab.qsub()
    assert isinstance(lab.recover(FIRST), Unclear)
    other = Attempt(Key("b/qsub.0"), 1)
    assert lab.recover(FIRST, {other: one}) == Accepted(two)


@pytest.mark.fault("The protocol: recovery without a token (PBS)")
def test_an_earlier_attempts_job_is_never_the_next_ones(lab: Lab) -> None:
    earlier = lab.qsub()
    lab.claim(FIRST, f"{earlier}")
    lab.claim(SECOND)
    assert isinstance(lab.recover(SECOND), Unclear)  # the remote record tells whose it is
    mine = lab.qsub()
    assert lab.recover(SECOND) == Accepted(mine)


@pytest.mark.fault("The protocol: recovery without a token (PBS)")
def test_while_an_earlier_attempt_is_in_doubt_the_job_may_be_its(lab: Lab) -> None:
    lab.claim(FIRST)
    lab.claim(SECOND)
    jobid = lab.qsub()
    assert isinstance(lab.recover(SECOND), Unclear)
    assert lab.recover(SECOND, {FIRST: None}) == Accepted(jobid)  # it never got there
    journalled: dict[Attempt, JobID | None] = {FIRST: jobid}
    assert isinstance(lab.recover(SECOND, journalled), Unclear)
    mine = lab.qsub()
    assert lab.recover(SECOND, journalled) == Accepted(mine)


@pytest.mark.fault("The protocol: recovery without a token (PBS)")
def test_a_twin_behind_a_link_is_known_by_either_name(lab: Lab, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(lab.twin)
    lab.cluster = Cluster(LocalLink(), Pbs(), Same(), str(link), RUN_ID, getpass.getuser())
    lab.claim(FIRST)
    real = lab.qsub(variable="/")  # where PWD is lost on the way, qsub finds its folder itself
    assert lab.recover(FIRST) == Accepted(real)
    lab.claim(SECOND)
    named = lab.qsub((link / KEY).parent)
    assert lab.recover(SECOND, {FIRST: real}) == Accepted(named)


def test_a_listing_that_fails_is_said_and_nothing_is_concluded(lab: Lab, tmp_path: Path) -> None:
    lab.claim(FIRST)
    (tmp_path / "pbs" / "down").touch()
    with pytest.raises(LookFailed, match="Connection refused"):
        lab.recover(FIRST)
