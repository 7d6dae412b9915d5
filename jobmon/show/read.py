"""A run as it stands on disk, read without its lock: for commands that only look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jobmon import progress
from jobmon.core import needs
from jobmon.core.life import OPEN, Job, step
from jobmon.core.model import Event, Key, Life, Need
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
        rows = table(self.jobs, self.index, self.present, self.stuck, Paths(self.run))
        return {row.job.key: row for row in rows}

    def missing(self, key: Key) -> list[Need]:
        """What a job that is not submitted waits for."""
        return needs.unmet(self.index.of(key) or (), self.present)


def view(run: Path) -> View:
    """Read the run folder. Raises BadFile for a journal that cannot be read."""
    paths = Paths(run)
    with progress.step(f"reading {run}"):
        return view_of(run, journal.read(paths.journal) if paths.journal.exists() else [])


def view_of(run: Path, told: Iterable[Event]) -> View:
    """The run folder after the events ``told``. Raises BadFile for some that cannot follow."""
    jobs = journal.jobs_of(Paths(run).journal, told)
    index = needs.Index()
    for key in sorted(scripts(run), key=names.order):
        if jobs.setdefault(key, Job(key)).life in OPEN:
            _ask(run, index, key)
    return _seen(run, jobs, index)


def later(seen: View, told: Iterable[Event]) -> View:
    """The view after the events ``told`` too; of the tree, only those jobs' files are read.

    ``seen`` is used up. Raises IllegalEvent for an event that cannot follow.
    """
    for event in told:
        job = step(seen.jobs.get(event.key) or Job(event.key), event)
        seen.jobs[event.key] = job
        if job.life in OPEN and job.key not in seen.index and (seen.run / job.key).exists():
            _ask(seen.run, seen.index, job.key)
    return _seen(seen.run, seen.jobs, seen.index)


def _ask(run: Path, index: needs.Index, key: Key) -> None:
    path = run / names.dependency(key)
    index.put(key, read_needs(path, names.split(key)[0])[0] if path.exists() else None)


def _seen(run: Path, jobs: dict[Key, Job], index: needs.Index) -> View:
    paths = Paths(run)
    present = read_present(paths)
    for key, job in jobs.items():
        if job.life == Life.FINISHED:
            present.add(names.marker(key))
    return View(run, jobs, index, present, read_stuck(paths), read_conflicts(paths))
