"""This machine, as the world has it: its disk, its clocks, and the life of the daemon.

The daemon's own code runs unchanged. Every system call by which it changes a file passes
``step`` first: there it may be killed, the power may fail, or the disk be full. What is killed
changes nothing any more: not in a ``finally`` either.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from jobmon.act import opened, start
from jobmon.cycle import loop, pull, record
from jobmon.run import host
from jobmon.run.journal import Journal
from simulation.world import Due, Faults, World

BEGIN = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=9)))


LONGEST = 60 * 3600.0
"""Seconds of the world after which a daemon that has not come to an end counts as hanging."""

BLINK = 0.001
"""Seconds that every wait takes: of a clock that stands still none would ever end."""


class Crash(BaseException):
    """The daemon is no more."""


class Endless(BaseException):
    """The daemon goes on for ever."""


@dataclass(slots=True)
class Here:
    """One machine on which one daemon after the other lives."""

    world: World
    faults: Faults
    life: int = 0  # which daemon this is
    boot: int = 1
    dead: bool = False
    exempt: bool = False  # a person's hand or the world's, not the daemon's
    full_until: float = 0.0
    asleep: float = 0.0  # seconds for which the machine's own clock stood still
    wall_back: float = 0.0
    power: bool = False
    journal: Path | None = None
    synced: int = 0  # bytes of the journal that the disk holds for sure
    databases: list[sqlite3.Connection] = field(default_factory=list)

    def step(self, what: str) -> None:
        """A moment at which the daemon may die, or a write fail."""
        if self.exempt:
            return
        if self.dead:
            raise Crash
        if self.faults.strike(f"kill -9 {what}"):
            self.dead = True
            raise Crash
        if what == "at a write":
            if self.faults.strike("power failure"):
                self.dead = self.power = True
                raise Crash
            if self.faults.strike("disk full here"):
                lasts = self.world.chance.uniform(0.1, 60)
                self.full_until = min(self.world.now + lasts, self.faults.until)
            if self.world.now < self.full_until:
                code = self.world.chance.choice((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
                raise OSError(code, os.strerror(code))

    def born(self) -> None:
        """Another daemon begins."""
        if self.power:
            self._lose_unsynced()
            self.boot += 1
        for database in self.databases:
            database.close()
        self.databases.clear()
        self.life += 1
        self.dead = self.power = False

    def _lose_unsynced(self) -> None:
        """After a power failure, of what was not flushed any part may be there."""
        if self.journal is not None and self.journal.exists():
            size = self.journal.stat().st_size
            if size > self.synced:
                with self.hand(), self.journal.open("r+b") as file:
                    file.truncate(self.world.chance.randint(self.synced, size))

    @contextlib.contextmanager
    def hand(self) -> Iterator[None]:
        """What is done in here is not the daemon's doing."""
        before, self.exempt = self.exempt, True
        try:
            yield
        finally:
            self.exempt = before

    def receive(self, home: Path, aside: Path, data: bytes, mtime: int) -> None:
        """What a pull brings, whole, if it is not here already."""
        with contextlib.suppress(FileNotFoundError):
            found = home.stat()
            if (found.st_size, int(found.st_mtime)) == (len(data), mtime):
                return
        with self.hand():
            aside.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(data)
            os.utime(aside, (mtime, mtime))

    def mono(self) -> float:
        return self.world.now - self.asleep

    def wall(self) -> datetime:
        return BEGIN + timedelta(seconds=self.world.now - self.wall_back)

    def process(self) -> host.Process:
        return host.Process("here", "m", f"boot{self.boot}", "s", os.getpid(), str(self.life))

    def state(self, process: host.Process) -> host.Life:
        return host.Life.ALIVE if process == self.process() else host.Life.GONE


class Waiting(threading.Event):
    """The daemon's stop event: to wait for it lets the world's time pass."""

    def __init__(self, here: Here) -> None:
        super().__init__()
        self._here = here

    def wait(self, timeout: float | None = None) -> bool:
        here = self._here
        if here.faults.strike("asleep for eight hours"):
            here.world.advance(8 * 3600.0)
            if here.world.chance.random() < 0.5:
                here.asleep += 8 * 3600.0
        here.world.advance(max(timeout or 0.0, BLINK))
        if here.world.now > LONGEST:
            raise Endless
        here.step("while it waits")
        if here.faults.strike("SIGTERM"):
            self.set()
        return self.is_set()


class Beside:
    """A thread of the daemon, as an event of the world; it dies with the daemon."""

    def __init__(self, here: Here, work: Callable[[], None]) -> None:
        self._here, self._life = here, here.life
        self._work = work
        self._due: Due | None = None
        self._done = False

    def start(self) -> None:
        world = self._here.world
        self._due = world.after(world.chance.choice((0.2, 0.2, 5.0, 30.0)), self._run)

    def _run(self) -> None:
        if self._here.life == self._life and not self._here.dead:
            with contextlib.suppress(Crash):
                self._work()
            self._done = True

    def is_alive(self) -> bool:
        return not self._done

    def join(self, timeout: float | None = None) -> None:
        waited = 0.0
        while not self._done and (timeout is None or waited < timeout):
            self._here.world.advance(0.5)
            waited += 0.5
            self._here.step("while it waits")


class Database(sqlite3.Connection):
    """SQLite writes by its own system calls; they are steps all the same."""

    here: Here | None = None

    def execute(self, *args: Any) -> sqlite3.Cursor:
        if not args[0].startswith("select"):
            _sql(self.here)
        return super().execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        _sql(self.here)
        return super().executemany(*args)

    def commit(self) -> None:
        _sql(self.here)
        super().commit()


def _sql(here: Here | None) -> None:
    if here is not None:
        try:
            here.step("at a write")
        except OSError as error:
            raise sqlite3.OperationalError(f"disk I/O error ({error.strerror})") from error


@contextlib.contextmanager
def inhabited(here: Here, heard: Callable[[Any], None]) -> Iterator[None]:
    """Have the program live on this machine: ``heard`` is told of what it journals."""
    connect = sqlite3.connect

    def database(path: object) -> sqlite3.Connection:
        found = connect(str(path), factory=Database)
        assert isinstance(found, Database)
        found.here = here
        # Flushing costs time and a simulated power failure does not lose what SQLite holds.
        sqlite3.Connection.execute(found, "pragma synchronous = off")
        here.databases.append(found)
        return found

    append = Journal.append

    def journalled(self: Journal, events: Any) -> None:
        append(self, events)
        if events and here.journal is not None:
            here.synced = here.journal.stat().st_size
        heard(events)

    with contextlib.ExitStack() as stack:
        for name in ("write", "fsync", "replace", "rename", "link", "unlink", "mkdir", "ftruncate"):
            stack.enter_context(mock.patch.object(os, name, _stepping(here, getattr(os, name))))
        stack.enter_context(mock.patch.object(os, "open", _opening(here, os.open)))
        stack.enter_context(mock.patch.object(io, "open", _opening(here, io.open)))
        for where, name, what in (
            (sqlite3, "connect", database),
            (Journal, "append", journalled),
            (host, "this_process", here.process),
            (host, "state", here.state),
            (opened, "Clock", lambda: SimpleClock(here)),
            (loop, "POLL", 1e9),
            (record, "time", SimpleNamespace(thread_time=lambda: 0.0)),
            (pull, "threading", SimpleNamespace(Thread=_thread(here))),
            (
                start,
                "threading",
                SimpleNamespace(Event=lambda: Waiting(here), Timer=threading.Timer),
            ),
            (signal, "signal", lambda number, handler: None),
        ):
            stack.enter_context(mock.patch.object(where, name, what))
        yield


class SimpleClock:
    """A ``cycle.state.Clock`` of this machine."""

    def __init__(self, here: Here) -> None:
        self.mono, self.wall, self.now = here.mono, here.wall, here.mono
        self.sleep = lambda seconds: None  # a person's edits are whole here


def _thread(here: Here) -> Callable[..., Beside]:
    def make(
        *, target: Callable[..., None], args: tuple[Any, ...], name: str, daemon: bool
    ) -> Beside:
        return Beside(here, functools.partial(target, *args))

    return make


def _stepping(here: Here, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **more: Any) -> Any:
        lived = not here.dead
        try:
            here.step("at a write")
        except (Crash, OSError):
            if real.__name__ == "write" and lived and len(args[1]) > 1:  # a part may get there
                real(args[0], args[1][: here.world.chance.randrange(len(args[1]))])
            raise
        return real(*args, **more)

    return call


def _opening(here: Here, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any, *args: Any, **more: Any) -> Any:
        how = args[0] if args else more.get("mode", more.get("flags", "r"))
        writes = how & (os.O_WRONLY | os.O_RDWR) if isinstance(how, int) else set(how) & set("wax+")
        if writes:
            here.step("at a write")
        return real(path, *args, **more)

    return call
