"""The journal ``qsub.log``: append only, on disk before the act that it announces.

An event is a line ``TIME KIND KEY JOBID name=value …``, ``-`` for no JOBID; the attempt's number
is the note ``n=2`` and is left out for 0. Words are written as ``names.encode`` writes them and
stand one space apart. A line counts once its newline is there. What a crash left of a last line
is cut off by the next writer and passed over by readers, for what it announced was not done.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from types import MappingProxyType

from jobmon.core.life import IllegalEvent, Job, fold
from jobmon.core.model import Event, Key, Kind
from jobmon.run import names
from jobmon.run.atomic import flush, flush_folder, write_all
from jobmon.run.names import BadFile

WAY_OUT = (
    "mend the line, or rename qsub.log and quelist away: the next start is then afresh, "
    "from the markers and the cluster's own record"
)

_KINDS = {str(kind): kind for kind in Kind}
_NOTE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_MOST = 999_999_999
_NO_NOTES: Mapping[str, str] = MappingProxyType({})


class JournalError(Exception):
    """The journal cannot be opened or written; nothing that was to be announced may be done."""


def format_event(event: Event) -> str:
    """The event's line, without the newline. Raises ValueError for what no line can hold."""
    names.check_key(event.key)  # nothing is written that would not be read
    words = [
        names.stamp(event.at),
        str(event.kind),
        names.encode(event.key),
        names.encode_jobid(event.jobid),
    ]
    if not 0 <= event.n <= _MOST:
        raise ValueError(f"{event.n} is no attempt's number")
    if event.n:
        words.append(f"n={event.n}")
    for name, value in event.notes.items():
        if name == "n" or not _NOTE.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a note")
        words.append(f"{name}={names.encode(value)}")
    return " ".join(words)


def parse_event(line: str) -> Event:
    """The event of a line. Raises ValueError that says what is wrong with it."""
    words = line.split(" ")
    if len(words) < 4:
        raise ValueError("it is not TIME KIND KEY JOBID")
    at = names.parse_stamp(words[0])
    kind = _KINDS.get(words[1])
    if kind is None:
        raise ValueError(f"{words[1]!r} is no kind of event")
    key = names.read_key(words[2])
    jobid = names.decode_jobid(words[3])
    if len(words) == 4:
        return Event(at, kind, key, 0, jobid, _NO_NOTES)
    n, notes = _parse_notes(words[4:])
    return Event(at, kind, key, n, jobid, notes)


def _parse_notes(words: Sequence[str]) -> tuple[int, Mapping[str, str]]:
    notes: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not _NOTE.fullmatch(name):
            raise ValueError(f"{word!r} is no name=value")
        if name in notes:
            raise ValueError(f"the note {name!r} stands there twice")
        notes[name] = names.decode(value) if value else ""
    number = notes.pop("n", "0")
    if not (number.isascii() and number.isdigit() and len(number) <= len(str(_MOST))):
        raise ValueError(f"{number!r} is no attempt's number")
    return int(number), MappingProxyType(notes) if notes else _NO_NOTES


class Journal:
    """The journal, open for its one writer, who holds the run's lock.

    ``events`` are those read when it was opened; ``cut`` is the torn last line that was cut off
    then, or None.
    """

    def __init__(self, path: Path, fd: int, end: int, events: list[Event], cut: str | None):
        self.path = path
        self.events = events
        self.cut = cut
        self._fd = fd
        self._end = end  # bytes; all that the file holds
        self._trouble = ""
        self._half = 0  # bytes of a write that failed and could not be taken back yet

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open, or create, the journal and read it whole.

        Raises JournalError if the file cannot be used, BadFile for a bad line before the last.
        """
        try:
            new = not path.exists()
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise _error(path, "opened", error) from error
        try:
            if new:
                flush(fd)
                flush_folder(path.parent)
            data = path.read_bytes()
            events, end = _read(path, data)
            cut = data[end:].decode("utf-8", "surrogateescape") if end < len(data) else None
            if cut is not None:
                os.ftruncate(fd, end)
                flush(fd)
        except OSError as error:
            os.close(fd)
            raise _error(path, "read", error) from error
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd, end, events, cut)

    def append(self, events: Sequence[Event]) -> None:
        """Write the events, in one piece, and have the disk hold them before returning.

        Raises JournalError with the file as it was before; ValueError for an event that no
        line can hold, with nothing written.
        """
        if not events:
            return
        data = "".join(format_event(event) + "\n" for event in events).encode("utf-8")
        if not self._trouble:
            self._trouble = self._changed()
        if not self._trouble and self._half:
            self._take_back()
        if self._trouble:
            raise JournalError(f"{self.path}: {self._trouble}; stop this run and start it again")
        try:
            write_all(self._fd, data)
            flush(self._fd)
        except OSError as error:
            self._take_back()
            raise _error(self.path, "written", error) from error
        self._end += len(data)

    @property
    def size(self) -> int:
        """Bytes of all events so far."""
        return self._end

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _changed(self) -> str:
        """What another hand did to the file, if so; what we wrote would be read by no one."""
        if self._fd < 0:
            return "the journal is closed"
        try:
            ours = os.fstat(self._fd)
            there = self.path.stat()
        except FileNotFoundError:
            return "the journal was moved away while it was in use"
        except OSError as error:
            raise _error(self.path, "read", error) from error
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            return "the journal was replaced while it was in use"
        if ours.st_size != self._end + self._half:
            return "the journal was changed by another hand while it was in use"
        return ""

    def _take_back(self) -> None:
        """Leave nothing of a write that failed. Raises JournalError; then it is tried again."""
        try:
            self._half = os.fstat(self._fd).st_size - self._end
            os.ftruncate(self._fd, self._end)
        except OSError as error:
            raise _error(self.path, "written", error) from error
        self._half = 0
        with contextlib.suppress(OSError):
            flush(self._fd)


def read(path: Path) -> list[Event]:
    """All events, for readers; needs no lock, changes nothing; a missing file holds none.

    Raises BadFile for a bad line before the last, JournalError if the file cannot be read.
    """
    return follow(path, 0)[0]


def only(path: Path, keys: Set[Key]) -> list[Event]:
    """The events of a few jobs; other lines are not looked at further than their key.

    Raises as ``read`` does.
    """
    wanted = {names.encode(key).encode("utf-8", "surrogateescape") for key in keys}
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _error(path, "read", error) from error
    lines = data[: data.rfind(b"\n") + 1].split(b"\n")
    events: list[Event] = []
    for i, line in enumerate(lines):
        words = line.split(b" ", 3)
        if len(words) > 2 and words[2] in wanted:
            try:
                events.append(parse_event(line.decode("utf-8", "surrogateescape")))
            except ValueError as error:
                raise BadFile(path, i + 1, str(error), WAY_OUT) from error
    return events


def jobs_of(path: Path, events: Iterable[Event]) -> dict[Key, Job]:
    """The jobs that the journal's events make. Raises BadFile for one that cannot follow."""
    try:
        return fold(events)
    except IllegalEvent as error:
        raise BadFile(path, error.index + 1, str(error), WAY_OUT) from error


def follow(path: Path, offset: int) -> tuple[list[Event], int]:
    """The events behind byte ``offset`` and where to go on from, for watchers.

    A file shorter than ``offset`` was begun anew and is read from its start: the new offset is
    then the smaller one. Raises as ``read`` does.
    """
    try:
        with path.open("rb") as file:
            if offset > file.seek(0, os.SEEK_END):
                offset = 0
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise _error(path, "read", error) from error
    events, used = _read(path, data, offset)
    return events, offset + used


def _read(path: Path, data: bytes, offset: int = 0) -> tuple[list[Event], int]:
    """The events in ``data`` and how many bytes they fill; a torn last line is not among them."""
    end = data.rfind(b"\n") + 1
    lines = data[:end].decode("utf-8", "surrogateescape").split("\n")
    lines.pop()  # behind the last newline
    torn = end < len(data)
    events: list[Event] = []
    for i, line in enumerate(lines):
        try:
            events.append(parse_event(line))
        except ValueError as error:
            if i == len(lines) - 1 and not torn:
                return events, end - len(line.encode("utf-8", "surrogateescape")) - 1
            before = path.read_bytes()[:offset].count(b"\n") if offset else 0
            raise BadFile(path, before + i + 1, str(error), WAY_OUT) from error
    return events, end


def _error(path: Path, done: str, error: OSError) -> JournalError:
    return JournalError(
        f"{path}: the journal cannot be {done}: {error.strerror}; "
        "see to the disk (full, over quota, read-only?) and the file's rights"
    )
