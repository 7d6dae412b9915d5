"""The journal: what is written reads back, what a crash tore is cut off, no more and no less."""

from __future__ import annotations

import errno
import os
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_names import keys, texts

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import journal
from jobmon.run.journal import Journal, JournalError, format_event, parse_event
from jobmon.run.names import BadFile

JAPAN = timezone(timedelta(hours=9))
AT = datetime(2026, 11, 20, 17, 31, 2, tzinfo=JAPAN)
KEY = Key("mp-149/qsub.0")
SOME = [
    Event(AT, Kind.READY, KEY),
    Event(AT, Kind.SUBMITTING, KEY, 1),
    Event(AT, Kind.STARTED, KEY, 1, JobID("353143")),
    Event(
        AT,
        Kind.FAILED,
        Key("a b/qsub.0"),
        2,
        None,
        {"cause": "exit", "words": "code 1"},
    ),
]

times = st.datetimes(
    min_value=datetime(1000, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
).map(lambda at: at.replace(microsecond=0))
events = st.builds(
    Event,
    at=times,
    kind=st.sampled_from(Kind),
    key=keys,
    n=st.integers(0, 10**6),
    jobid=st.none() | texts.map(JobID),
    notes=st.dictionaries(
        st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,8}", fullmatch=True).filter(lambda n: n != "n"),
        st.just("") | texts,
        max_size=3,
    ),
)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (SOME[0], "2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 -"),
        (SOME[1], "2026-11-20T17:31:02+09:00 submitting mp-149/qsub.0 - n=1"),
        (SOME[2], "2026-11-20T17:31:02+09:00 started mp-149/qsub.0 353143 n=1"),
        (
            SOME[3],
            "2026-11-20T17:31:02+09:00 failed a%20b/qsub.0 - n=2 cause=exit words=code%201",
        ),
        (
            Event(AT, Kind.RUNNING, Key("#é/qsub.x"), 0, JobID("2308[].vm"), {"why": ""}),
            "2026-11-20T17:31:02+09:00 running %23é/qsub.x 2308[].vm why=",
        ),
    ],
)
def test_golden(event: Event, line: str) -> None:
    assert format_event(event) == line
    assert parse_event(line) == event


@given(events)
def test_an_event_reads_back_the_same(event: Event) -> None:
    line = format_event(event)
    assert "\n" not in line
    assert parse_event(line) == event
    assert format_event(parse_event(line)) == line


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "TIME KIND KEY JOBID"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0", "TIME KIND KEY JOBID"),
        ("17:31 ready mp-149/qsub.0 -", "no time"),
        ("2026-11-20T17:31:02+09:00 begun mp-149/qsub.0 -", "'begun' is no kind"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/out -", "names no script"),
        ("2026-11-20T17:31:02+09:00 ready ../a/qsub.0 -", "inside the run folder"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 ", "job ID is missing"),
        ("2026-11-20T17:31:02+09:00  ready mp-149/qsub.0 -", "no kind"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 - ", "no name=value"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 - n=x", "attempt's number"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 - n=-1", "attempt's number"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 - a=1 a=2", "twice"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 - a=%2", "hex"),
        ("2026-11-20T17:31:02+09:00 ready mp-149/qsub.0 -\r", "white space or control"),
    ],
)
def test_a_bad_line_says_what_is_wrong(line: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_event(line)


@pytest.mark.parametrize("name", ["n", "a b", "a=b", "", "1"])
def test_a_note_needs_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="name of a note"):
        format_event(Event(AT, Kind.READY, KEY, notes={name: "x"}))


@pytest.mark.parametrize(
    "event",
    [
        Event(AT, Kind.READY, Key("a\nb/qsub.0")),
        Event(AT, Kind.READY, Key("../qsub.0")),
        Event(AT, Kind.READY, Key("a/out.txt")),
        Event(AT, Kind.STARTED, KEY, 1, JobID("")),
        Event(AT, Kind.STARTED, KEY, -1),
        Event(AT, Kind.STARTED, KEY, 10**9),
        Event(AT.replace(tzinfo=None), Kind.READY, KEY),
        Event(AT, Kind.READY, KEY, notes={"words": "\ud800"}),
    ],
)
def test_what_could_not_be_read_is_not_written(event: Event) -> None:
    with pytest.raises(ValueError, match=r"."):
        format_event(event)


def lines(some: list[Event]) -> str:
    return "".join(format_event(event) + "\n" for event in some)


def test_a_new_journal_is_made_appended_to_and_read(tmp_path: Path) -> None:
    path = tmp_path / "qsub.log"
    with Journal.open(path) as log:
        assert (log.events, log.cut) == ([], None)
        assert path.read_bytes() == b""
        log.append(SOME[:1])
        log.append([])
        log.append(SOME[1:])
        assert path.read_text("utf-8") == lines(SOME)
    with Journal.open(path) as again:
        assert (again.events, again.cut) == (SOME, None)
    assert journal.read(path) == SOME


def test_a_missing_journal_holds_nothing(tmp_path: Path) -> None:
    assert journal.read(tmp_path / "qsub.log") == []
    assert not (tmp_path / "qsub.log").exists()


def test_a_batch_is_one_write_and_one_flush_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    path = tmp_path / "qsub.log"
    log = Journal.open(path)
    write = os.write

    def spy(fd: int, data: bytes) -> int:
        done.append("write")
        return write(fd, data)

    monkeypatch.setattr(os, "write", spy)
    monkeypatch.setattr(journal, "flush", lambda _fd: done.append("flush"))
    log.append(SOME)
    assert done == ["write", "flush"]


def test_a_line_torn_at_any_byte_is_cut_off_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "qsub.log"
    whole = lines(SOME).encode()
    before = len(lines(SOME[:-1]).encode())
    for size in range(before, len(whole)):
        path.write_bytes(whole[:size])
        assert journal.read(path) == SOME[:-1]
        assert path.read_bytes() == whole[:size]  # a reader changes nothing
        with Journal.open(path) as log:
            assert log.events == SOME[:-1]
            assert log.cut == (whole[before:size].decode() if size > before else None)
            assert path.read_bytes() == whole[:before]
            log.append(SOME[-1:])
        assert path.read_bytes() == whole


@pytest.mark.parametrize("tail", [b"rubbish\n", b"\0\0\0\0", b"\xff\xfe\n", b"\n", b"\xc3"])
def test_a_last_line_that_is_no_event_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "qsub.log"
    path.write_bytes(lines(SOME).encode() + tail)
    assert journal.read(path) == SOME
    with Journal.open(path) as log:
        assert log.events == SOME
        assert log.cut == tail.decode("utf-8", "surrogateescape")
    assert path.read_bytes() == lines(SOME).encode()


def test_a_bad_line_in_the_middle_stops_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "qsub.log"
    text = lines(SOME[:2]) + "rubbish\n" + lines(SOME[2:])
    path.write_text(text, "utf-8")
    for use in (Journal.open, journal.read):
        with pytest.raises(BadFile) as caught:
            use(path)
        assert str(caught.value) == (
            f"{path}, line 3: it is not TIME KIND KEY JOBID; mend the line, or rename qsub.log and "
            "quelist away: the next start is then afresh, from the markers and the cluster's own record"
        )
        assert caught.value.line_no == 3
    assert path.read_text("utf-8") == text


def test_following_gives_each_event_once(tmp_path: Path) -> None:
    path = tmp_path / "qsub.log"
    assert journal.follow(path, 0) == ([], 0)
    whole = lines(SOME).encode()
    got: list[Event] = []
    offset = 0
    for size in range(0, len(whole) + 1, 7):
        path.write_bytes(whole[:size])
        new, offset = journal.follow(path, offset)
        got += new
    path.write_bytes(whole)
    new, offset = journal.follow(path, offset)
    assert got + new == SOME
    assert offset == len(whole)
    assert journal.follow(path, offset) == ([], offset)


def test_following_goes_back_to_the_start_of_a_shorter_file(tmp_path: Path) -> None:
    path = tmp_path / "qsub.log"
    path.write_text(lines(SOME), "utf-8")
    _, offset = journal.follow(path, 0)
    path.write_text(lines(SOME[:1]), "utf-8")
    new, after = journal.follow(path, offset)
    assert new == SOME[:1]
    assert after < offset


def test_following_names_the_line_counted_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "qsub.log"
    path.write_text(lines(SOME), "utf-8")
    _, offset = journal.follow(path, 0)
    path.write_text(lines(SOME) + "rubbish\n" + lines(SOME), "utf-8")
    with pytest.raises(BadFile, match=f"line {len(SOME) + 1}:"):
        journal.follow(path, offset)


@pytest.mark.fault("Disks and clocks: here full, at each write")
@pytest.mark.parametrize("step", ["write", "flush"])
def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "qsub.log"
    log = Journal.open(path)
    log.append(SOME[:2])
    write = os.write
    written = 0

    def half(fd: int, data: bytes) -> int:
        nonlocal written
        if written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(fd, bytes(data)[: len(data) // 2])
        return written

    def no_flush(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if step == "write":
            patch.setattr(os, "write", half)
        else:
            patch.setattr(journal, "flush", no_flush)
        with pytest.raises(JournalError, match=f"{path}.*cannot be written: No space left"):
            log.append(SOME[2:])
    assert path.read_text("utf-8") == lines(SOME[:2])
    log.append(SOME[2:])  # there is room again
    assert journal.read(path) == SOME


@pytest.mark.fault("Disks and clocks: here full, at each write")
@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_write_that_cannot_be_taken_back_is_taken_back_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: bool
) -> None:
    """Unless another hand wrote behind it meanwhile: that is not ours to cut off."""
    path = tmp_path / "qsub.log"
    log = Journal.open(path)
    log.append(SOME[:1])

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(journal, "flush", fail)
        patch.setattr(os, "ftruncate", fail)
        for _ in range(2):
            with pytest.raises(JournalError, match="cannot be written"):
                log.append(SOME[1:])
            assert path.read_text("utf-8") == lines(SOME), "written, but the disk may not have it"
    if meanwhile:
        with path.open("a") as other:
            other.write("x")
        with pytest.raises(JournalError, match="changed by another hand"):
            log.append(SOME[1:])
        return
    log.append(SOME[1:2])
    assert journal.read(path) == SOME[:2]


def test_nothing_is_written_of_a_batch_with_a_bad_event(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "qsub.log") as log:
        with pytest.raises(ValueError, match="note"):
            log.append([*SOME, Event(AT, Kind.READY, KEY, notes={"n": "1"})])
        assert (tmp_path / "qsub.log").read_bytes() == b""


def test_a_journal_moved_away_or_changed_under_the_writer_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "qsub.log"
    log = Journal.open(path)
    path.rename(tmp_path / "old.log")
    with pytest.raises(JournalError, match="moved away while it was in use; stop this run"):
        log.append(SOME)
    log = Journal.open(path)
    path.rename(tmp_path / "older.log")
    path.touch()
    with pytest.raises(JournalError, match="replaced"):
        log.append(SOME)
    log = Journal.open(path)
    path.write_text(lines(SOME), "utf-8")
    with pytest.raises(JournalError, match="changed by another hand"):
        log.append(SOME)


def test_a_journal_that_is_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "qsub.log").mkdir()
    with pytest.raises(JournalError, match=r"qsub\.log: the journal cannot be opened: Is a dir"):
        Journal.open(tmp_path / "qsub.log")
    with pytest.raises(JournalError, match=r"qsub\.log: the journal cannot be read: Is a dir"):
        journal.read(tmp_path / "qsub.log")


def test_big_journals_read_in_time_that_grows_with_their_size_only(tmp_path: Path) -> None:
    def spent(n: int) -> float:
        path = tmp_path / f"{n}.log"
        at = datetime(2026, 11, 20, tzinfo=UTC)
        path.write_text(
            lines(
                [
                    Event(
                        at + timedelta(seconds=i // 9),
                        Kind.STARTED,
                        Key(f"mp-{i // 4}/qsub.0"),
                        1,
                        JobID(str(i)),
                    )
                    for i in range(n)
                ]
            )
        )
        best = 1e9
        for _ in range(2):
            begin = time.process_time()
            assert len(journal.read(path)) == n
            best = min(best, time.process_time() - begin)
        return best

    assert spent(40_000) < 20 * max(spent(4_000), 0.005)
