"""What may land in the run folder: the cluster is not trusted with this machine.

A pull ends in a folder aside, on the same file system. From there only what was asked for is
renamed into place: plain files, inside the job folders asked for, that pass the rules, through
no link. So it does not matter what a sender sends, or what an rsync forgets to check (those
before 3.2.5 and macOS's own check little). An rsync that was cut off goes on from there.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobmon.cluster.base import ClusterError
from jobmon.cluster.patterns import Rule, kept
from jobmon.cluster.transfer import MAX_SIZE, Wanted, rules
from jobmon.core.text import printable

ASIDE = ".jobmon/landing"
"""Where a pull ends, relative to the run folder; ``ours`` keeps it from the cluster."""

HOME = "../.."
"""The run folder, as seen from there."""

_SAID = 5  # how many of the files left out are named


@dataclass(frozen=True, slots=True)
class Cargo:
    """Files, by their names relative to the run folder, and what was left out and why."""

    files: tuple[str, ...]
    left: tuple[str, ...] = ()


class Gate:
    """Which names may come home. A name is looked at with the rules of its own folders only."""

    def __init__(self, wanted: Wanted, ours: Sequence[str]) -> None:
        self._wanted = replace(wanted, protected=())
        self._folders = frozenset(wanted.folders)
        self._protected = frozenset(wanted.protected)
        self._ours = ours
        self._rules: tuple[tuple[str, ...], list[Rule]] = ((), [])
        self.limit = None if wanted.results else MAX_SIZE

    def lets(self, name: str) -> bool:
        """Whether the file ``name`` (relative to the run folder) was asked for."""
        above = _above(name)
        inside = tuple(folder for folder in above if folder in self._folders)
        if not inside or not self._protected.isdisjoint((name, *above)):
            return False
        if self._rules[0] != inside:
            self._rules = inside, rules(replace(self._wanted, folders=inside), self._ours)
        return kept(self._rules[1], name)


class Way:
    """The way of a name into the run folder, as this machine has it now."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._names: dict[Path, frozenset[str]] = {}

    def barred(self, name: str) -> str:
        """Why ``name`` cannot land; "" if it can. Raises OSError.

        A link on the way may lead out of the run. Where the file system takes two names for
        one (capitals, on macOS), a file that is there by another name is not replaced.
        """
        for step in (*reversed(_above(name)), name):
            path = self._run / step
            if not os.path.lexists(path):
                return ""
            if step and not self._is_called(path):
                return "a file of nearly the same name is here"
            if step not in {"", name} and path.is_symlink():
                return f"{step} is a link here"
        return ""

    def _is_called(self, path: Path) -> bool:
        if path.name not in self._names.get(path.parent, ()):
            self._names[path.parent] = frozenset(os.listdir(path.parent))  # noqa: PTH208 (names)
        return path.name in self._names[path.parent]


def prepare(run: Path) -> None:
    """Make the folder aside if it is not there. Raises ClusterError."""
    try:
        (run / ASIDE).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _broken(error) from error


def ready(run: Path, wanted: Wanted, ours: Sequence[str]) -> Cargo:
    """Which of the files aside may land in ``run``. Raises ClusterError if they cannot be read."""
    aside = run / ASIDE
    try:
        paths = list(_files(aside))
    except OSError as error:
        raise _broken(error) from error
    gate, way = Gate(wanted, ours), Way(run)
    fit: list[str] = []
    left: list[str] = []
    for path in paths:
        name = str(path.relative_to(aside))
        try:
            why = _refusal(name, path.lstat(), gate) or way.barred(name)
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            left.append(f"{name}: {why}")
        else:
            fit.append(name)
    return Cargo(tuple(fit), tuple(left))


def land(run: Path, names: Iterable[str]) -> Cargo:
    """Rename these files from the folder aside into ``run``, and drop the rest."""
    aside = run / ASIDE
    landed: list[str] = []
    left: list[str] = []
    for name in names:
        try:
            _move(aside / name, run / name)
            landed.append(name)
        except OSError as error:
            left.append(f"{name}: {error.strerror or error}")
    shutil.rmtree(aside, ignore_errors=True)
    return Cargo(tuple(landed), tuple(left))


def said(left: Sequence[str]) -> str:
    """What was left out, on one line; "" for nothing."""
    more = f" (and {len(left) - _SAID} more)" if len(left) > _SAID else ""
    return printable("; ".join(left[:_SAID])) + more


def _broken(error: OSError) -> ClusterError:
    return ClusterError(f"{error.filename}: {error.strerror}; nothing can be brought home")


def _refusal(name: str, found: os.stat_result, gate: Gate) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "is no plain file"
    if not gate.lets(name):
        return "was not asked for"
    if gate.limit is not None and found.st_size > gate.limit:
        return "is too big"
    return ""


def _move(source: Path, target: Path) -> None:
    mode = source.stat().st_mode
    if mode & 0o7000:
        source.chmod(stat.S_IMODE(mode) & 0o777)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


def _files(aside: Path) -> Iterator[Path]:
    """All that is there but folders; those are opened for us, whatever mode they came with."""
    for where, folders, names in os.walk(aside):
        for folder in folders:
            path = Path(where, folder)
            if path.is_symlink():
                yield path
            elif path.stat().st_mode & 0o700 != 0o700:
                path.chmod(0o700)
        for name in sorted(names):
            yield Path(where, name)


def _above(name: str) -> tuple[str, ...]:
    """The folders that hold ``name``, the innermost first, ``""`` the run folder itself last."""
    found = []
    while "/" in name:
        name = name.rpartition("/")[0]
        found.append(name)
    return (*found, "")
