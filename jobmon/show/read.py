"""A run as it stands on disk, read without its lock: for commands that only look."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jobmon import progress
from jobmon.core import needs
from jobmon.core.life import OPEN, Job
from jobmon.core.model import Key, Life, Need
from jobmon.core.rows import Row
from jobmon.run import journal, names
from jobmon.run.paths import Paths, read_conflicts, read_present, read_stuck
from jobmon.run.shown import table
from jobmon.run.tree import read_needs, scripts


@dataclass(frozen=True)
class View:
    """Every job of a run, those never heard of by the journal included. It does not change."""

    run: Path
    jobs: dict[Key, Job]
    index: needs.Index
    present: set[str]
    stuck: dict[Key, str]
    conflicts: list[str]

    def rows(self) -> list[Row]:
        return list(self.by_key.values())

    @cached_property
    def by_key(self) -> dict[Key, Row]:
        rows = table(self.jobs, self.index, self.present, self.stuck)
        return {row.job.key: row for row in rows}

    def missing(self, key: Key) -> list[Need]:
        """What a job that is not submitted waits for."""
        return needs.unmet(self.index.of(key) or (), self.present)


def view(run: Path) -> View:
    """Read the run folder. Raises BadFile for a journal that cannot be read."""
    paths = Paths(run)
    with progress.step(f"reading {run}"):
        return _read(paths)


def _read(paths: Paths) -> View:
    run = paths.run
    told = journal.read(paths.journal) if paths.journal.exists() else []
    jobs = journal.jobs_of(paths.journal, told)
    index = needs.Index()
    for key in sorted(scripts(run), key=names.order):
        job = jobs.setdefault(key, Job(key))
        if job.life in OPEN:
            path = run / names.dependency(key)
            found = read_needs(path, names.split(key)[0])[0] if path.exists() else None
            index.put(key, found)
    present = read_present(paths)
    for key, job in jobs.items():
        if job.life == Life.FINISHED:
            present.add(names.marker(key))
    return View(run, jobs, index, present, read_stuck(paths), read_conflicts(paths))
