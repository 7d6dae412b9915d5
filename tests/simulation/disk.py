"""The cluster's file system, in memory: bytes and times, and the ways in which disks fail.

Paths are absolute and clean ("/home/u/run/m/qsub.0": no ".", "..", "//" or "/" at the end); times
are whole seconds. There are no links and no permissions. Nothing raises: what cannot be done says
False, as a shell would. ``now`` where it is given is the world's own time, by which ``hide``
measures: then files that a lagging server does not show yet are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Disk:
    """``full``: no byte can be added, empty files and folders can. ``frozen``: no change at all."""

    full: bool = False
    frozen: bool = False
    _files: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    _folders: dict[str, set[str]] = field(default_factory=lambda: {"/": set()})
    _hidden: dict[str, float] = field(default_factory=dict)

    # --- looking ----------------------------------------------------------------------------

    def exists(self, path: str, now: float | None = None) -> bool:
        """Whether a file or a folder is there, as ``[ -e PATH ]``."""
        return (path in self._files or path in self._folders) and self._seen(path, now)

    def is_dir(self, path: str) -> bool:
        return path in self._folders

    def read(self, path: str, now: float | None = None) -> bytes | None:
        found = self._files.get(path)
        return found[0] if found is not None and self._seen(path, now) else None

    def names(self, folder: str, now: float | None = None) -> list[str]:
        """What is in a folder, hidden names with a dot included, sorted."""
        found = self._folders.get(folder, ())
        if now is None or not self._hidden:
            return sorted(found)
        return sorted(name for name in found if self._seen(_join(folder, name), now))

    def stat(self, path: str, now: float | None = None) -> tuple[int, int] | None:
        """Size and time of change of a file."""
        found = self._files.get(path)
        return (len(found[0]), found[1]) if found is not None and self._seen(path, now) else None

    def hide(self, path: str, until: float) -> None:
        """Until then a path is there, and those who look (with ``now``) do not see it."""
        self._hidden[path] = until

    def _seen(self, path: str, now: float | None) -> bool:
        return now is None or self._hidden.get(path, now) <= now

    # --- changing ---------------------------------------------------------------------------

    def create(self, path: str, at: int) -> bool:
        """Make an empty file that is not there yet: as O_EXCL, never fooled by what is hidden."""
        return not self.exists(path) and self._put(path, b"", at)

    def write(self, path: str, data: bytes, at: int) -> bool:
        """Replace a file, or make it."""
        return not (self.full and data) and self._put(path, data, at)

    def append(self, path: str, data: bytes, at: int) -> bool:
        """Add to a file, or make it. On a full disk it is made and stays empty, as ``>>`` does."""
        old = self.read(path)
        if self.full and data:
            if old is None:
                self._put(path, b"", at)
            return False
        return self._put(path, (old or b"") + data, at)

    def remove(self, path: str) -> bool:
        """Remove a file; False for a folder and for what is not there."""
        if self.frozen or path not in self._files:
            return False
        del self._files[path]
        self._forget(path)
        return True

    def remove_tree(self, folder: str) -> bool:
        """Remove a folder and all that is in it."""
        if self.frozen or folder == "/" or folder not in self._folders:
            return False
        for name in list(self._folders[folder]):
            path = _join(folder, name)
            if not self.remove(path):
                self.remove_tree(path)
        del self._folders[folder]
        self._forget(folder)
        return True

    def mkdir(self, path: str) -> bool:
        """Make a folder with all above it, as ``mkdir -p``: True if it is there afterwards."""
        if path in self._folders:
            return True
        parent, name = _split(path)
        if self.frozen or path in self._files or not self.mkdir(parent):
            return False
        self._folders[path] = set()
        self._folders[parent].add(name)
        return True

    def _put(self, path: str, data: bytes, at: int) -> bool:
        parent, name = _split(path)
        if self.frozen or path in self._folders or parent not in self._folders:
            return False
        self._files[path] = (data, at)
        self._folders[parent].add(name)
        return True

    def _forget(self, path: str) -> None:
        parent, name = _split(path)
        self._folders[parent].discard(name)
        self._hidden.pop(path, None)


def _join(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}"


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent or "/", name
