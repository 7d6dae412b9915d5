"""Files that are whole or not there: written beside, flushed to disk, renamed into place.

``flush`` is what "on disk" means everywhere in the run folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

if sys.platform == "darwin":
    import fcntl


def flush(fd: int) -> None:
    """Have the disk itself hold what was written to ``fd``. Raises OSError."""
    if sys.platform == "darwin":  # fsync there stops at the drive's own cache
        with contextlib.suppress(OSError):  # not every file system knows it
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
            return
    os.fsync(fd)


def flush_folder(folder: Path) -> None:
    """Have the disk hold the names in ``folder``; a file system that cannot is let be."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data``, however small the steps. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def unused(path: Path) -> Path:
    """``path``, or where that is there already ``path.2``, ``path.3`` …: clocks step back."""
    free, n = path, 1
    while os.path.lexists(free):
        n += 1
        free = path.with_name(f"{path.name}.{n}")
    return free


REST = 0.1
"""Seconds in which a file that is being written changes."""


def read_at_rest(file: BinaryIO, sleep: Callable[[float], None]) -> tuple[os.stat_result, bytes]:
    """What a person's editor leaves in ``file``, and its state then.

    An editor that writes in place empties the file first: while it changes or is empty it is
    waited for, 20 times REST at most. Raises OSError.
    """
    now = os.fstat(file.fileno())
    for _ in range(20):
        sleep(REST)
        before, now = now, os.fstat(file.fileno())
        if now.st_size and (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
            break
    return now, file.read()


def write_atomically(
    path: Path, text: str, mode: int = 0o666, *, last: Callable[[], None] = lambda: None
) -> os.stat_result:
    """Replace ``path`` by a file that holds ``text``; a reader sees the old or the new, whole.

    A file that is there keeps its mode; a new one gets ``mode`` less the umask. ``last`` is called
    when all is on disk but the rename. Returns the state of what was written. Raises OSError, with
    ``path`` as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}~")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.fchmod(fd, stat.S_IMODE(path.stat().st_mode))
            write_all(fd, text.encode("utf-8", "surrogateescape"))
            flush(fd)
            written = os.fstat(fd)
        finally:
            os.close(fd)
        last()
        beside.replace(path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # what writes to a descriptor does not know it
        raise
    flush_folder(path.parent)
    return written
