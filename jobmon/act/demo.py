"""``jobmon demo``: a small real computation on this machine, from a template to its table."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from jobmon import notices
from jobmon.act.init import init
from jobmon.act.place import run_meant
from jobmon.act.start import Wish, start
from jobmon.cluster.links.login import ask_terminal


def demo(folder: Path | None, say: Callable[[str], None]) -> int:
    """Run ``ising`` in a new project ``folder`` on the embedded queue; the exit code."""
    target = folder or Path(tempfile.mkdtemp(prefix="jobmon-demo-")) / "ising"
    for line in init("ising", target, {}):
        say(line)
    notices.to_terminal(logging.INFO)
    flags = {
        "remote": "local",
        "scheduler": "local",
        "interval": 1.0,
        "maxqsub": 8,
        "pythonpath": sys.executable,
    }
    code = start(Wish(target, None, flags), ask_terminal, notices.say)
    run = run_meant(target)
    table = run / "table" / "table.txt"
    if table.exists():
        say("")
        say(table.read_text("utf-8"))
    say(f"all files: {run}")
    return code
