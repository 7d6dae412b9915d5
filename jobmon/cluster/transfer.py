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

import contextlib
import fnmatch
import os
import re
import secrets
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from jobmon.cluster.base import ClusterError, ConnectionLost, Link
from jobmon.cluster.patterns import Rule, escape, kept
from jobmon.core.text import printable

MAX_SIZE = 10 * 1024 * 1024
"""Bytes up to which a file comes home where no result patterns are given."""

LOST = {5, 10, 12, 30, 35, 255}  # rsync's exit codes for a connection that failed or hung
PARTLY = {23, 24}  # some files could not be read, or vanished meanwhile

_CAME = "came:"  # before each name, as rsync says other things on stdout too
_HALF = ".jobmon-half~"


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
        """Copy the whole run folder up, without the top-level names that ``ours`` (patterns) fit.

        Raises ClusterError, also for a file that could not be copied.
        """

    def push(self, files: Sequence[str]) -> None:
        """Copy these files up. Raises ClusterError if any was not."""

    def pull(self, wanted: Wanted) -> Brought:
        """Bring home what is new there. Raises ClusterError; a file less is only trouble."""

    def stop(self) -> None:
        """End a pull that is under way; it raises ConnectionLost in its own thread."""


def rules(wanted: Wanted, ours: Sequence[str]) -> list[Rule]:
    """The filter of a pull, in rsync's order: the first rule that fits decides."""
    found = [Rule(False, "/" + pattern) for pattern in ours]
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
        excludes = [f"--exclude=/{pattern}" for pattern in ours]
        self._push(["-rlpt", *excludes], None)

    def push(self, files: Sequence[str]) -> None:
        self._push(["-lpt", "--from0", "--files-from=-"], _names(files))

    def _push(self, flags: list[str], names: bytes | None) -> None:
        """What did not get there must not count as pushed: a job would run without it."""
        _, trouble = self._rsync(flags, "./", names, up=True)
        if trouble:
            raise ClusterError(f"not all was pushed to {self._link.where}: {trouble}")

    def pull(self, wanted: Wanted) -> Brought:
        limit = [] if wanted.results else [f"--max-size={MAX_SIZE}"]
        with tempfile.NamedTemporaryFile(prefix="jobmon") as filters:
            for rule in rules(wanted, self._ours):
                # --from0 holds for the lines of this file too
                filters.write(os.fsencode(f"{'+' if rule.include else '-'} {rule.pattern}\0"))
            filters.flush()
            names, trouble = self._rsync(
                [
                    *["-rt", "--from0", "--files-from=-", f"--out-format={_CAME}%n", *limit],
                    f"--filter=merge {filters.name}",
                ],
                "./",
                _names(f"{folder}/" if folder else "" for folder in wanted.folders),
                up=False,
            )
        came = _CAME.encode()
        lines = (line for line in names.split(b"\n") if line.startswith(came))
        found = (_unescape(line.removeprefix(came)) for line in lines)
        return Brought(tuple(name for name in found if not name.endswith("/")), trouble)

    def stop(self) -> None:
        self._stopped.set()
        process = self._pulling
        if process is not None:
            _end(process)

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
                    _end(process)
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

    def pull(self, wanted: Wanted) -> Brought:
        chosen = rules(wanted, self._ours)
        limit = None if wanted.results else MAX_SIZE
        brought: dict[str, None] = {}
        trouble: list[str] = []
        for folder in wanted.folders:
            for source in _files(self._twin / folder, trouble):
                if self._stopped.is_set():
                    raise ConnectionLost("the copying was stopped")
                name = str(source.relative_to(self._twin))
                if not kept(chosen, name):
                    continue
                try:
                    if limit and source.stat().st_size > limit:
                        continue
                    if not _same(source, self._run / name):
                        _copy(source, self._run / name)
                        brought[name] = None
                except OSError as error:  # gone meanwhile, or not to be read
                    trouble.append(str(error))
        return Brought(tuple(brought), printable("; ".join(trouble)[-600:]))

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


def _end(process: subprocess.Popen[bytes]) -> None:
    """End rsync with its remote shell, which would hold the pipes open."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def _names(files: Iterable[str]) -> bytes:
    """Names for --files-from; without ``./`` one that begins with # or ; would be a comment."""
    return b"".join(b"./" + os.fsencode(name) + b"\0" for name in files)


def _unescape(raw: bytes) -> str:
    """A name as rsync prints it: bytes it thinks unprintable come as ``\\#ooo``."""
    plain = re.sub(rb"\\#([0-7]{3})", lambda found: bytes([int(found[1], 8)]), raw)
    return os.fsdecode(plain)


def _raise(error: OSError) -> NoReturn:
    raise ClusterError(f"not all of the run folder can be read: {error}") from error


def _files(folder: Path, trouble: list[str]) -> Iterator[Path]:
    for where, _, names in os.walk(folder, onerror=lambda error: trouble.append(str(error))):
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
    """Copy a file or a link, whole or not at all, without set-uid, set-gid and sticky bits."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(_HALF)
    half.unlink(missing_ok=True)
    shutil.copy2(source, half, follow_symlinks=False)
    if not half.is_symlink():
        half.chmod(stat.S_IMODE(half.stat().st_mode) & 0o777)
    half.replace(target)
