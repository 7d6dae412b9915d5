"""A job's life: the table, the fold, and the files that are drawn from the same history."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_names import keys, texts

from jobmon.core import life
from jobmon.core.life import IN_SYSTEM, OPEN, TABLE, IllegalEvent, Job
from jobmon.core.model import Event, JobID, Key, Kind, Life
from jobmon.run import journal, names, views
from jobmon.run.views import Now

START = datetime(2026, 11, 20, 17, 31, 2, tzinfo=UTC)
KEY = Key("mp-149/qsub.0")


def next_event(job: Job, kind: Kind, at: datetime, jobid: JobID, note: str) -> Event:
    """A legal event of this kind, as the program writes them."""
    n = job.n + 1 if kind == Kind.SUBMITTING else job.n
    said = None if kind in (Kind.READY, Kind.SUBMITTING, Kind.UNSUBMITTED) else job.jobid
    notes = {"reason": note} if kind in (Kind.FAILED, Kind.UNCLEAR) and note else {}
    return Event(at, kind, job.key, n, jobid if kind == Kind.STARTED else said, notes)


def walk(rng: random.Random, some: Sequence[Key], length: int, note: str) -> list[Event]:
    """A random history of several jobs that the table allows."""
    jobs = {key: Job(key) for key in some}
    events: list[Event] = []
    for i in range(length):
        job = jobs[rng.choice(some)]
        kinds = sorted(TABLE[job.life])
        if not kinds:
            continue
        at = START + timedelta(seconds=i)
        event = next_event(job, rng.choice(kinds), at, JobID(str(1000 + i)), note)
        jobs[job.key] = life.step(job, event)
        events.append(event)
    return events


histories = st.builds(
    walk,
    st.randoms(use_true_random=False),
    st.lists(keys, min_size=1, max_size=4, unique=True),
    st.integers(0, 60),
    texts,
)


@given(histories)
def test_what_is_printed_of_a_history_folds_to_the_same(history: list[Event]) -> None:
    lines = [journal.format_event(event) for event in history]
    read = [journal.parse_event(line) for line in lines]
    assert life.fold(read) == life.fold(history)


@given(histories)
def test_the_files_agree_with_the_fold(history: list[Event]) -> None:
    jobs = life.fold(history)
    text = views.print_quelist(views.lines_of(history))
    lines = views.read_quelist(text, Path("quelist"))
    ready = dict.fromkeys(e.key for e in history if e.kind in (Kind.READY, Kind.STARTED))
    assert [line.key for line in lines] == list(ready), (
        "a line for each that became ready, in order"
    )
    for line in lines:
        job = jobs[line.key]
        last = line.marks[-1].kind
        if job.life == Life.NEW:  # reopened, which quelist does not show
            assert last in (Kind.FAILED, Kind.KILLED)
        elif job.life in (Life.READY, Life.SUBMITTING):  # an attempt that came to nothing
            assert last in (Kind.READY, Kind.UNCLEAR)
        else:
            assert last == str(job.life)
        started = [mark.jobid for mark in line.marks if mark.kind == Kind.STARTED]
        assert started == [e.jobid for e in job.history if e.kind == Kind.STARTED]
        if job.jobid is not None:
            assert started[-1] == job.jobid


@given(histories)
def test_qsub_now_is_exactly_what_may_be_in_the_batch_system(history: list[Event]) -> None:
    jobs = life.fold(history)
    now = [Now(key, job.jobid) for key, job in jobs.items() if job.in_system]
    read = views.read_now(views.print_now(now), Path("qsub.now"))
    assert {entry.key: entry.jobid for entry in read} == {
        key: job.jobid for key, job in jobs.items() if job.life in IN_SYSTEM
    }
    for job in jobs.values():  # told from the history alone, without the table
        last = [e.kind for e in job.history if e.kind is not Kind.READY][-1:]
        moving = last and last[0] in (Kind.SUBMITTING, Kind.STARTED, Kind.RUNNING, Kind.UNCLEAR)
        assert job.in_system == bool(moving)


@given(histories)
def test_every_attempt_has_a_number_of_its_own(history: list[Event]) -> None:
    submitted = [(e.key, e.n) for e in history if e.kind == Kind.SUBMITTING]
    assert len(submitted) == len(set(submitted))
    for key, job in life.fold(history).items():
        assert job.n == max((n for k, n in submitted if k == key), default=0)
        reached = {Kind.STARTED, Kind.UNCLEAR}
        assert job.ran == any(e.kind in reached for e in job.history)


@pytest.mark.parametrize("before", Life)
@pytest.mark.parametrize("kind", Kind)
def test_only_what_the_table_holds_is_taken(before: Life, kind: Kind) -> None:
    job = Job(KEY, before, n=1, jobid=JobID("7"))
    event = Event(START, kind, KEY, 2, JobID("8"))
    if kind in TABLE[before]:
        assert life.step(job, event).life == TABLE[before][kind]
    else:
        with pytest.raises(IllegalEvent, match=r"mp-149/qsub\.0 is .* and cannot become"):
            life.step(job, event)


@given(histories, st.sampled_from(Kind), st.data())
def test_an_illegal_event_anywhere_spoils_the_fold(
    history: list[Event], kind: Kind, data: st.DataObject
) -> None:
    if not history:
        return
    cut = data.draw(st.integers(0, len(history)))
    key = data.draw(st.sampled_from([event.key for event in history]))
    job = life.fold(history[:cut]).get(key) or Job(key)
    if kind in TABLE[job.life]:
        return
    odd = Event(START, kind, key, job.n + 1, JobID("1"))
    with pytest.raises(IllegalEvent):
        life.fold([*history[:cut], odd, *history[cut:]])


@pytest.mark.parametrize("n", [0, 1, 2])
def test_an_attempt_is_never_submitted_again(n: int) -> None:
    job = Job(KEY, Life.READY, n=2)
    with pytest.raises(IllegalEvent, match=f"attempt {n} after attempt 2"):
        life.step(job, Event(START, Kind.SUBMITTING, KEY, n))


def test_a_marker_ends_every_doubt() -> None:
    for before in Life:
        if before != Life.FINISHED:
            assert TABLE[before][Kind.FINISHED] == Life.FINISHED
    assert not TABLE[Life.FINISHED], "finished is for ever"
    assert set(TABLE) == set(Life)


def test_every_life_can_be_reached_and_left_for_an_end() -> None:
    reached, new = {Life.NEW}, [Life.NEW]
    while new:
        after = set(TABLE[new.pop()].values()) - reached
        reached |= after
        new += after
    assert reached == set(Life)
    assert not IN_SYSTEM & OPEN


def test_why_is_the_reason_of_the_last_event() -> None:
    job = life.step(
        Job(KEY, Life.STARTED, 1), Event(START, Kind.FAILED, KEY, 1, None, {"reason": "x"})
    )
    assert job.why == "x"
    assert life.step(job, Event(START, Kind.REOPENED, KEY, 1)).why == ""
    assert Job(KEY).why == ""


def test_a_new_attempt_forgets_the_last_ones_job_id() -> None:
    job = Job(KEY, Life.READY, n=1, jobid=JobID("7"))
    assert life.step(job, Event(START, Kind.SUBMITTING, KEY, 2)).jobid is None
    doubtful = Job(KEY, Life.UNCLEAR, n=1, jobid=JobID("7"))
    assert life.step(doubtful, Event(START, Kind.UNSUBMITTED, KEY, 1)).jobid is None


def test_names_of_keys_stand_in_the_journal_as_they_are_drawn() -> None:
    event = Event(START, Kind.READY, Key("a b/qsub.0"))
    assert journal.format_event(event).split(" ")[2] == names.encode("a b/qsub.0") == "a%20b/qsub.0"
