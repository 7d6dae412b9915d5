"""What one site calls otherwise than its batch system does: ``site:`` of jobmon.yaml, as words.

Values only: what is done with them over there is ``cluster/wrapped.py``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

COMMANDS = (
    *("qsub", "qstat", "qdel", "qselect", "qacct", "qconf"),
    *("sbatch", "squeue", "scancel", "scontrol", "sacct", "sacctmgr"),
    *("pjsub", "pjstat", "pjdel"),
    "rsync",
)
"""The commands that a site may call otherwise: all that jobmon calls there beside POSIX's."""


@dataclass(frozen=True, slots=True)
class Site:
    """Nothing in it is the rule: then everything is called by its own name.

    ``shell`` takes the place of ``/bin/sh``, ``prologue`` is done by it before each call,
    ``commands`` are the words that stand for a command, ``user`` is whose jobs are listed.
    """

    shell: tuple[str, ...] = ()
    prologue: str = ""
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    user: str = ""

    def words(self, command: Sequence[str]) -> list[str]:
        """A command as it is called at this site."""
        return [*self.commands.get(command[0], command[:1]), *command[1:]]
