"""Which files a look asks about: where a job is alive or newly ended, and of the rest some in turn.

A cycle's question does not grow with the run. A marker of a job that was not submitted comes by a
person's hand only, so it is asked for in turn and not sooner; so is a plain file that a job of
another folder may make, but those have a turn of their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from jobmon.core.life import OPEN
from jobmon.core.model import Life
from jobmon.cycle.state import Know, job_folder
from jobmon.run import names

AT_LEAST = 40
"""How many files are asked about in turn, however small the queue is."""

SCANNED = 200
"""How many files are gone through in a cycle to find those that can come by themselves."""


class _Turn:
    """Goes through what ``walk`` finds, a few at a time, and begins anew at its end."""

    def __init__(self, walk: Callable[[], Iterator[str | None]]) -> None:
        self._walk = walk
        self._left: Iterator[str | None] = iter(())

    def take(self, most: int) -> set[str]:
        """The next files, ``most`` at most; None is passed over, at the cost of a step."""
        taken: set[str] = set()
        ends = 0
        for _ in range(SCANNED):
            if len(taken) == most or ends == 2:
                break
            try:
                path = next(self._left)
            except StopIteration:
                self._left = self._walk()
                ends += 1
                continue
            if path is not None:
                taken.add(path)
        return taken


class Question:
    """Asks, and remembers whose turn it is."""

    def __init__(self, know: Know) -> None:
        self._know = know
        self._likely = _Turn(self._likely_ones)
        self._all = _Turn(self._everything)

    def files(self, *, whole: bool) -> set[str]:
        """The files of the next look, relative to the run folder; all there are if ``whole``, but
        of a fresh twin only those that it was given."""
        know = self._know
        asked = {names.marker(key) for key in know.in_system | know.again}
        if whole and know.fresh:
            top = f"{know.paths.run}/"
            return asked.union(p for p in self._everything() if os.path.lexists(top + p))
        if whole:
            return asked.union(self._everything())
        for folder in {job_folder(key) for key in know.in_system} - know.unpulled:
            for name in know.index.within(folder):
                if self._can_come(folder, name):
                    asked.add(names.path(folder, name))
        for folder in know.unpulled:
            asked.update(names.path(folder, name) for name in know.index.within(folder))
        room = AT_LEAST + len(know.in_system) // 10
        return asked | self._likely.take(room) | self._all.take(room)

    def _everything(self) -> Iterator[str]:
        return (names.path(folder, name) for folder, name in self._walk())

    def _likely_ones(self) -> Iterator[str | None]:
        for folder, name in self._walk():
            yield names.path(folder, name) if self._can_come(folder, name) else None

    def _walk(self) -> Iterator[tuple[str, str]]:
        know = self._know
        for folder in list(know.index.folders()):
            for name in list(know.index.within(folder)):
                yield folder, name
        for key in list(know.jobs):
            if know.jobs[key].life != Life.FINISHED:
                folder, job_id = names.split(key)
                yield folder, names.marker_name(job_id)

    def _can_come(self, folder: str, name: str) -> bool:
        """Whether something that is alive, or was, may make the file."""
        job_id = names.marker_id(name)
        if job_id is None:
            return True
        job = self._know.jobs.get(names.key(folder, job_id))
        return job is None or job.life not in OPEN or job.ran
