"""What was last synced: each file's size and time here, as they were on both sides then.

Both sides agree after a sync, since times travel with the files; so one pair tells a change on
either. Losing this file is harmless: files then count as never synced, and differing ones are
asked about instead of overwritten. It is SQLite because a run may hold a million files and a
cycle touches a few; only the holder of the run's lock opens it.
"""

from __future__ import annotations

import errno
import os
import posixpath
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's size in bytes and its time of change in nanoseconds, by this machine."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Stamp:
        return cls(stat.st_size, stat.st_mtime_ns)


class Synced:
    """The memory of one run; paths are relative to the run folder. Errors are OSError."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._path = path
        try:
            self._open()
        except sqlite3.OperationalError as error:
            raise self._error(error) from error
        except sqlite3.DatabaseError:  # torn: as good as lost
            self._db.close()
            path.replace(path.with_name(f"{path.name}.torn"))
            self._open()

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path)
        self._db.execute(
            "create table if not exists synced (folder blob, name blob, size int, mtime_ns int,"
            " primary key (folder, name)) without rowid"
        )
        # Pushes that began: a cut one may have got there, and is no change of the cluster's.
        self._db.execute(
            "create table if not exists sent (folder blob, name blob, size int, mtime_ns int,"
            " primary key (folder, name, size, mtime_ns)) without rowid"
        )
        # Files of a pull that were about to be put in place: the cluster's, if they got there.
        self._db.execute(
            "create table if not exists landing (folder blob, name blob, size int, mtime_ns int,"
            " primary key (folder, name)) without rowid"
        )
        self._db.execute("create table if not exists owed (folder blob primary key)")
        self._db.commit()
        self._empty = not self._db.execute("select 1 from synced limit 1").fetchall()

    def of(self, folder: str) -> dict[str, Stamp]:
        """The files of one folder, by name."""
        if self._empty:  # as when a large tree is read for the first time
            return {}
        rows = self._ask("select name, size, mtime_ns from synced where folder = ?", folder)
        return {os.fsdecode(name): Stamp(size, mtime_ns) for name, size, mtime_ns in rows}

    def get(self, path: str) -> Stamp | None:
        rows = self._ask(
            "select size, mtime_ns from synced where folder = ? and name = ?",
            *posixpath.split(path),
        )
        return Stamp(*rows[0]) if rows else None

    def put(self, stamps: Iterable[tuple[str, Stamp]]) -> None:
        """Note that these files are now the same on both sides."""
        self._write("insert or replace into synced values (?, ?, ?, ?)", _stamped(stamps))
        self._empty = False

    def sending(self, stamps: Iterable[tuple[str, Stamp]]) -> None:
        """Note that a push of these files begins."""
        self._write("insert or ignore into sent values (?, ?, ?, ?)", _stamped(stamps))

    def sent(self, path: str) -> list[Stamp]:
        """As what a file may have been pushed since it was last synced."""
        sql = "select size, mtime_ns from sent where folder = ? and name = ?"
        return [Stamp(*row) for row in self._ask(sql, *posixpath.split(path))]

    def arrived(self, paths: Iterable[str]) -> None:
        """Note that a push of these files has ended well."""
        names = (tuple(map(os.fsencode, posixpath.split(path))) for path in paths)
        self._write("delete from sent where folder = ? and name = ?", names)

    def owe(self, folders: Iterable[str]) -> None:
        """Note folders in which a job ended, to be pulled."""
        self._write("insert or ignore into owed values (?)", _rows(folders))

    def owed(self) -> set[str]:
        """The folders whose last pull is still to come."""
        return {os.fsdecode(row[0]) for row in self._ask("select folder from owed")}

    def paid(self, folders: Iterable[str]) -> None:
        """Note that these folders were pulled since their last job ended."""
        self._write("delete from owed where folder = ?", _rows(folders))

    def landing(self, stamps: Iterable[tuple[str, Stamp]]) -> None:
        """Note that these files of a pull are about to be put in place here."""
        self._write("insert or replace into landing values (?, ?, ?, ?)", _stamped(stamps))

    def unlanded(self) -> dict[str, Stamp]:
        """The files of a landing that was not seen to end."""
        rows = self._ask("select folder, name, size, mtime_ns from landing")
        return {
            posixpath.join(os.fsdecode(folder), os.fsdecode(name)): Stamp(size, mtime_ns)
            for folder, name, size, mtime_ns in rows
        }

    def landed(self) -> None:
        """Note that the landing has ended."""
        self._write("delete from landing", [()])

    def close(self) -> None:
        self._db.close()

    def _ask(self, sql: str, *names: str) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, tuple(map(os.fsencode, names))).fetchall()
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _write(self, sql: str, rows: Iterable[tuple[object, ...]]) -> None:
        try:
            with self._db:
                self._db.executemany(sql, rows)
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _error(self, error: sqlite3.Error) -> OSError:
        return OSError(errno.EIO, f"{error} (disk full, or not to be written?)", str(self._path))


def _stamped(stamps: Iterable[tuple[str, Stamp]]) -> Iterator[tuple[object, ...]]:
    for path, stamp in stamps:
        yield (*map(os.fsencode, posixpath.split(path)), stamp.size, stamp.mtime_ns)


def _rows(folders: Iterable[str]) -> Iterator[tuple[bytes]]:
    return ((os.fsencode(folder),) for folder in folders)
