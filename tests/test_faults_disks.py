"""Disks that are full, over quota or read-only, here and there, at each single write."""

from __future__ import annotations

import builtins
import errno
import io
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults_lab import Lab
from session import agree

from jobmon.act.errors import EXPECTED
from jobmon.show.read import view

CODES = {"full": errno.ENOSPC, "over quota": errno.EDQUOT, "read-only": errno.EROFS}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class BadDisk:
    """Fails, below ``top``, every call that writes while ``bad`` says so of its number and place."""

    def __init__(self, top: Path, patch: pytest.MonkeyPatch) -> None:
        self.top = f"{top}/"
        self.bad: Callable[[int, str], bool] = lambda number, path: False
        self.code = errno.ENOSPC
        self.writes = 0
        self.struck: list[str] = []
        self._fds: dict[int, str] = {}
        for name in ("replace", "rename", "link", "symlink", "mkdir", "truncate"):
            patch.setattr(os, name, self._by_path(name, getattr(os, name)))
        for name in ("write", "fsync", "ftruncate"):
            patch.setattr(os, name, self._by_fd(name, getattr(os, name)))
        patch.setattr(os, "open", self._os_open(os.open))
        for module in (io, builtins):
            patch.setattr(module, "open", self._io_open(io.open))
        patch.setattr(sqlite3, "connect", self._connect(sqlite3.connect))

    def strike(self, what: str, path: str) -> None:
        if not f"{path}/".startswith(self.top):
            return
        self.writes += 1
        if self.bad(self.writes, path):
            self.struck.append(f"{what} {path}")
            raise OSError(self.code, os.strerror(self.code), path)

    def _by_path(self, name: str, real: Any) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            self.strike(name, os.fspath(args[1 if len(args) > 1 and name != "mkdir" else 0]))
            return real(*args, **more)

        return call

    def _by_fd(self, name: str, real: Any) -> Any:
        def call(fd: int, *args: Any) -> Any:
            if fd in self._fds:
                self.strike(name, self._fds[fd])
            return real(fd, *args)

        return call

    def _os_open(self, real: Any) -> Any:
        def call(path: Any, flags: int, *args: Any, **more: Any) -> Any:
            if flags & WRITES:
                self.strike("open", os.fspath(path))
            fd = real(path, flags, *args, **more)
            self._fds.pop(fd, None)
            if flags & WRITES:
                self._fds[fd] = os.fspath(path)
            return fd

        return call

    def _io_open(self, real: Any) -> Any:
        def call(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
            if set(mode) & set("wax+") and not isinstance(file, int):
                self.strike("open", os.fspath(file))
            opened = real(file, mode, *args, **more)
            self._fds.pop(opened.fileno(), None)
            return opened

        return call

    def _connect(self, real: Any) -> Any:
        def connect(path: Any) -> Any:
            def strike(what: str) -> None:
                try:
                    self.strike(what, os.fspath(path))
                except OSError as error:
                    words = {errno.EROFS: "attempt to write a readonly database"}
                    raise sqlite3.OperationalError(
                        words.get(self.code, "database or disk is full")
                    ) from error

            class Connection(sqlite3.Connection):
                def executemany(self, *args: Any) -> Any:
                    strike("sqlite")
                    return super().executemany(*args)

                def commit(self) -> None:
                    strike("commit")
                    super().commit()

            return real(path, factory=Connection)

        return connect


def lab_of(top: Path) -> Lab:
    lab = Lab(top)
    lab.put("m/qsub.0")
    lab.put("m/qsub.1", "qsub.finished.0\n")
    lab.put("n/qsub.0")
    return lab


def through(lab: Lab) -> list[str]:
    """Start the run until it ends; what the starts that failed said, each in one line."""
    said: list[str] = []
    for _ in range(60):
        try:
            lab.session()
            return said
        except EXPECTED as error:
            said.append(str(error))
            assert "\n" not in said[-1]
            # The process of a real start is gone now, and its lock stale.
            (lab.run / ".jobmon" / "lock").unlink(missing_ok=True)
            lab.time.sleep(10)
    raise AssertionError(f"it never ends: {said[-3:]}")


def whole(lab: Lab) -> None:
    """The run is finished, each job was submitted once, its results are here, nothing is left over."""
    assert set(lab.states().values()) == {"finished"}
    assert lab.farm.submissions == dict.fromkeys(["m/qsub.0", "m/qsub.1", "n/qsub.0"], 1)
    agree(lab.run)
    for path in lab.twin.glob("*/result.*"):
        assert (lab.run / path.relative_to(lab.twin)).read_text() == path.read_text()
    left = [p.name for p in lab.project.rglob("*") if p.name.endswith(("~", "-half", "-journal"))]
    assert not left + [p.name for p in lab.run.glob(".jobmon/lock.*") if p.name != "lock.guard"]


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: a disk that is flushed a thousand times takes long."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="jobmon-test-", dir=memory) as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=pytest.mark.fault(f"Disks and clocks: here {how}, at each write"))
        for how in CODES
    ],
)
def test_here_at_each_write(quick: Path, patch: pytest.MonkeyPatch, how: str) -> None:
    """For k = 1, 2, … the k-th write of a run fails, and every third time the next few with it."""
    disk = BadDisk(quick / "none", patch)
    disk.code = CODES[how]
    struck: set[str] = set()
    number = list(CODES).index(how) + 1
    while True:
        lab = lab_of(quick / str(number))
        disk.top, disk.writes, disk.struck = f"{lab.project}/", 0, []
        times = 7 if number % 2 else 1
        disk.bad = lambda n, path, k=number, t=times: k <= n < k + t  # type: ignore[misc]
        through(lab)
        disk.bad = lambda n, path: False
        whole(lab)
        if not disk.struck:
            break
        struck |= {f"{line.split(' ')[0]} {Path(line).name.split('.')[0]}" for line in disk.struck}
        shutil.rmtree(lab.top)
        number += len(CODES)  # the three ways share the writes between them
    assert number > 60
    assert any(line.startswith("sqlite") for line in struck)
    assert {"write qsub", "fsync qsub", "open quelist", "open qstat"} & struck


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(how, marks=pytest.mark.fault(f"Disks and clocks: there {how}, at each write"))
        for how in CODES
    ],
)
def test_there_at_each_push(quick: Path, patch: pytest.MonkeyPatch, how: str) -> None:
    """Pushes that fail at their k-th write there; what is not there counts as not pushed."""
    disk = BadDisk(quick / "none", patch)
    disk.code = CODES[how]
    struck = 0
    for number in range(1, 50, 3):
        lab = lab_of(quick / str(number))
        for job in range(3):
            (lab.project / "init" / "m" / f"input.{job}").write_text("old")

        def edit(lab: Lab = lab) -> None:
            for path in lab.run.glob("m/input.*"):
                if path.read_text() == "old":
                    path.write_text("edited here")

        lab.farm.at_look = edit
        disk.top, disk.writes, disk.struck = f"{lab.twin}/", 0, []
        disk.bad = lambda n, path, k=number: (  # type: ignore[misc]
            k <= n < k + 3 and (path.endswith("~") or "input" in path)
        )
        through(lab)
        disk.bad = lambda n, path: False
        whole(lab)
        assert {path.read_text() for path in lab.twin.glob("m/input.*")} == {"edited here"}
        assert not list(lab.twin.rglob("*~"))
        shutil.rmtree(lab.top)
        struck += len(disk.struck)
    assert struck > 10


HOURS = 3 * 3600.0


def bad_for_hours(quick: Path, patch: pytest.MonkeyPatch, name: str) -> tuple[Lab, BadDisk]:
    """A run in which the file ``name`` cannot be written for hours from its first cycle on."""
    lab = lab_of(quick)
    disk = BadDisk(lab.project, patch)
    begun: list[float] = []

    def bad(number: int, path: str) -> bool:
        return bool(begun) and lab.time.mono - begun[0] < HOURS and Path(path).match(name)

    disk.bad = bad
    lab.time.limit = 10 * HOURS

    def begin() -> None:
        if not begun:
            begun.append(lab.time.mono)

    lab.farm.at_look = begin
    return lab, disk


@pytest.mark.fault(
    "Disks and clocks: a journal that can't be written stops submission, not the daemon"
)
def test_a_journal_that_cannot_be_written(
    quick: Path, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab, _ = bad_for_hours(quick, patch, "qsub.log")
    submitted: list[tuple[float, int]] = []
    shown: list[str] = []

    def look() -> None:
        begin()
        submitted.append((lab.time.mono, sum(lab.farm.submissions.values())))
        shown.append(",".join(sorted(row.state for row in view(lab.run).rows())))

    begin = lab.farm.at_look
    lab.farm.at_look = look
    with caplog.at_level(logging.WARNING):
        assert through(lab) == [], "it never ended"
    whole(lab)
    began = submitted[0][0]
    during = [number for when, number in submitted if when - began < HOURS]
    assert len(during) > 30 and set(during) == {0}, "it looked, and submitted nothing"
    assert shown[5] == "ready,ready,waiting", "status reads it all the same"
    (said,) = [r.getMessage() for r in caplog.records if "qsub.log" in r.getMessage()]
    assert "qsub.log: the journal cannot be written: No space left on device; see to" in said


@pytest.mark.parametrize("name", ["quelist*", "qsub.now*", "qstat*", "memory*", "synced.db"])
@pytest.mark.fault("Disks and clocks: here full, at each write")
def test_another_file_of_the_run_cannot_be_written(
    quick: Path, patch: pytest.MonkeyPatch, name: str
) -> None:
    lab, disk = bad_for_hours(quick, patch, f"*{name}" if name != "synced.db" else name)
    assert through(lab) == []
    assert disk.struck
    whole(lab)


@pytest.mark.fault("Disks and clocks: here full, while results come home")
def test_results_that_find_no_room_here_come_home_later(
    quick: Path, patch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab, disk = bad_for_hours(quick, patch, "m/.jobmon-half~")
    with caplog.at_level(logging.INFO):
        assert through(lab) == []
    assert len(disk.struck) > 5
    whole(lab)
    assert (lab.run / "n" / "result.0").exists()
    assert "results cannot be written here" in caplog.text
