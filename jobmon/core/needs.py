"""The dependency language: what a job waits for, who waits for a file, and who waits in vain.

A dependency file has one file name a line, relative to its own folder. Blank lines and lines
that start with ``#`` are passed over; ``not FILE`` asks that FILE be absent. An empty file
means ready, a missing one (None here) means held. Paths may not leave the run folder.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set

from jobmon.core.life import OPEN, Job
from jobmon.core.model import Key, Life, Need, Standing

Needs = tuple[Need, ...] | None
"""What one job waits for; None where it has no dependency file."""


RING_SHOWN = 8
"""How many jobs of a ring its reason names."""


class BadNeed(ValueError):
    """A line of a dependency file that cannot be meant; ``line`` counts from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def parse(text: str, folder: str) -> tuple[Need, ...]:
    """The needs of a dependency file in ``folder`` (relative to the run folder).

    Raises BadNeed for a path that leaves the run folder.
    """
    needs: dict[Need, None] = {}
    seen = {""}
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = raw.strip()
        if line in seen or line.startswith("#"):
            continue
        seen.add(line)
        absent = line.startswith("not ")
        name = line.removeprefix("not ").strip() if absent else line
        if "\0" in name:
            raise BadNeed(number, "a file name with a NUL byte; is this a text file?")
        path = posixpath.normpath(posixpath.join(folder, name))
        if name.startswith("/") or path == ".." or path.startswith("../"):
            raise BadNeed(
                number,
                f"'{name}' is outside the run folder; name a file of this run, "
                "relative to this folder",
            )
        needs[Need(path, absent)] = None
    return tuple(needs)


def unmet(needs: Iterable[Need], present: Set[str]) -> list[Need]:
    """Which of ``needs`` the files that are ``present`` do not meet."""
    return [need for need in needs if (need.path in present) == need.absent]


def standing(needs: Needs, present: Set[str]) -> Standing:
    """HELD, WAITING or CLEAR; whether WAITING is in vain is for ``in_vain`` to say."""
    if needs is None:
        return Standing.HELD
    return Standing.WAITING if unmet(needs, present) else Standing.CLEAR


class Index:
    """Which jobs ask for a file, folder by folder: a cycle touches what an event touches."""

    def __init__(self) -> None:
        self._needs: dict[Key, Needs] = {}
        # folder -> name -> who asks for it: mostly one, and a set for each would be large
        self._asking: dict[str, dict[str, Key | set[Key]]] = {}

    def put(self, key: Key, needs: Needs) -> None:
        """Note that ``key`` now has these needs."""
        self.drop(key)
        self._needs[key] = needs
        for folder, name in {posixpath.split(need.path) for need in needs or ()}:
            names = self._asking.setdefault(folder, {})
            before = names.setdefault(name, key)
            if isinstance(before, set):
                before.add(key)
            elif before != key:
                names[name] = {before, key}

    def drop(self, key: Key) -> None:
        needs = self._needs.pop(key, None) or ()
        for folder, name in {posixpath.split(need.path) for need in needs}:  # x, not x: once
            names = self._asking[folder]
            asking = names[name]
            if isinstance(asking, set):
                asking.discard(key)
            if not isinstance(asking, set) or not asking:
                del names[name]
                if not names:
                    del self._asking[folder]

    def of(self, key: Key) -> Needs:
        return self._needs.get(key)

    def __contains__(self, key: Key) -> bool:
        return key in self._needs

    def asking(self, paths: Iterable[str]) -> set[Key]:
        """The jobs whose needs name any of ``paths``."""
        found: set[Key] = set()
        for path in paths:
            folder, name = posixpath.split(path)
            who = self._asking.get(folder, {}).get(name, set())
            found |= who if isinstance(who, set) else {who}
        return found

    def paths(self) -> Iterator[str]:
        """Every file that some job asks for."""
        return (
            posixpath.join(folder, name) for folder in self._asking for name in self.within(folder)
        )

    def folders(self) -> Iterable[str]:
        """The folders that hold those files."""
        return self._asking.keys()

    def within(self, folder: str) -> Iterable[str]:
        """The names of those files in one folder."""
        return self._asking.get(folder, {}).keys()


def in_vain(
    jobs: Mapping[Key, Job],
    needs: Callable[[Key], Needs],
    present: Set[str],
    maker: Callable[[str], Key | None],
) -> dict[Key, str]:
    """The blocked jobs, each with the reason in words.

    ``maker`` tells which job writes a marker. A job can still go if it is in the batch system,
    is ready, or waits only for markers of jobs that can still go; a plain file, or a ``not
    FILE`` that stands, may still be changed by any script that can run. What is left waiting
    after this has grown as far as it can (rings, and all that stands behind what failed, was
    killed or is held) is blocked.
    """
    waiting: dict[Key, list[Need]] = {}
    can: set[Key] = set()
    for key, job in jobs.items():
        if job.life in OPEN:
            mine = needs(key)
            missing = None if mine is None else unmet(mine, present)
            if missing:
                waiting[key] = missing
            elif missing is not None:
                can.add(key)
        elif job.in_system:
            can.add(key)
    behind: dict[Key, list[Key]] = {}
    lacking: dict[Key, int] = {}
    anything_runs = bool(can)
    for key, missing in waiting.items():
        makers = [_maker(need, jobs, maker) for need in missing]
        plain = any(made is None for made in makers)
        lacking[key] = len({made for made in makers if made}) + (plain and not anything_runs)
        for made in {made for made in makers if made}:
            behind.setdefault(made, []).append(key)
    grown = [key for key, count in lacking.items() if count == 0] + list(can)
    while grown:
        key = grown.pop()
        can.add(key)
        for waiter in behind.get(key, ()):
            lacking[waiter] -= 1
            if lacking[waiter] == 0:
                grown.append(waiter)
    return _reasons(waiting, can, jobs, needs, maker)


def _maker(need: Need, jobs: Mapping[Key, Job], maker: Callable[[str], Key | None]) -> Key | None:
    """The job whose end would meet ``need``; None where any script might."""
    made = None if need.absent else maker(need.path)
    return made if made is not None and made in jobs and jobs[made].life != Life.FINISHED else None


def _reasons(
    waiting: Mapping[Key, Sequence[Need]],
    can: Set[Key],
    jobs: Mapping[Key, Job],
    needs: Callable[[Key], Needs],
    maker: Callable[[str], Key | None],
) -> dict[Key, str]:
    """Why each blocked job is so: what stands at the end of its trail, which is walked once."""
    told: dict[Key, str] = {}
    for start in waiting:
        trail: dict[Key, None] = {}
        key, reason = start, ""
        while not reason and key not in can:
            trail[key] = None
            blocker = _blocker(waiting[key], can, jobs, maker)
            if isinstance(blocker, Need):
                there = (
                    "is there" if blocker.absent else "is missing and nothing that runs makes it"
                )
                reason = f"{blocker.path} {there}"
            elif blocker in told:
                reason = told[blocker]
            elif blocker in trail:
                reason = _ring(list(trail), blocker)
            elif blocker not in waiting:
                held = jobs[blocker].life in OPEN and needs(blocker) is None
                how = "is held" if held else _ended(jobs[blocker])
                reason = f"waits for {blocker}, which {how}"
            else:
                key = blocker
        told.update((key, reason) for key in trail)
    return told


def _blocker(
    missing: Sequence[Need],
    can: Set[Key],
    jobs: Mapping[Key, Job],
    maker: Callable[[str], Key | None],
) -> Need | Key:
    """The first thing in the way of a blocked job: a job, or a file that nothing changes."""
    for need in missing:
        made = _maker(need, jobs, maker)
        if made is None and not can:
            return need
        if made is not None and made not in can:
            return made
    raise AssertionError("a job that nothing is in the way of is not blocked")


def _ring(trail: Sequence[Key], blocker: Key) -> str:
    ring = trail[trail.index(blocker) :]
    shown = ring if len(ring) <= RING_SHOWN else [*ring[:RING_SHOWN], "…"]
    return "ring: " + " waits for ".join([*shown, blocker])


def _ended(job: Job) -> str:
    return {Life.FAILED: "failed", Life.KILLED: "was killed"}.get(job.life, f"is {job.life}")
