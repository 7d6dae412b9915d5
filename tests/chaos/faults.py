"""Making one fault in the real world, and making it cease again.

The connection is broken by the proxy; the batch commands of the login node `chaos` lie when
`~/lies` there says so; the scheduler's own daemon is stopped, or hung by a signal, through
`scripts/testcluster`, as root.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from conftest import TestCluster

from chaos.plan import Fault, What
from chaos.proxy import HALF_OPEN, RESET, Proxy

HOST = "chaos"
SCRIPT = Path(__file__).parents[2] / "scripts" / "testcluster"
DAEMON = {"slurm": "slurmctld", "sge": "sge_qmaster"}
COMMANDS = {"slurm": "sbatch squeue scontrol sacct", "sge": "qsub qstat qacct"}
SLOW = 0.1
"""Seconds that a submission takes before it is heard, and again before its answer is given: as on
a busy site, so that there is a middle to be killed in."""


class ChaosError(Exception):
    """The storm itself cannot be made; the message says why."""


class Faults:
    """What can be broken, beside the daemon; ``begin`` gives what ends it again."""

    def __init__(self, cluster: TestCluster, scheduler: str, proxy: Proxy) -> None:
        self._cluster = cluster
        self._daemon = DAEMON[scheduler]
        self._proxy = proxy
        self._commands = COMMANDS[scheduler].split()
        self._before = 0
        self._before = self.lies()
        self.honest()
        self.there(f"echo {SLOW} >~/lies/{self._commands[0]}.slow")

    def begin(self, fault: Fault) -> Callable[[], None]:
        """Let the fault begin; the function that ends it."""
        match fault.what:
            case What.STOP:
                self._testcluster("stop")
                return lambda: self._testcluster("start")
            case What.HANG:
                self._testcluster("freeze")
                return lambda: self._testcluster("thaw")
            case What.LIE:
                self._lie(fault)
            case What.DROP if fault.how == "down":
                self._proxy.down(True)
                return lambda: self._proxy.down(False)
            case What.DROP:
                how = RESET if fault.how == "reset" else HALF_OPEN
                self._proxy.arm(fault.where, how, max(1, int(fault.size)))
        return lambda: None

    def mended(self) -> None:
        """See to it that the scheduler runs and answers, and that nobody lies."""
        self.honest()
        self._testcluster("start")

    def honest(self) -> None:
        """No command lies or is slow; what another storm is at is left alone."""
        files = " ".join(f"{name} {name}.slow" for name in self._commands)
        self.there(f"mkdir -p ~/lies && cd ~/lies && rm -f {files}")

    def lies(self) -> int:
        """How many commands have lied so far."""
        logs = [self._cluster.home(HOST) / "lies" / f"{name}.log" for name in self._commands]
        return sum(log.read_bytes().count(b"\n") for log in logs if log.exists()) - self._before

    def there(self, command: str) -> None:
        """Run a command in the account, past the proxy."""
        done = self._cluster.run(HOST, command)
        if done.returncode != 0:
            raise ChaosError(f"{HOST}: '{command}' failed: {done.stderr.strip()}")

    def _lie(self, fault: Fault) -> None:
        """It ceases by itself; another of the same command takes its place."""
        text = f"{fault.how} {int(time.time() + fault.hold) + 1} {int(fault.size)}"
        names = fault.where
        self.there(f"cd ~/lies && for n in {names}; do echo '{text}' >.$n && mv .$n $n; done")

    def _testcluster(self, verb: str) -> None:
        root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        place = f"JOBMON_TESTCLUSTER={self._cluster.folder}"
        done = subprocess.run(
            [*root, "env", place, str(SCRIPT), verb, self._daemon],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise ChaosError(f"testcluster {verb} {self._daemon}: {said}")
