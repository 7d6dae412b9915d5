"""Writing so that a crash leaves the old or the new, whole; and locks that a crash gives back."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from jobmon.localqueue.place import QueueError


def flush_folder(folder: Path) -> None:
    """Bring a folder's own entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_new(path: Path, data: bytes) -> None:
    """Write a file and bring it to disk; not atomic, for a place nobody reads yet."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` atomically and durably."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write_new(temporary, data)
    temporary.replace(path)
    flush_folder(path.parent)


def create_once(path: Path, data: bytes) -> bool:
    """Put ``data`` at ``path`` if nothing is there, whole and durably; whether it was us.

    A link, not O_EXCL: nobody may see the file without its contents.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write_new(temporary, data)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    flush_folder(path.parent)
    return True


def try_lock(path: Path) -> int | None:
    """The handle of an exclusive lock, or None if another process has it. Close it to let go."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextlib.contextmanager
def locked(path: Path, limit: float) -> Iterator[None]:
    """Hold the lock. Raises QueueError if it can't be had for ``limit`` seconds."""
    until = time.monotonic() + limit
    while (handle := try_lock(path)) is None:
        if time.monotonic() > until:
            raise QueueError(
                f"{path} is held by another process for over {limit:.0f} s: "
                f"see who it is (fuser {path}) and end it if it hangs"
            )
        time.sleep(0.01)
    try:
        yield
    finally:
        os.close(handle)
