"""The shell that is kept for all questions: by any sh, and however it ends."""

from __future__ import annotations

import os
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shell_lab import RUN_ID, SHELLS, KeptShell, Lab

from jobmon.cluster.base import LookFailed, NotBegun, TwinLost
from jobmon.cluster.kept import Asker


@pytest.fixture(params=SHELLS)
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Lab]:
    lab = Lab(tmp_path, SHELLS[request.param])
    lab.link.keeps = True
    yield lab
    for shell in lab.link.kept:
        shell.close()


def lives(pid: str | int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(*pids: str) -> None:
    until = time.monotonic() + 20
    while any(map(lives, pids)):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_all_looks_are_asked_of_one_shell(lab: Lab) -> None:
    for n in range(5):
        (lab.twin / f"m{n}").mkdir()
        (lab.twin / f"m{n}" / "a b").write_text("x")
        wanted = [f"m{i}/a b" for i in range(5)]
        seen = lab.cluster.look(wanted, wanted, resting={"m0", "m3"})
        assert seen.files == {f"m{i}/a b" for i in range(n + 1)}, "nothing of the look before"
        assert {path for path, stat in seen.stats.items() if stat} == seen.files
        assert seen.listing == "begin\nend\n"
    assert len(lab.link.kept) == 1 and lab.link.calls == 0


def test_a_question_of_any_size(lab: Lab) -> None:
    wanted = [f"d{i % 40}/f{i}" for i in range(3000)]
    for path in wanted[::7]:
        (lab.twin / path).parent.mkdir(exist_ok=True)
        (lab.twin / path).touch()
    for resting in (set[str](), {f"d{i}" for i in range(20)}):
        assert lab.cluster.look(wanted, resting=resting).files == set(wanted[::7])
    assert lab.cluster.look(["d0/f0"]).files == {"d0/f0"}
    assert len(lab.link.kept) == 1


@pytest.mark.fault("Connections: the login node ends a shell that is kept")
def test_a_shell_that_was_ended_between_two_looks_is_made_anew_without_a_word(lab: Lab) -> None:
    for _ in range(3):
        assert lab.cluster.look([]).listing == "begin\nend\n"
        os.kill(lab.link.kept[-1].child.pid, signal.SIGKILL)
        lab.link.kept[-1].child.wait(20)
    assert len(lab.link.kept) == 3 and lab.link.calls == 0


@pytest.mark.fault("Connections: the login node ends a shell that is kept")
def test_a_shell_that_is_ended_while_it_answers_has_not_answered(lab: Lab) -> None:
    assert lab.cluster.look([]).listing == "begin\nend\n"
    lab.program("dies", "#!/bin/sh\necho half\nkill -9 $PPID\n")
    asker = Asker(lab.link, 20)
    with pytest.raises(LookFailed, match="the answer of 'ask' has no end") as caught:
        list(asker.ask([str(lab.twin), RUN_ID, "2"], [["x", "dies"], ["q"]]))
    assert not isinstance(caught.value, NotBegun)
    assert b"\0whole" in list(asker.ask([str(lab.twin), RUN_ID, "2"], [["q"]]))


def test_a_shell_that_never_answers_is_no_shell(lab: Lab) -> None:
    lab.link.command = lambda command: ["echo", "This account is not available."]  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(LookFailed, match="it said: This account is not available"):
            lab.cluster.look([])
    assert len(lab.link.kept) == 2


@pytest.mark.fault("Batch systems: hung")
def test_a_command_that_hangs_is_ended_with_its_children(lab: Lab) -> None:
    pids = lab.top / "pids"
    hangs = f"echo $$ >'{pids}'; sleep 300 & echo $! >>'{pids}'; echo begun; wait"
    lab.program("hangs", f"#!/bin/sh\n{hangs}\n")
    asker = Asker(lab.link, 2)
    assert b"\0whole" in list(asker.ask([str(lab.twin), RUN_ID, "2"], [["q"]]))
    with pytest.raises(LookFailed, match="no answer within 2 s, so it was ended"):
        list(asker.ask([str(lab.twin), RUN_ID, "2"], [["x", "hangs"], ["q"]]))
    assert lab.link.calls == 1, "to end it, while the shell that waits for it is there"
    gone(*pids.read_text().split())
    assert b"\0whole" in list(asker.ask([str(lab.twin), RUN_ID, "2"], [["q"]]))


@pytest.mark.fault("Batch systems: hung (a listing that never ends)")
def test_a_listing_that_never_ends_is_ended(lab: Lab) -> None:
    pid = lab.top / "pid"
    lab.program("talks", f"#!/bin/sh\necho $$ >'{pid}'\nwhile :; do echo row; sleep 0.1; done\n")
    asker = Asker(lab.link, 1)
    with pytest.raises(LookFailed, match="no answer within 1 s, so it was ended"):
        list(asker.ask([str(lab.twin), RUN_ID, "1"], [["x", "talks"], ["q"]]))
    gone(pid.read_text())


@pytest.mark.fault("Connections: MaxSessions 1")
def test_a_shell_that_has_to_give_way_at_once_is_done_without(lab: Lab) -> None:
    opened = lab.link.shell

    def shell(limit: float) -> KeptShell | None:
        kept = opened(limit)
        assert kept is not None
        say = kept.say

        def say_and_close(program: bytes, limit: float) -> Iterator[bytes]:
            try:
                yield from say(program, limit)
            finally:
                kept.close()

        kept.say = say_and_close  # type: ignore[method-assign]
        return kept

    lab.link.shell = shell  # type: ignore[method-assign]
    for n in range(1, 3):
        assert lab.cluster.look([]).listing == "begin\nend\n"
        assert lab.link.calls == len(lab.link.kept) == n


def test_a_login_that_first_hears_all_there_is_to_hear_is_asked_by_calls(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobmon.cluster.kept._OPENING", 0.5)
    real = lab.link.command
    lab.link.command = lambda command: [  # type: ignore[method-assign]
        *("sh", "-c", f'all=$(cat; echo x); printf %s "${{all%x}}" | {shlex.join(real(command))}')
    ]
    for _ in range(2):
        assert lab.cluster.look([]).listing == "begin\nend\n"
    assert lab.link.calls == 2 and len(lab.link.kept) == 1


def test_a_twin_that_is_not_there_and_then_is(lab: Lab) -> None:
    away = lab.twin.rename(lab.top / "away")
    for _ in range(2):
        with pytest.raises(TwinLost, match="is missing"):
            lab.cluster.look([])
    away.rename(lab.twin)
    assert lab.cluster.look([]).listing == "begin\nend\n"
    lab.put_id("another")
    with pytest.raises(TwinLost, match="belongs to another run"):
        lab.cluster.look([])


def test_what_a_login_shell_prints_is_passed_over(tmp_path: Path) -> None:
    lab = Lab(tmp_path, banner=b"jm0 BEGIN\nhello")
    lab.link.keeps = True
    assert lab.cluster.look([]).listing == lab.cluster.look([]).listing == "begin\nend\n"
    lab.link.kept[0].close()
