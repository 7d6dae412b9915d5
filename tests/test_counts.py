"""What a run asks of its login node, counted exactly: logins, channels, commands, and no times.

One run for each link and batch system, on a login node of the test's own that writes down, in order, every channel
and every command of the batch system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import TestCluster, shared
from gate_lab import BATCH, SSHD, Daemon, Gate, gate, running
from session import agree, count, put, ran_once, until

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(SSHD is None, reason="no sshd")]

FOLDERS = 12
SYSTEMS = {"hpc": ("squeue", "sbatch"), "sge": ("qstat", "qsub")}
NAMES = {"hpc": "slurm", "sge": "sge"}
RUNS = ["fabric hpc", "openssh hpc", "fabric sge", "openssh sge"]
QUIET = 5
"""Cycles of which it is known that nothing changes in them."""


@dataclass
class Told:
    """What the login node wrote down, in the quiet part and in the whole run."""

    ssh: str
    listing: str
    submit: str
    quiet: Counter[str] = field(default_factory=Counter)
    whole: list[str] = field(default_factory=list)
    logins: int = 0
    sessions: int = 0
    said: str = ""


@pytest.fixture(scope="module", params=map(shared, RUNS))
def told(
    testcluster: TestCluster,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Told]:
    ssh, host = request.param.split()
    project = tmp_path_factory.mktemp("counts") / "project"
    for n in range(FOLDERS):
        wait = "i=0; until [ -e ../go ] || [ $i -gt 600 ]; do sleep 0.2; i=$((i + 1)); done"
        put(project / "init", f"m{n}/qsub.0", f"echo x >> started.0\n{wait}\necho 0 > result.0")
        after = "echo x >> started.1; cat result.0 > result.1"
        put(project / "init", f"m{n}/qsub.1", after, "qsub.finished.0\n")
    (project / "jobmon.yaml").write_text(f"grace: 5\ninterval: 2\nmaxqsub: {FOLDERS}\n")
    with (
        gate(testcluster, host) as node,
        running(node, project, "--ssh", ssh, "--scheduler", NAMES[host]) as daemon,
    ):
        told = Told(ssh, *SYSTEMS[host])
        _play(told, node, daemon)
        yield told


def _play(told: Told, node: Gate, daemon: Daemon) -> None:
    path = node.root / "told"
    path.touch()
    path.chmod(0o666)
    for name in ("shell", *BATCH):
        node.lie(name, f"echo {name} >>{path}")
    until(lambda: count(daemon.run, "running") == FOLDERS, 120)
    _look(daemon)
    before = Counter(path.read_text().split())
    for _ in range(QUIET):
        _look(daemon)
    told.quiet = Counter(path.read_text().split()) - before
    (daemon.twin / "go").touch()
    assert daemon.process.wait(240) == 0
    told.whole = path.read_text().split()
    log = node.log()
    told.logins, told.sessions = log.count("Accepted publickey"), log.count("Starting session")
    told.said = (daemon.run / "jobmon.log").read_text()
    assert count(daemon.run, "finished") == 2 * FOLDERS
    assert {path.read_text() for path in daemon.run.glob("m*/result.*")} == {"0\n"}
    ran_once(daemon.twin)
    agree(daemon.run)


def _look(daemon: Daemon) -> None:
    """Wait for the end of a look: the daemon sleeps then."""
    path: Path = daemon.run / "qstat"
    before = path.stat().st_mtime_ns
    until(lambda: path.stat().st_mtime_ns != before)


def test_one_login_serves_the_whole_run(told: Told) -> None:
    assert told.logins == 1


def test_a_quiet_cycle_is_one_listing_and_at_most_one_channel(told: Told) -> None:
    """By Fabric the shell of all looks is open already."""
    opened = {} if told.ssh == "fabric" else {"shell": QUIET}
    assert told.quiet == {told.listing: QUIET, **opened}


def test_a_cycle_that_pulls_and_submits_is_four_channels_at_most(told: Told) -> None:
    """Look, push, submit, pull: however many jobs ended, and however many can start."""
    cycles: list[int] = []
    opened = 0
    for name in told.whole:
        opened += name == "shell"
        if name == told.listing:  # with the look a cycle begins
            cycles.append(opened)
            opened = 0
    assert max(cycles) <= 4
    assert sum(cycles) + opened <= told.sessions


def test_each_job_is_submitted_once_and_asked_for_by_the_listing_only(told: Told) -> None:
    """Whose marker is there needs no question of its own."""
    commands = Counter(told.whole)
    assert commands[told.submit] <= 2 * FOLDERS
    assert set(commands) == {"shell", told.listing, told.submit}
    assert told.said.count(" submitted m") == 2 * FOLDERS
