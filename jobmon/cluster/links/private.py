"""A folder that only this user can enter, for sockets, with a path short enough for them."""

from __future__ import annotations

import shutil
import socket
import tempfile
from pathlib import Path

LONGEST = 80  # of 104 bytes on macOS; ssh itself adds a suffix of 17 while it binds


def make() -> Path:
    """A new folder of mode 0700, to be removed with ``remove``."""
    folder = tempfile.mkdtemp(prefix="jm")
    if len(folder.encode()) > LONGEST - 3:
        Path(folder).rmdir()
        folder = tempfile.mkdtemp(prefix="jm", dir="/tmp")
    return Path(folder)


def listen(path: Path) -> socket.socket:
    """A listening socket of mode 0600 at ``path``."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    return listener


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
