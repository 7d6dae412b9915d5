"""What every driver of a peer is told, and how it answers.

A driver sets up what its peer needs, prints READY, waits for a line on standard input, does
the case, and prints DONE with the number of results that came home. Only what lies between
is measured. Drivers run in their peer's own environment, so this file imports nothing else.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """One case for one peer."""

    kind: str
    """many: independent jobs. chain: each after the one before. pending: many that never start."""
    count: int
    interval: float | None
    """Seconds between two looks; None: what the peer does by itself."""
    tuned: bool
    work: Path
    """A folder here, the driver's own and empty."""
    remote: str
    """A folder on the cluster, empty."""
    payload: str
    """The program of each job, on the cluster; it writes result.dat in its current folder."""
    host: str
    port: int
    user: str
    key: str
    ssh_config: str
    python: str
    """The interpreter of the peer's environment."""


def read_case() -> Case:
    """The case named on the command line. From here on SIGTERM raises SystemExit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told = json.loads(Path(sys.argv[1]).read_text())
    return Case(**{**told, "work": Path(told["work"])})


def ready() -> None:
    """Setting up is over: wait for the start."""
    print("READY", flush=True)
    sys.stdin.readline()


def done(results: int) -> None:
    """All has come home."""
    print(f"DONE {results}", flush=True)
