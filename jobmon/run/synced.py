"""What was last synced: each file's size and time here, as they were on both sides then.

Both sides agree after a sync, since times travel with the files; so one pair tells a change on
either. Losing this file is harmless: files then count as never synced, and differing ones are
asked about instead of overwritten. It is SQLite because a run may hold a million files and a
cycle touches a few; only the holder of the run's lock opens it.
"""

from __future__ import annotations

import os
import posixpath
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's size in bytes and its time of change in nanoseconds, by this machine."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Stamp:
        return cls(stat.st_size, stat.st_mtime_ns)


class Synced:
    """The memory of one run; paths are relative to the run folder."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            self._open(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:  # torn: as good as lost
            self._db.close()
            path.replace(path.with_name(f"{path.name}.torn"))
            self._open(path)

    def _open(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        self._db.execute(
            "create table if not exists synced (folder blob, name blob, size int, mtime_ns int,"
            " primary key (folder, name)) without rowid"
        )
        self._db.execute("create table if not exists pulling (folder blob primary key)")
        self._db.commit()

    def of(self, folder: str) -> dict[str, Stamp]:
        """The files of one folder, by name."""
        rows = self._db.execute(
            "select name, size, mtime_ns from synced where folder = ?", (os.fsencode(folder),)
        )
        return {os.fsdecode(name): Stamp(size, mtime_ns) for name, size, mtime_ns in rows}

    def get(self, path: str) -> Stamp | None:
        folder, name = posixpath.split(path)
        row = self._db.execute(
            "select size, mtime_ns from synced where folder = ? and name = ?",
            (os.fsencode(folder), os.fsencode(name)),
        ).fetchone()
        return Stamp(*row) if row else None

    def put(self, stamps: Iterable[tuple[str, Stamp]]) -> None:
        """Note that these files are now the same on both sides."""
        with self._db:
            self._db.executemany(
                "insert or replace into synced values (?, ?, ?, ?)",
                (
                    (*map(os.fsencode, posixpath.split(path)), stamp.size, stamp.mtime_ns)
                    for path, stamp in stamps
                ),
            )

    def pull_begins(self, folders: Iterable[str]) -> None:
        """Note that files may appear in these folders before they are noted as synced."""
        with self._db:
            self._db.executemany(
                "insert or ignore into pulling values (?)", ((os.fsencode(f),) for f in folders)
            )

    def pull_ended(self) -> None:
        with self._db:
            self._db.execute("delete from pulling")

    def unfinished(self) -> list[str]:
        """The folders of a pull that began and was not seen to end."""
        return [os.fsdecode(row[0]) for row in self._db.execute("select folder from pulling")]

    def close(self) -> None:
        self._db.close()
