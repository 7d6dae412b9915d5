"""``jobmon stop``: end a run's daemon and leave its jobs."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from jobmon import progress
from jobmon.run import host, owner

LIMIT = 30.0
"""Seconds to wait for a daemon to end."""

LONGER = 240.0
"""Seconds to wait for a kill to end."""


def would(run: Path) -> str:
    """What ``stop`` would do."""
    there = owner.holder(run)
    if there is None:
        return f"no daemon has {run}; nothing would be done"
    who = f"process {there.process.pid} on {there.process.host}"
    if there.what != "run":
        return f"would wait for {who}, which is at 'jobmon {there.what}'"
    return f"would end {who}, which has {run} since {there.since}; its jobs would go on"


def stop(run: Path, say: Callable[[str], None]) -> bool:
    """End the run's daemon, if it has one; whether nothing has the run any more.

    A kill or release that is at work there is waited for instead.
    """
    there = owner.holder(run)
    if there is None:
        say(f"no daemon has {run}")
        return True
    if there.what != "run":
        say(f"waiting for process {there.process.pid}, which is at 'jobmon {there.what}'")
    elif host.state(there.process) is host.Life.FOREIGN:
        owner.request(run, {"do": "stop"})
        say(f"asked process {there.process.pid} on {there.process.host} to end")
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(there.process.pid, signal.SIGTERM)
    if not _ended(run, there):
        say(f"process {there.process.pid} on {there.process.host} still has {run}: see jobmon.log")
        return False
    if there.what == "run":
        say(f"process {there.process.pid} has ended; its jobs go on")
    return True


def _ended(run: Path, there: owner.Holder) -> bool:
    until = time.monotonic() + (LIMIT if there.what == "run" else LONGER)
    with progress.step(f"waiting for process {there.process.pid} to end"):
        while time.monotonic() < until:
            now = owner.holder(run)
            if now is None or now.token != there.token:
                return True
            time.sleep(0.1)
    return False
