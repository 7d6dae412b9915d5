"""A stand-in for Slurm, so that a measurement of jobmon's own time holds nothing of a batch system.

Five little commands in a folder that goes to the front of PATH. They know what stands in two
files: the listing, which ``squeue`` prints as it is, and the next job ID. Nothing ever runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_COMMANDS = {
    "squeue": 'exec cat "$here/listing"',
    "sbatch": 'read -r n <"$here/next"; echo $((n + 1)) >"$here/next"\n'
    'echo "$n|PENDING|Priority|end" >>"$here/listing"; echo "Submitted batch job $n"',
    "scontrol": 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1',
    "sacct": "exit 0",
    "scancel": "exit 0",
}


class StandIn:
    """The commands in ``folder``, and the jobs that they show."""

    def __init__(self, folder: Path, first: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for name, body in _COMMANDS.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\nhere='{folder}'\n{body}\n")
            path.chmod(0o755)
        (folder / "next").write_text(f"{first}\n")
        self.listing = folder / "listing"
        self.listing.write_text("")

    def first_in_path(self) -> None:
        """Have this process, and what it starts, find these commands."""
        os.environ["PATH"] = f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def show(self, jobs: Iterable[tuple[str, str]]) -> None:
        """Have these jobs listed, (job ID, state) each."""
        self.listing.write_text("".join(f"{jobid}|{state}|None|end\n" for jobid, state in jobs))

    def leave(self, gone: set[str]) -> None:
        """Take jobs out of the listing."""
        rows = self.listing.read_text().splitlines(keepends=True)
        self.listing.write_text("".join(r for r in rows if r.partition("|")[0] not in gone))
