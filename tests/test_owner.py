"""One writer: exactly one process holds a run at any time, whoever crashes; requests arrive once."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import random
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobmon.run import owner
from jobmon.run.host import this_process
from jobmon.run.owner import (
    Held,
    Lost,
    OwnerError,
    Request,
    acquire,
    done,
    holder,
    request,
    waiting,
)

FORK = multiprocessing.get_context("fork")  # spawning dozens would take a minute
DEADLINE = 120.0


def race(count: int, work: Callable[..., None], *args: object) -> list[int | None]:
    """Run ``work(*args, i)`` in ``count`` processes that begin together; their exit codes."""
    gate = FORK.Barrier(count)

    def begin(i: int) -> None:
        gate.wait(DEADLINE)
        work(*args, i)

    processes = [FORK.Process(target=begin, args=(i,)) for i in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE)
    return [process.exitcode for process in processes]


def crash(run: Path) -> None:
    """Leave the lock of a process that is gone."""

    def work(_i: int) -> None:
        acquire(run)
        os._exit(0)

    assert race(1, work) == [0]


def rewrite(run: Path, **changes: object) -> None:
    lock = run / ".jobmon/lock"
    lock.write_text(json.dumps(json.loads(lock.read_text()) | changes))


# --- the lock ------------------------------------------------------------------------------


def test_a_lock_is_taken_seen_and_given_back(weird_path: Path) -> None:
    assert holder(weird_path) is None
    assert not (weird_path / ".jobmon").exists()
    with acquire(weird_path) as mine:
        assert mine.took_over is None
        assert holder(weird_path) == mine.holder
        mine.check()
        said = json.loads((weird_path / ".jobmon/lock").read_text())
        me = this_process()
        assert (said["pid"], said["host"], said["boot"], said["birth"]) == (
            os.getpid(), me.host, me.boot, me.birth,
        )  # fmt: skip
        assert stat.S_IMODE((weird_path / ".jobmon").stat().st_mode) == 0o700
    assert holder(weird_path) is None
    assert [p.name for p in (weird_path / ".jobmon").iterdir()] == ["lock.guard"]
    mine.release()  # a second time does nothing
    acquire(weird_path).release()


def test_a_second_start_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    run.mkdir()
    with acquire(run) as mine:
        for take_over in (False, True):  # never from a process that lives here
            with pytest.raises(Held) as caught:
                acquire(run, take_over)
            assert str(caught.value) == (
                f"run {run} is held by process {os.getpid()} on host {this_process().host} since "
                f"{mine.holder.since}; 'jobmon stop --run '{run}'' ends it"
            )
        assert (caught.value.pid, caught.value.host) == (os.getpid(), this_process().host)
        mine.check()


def test_a_lock_left_by_a_crash_is_taken_over(tmp_path: Path) -> None:
    crash(tmp_path)
    left = json.loads((tmp_path / ".jobmon/lock").read_text())
    assert holder(tmp_path) is None
    with acquire(tmp_path) as mine:
        assert mine.took_over is not None
        assert mine.took_over.process.pid == left["pid"]
        assert holder(tmp_path) == mine.holder


@pytest.mark.parametrize("change", [{"boot": "earlier"}, {"birth": "1"}])
def test_a_lock_of_an_earlier_boot_or_of_a_used_again_pid_is_taken_over(
    tmp_path: Path, change: dict[str, str]
) -> None:
    old = acquire(tmp_path)
    rewrite(tmp_path, **change)
    assert holder(tmp_path) is None
    with acquire(tmp_path), pytest.raises(Lost):
        old.check()


@pytest.mark.fault("Hands of users: the same run started on two hosts that share a disk")
def test_a_lock_of_another_host_is_taken_only_when_told_to(tmp_path: Path) -> None:
    old = acquire(tmp_path)
    rewrite(tmp_path, host="hal", machine="2001", boot="discovery", pid=9000)
    there = holder(tmp_path)
    assert there is not None
    assert there.process.host == "hal"
    with pytest.raises(Held, match=r"held by process 9000 on host hal since .*--take-over takes"):
        acquire(tmp_path)
    with acquire(tmp_path, take_over=True) as mine:
        assert mine.took_over == there
        with pytest.raises(Lost, match="must stop"):
            old.check()
        old.release()  # takes nothing from the new holder
        mine.check()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "\xff"])
def test_a_lock_that_cannot_be_read_is_not_guessed_at(tmp_path: Path, text: str) -> None:
    acquire(tmp_path)
    (tmp_path / ".jobmon/lock").write_text(text, "latin-1")
    assert holder(tmp_path) is None
    with pytest.raises(OwnerError, match="cannot be read, so who holds the run is not known"):
        acquire(tmp_path)
    acquire(tmp_path, take_over=True).check()


def test_a_lock_that_is_neither_there_nor_can_be_made_ends_in_words(tmp_path: Path) -> None:
    acquire(tmp_path).release()
    (tmp_path / ".jobmon/lock").symlink_to("nowhere")
    with pytest.raises(OwnerError, match="see what it is, or remove it"):
        acquire(tmp_path)


def test_a_removed_lock_is_noticed(tmp_path: Path) -> None:
    mine = acquire(tmp_path)
    (tmp_path / ".jobmon/lock").unlink()
    with pytest.raises(Lost, match="removed while in use"):
        mine.check()


def test_a_child_does_not_give_back_its_parents_lock(tmp_path: Path) -> None:
    with acquire(tmp_path) as mine:
        assert race(1, lambda _i: mine.release()) == [0]
        mine.check()


def test_a_guard_that_stays_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    acquire(tmp_path).release()
    monkeypatch.setattr(owner, "GUARD_LIMIT", 0.02)
    with (tmp_path / ".jobmon/lock.guard").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(OwnerError, match="look for a stopped jobmon"):
            acquire(tmp_path)


def refuse(code: int) -> Callable[..., None]:
    def fail(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_without_flock_a_free_lock_is_taken_but_none_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", refuse(errno.ENOLCK))
    with acquire(tmp_path), pytest.raises(Held):
        acquire(tmp_path)
    crash(tmp_path)
    with pytest.raises(OwnerError, match=r"no locks .* delete the file"):
        acquire(tmp_path)


def test_without_hard_links_the_lock_is_as_exclusive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse(errno.EPERM))
    with acquire(tmp_path) as mine:
        mine.check()
        with pytest.raises(Held):
            acquire(tmp_path)


def test_a_folder_that_is_none_or_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(OwnerError, match="no such folder"):
        acquire(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(OwnerError, match="no such folder"):
        request(tmp_path / "none", {"do": "stop"})
    (tmp_path / ".jobmon").write_text("")
    with pytest.raises(OwnerError, match="its lock cannot be taken"):
        acquire(tmp_path)
    assert holder(tmp_path) is None


# --- races ---------------------------------------------------------------------------------


def hold(run: Path, wanted: int, crashes: bool, guarded: bool, i: int) -> None:
    """Take the lock ``wanted`` times; exit 1 if another was ever inside at the same time."""
    if not guarded:
        fcntl.flock = refuse(errno.ENOLCK)
    end = time.monotonic() + DEADLINE
    had = 0
    while had < wanted and time.monotonic() < end:
        try:
            mine = acquire(run)
        except Held:
            time.sleep(random.uniform(0, 0.01))
            continue
        try:
            os.close(os.open(run / "inside", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            os._exit(1)
        mine.check()
        time.sleep(random.uniform(0, 0.002))
        had += 1
        with (run / "had").open("a") as file:
            file.write(f"{i}\n")
        (run / "inside").unlink()
        if crashes and had == wanted:
            os._exit(0)  # leaves a stale lock to the others
        mine.release()
    os._exit(0 if had == wanted else 2)


@pytest.mark.fault("Hands of users: dozens of jobmon commands at once")
@pytest.mark.parametrize(
    ("crashes", "guarded"), [(False, True), (True, True), (False, False)],
    ids=["release", "crash", "no flock"],
)  # fmt: skip
def test_dozens_race_for_the_lock_and_one_has_it_at_a_time(
    tmp_path: Path, crashes: bool, guarded: bool
) -> None:
    assert race(24, hold, tmp_path, 3, crashes, guarded) == [0] * 24
    had = (tmp_path / "had").read_text().split()
    assert sorted(map(int, had)) == sorted(list(range(24)) * 3)
    assert holder(tmp_path) is None


def test_one_of_many_takes_over_a_stale_lock(tmp_path: Path) -> None:
    """All find the same stale lock at once; the winner keeps it, so no other may win."""

    def rush(run: Path, _i: int) -> None:
        try:
            mine = acquire(run)
        except Held:
            (run / f"held.{os.getpid()}").touch()
            os._exit(0)
        end = time.monotonic() + DEADLINE
        while len(list(run.glob("held.*"))) < 11 and time.monotonic() < end:
            time.sleep(0.01)
        mine.check()
        os._exit(7)  # a crash: the next round's stale lock

    crash(tmp_path)
    for _round in range(8):
        codes = race(12, rush, tmp_path)
        assert sorted(codes, key=str) == [0] * 11 + [7]
        for path in tmp_path.glob("held.*"):
            path.unlink()


# --- requests ------------------------------------------------------------------------------


def take(run: Path) -> list[Request]:
    """What waits, done one after another. Others may come meanwhile, also in between."""
    found = waiting(run)
    ids = [one.id for one in found]
    assert [one.id for one in waiting(run) if one.id in ids] == ids
    for one in found:
        done(run, one.id)
        done(run, one.id)  # a second time does no harm
    return found


def test_requests_arrive_whole_once_and_in_order(weird_path: Path) -> None:
    assert take(weird_path) == []
    odd = os.fsdecode(b"caf\xe9 \xc3\xa9\n/qsub.0")
    sent = [request(weird_path, {"do": do, "keys": [odd]}) for do in ("hold", "kill", "retry")]
    folder = weird_path / ".jobmon/requests"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}
    got = take(weird_path)
    assert [(one.id, one.do, one.body["keys"]) for one in got] == [
        (sent[0], "hold", [odd]), (sent[1], "kill", [odd]), (sent[2], "retry", [odd]),
    ]  # fmt: skip
    assert take(weird_path) == []
    assert list(folder.iterdir()) == []


@pytest.mark.fault("Disks and clocks: wall time stepping back")
def test_a_clock_that_steps_back_changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([5_000, 3_000, 3_000, 1])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    sent = [request(tmp_path, {"do": "stop"}) for _ in range(4)]
    assert [one.id for one in take(tmp_path)] == sent


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"do": 1}', "\xff"])
def test_a_request_that_cannot_be_read_is_put_aside(tmp_path: Path, text: str) -> None:
    sent = request(tmp_path, {"do": "stop"})
    folder = tmp_path / ".jobmon/requests"
    (folder / "0.json").write_text(text, "latin-1")
    (folder / ".half.json~").write_text("{")
    assert [one.id for one in take(tmp_path)] == [sent]
    assert sorted(p.name for p in folder.iterdir()) == [".half.json~", "0.bad"]
    assert (folder / "0.bad").read_text("latin-1") == text


def test_requests_of_many_processes_all_arrive_while_they_are_taken(tmp_path: Path) -> None:
    def send(run: Path, i: int) -> None:
        for number in range(20):
            request(run, {"do": "hold", "from": i, "number": number})

    got: list[tuple[object, object]] = []
    sender = FORK.Process(
        target=lambda: os._exit(sum(code != 0 for code in race(8, send, tmp_path)))
    )
    sender.start()
    end = time.monotonic() + DEADLINE
    while len(got) < 160 and time.monotonic() < end:
        got += [(one.body["from"], one.body["number"]) for one in take(tmp_path)]
        time.sleep(0.005)
    sender.join(DEADLINE)
    assert sender.exitcode == 0
    assert sorted(got, key=str) == sorted(((i, n) for i in range(8) for n in range(20)), key=str)
    for i in range(8):  # each process's own requests keep their order
        assert [n for who, n in got if who == i] == list(range(20))
