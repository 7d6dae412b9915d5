"""Which batch system answers: asked, since they share the names of their commands."""

from __future__ import annotations

import pytest
from test_batch_contract import asked

from jobmon.cluster.probe import Probe, Tried, answering, silence

PBS = asked("pbs/full.txt", "version")[0][1]
TORQUE = "Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e"
GRID_ENGINE = "SGE 8.1.9\nusage: qstat [options]"
WRAPPER = "Unknown option: version\nUsage:\n    qstat [-f] [-a|-i|-r]"
DOWN = "Connection refused\nqstat: cannot connect to server vm (errno=15010)"


def _found(**tried: Tried) -> Probe:
    named = {name.replace("_", "-"): one for name, one in tried.items()}
    return Probe("a", "/home/a", "/opt/pbs/bin:/usr/bin", "", named)


@pytest.mark.parametrize("version", [PBS, TORQUE, "version: 2.5.13\n"])
def test_pbs_and_torque_are_known_by_their_version_and_by_a_server_that_answers(
    version: str,
) -> None:
    qstat, server = Tried(0, "/usr/bin/qstat", version), Tried(0, "/usr/bin/qstat", "Server Max")
    assert answering(_found(pbs=qstat, pbs_server=server)) == ["pbs"]
    down = _found(pbs=qstat, pbs_server=Tried(255, "/usr/bin/qstat", DOWN))
    assert answering(down) == []
    assert "PBS's qstat says: " in silence(down) and "15010" in silence(down)


@pytest.mark.parametrize(
    ("code", "text"), [(1, GRID_ENGINE), (2, WRAPPER), (0, GRID_ENGINE), (0, "")]
)
def test_another_qstat_is_not_taken_for_pbs(code: int, text: str) -> None:
    tried = Tried(code, "/usr/bin/qstat", text)
    found = _found(pbs=tried, pbs_server=Tried(0, "/usr/bin/qstat", text))
    assert answering(found) == []
    assert "PBS's qstat says" not in silence(found)


def test_the_one_whose_commands_come_first_in_the_path_is_meant() -> None:
    server = Tried(0, "/opt/pbs/bin/qstat", "Server Max")
    slurm, pbs = Tried(0, "/usr/bin/squeue", ""), Tried(0, "/opt/pbs/bin/qstat", PBS)
    assert answering(_found(slurm=slurm, pbs=pbs, pbs_server=server)) == ["pbs", "slurm"]
