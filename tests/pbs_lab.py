"""A login node with a stand-in for PBS: real SSH, ``tests/standins/pbs``, and jobmon's local queue."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import TestCluster
from gate_lab import Gate, gate

ROOT = Path(__file__).parents[1]
CORES = 64


@dataclass(frozen=True, slots=True)
class PbsNode:
    """The node, and the stand-in's state: a file there says what the server does."""

    gate: Gate
    state: Path
    env: dict[str, str]

    def turn(self, name: str, on: bool = True) -> None:
        """Make the server ``down``, ``hung``, ... (see ``server.py``), or so no more."""
        path = self.state / name
        if on:
            path.touch()
            path.chmod(0o666)
        else:
            path.unlink()

    def run(self, command: str) -> str:
        """Run a command as the account, with PBS in its path."""
        words = [f"{name}={value}" for name, value in self.env.items()]
        return self.gate.run(f"env {shlex.join(words)} sh -c {shlex.quote(command)}")


@contextmanager
def pbs_node(cluster: TestCluster) -> Iterator[PbsNode]:
    """A running node. Its account is that of ``hpc``, so that Slurm answers there, too."""
    top = Path(tempfile.mkdtemp(prefix="jm-pbs-", dir="/tmp"))
    top.chmod(0o755)
    shutil.copytree(ROOT / "tests" / "standins" / "pbs", top / "bin")
    (top / "lib" / "jobmon").mkdir(parents=True)
    shutil.copy(ROOT / "jobmon" / "__init__.py", top / "lib" / "jobmon")
    shutil.copytree(ROOT / "jobmon" / "localqueue", top / "lib" / "jobmon" / "localqueue")
    state = top / "state"
    state.mkdir()
    # Another account may not get at this interpreter.
    python = "/usr/bin/python3" if os.getuid() == 0 else sys.executable
    env = {
        "PATH": f"{top}/bin:/usr/local/bin:/usr/bin:/bin",
        "PBS_STANDIN": str(state),
        "PBS_STANDIN_PYTHON": python,
        "PBS_STANDIN_QUEUE": f"{top}/lib/jobmon/localqueue/__main__.py",
        "JOBMON_LOCALQUEUE": f"{state}/queue",
        "JOBMON_LOCALQUEUE_CORES": str(CORES),
        **cluster.env,
    }
    env["PATH"] = f"{top}/bin:/usr/local/bin:/usr/bin:/bin"
    try:
        # sshd takes the first SetEnv it is told.
        with gate(cluster, "hpc", "SetEnv " + " ".join(f"{k}={v}" for k, v in env.items())) as node:
            account = pwd.getpwnam(node.user)
            os.chown(state, account.pw_uid, account.pw_gid)
            yield PbsNode(node, state, env)
    finally:
        shutil.rmtree(top, ignore_errors=True)
