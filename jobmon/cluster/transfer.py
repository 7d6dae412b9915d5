"""What goes up and what comes home: files between the run folder and its twin.

A transfer is rsync through a link (``rsync.py``), plain copying where the twin is another folder
of this machine (``copying.py``), or nothing, where the run folder is its own twin. Nothing is
ever deleted. A pull ends in a folder aside; what of it may come into the run folder is decided
after it (``landing.py``), and is there at once, so that a pull under way disturbs nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from jobmon.cluster.base import Spent
from jobmon.cluster.patterns import Rule, escape

MAX_SIZE = 10 * 1024 * 1024
"""Bytes up to which a file comes home where no result patterns are given."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to bring home.

    ``folders``: job folders relative to the run folder; ``results``: rsync patterns relative
    to a job folder, none meaning every file up to MAX_SIZE; ``outputs``: patterns of the jobs'
    own output and error; ``protected``: paths here that must not be replaced.
    """

    folders: tuple[str, ...]
    results: tuple[str, ...]
    outputs: tuple[str, ...]
    protected: tuple[str, ...]


class Transfer(Protocol):
    def push_tree(self, ours: Sequence[str]) -> None:
        """Copy the whole run folder up, without the top-level names that ``ours`` (patterns) fit.

        Raises ClusterError, also for a file that could not be copied.
        """

    def push(self, files: Sequence[str]) -> None:
        """Copy these files up. Raises ClusterError if any was not."""

    def pull(self, wanted: Wanted) -> str:
        """Bring what is new there into the folder aside; what could not be read, in words.

        Raises ClusterError; what came by then may stay aside, for the next pull to go on from.
        """

    def spent(self) -> Spent:
        """The bytes of all transfers so far; their channels are the link's to count."""

    def stop(self) -> None:
        """End a pull that is under way; it raises ConnectionLost in its own thread."""


def rules(wanted: Wanted, ours: Sequence[str]) -> list[Rule]:
    """The filter of a pull, in rsync's order: the first rule that fits decides."""
    found = [Rule(False, "/" + pattern) for pattern in ours]
    found += [Rule(False, "/" + escape(path)) for path in wanted.protected]
    if not wanted.results:
        return found
    found.append(Rule(True, "*/"))
    for pattern in (*wanted.results, *wanted.outputs, "qsub.*"):
        if pattern.startswith("/"):
            found += [
                Rule(True, f"/{escape(folder)}{pattern}" if folder else pattern)
                for folder in wanted.folders
            ]
        else:
            found.append(Rule(True, pattern))
    return [*found, Rule(False, "*")]


class Same:
    """The run folder is its own twin: there is nothing to copy."""

    def push_tree(self, ours: Sequence[str]) -> None:
        return None

    def push(self, files: Sequence[str]) -> None:
        return None

    def pull(self, wanted: Wanted) -> str:
        return ""

    def spent(self) -> Spent:
        return Spent()

    def stop(self) -> None:
        return None
