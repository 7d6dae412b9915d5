"""The names of the run folder's own files."""

from __future__ import annotations

import json
from pathlib import Path

from jobmon.core.model import Key
from jobmon.run import names


class Paths:
    """The names of the run folder's own files."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.hidden = run / ".jobmon"
        self.settings = run / "jobmon.yaml"
        self.journal = run / "qsub.log"
        self.quelist = run / "quelist"
        self.now = run / "qsub.now"
        self.qstat = run / "qstat"
        self.kill = run / "kill"
        self.log = run / "jobmon.log"
        self.pushed = self.hidden / "pushed"
        self.held = self.hidden / "held"
        self.present = self.hidden / "present"
        self.shown = self.hidden / "shown.json"
        self.spent = self.hidden / "spent.json"
        self.memory = self.hidden / "memory.json"
        self.synced = self.hidden / "synced.db"


def read_present(paths: Paths) -> set[str]:
    """The dependencies that were there when a daemon last looked."""
    if not paths.present.exists():
        return set()
    return {names.decode(line) for line in paths.present.read_text("utf-8").split("\n") if line}


def read_stuck(paths: Paths) -> dict[Key, str]:
    """The jobs that a daemon last saw in the batch system as never to start, each with why."""
    try:
        stuck = json.loads(paths.memory.read_bytes())["stuck"]
        return {Key(key): str(why) for key, why in stuck.items()}
    except (OSError, ValueError, LookupError, AttributeError):
        return {}


def read_conflicts(paths: Paths) -> list[str]:
    """The files that a daemon last saw changed on both sides."""
    try:
        return [str(path) for path in json.loads(paths.memory.read_bytes())["conflicts"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def read_changes(paths: Paths) -> set[Key]:
    """The jobs whose retry waits until files are cleared."""
    try:
        return set(map(Key, json.loads(paths.memory.read_bytes())["changes"]))
    except (OSError, ValueError, LookupError, TypeError):
        return set()
