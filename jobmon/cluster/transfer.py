"""What goes up and what comes home: files between the run folder and its twin.

Two ways of the same thing: rsync through a link, and plain copying where the twin is a folder
of this machine. Flags are those that rsync 3 and macOS's own rsync both have. Nothing is ever
deleted. What comes home lands inside the job folders asked for: links, devices and set-uid
bits are not taken over, and rsync refuses names that lead out.

rsync is given no path to quote: here it runs in the run folder, and over there its ``sh``
first enters the twin, whose name travels as octal numbers past any login shell. What that
shell prints unasked is dropped up to a mark, since rsync would take it for its protocol.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jobmon.cluster.base import ClusterError, ConnectionLost, Link
from jobmon.cluster.patterns import Rule, escape, kept
from jobmon.core.text import printable

MAX_SIZE = 10 * 1024 * 1024
"""Bytes up to which a file comes home where no result patterns are given."""

LOST = {5, 10, 12, 30, 35, 255}  # rsync's exit codes for a connection that failed or hung
PARTLY = {23, 24}  # some files could not be read, or vanished meanwhile


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to bring home.

    ``folders``: job folders relative to the run folder; ``results``: rsync patterns relative
    to a job folder, none meaning every file up to MAX_SIZE; ``outputs``: patterns of the jobs'
    own output and error; ``protected``: paths here that must not be replaced.
    """

    folders: tuple[str, ...]
    results: tuple[str, ...]
    outputs: tuple[str, ...]
    protected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Brought:
    """The files that came home (relative to the run folder), and what could not be read."""

    files: tuple[str, ...]
    trouble: str = ""


class Transfer(Protocol):
    def push_tree(self, ours: Sequence[str]) -> None:
        """Copy the whole run folder up, without the top-level names in ``ours``."""

    def push(self, files: Sequence[str]) -> None: ...

    def pull(self, wanted: Wanted) -> Brought: ...

    def stop(self) -> None:
        """End a pull that is under way; it raises ConnectionLost in its own thread."""


def rules(wanted: Wanted, ours: Sequence[str]) -> list[Rule]:
    """The filter of a pull, in rsync's order: the first rule that fits decides."""
    found = [Rule(False, "/" + escape(name)) for name in ours]
    found += [Rule(False, "/" + escape(path)) for path in wanted.protected]
    if not wanted.results:
        return found
    found.append(Rule(True, "*/"))
    for pattern in (*wanted.results, *wanted.outputs, "qsub.*"):
        if pattern.startswith("/"):
            found += [
                Rule(True, f"/{escape(folder)}{pattern}" if folder else pattern)
                for folder in wanted.folders
            ]
        else:
            found.append(Rule(True, pattern))
    return [*found, Rule(False, "*")]


class Rsync:
    """rsync over a link."""

    def __init__(self, link: Link, run: Path, twin: str, ours: Sequence[str]) -> None:
        self._link = link
        self._run = run
        self._twin = twin
        self._ours = ours
        self._pulling: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    def push_tree(self, ours: Sequence[str]) -> None:
        excludes = [f"--exclude=/{escape(name)}" for name in ours]
        self._rsync(["-rlpt", *excludes], "./", None, up=True)

    def push(self, files: Sequence[str]) -> None:
        self._rsync(["-lpt", "--from0", "--files-from=-"], "./", _names(files), up=True)

    def pull(self, wanted: Wanted) -> Brought:
        limit = [] if wanted.results else [f"--max-size={MAX_SIZE}"]
        with tempfile.NamedTemporaryFile(prefix="jobmon") as filters:
            for rule in rules(wanted, self._ours):
                filters.write(os.fsencode(f"{'+' if rule.include else '-'} {rule.pattern}\n"))
            filters.flush()
            names, trouble = self._rsync(
                [
                    *["-rt", "--from0", "--files-from=-", "--out-format=%n", *limit],
                    f"--filter=merge {filters.name}",
                ],
                "./",
                _names(f"{folder}/" if folder else "./" for folder in wanted.folders),
                up=False,
            )
        found = (_unescape(name) for name in names.split(b"\n"))
        return Brought(tuple(name for name in found if name and not name.endswith("/")), trouble)

    def stop(self) -> None:
        self._stopped.set()
        process = self._pulling
        if process is not None:
            process.terminate()

    def _rsync(
        self, flags: list[str], here: str, names: bytes | None, *, up: bool
    ) -> tuple[bytes, str]:
        shell = self._link.rsync_shell()
        if shell is None:
            raise ValueError("this link has no rsync shell; use Copy")
        words, host = shell
        octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(self._twin))
        mark = "jm" + secrets.token_hex(8)
        enter = f'cd "$(printf "{octal}")" && printf %s {mark} && exec rsync "$@"'
        there = f"exec /bin/sh -c '{enter}' rsync"
        command = ["rsync", "--timeout=60", *flags, f"--rsync-path={there}"]
        clean = [sys.executable, "-S", "-E", str(Path(__file__).with_name("clean.py")), mark]
        command += ["-e", shlex.join([*clean, *words])]
        command += [here, f"{host}./"] if up else [f"{host}./", here]
        try:
            with subprocess.Popen(
                command,
                cwd=self._run,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as process:
                if not up:
                    self._pulling = process
                if self._stopped.is_set():
                    process.terminate()
                out, err = process.communicate(names)
        except FileNotFoundError:
            raise ClusterError("rsync is not installed on this machine; install it") from None
        finally:
            self._pulling = None
        return out, self._judge(process.returncode, err)

    def _judge(self, code: int, err: bytes) -> str:
        said = printable(err[-600:])
        if code == 0:
            return ""
        if code in PARTLY:
            return said
        if code in LOST or code < 0 or code == 20:
            raise ConnectionLost(f"rsync with {self._link.where} broke off ({code}): {said}")
        raise ClusterError(f"rsync with {self._link.where} failed ({code}): {said}")


class Copy:
    """Plain copying, where the twin is another folder of this machine."""

    def __init__(self, run: Path, twin: Path, ours: Sequence[str]) -> None:
        self._run = run
        self._twin = twin
        self._ours = ours
        self._stopped = threading.Event()

    def push_tree(self, ours: Sequence[str]) -> None:
        def skip(folder: str, names: list[str]) -> list[str]:
            return [name for name in names if Path(folder) == self._run and name in ours]

        shutil.copytree(self._run, self._twin, symlinks=True, ignore=skip, dirs_exist_ok=True)

    def push(self, files: Sequence[str]) -> None:
        for name in files:
            _copy(self._run / name, self._twin / name)

    def pull(self, wanted: Wanted) -> Brought:
        chosen = rules(wanted, self._ours)
        limit = None if wanted.results else MAX_SIZE
        brought = []
        for folder in wanted.folders:
            for source in _files(self._twin / folder):
                if self._stopped.is_set():
                    raise ConnectionLost("the copying was stopped")
                name = str(source.relative_to(self._twin))
                target = self._run / name
                if not kept(chosen, name) or (limit and source.stat().st_size > limit):
                    continue
                if not _same(source, target):
                    _copy(source, target)
                    brought.append(name)
        return Brought(tuple(dict.fromkeys(brought)))

    def stop(self) -> None:
        self._stopped.set()


class Same:
    """The run folder is its own twin: there is nothing to copy."""

    def push_tree(self, ours: Sequence[str]) -> None:
        return None

    def push(self, files: Sequence[str]) -> None:
        return None

    def pull(self, wanted: Wanted) -> Brought:
        return Brought(())

    def stop(self) -> None:
        return None


def _names(files: Iterable[str]) -> bytes:
    return b"".join(os.fsencode(name) + b"\0" for name in files)


def _unescape(raw: bytes) -> str:
    """A name as rsync prints it: bytes it thinks unprintable come as ``\\#ooo``."""
    plain = re.sub(rb"\\#([0-7]{3})", lambda found: bytes([int(found[1], 8)]), raw)
    return os.fsdecode(plain)


def _files(folder: Path) -> Iterable[Path]:
    for where, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(where, name)
            if path.is_file() and not path.is_symlink():
                yield path


def _same(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    ours, theirs = target.stat(), source.stat()
    return ours.st_size == theirs.st_size and int(ours.st_mtime) == int(theirs.st_mtime)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name[:200]}.jobmon-half")
    shutil.copy2(source, half, follow_symlinks=False)
    half.replace(target)
