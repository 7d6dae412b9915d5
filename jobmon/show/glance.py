"""A large run by what its daemon left: the state of every job, and all about a few of them.

To read all of such a run takes seconds. Of the few, the journal's lines and the dependency files
are read, so that only ``blocked`` and its reason may be as old as what the daemon left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobmon.core import needs
from jobmon.core.life import OPEN, Job
from jobmon.core.model import Key
from jobmon.core.rows import Row
from jobmon.run import journal, names, shown
from jobmon.run.paths import Paths, read_present
from jobmon.run.tree import read_needs


@dataclass(frozen=True, slots=True)
class Glance:
    """The jobs of a run, each with its state and reason; their histories are not known."""

    run: Path
    by_key: Mapping[Key, Row]

    def whole(self, keys: Sequence[Key]) -> list[Row]:
        """These jobs with their histories, and with what they wait for.

        Raises BadFile for a journal that cannot be read.
        """
        paths = Paths(self.run)
        jobs = journal.jobs_of(paths.journal, journal.only(paths.journal, set(keys)))
        present = read_present(paths)
        return [self._whole(key, jobs.get(key, Job(key)), present) for key in keys]

    def _whole(self, key: Key, job: Job, present: set[str]) -> Row:
        row = replace(self.by_key[key], job=job, cause=job.cause)
        path = self.run / names.dependency(key)
        if job.life not in OPEN or not path.exists():
            return row
        asked = read_needs(path, names.split(key)[0])[0] or ()
        unmet = [n for n in needs.unmet(asked, present) if n.absent or not self._made(n.path)]
        return replace(row, missing=tuple(map(str, unmet)))

    def _made(self, path: str) -> bool:
        """Whether a file is the marker of a job that has finished since it was looked for."""
        row = self.by_key.get(names.marker_key(path) or Key(""))
        return row is not None and row.state == "finished"


def glance(run: Path) -> Glance | None:
    """What a daemon left of a large run; None where the run is to be read. Raises BadFile."""
    seen = shown.read(Paths(run))
    return None if seen is None else Glance(run, {row.job.key: row for row in seen.rows()})
