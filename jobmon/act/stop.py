"""``jobmon stop``: end a run's daemon and leave its jobs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from jobmon.run import host, owner

LIMIT = 30.0
"""Seconds to wait for a daemon to end."""


def stop(run: Path, say: Callable[[str], None]) -> bool:
    """End the run's daemon, if it has one; whether none has it any more."""
    there = owner.holder(run)
    if there is None:
        say(f"no daemon has {run}")
        return True
    if host.state(there.process) is host.Life.FOREIGN:
        owner.request(run, {"do": "stop"})
        say(f"asked process {there.process.pid} on {there.process.host} to end")
    else:
        os.kill(there.process.pid, signal.SIGTERM)
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        if owner.holder(run) is None:
            say(f"process {there.process.pid} has ended; its jobs go on")
            return True
        time.sleep(0.1)
    say(f"process {there.process.pid} on {there.process.host} still has {run}; look at jobmon.log")
    return False
