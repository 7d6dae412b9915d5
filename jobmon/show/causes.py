"""Why a job has not gone yet: what it waits for, what makes that, and so on down to the roots.

A tree for people: the worst first, what was told above is not told again, and of a long chain only
the two ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from jobmon.core.model import Key, Need
from jobmon.core.rows import Row
from jobmon.run import names

WIDE = 8
"""How many needs of one job are told; the rest is counted."""

DEEP = 6
"""From which level on a chain is cut short."""

MOST = 200
"""How many branches a tree has at most."""

WORST = (
    *("failed", "killed", "unclear", "missing", "there", "held", "blocked"),
    *("running", "submitted", "ready", "waiting", "finished"),
)
"""States of jobs and of plain files, those that need a person first."""


@dataclass(frozen=True, slots=True)
class Cause:
    """``need`` as a dependency file of the run folder would say it; ``key`` who makes it, if a job
    does; ``state`` that job's, or ``missing`` or ``there``. ``skipped``: jobs of a chain that stand
    between this and ``below``. ``more``: needs of the same job that are not told."""

    need: str
    key: Key | None
    state: str
    why: str
    below: tuple[Cause, ...] = ()
    skipped: int = 0
    again: bool = False
    more: int = 0


@dataclass(slots=True)
class Tree:
    """Grows the trees of a view; ``missing`` tells a job's unmet needs."""

    rows: Mapping[Key, Row]
    missing: Callable[[Key], Sequence[Need]]
    _told: set[Key] = field(default_factory=set)

    def of(self, key: Key) -> tuple[Cause, ...]:
        """What the job waits for."""
        self._told = {key}
        return self._below(key, 1)

    def _below(self, key: Key, depth: int) -> tuple[Cause, ...]:
        needs = [self._one(need) for need in self.missing(key)]
        needs.sort(key=lambda cause: WORST.index(cause.state))
        told = [self._grown(cause, depth) for cause in needs[:WIDE]]
        if len(needs) > WIDE:
            told[-1] = replace(told[-1], more=len(needs) - WIDE)
        return tuple(told)

    def _one(self, need: Need) -> Cause:
        made = None if need.absent else names.marker_key(need.path)
        row = self.rows.get(made) if made is not None else None
        if row is not None:
            return Cause(str(need), row.job.key, row.state, row.reason)
        return Cause(str(need), None, "there" if need.absent else "missing", "")

    def _grown(self, cause: Cause, depth: int) -> Cause:
        key, skipped = cause.key, 0
        if key is None:
            return cause
        while depth >= DEEP and key not in self._told:
            step = self._only(key)
            if step is None or step in self._told:
                break
            self._told.add(key)
            key, skipped = step, skipped + 1
        if key in self._told:
            return replace(cause, again=True)
        self._told.add(key)
        if skipped:
            row = self.rows[key]
            below = self._next(key, depth + 1)
            end = Cause(names.marker(key), key, row.state, row.reason, below)
            return replace(cause, below=(end,), skipped=skipped - 1)
        return replace(cause, below=self._next(key, depth))

    def _next(self, key: Key, depth: int) -> tuple[Cause, ...]:
        full = len(self._told) >= MOST or depth > 10 * DEEP
        return () if full else self._below(key, depth + 1)

    def _only(self, key: Key) -> Key | None:
        """The job that this one waits for, if that is all that it waits for."""
        needs = self.missing(key)
        made = names.marker_key(needs[0].path) if len(needs) == 1 and not needs[0].absent else None
        return made if made in self.rows else None


def roots(causes: Sequence[Cause]) -> Iterator[Cause]:
    """What stands at the ends of the branches: there something must happen first."""
    for cause in causes:
        if cause.below:
            yield from roots(cause.below)
        elif not cause.again:
            yield cause
