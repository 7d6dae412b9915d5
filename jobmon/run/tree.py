"""The survey: what stands in the run folder, and what a person changed there.

A folder is read as a whole or not at all. Which folders are read in a cycle is bounded, so
that a cycle's cost does not grow with the tree: those that something happened in, those whose own
time says that a name in them came, went or was replaced, and a slice of all the others, in turn.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from jobmon.core.model import Key
from jobmon.core.needs import BadNeed, Needs, parse
from jobmon.run import names
from jobmon.run.synced import Stamp, Synced

OURS = (
    ".*~",  # a file that was being written when the machine went down
    ".jobmon",
    "jobmon.yaml",
    "jobmon.log",
    "jobmon.log.*",
    "kill",
    "qstat",
    "qsub.log",
    "qsub.log.*",  # and not qsub.login, which is a script
    "qsub.now",
    "quelist",
    "quelist.*",
)
"""What jobmon itself keeps at the top of the run folder, as patterns; it is never synced."""

_OURS = re.compile("|".join(map(fnmatch.translate, OURS)))

LARGEST = 1024 * 1024
"""Bytes a dependency file may have: over there each of its lines is looked at one by one."""

GLANCES = 1000
"""At how many folders' own times a cycle looks."""

SLICE = 100
"""How many folders of the tree are read in a cycle in which nothing happened in them."""

_AT_ONCE = 64 * 1024

TICK_NS = 2 * 10**9
"""Nanoseconds for which a folder's time of change may hide a later change: some file systems
count in seconds."""


Parsed = tuple[Stamp, Needs, str]
"""What a dependency file asked for when it was as its stamp says, and what was wrong with it."""


@dataclass(slots=True)
class Found:
    """One folder as it stands. Paths and keys are relative to the run folder.

    ``needs``: each script's dependencies, None where it has no dependency file. ``changed``:
    files that are not as they were last synced. ``kept``: scripts and dependency files here
    now, or deleted here; the cluster's copy of those does not count.
    """

    folder: str
    needs: dict[Key, Needs] = field(default_factory=dict)
    changed: dict[str, Stamp] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    subfolders: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class Tree:
    """The run folder's folders, and what was read of them so far."""

    def __init__(self, run: Path, synced: Synced) -> None:
        self._run = run
        self._top = f"{run}/"
        self._synced = synced
        self._folders: dict[str, None] = {"": None}
        self._turn: Iterator[str] = iter(())
        self._glances: Iterator[str] = iter(())
        self._times: dict[str, int] = {}  # a folder's own time of change when it was read
        self._parsed: dict[str, Parsed] = {}

    def remember(self, parsed: dict[str, Parsed]) -> None:
        """Take over what was read of dependency files already, by path."""
        self._parsed = parsed

    def everything(self) -> Iterator[Found]:
        """Every folder, found by walking down."""
        todo = [""]
        while todo:
            found = self.read(todo.pop())
            todo += reversed(found.subfolders)
            yield found

    def slice(self, also: Iterable[str]) -> Iterator[Found]:
        """The folders in ``also``, those at which a glance shows a change, and the next SLICE of
        the others in turn."""
        chosen = dict.fromkeys(also)
        self._turn, others = self._next(self._turn, SLICE)
        self._glances, glanced = self._next(self._glances, GLANCES)
        chosen.update(dict.fromkeys(others))
        chosen.update(dict.fromkeys(filter(self._stirred, glanced)))
        todo = list(chosen)
        for folder in todo:  # grows by the folders that are new
            found = self.read(folder)
            todo += [name for name in found.subfolders if name not in self._folders]
            yield found

    def _next(self, turn: Iterator[str], most: int) -> tuple[Iterator[str], list[str]]:
        """The next of all folders, and the turn after them: none twice, ``most`` at most."""
        taken = list(islice(turn, most))
        if len(taken) < most:
            turn = iter(list(self._folders))
            taken += islice(turn, min(most, len(self._folders)) - len(taken))
        return turn, taken

    def _stirred(self, folder: str) -> bool:
        """Whether a name in the folder came, went or was replaced since the folder was read."""
        try:
            return _changed(self._top + folder) != self._times.get(folder)
        except OSError:
            return True

    def _note_time(self, folder: str) -> None:
        """Note the folder's time before it is read, unless more may happen at that very time."""
        self._times.pop(folder, None)
        changed = _changed(self._top + folder)
        if time.time_ns() - changed > TICK_NS:
            self._times[folder] = changed

    def read(self, folder: str) -> Found:
        """One folder as it stands now; one that is gone, or cannot be read, is empty."""
        found = Found(folder)
        stamps: dict[str, Stamp] = {}
        self._folders.setdefault(folder)
        try:
            self._note_time(folder)
            with os.scandir(self._top + folder) as entries:
                for entry in entries:
                    self._take(entry, found, stamps)
        except (FileNotFoundError, NotADirectoryError):
            if folder:
                del self._folders[folder]
        except OSError as error:
            found = Found(folder, complaints=[f"{self._run / folder}: {error.strerror}"])
            stamps = {}
        found.subfolders.sort()
        before = self._synced.of(folder)
        for name, stamp in stamps.items():
            part = names.part(name)
            if part == names.Part.MARKER:
                continue
            path = names.path(folder, name)
            if part == names.Part.SCRIPT:
                key = Key(path)
                found.needs[key] = self._needs(folder, key, stamps, found)
            if part is not None:
                found.kept.add(path)
            if stamp != before.get(name):
                found.changed[path] = stamp
        for name in before.keys() - stamps.keys():
            if names.part(name) in (names.Part.SCRIPT, names.Part.DEPENDENCY):
                found.kept.add(names.path(folder, name))
        return found

    def files(self, folder: str) -> Iterator[str]:
        """Every file that a push may take, of one folder and, but for the run folder, below."""
        for where, folders, files in os.walk(self._run / folder):
            at = os.path.relpath(where, self._run)
            inside = "" if at == "." else at
            if not inside:
                folders.clear()
            for name in files:
                ours = not inside and is_ours(name)
                if not ours and "\n" not in name and names.marker_id(name) is None:
                    yield names.path(inside, name)

    def _take(self, entry: os.DirEntry[str], found: Found, stamps: dict[str, Stamp]) -> None:
        if not found.folder and is_ours(entry.name):
            return
        if "\n" in entry.name:
            found.complaints.append(
                f"{names.path(found.folder, entry.name)!a} has a newline in its name and is passed "
                "over; rename it"
            )
        elif entry.is_dir(follow_symlinks=False):
            found.subfolders.append(names.path(found.folder, entry.name))
            if names.dependency_id(entry.name) is not None:
                found.complaints.append(_no_plain_file(self._run / found.folder / entry.name))
        else:
            try:
                if entry.is_file():
                    stamps[entry.name] = Stamp.of(entry.stat())
                elif (names.script_id(entry.name) or names.dependency_id(entry.name)) is not None:
                    found.complaints.append(_no_plain_file(self._run / found.folder / entry.name))
            except FileNotFoundError:
                pass  # gone since the folder was listed; the rest of the folder still counts
            except OSError as error:  # a link to itself, say
                found.complaints.append(
                    f"{self._run / found.folder / entry.name} is passed over: {error.strerror}"
                )

    def _needs(self, folder: str, key: Key, stamps: dict[str, Stamp], found: Found) -> Needs:
        path = names.dependency(key)
        stamp = stamps.get(path.rpartition("/")[2])
        if stamp is None:
            return None
        known = self._parsed.get(path)
        if known is None or known[0] != stamp:
            needs, complaint = read_needs(self._top + path, folder)
            known = self._parsed[path] = (stamp, needs, complaint)
        if known[2]:
            found.complaints.append(known[2])
        return known[1]


def _changed(folder: str) -> int:
    return os.stat(folder).st_mtime_ns  # noqa: PTH116 (a Path for each costs more than the look)


def read_needs(path: str | Path, folder: str) -> tuple[Needs, str]:
    """The needs of the dependency file at ``path``, and what is wrong with it ("" if nothing).

    A file that cannot be read or meant holds its job, as a missing one does.
    """
    try:
        text = read_plain(path, LARGEST + 1)
        if len(text) > LARGEST:
            return None, (
                f"{path} is larger than 1 MB, the most that a dependency file may be; "
                "let one job gather what it names, and wait for that job's marker"
            )
        return parse(text.decode("utf-8", "surrogateescape"), folder), ""
    except BadNeed as error:
        return None, f"{path}, line {error.line}: {error}"
    except NotPlain:
        return None, _no_plain_file(path)
    except OSError as error:
        return None, f"{path} cannot be read ({error.strerror}); its job is held until it can"


class NotPlain(OSError):
    """What should be a file is a folder, a pipe, a socket or a device."""


def read_plain(path: str | Path, most: int = -1) -> bytes:
    """What the file holds, or its first ``most`` bytes. Raises OSError, NotPlain among them."""
    # Of a pipe that nobody writes to, an open without O_NONBLOCK would wait for ever.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise NotPlain(errno.EINVAL, "no plain file", str(path))
        return _read(fd, most)
    finally:
        os.close(fd)


def _read(fd: int, most: int) -> bytes:
    """By the system's own call: a file object for each of so many small files costs more."""
    parts = []
    while most and (part := os.read(fd, _AT_ONCE if most < 0 else min(most, _AT_ONCE))):
        parts.append(part)
        most -= len(part) if most > 0 else 0
    return b"".join(parts)


def scripts(run: Path) -> Iterator[Key]:
    """Every script of the run folder, folder by folder."""
    for where, folders, files in os.walk(run):
        folder = os.path.relpath(where, run)
        if folder == ".":
            folders[:] = [name for name in folders if not is_ours(name)]
        for name in files:
            if names.script_id(name) is not None:
                yield Key(name if folder == "." else f"{folder}/{name}")


def is_ours(name: str) -> bool:
    """Whether ``name``, at the top of the run folder, is jobmon's own."""
    return _OURS.fullmatch(name) is not None


def _no_plain_file(path: str | Path) -> str:
    return f"{path} is no plain file, nor a link to one; its job is held until you mend it"
