"""What is told and when: gathered, not too often, never twice, never what mended itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from jobmon.core.model import Event, Key, Kind, Life, Mono
from jobmon.notify.gather import GATHER, LONGEST, PAUSE, Gatherer, Notice

AT = datetime(2026, 11, 20, 22, tzinfo=UTC)
HOUR = 3600.0


def event(key: str, kind: Kind, **notes: str) -> Event:
    return Event(AT, kind, Key(key), 1, None, notes)


def gatherer(*occasions: str, lives: Mapping[str, Life] | None = None) -> Gatherer:
    known = {Key(key): life for key, life in (lives or {}).items()}
    return Gatherer("gaas/1", occasions, known, lambda: 300, Mono(0.0))


def fail(to: Gatherer, key: str, now: float, reason: str = "exit code 3") -> None:
    to.lives[Key(key)] = Life.RUNNING
    to.event(event(key, Kind.FAILED, reason=reason), Mono(now))


def due(of: Gatherer, now: float) -> Notice | None:
    """What is due, and it is sent."""
    notice = of.due(Mono(now))
    if notice is not None:
        of.told(notice, Mono(now))
    return notice


def some(notice: Notice | None) -> Notice:
    assert notice is not None
    return notice


def test_300_failures_are_one_message() -> None:
    it = gatherer("failure")
    for n in range(300):
        fail(it, f"mp-{n}/qsub.0", n / 10)
    assert due(it, GATHER - 0.1) is None
    notice = some(due(it, GATHER))
    assert notice.title == "jobmon gaas/1: 300 jobs failed"
    assert "  mp-0/qsub.0: exit code 3\n" in notice.body
    assert "and 280 more: jobmon status --run gaas/1" in notice.body
    assert len(notice.body.splitlines()) < 30
    assert "300 failed, of 300 jobs" in notice.body
    assert due(it, 10 * HOUR) is None


def test_failures_that_go_on_are_told_of_ever_less_often() -> None:
    it = gatherer("failure")
    told = []
    for minute in range(48 * 60):
        now = minute * 60.0
        fail(it, f"mp-{minute}/qsub.0", now)
        if due(it, now):
            told.append(now)
    assert told[0] == GATHER
    pauses = [after - before for before, after in pairwise(told)]
    assert pauses == sorted(pauses)
    assert pauses[0] == PAUSE and pauses[-1] == LONGEST
    assert len(told) < 15


def test_after_a_quiet_time_a_failure_is_news_again() -> None:
    it = gatherer("failure")
    fail(it, "a/qsub.0", 0)
    assert due(it, GATHER)
    fail(it, "b/qsub.0", GATHER + PAUSE / 2)
    assert due(it, 2 * GATHER + PAUSE / 2) is None
    assert some(due(it, GATHER + PAUSE)).title.endswith("1 job failed")
    fail(it, "c/qsub.0", 20 * HOUR)
    assert due(it, 20 * HOUR + GATHER)


@pytest.mark.parametrize("mended", [Kind.REOPENED, Kind.FINISHED])
def test_a_failure_that_mends_itself_in_time_is_not_told(mended: Kind) -> None:
    it = gatherer("failure")
    fail(it, "a/qsub.0", 0)
    it.event(event("a/qsub.0", mended), Mono(10))
    assert due(it, HOUR) is None


def test_an_unclear_job_needs_a_person_as_a_failed_one_does() -> None:
    it = gatherer("failure", lives={"a/qsub.0": Life.STARTED})
    it.event(event("a/qsub.0", Kind.UNCLEAR), Mono(0))
    assert "a/qsub.0: unclear" in some(due(it, GATHER)).body


def test_what_was_not_asked_for_is_not_told() -> None:
    it = gatherer("end")
    fail(it, "a/qsub.0", 0)
    it.login("hpc: password wanted")
    assert due(it, 100 * HOUR) is None
    assert gatherer("failure").last("ended", []) is None


def test_every_six_hours_by_the_clock() -> None:
    it = gatherer("every 6h", lives={"a/qsub.0": Life.FINISHED, "b/qsub.0": Life.READY})
    told = [hour for hour in range(48) if due(it, hour * HOUR)]
    assert told == [6, 12, 18, 24, 30, 36, 42]
    it.event(event("b/qsub.0", Kind.SUBMITTING), Mono(0))
    it.event(event("b/qsub.0", Kind.STARTED), Mono(0))
    notice = some(due(it, 48 * HOUR))
    assert notice.title == "jobmon gaas/1: 1 finished, 1 queued, 298 others, of 300 jobs"


def test_a_machine_that_slept_is_told_of_once() -> None:
    it = gatherer("every 30min")
    assert due(it, 20 * HOUR)
    assert due(it, 20 * HOUR + 60) is None
    assert due(it, 20.5 * HOUR)


def test_a_login_is_told_at_once_and_once_and_not_if_it_is_over() -> None:
    it = gatherer("login needed", "failure")
    it.login("hpc: it asks for a one-time code, and nobody is there")
    notice = some(due(it, 0))
    assert notice.title == "jobmon gaas/1: login needed at hpc"
    assert "one-time code" in notice.body
    assert due(it, HOUR) is None
    it.login("hpc: again")
    it.login("")
    assert due(it, HOUR) is None


def test_what_comes_together_is_one_message() -> None:
    it = gatherer("failure", "login needed", "every 1h", "end")
    fail(it, "a/qsub.0", HOUR - 30)
    it.login("hpc: no")
    notice = some(due(it, HOUR))
    assert "a/qsub.0" in notice.body and "hpc: no" in notice.body
    assert due(it, HOUR + 2 * GATHER) is None
    fail(it, "b/qsub.0", HOUR + 100)
    notice = some(it.last("ended: 299 finished, 1 failed", ["runs/1: 299 finished", "  failed b"]))
    assert notice.title == "jobmon gaas/1: ended: 299 finished, 1 failed"
    assert notice.body == "runs/1: 299 finished\n  failed b"


def test_what_could_not_be_sent_is_sent_later_with_the_rest() -> None:
    it = gatherer("failure")
    fail(it, "a/qsub.0", 0)
    assert it.due(Mono(GATHER))
    it.not_sent(Mono(GATHER))
    fail(it, "b/qsub.0", GATHER + 1)
    assert it.due(Mono(2 * GATHER)) is None
    notice = some(due(it, GATHER + PAUSE))
    assert "a/qsub.0" in notice.body and "b/qsub.0" in notice.body


def test_what_comes_while_a_notice_is_sent_is_kept() -> None:
    it = gatherer("failure")
    fail(it, "a/qsub.0", 0)
    notice = some(it.due(Mono(GATHER)))
    fail(it, "b/qsub.0", GATHER + 1)
    fail(it, "a/qsub.0", GATHER + 1)  # tried again meanwhile, and failed again
    it.told(notice, Mono(GATHER + 5))
    body = some(due(it, 10 * HOUR)).body
    assert "a/qsub.0" in body and "b/qsub.0" in body


def test_names_can_do_no_harm() -> None:
    it = gatherer("failure")
    fail(it, "a\x1b[31m\nb/qsub.0", 0, "x" * 1000)
    notice = some(due(it, GATHER))
    assert "\x1b" not in notice.body
    assert max(map(len, notice.body.splitlines())) < 210
