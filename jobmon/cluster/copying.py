"""Files travel by plain copying, where the twin is another folder of this machine: no rsync."""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from jobmon.cluster import landing
from jobmon.cluster.base import ClusterError, ConnectionLost, Spent
from jobmon.cluster.landing import Gate
from jobmon.cluster.transfer import Wanted
from jobmon.core.text import printable

_HALF = ".jobmon-half~"


class Copy:
    """Plain copying, where the twin is another folder of this machine."""

    def __init__(self, run: Path, twin: Path, ours: Sequence[str]) -> None:
        self._run = run
        self._twin = twin
        self._ours = ours
        self._stopped = threading.Event()

    def push_tree(self, ours: Sequence[str]) -> None:
        for where, folders, names in os.walk(self._run, onerror=_raise):
            if Path(where) == self._run:
                for some in (folders, names):
                    some[:] = [n for n in some if not any(fnmatch.fnmatchcase(n, p) for p in ours)]
            there = self._twin / Path(where).relative_to(self._run)
            there.mkdir(parents=True, exist_ok=True)
            for source in (Path(where, name) for name in (*folders, *names)):
                if source.is_symlink() or source.is_file():
                    _copy(source, there / source.name)

    def push(self, files: Sequence[str]) -> None:
        for name in files:
            try:
                _copy(self._run / name, self._twin / name)
            except OSError as error:
                raise ClusterError(f"{name} cannot be copied to {self._twin}: {error}") from error

    def pull(self, wanted: Wanted) -> str:
        gate, aside = Gate(wanted, self._ours), self._run / landing.ASIDE
        shutil.rmtree(aside, ignore_errors=True)  # copying is quick: it begins anew
        landing.prepare(self._run)
        trouble: list[str] = []
        for folder in wanted.folders:
            for source in _files(self._twin / folder, trouble):
                if self._stopped.is_set():
                    raise ConnectionLost("the copying was stopped")
                name = str(source.relative_to(self._twin))
                if not gate.lets(name):
                    continue
                try:
                    if gate.limit is not None and source.stat().st_size > gate.limit:
                        continue
                    if not _same(source, self._run / name):
                        _copy(source, aside / name)
                except OSError as error:  # gone meanwhile, or not to be read
                    trouble.append(str(error))
        return printable("; ".join(trouble)[-600:])

    def spent(self) -> Spent:
        return Spent()

    def stop(self) -> None:
        self._stopped.set()


def _raise(error: OSError) -> NoReturn:
    raise ClusterError(f"not all of the run folder can be read: {error}") from error


def _files(folder: Path, trouble: list[str]) -> Iterator[Path]:
    for where, _, names in os.walk(folder, onerror=lambda error: trouble.append(str(error))):
        for name in sorted(names):
            path = Path(where, name)
            if path.is_file() and not path.is_symlink() and name != _HALF:
                yield path


def _same(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    ours, theirs = target.stat(), source.stat()
    return ours.st_size == theirs.st_size and int(ours.st_mtime) == int(theirs.st_mtime)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a link, whole or not at all, without set-uid, set-gid and sticky bits."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(_HALF)
    half.unlink(missing_ok=True)
    try:
        shutil.copy2(source, half, follow_symlinks=False)
        if not half.is_symlink():
            half.chmod(stat.S_IMODE(half.stat().st_mode) & 0o777)
        half.replace(target)
    except OSError:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        raise
