"""What a person waits for at a prompt, and what a daemon keeps in memory, at any number of jobs.

The run is one in the middle of its life (``bigrun``); its daemon is the real one, over the link to
this machine, with a stand-in for the batch system. Seconds are wall time of whole processes.

    python -m benchmarks.commands JOBS ALIVE
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from . import lab
from .bigrun import BigRun, Shape, make

TIMES = 5
CYCLES = 40
"""How many cycles a daemon turns before its memory is read; a turn through all folders is 30."""


def measure(jobs: int, alive: int) -> dict[str, float]:
    """Seconds of ``--help`` and of ``status``, megabytes of the daemon (now, and at most)."""
    with lab.folder("commands") as base:
        big = make(base / "big", Shape(jobs, alive))
        found: dict[str, float] = {"jobs": jobs, "alive": alive}
        found |= _status(big, "cold")
        found |= minded(big)
        found |= _status(big, "status")
        found["help_s"] = statistics.median(
            lab.seconds([*lab.JOBMON, "--help"]) for _ in range(TIMES)
        )
        return found


def _status(big: BigRun, name: str) -> dict[str, float]:
    """``cold``: before any daemon had this run, so that nothing was left for ``status``."""
    command = [*lab.JOBMON, "status", "--run", str(big.run)]
    times = [lab.seconds(command) for _ in range(TIMES if name == "status" else 1)]
    return {f"{name}_s": statistics.median(times)}


def minded(big: BigRun) -> dict[str, float]:
    """Have a real daemon mind the run for a while; its memory in megabytes."""
    path = f"{big.batch.folder}{os.pathsep}{os.environ['PATH']}"
    argv = [*lab.JOBMON, "run", "--ldir", str(big.run), "--quiet"]
    began = time.monotonic()
    with (big.run / "said").open("wb") as said:
        daemon = subprocess.Popen(
            argv, env=os.environ | {"PATH": path}, stdout=said, stderr=said, cwd=lab.ROOT
        )
        try:
            qstat, drawn, seen = big.run / "qstat", 0, 0.0
            while drawn < CYCLES and daemon.poll() is None and time.monotonic() - began < 300:
                now = qstat.stat().st_mtime if qstat.exists() else 0.0
                drawn, seen = drawn + (now != seen), now
                time.sleep(0.05)
            rows = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
        finally:
            daemon.terminate()
            daemon.wait(timeout=60)
    size = {row.split(":")[0]: int(row.split()[1]) / 1024 for row in rows if row.endswith(" kB")}
    return {"rss_mb": size["VmRSS"], "peak_mb": size["VmHWM"], "cycles": drawn}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2])), indent=1))
