"""Who ended, and how: each rule of evidence on its own, then that nothing else is ever proven."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.core import life, settle
from jobmon.core.life import IN_SYSTEM, TABLE, Job
from jobmon.core.model import (
    Cause,
    Event,
    JobID,
    Key,
    Kind,
    Life,
    Mono,
    Phase,
    Reason,
    Seen,
    Verdict,
)
from jobmon.core.settle import PATIENCE, Doubt
from jobmon.run.names import marker

AT = datetime(2026, 11, 20, 17, 31, 2, tzinfo=UTC)
KEY = Key("m/qsub.0")
MARKER = "m/qsub.finished.0"
ID = JobID("7")
GRACE = 60.0
DENIED = Verdict(True, reason=Reason(Cause.EXIT, "exit code 3"))
SILENT = Verdict(False)
MARKED = Verdict(True, finished=True)


class Watch:
    """One job, looked at again and again; ``tell`` is the batch system's answer if it is asked."""

    def __init__(self, state: Life = Life.STARTED) -> None:
        self.job = Job(KEY, state, 1, ID, True)
        self.doubts: Mapping[Key, Doubt] = {}
        self.asked = 0

    def look(
        self,
        now: float,
        queue: Mapping[JobID, Phase] | None = None,
        files: Iterable[str] = (),
        tell: Verdict = SILENT,
        killing: bool = False,
    ) -> list[tuple[Kind, str]]:
        seen = Seen(queue or {}, frozenset(files))
        doomed = {KEY} if killing else set()
        self.doubts = settle.suspect([self.job], seen, marker, self.doubts, Mono(now))
        ripe = settle.ripe(self.doubts, doomed, GRACE, Mono(now))
        self.asked += len(ripe)
        verdicts = dict.fromkeys(ripe, tell)
        self.doubts = settle.denied(self.doubts, verdicts, Mono(now))
        events = settle.settle(
            [self.job], seen, marker, self.doubts, verdicts, doomed, GRACE, AT, Mono(now)
        )
        for event in events:
            assert (event.at, event.key, event.n, event.jobid) == (AT, KEY, 1, ID)
            self.job = life.step(self.job, event)
        return [(event.kind, event.notes.get("reason", "")) for event in events]


def test_absent_from_one_look_only() -> None:
    watch = Watch()
    assert watch.look(0, tell=DENIED) == []
    assert watch.look(10, {ID: Phase.PENDING}) == []
    assert watch.look(1000, tell=DENIED) == [], "the doubt began anew"


def test_a_doubt_of_long_ago_is_no_denial() -> None:
    watch = Watch()
    watch.doubts = {KEY: Doubt(Mono(-500))}
    assert watch.look(0, tell=DENIED) == []


def test_empty_listings_while_it_ran_use_up_none_of_the_grace() -> None:
    watch = Watch(Life.RUNNING)
    for now in range(0, 100, 10):
        assert watch.look(now) == []
    assert watch.look(100, tell=DENIED) == [], "it has only just ended: its marker may be late"
    assert watch.look(150, tell=DENIED) == []
    assert watch.look(155, files=[MARKER]) == [(Kind.FINISHED, "")]


def test_two_looks_within_the_grace() -> None:
    watch = Watch()
    assert watch.look(0, tell=DENIED) == watch.look(59.9, tell=DENIED) == []
    assert watch.asked == 1, "what is denied is asked for again only when the grace is over"
    assert watch.look(60, tell=DENIED) == [(Kind.FAILED, "exit code 3")]


@pytest.mark.parametrize("state", [Life.STARTED, Life.RUNNING])
def test_silence_is_no_denial(state: Life) -> None:
    watch = Watch(state)
    for now in range(0, int(PATIENCE), 10):
        assert watch.look(now) == []
    assert watch.asked > 5
    ((kind, why),) = watch.look(PATIENCE)
    assert kind == Kind.UNCLEAR
    assert "does not say how" in why


def test_a_late_denial_ends_the_doubt_a_grace_later() -> None:
    watch = Watch(Life.RUNNING)
    watch.look(0)
    assert watch.look(300) == watch.look(310, tell=DENIED) == []
    assert watch.look(370, tell=DENIED) == [(Kind.FAILED, "exit code 3")]


def test_a_denial_that_is_not_repeated_is_none() -> None:
    watch = Watch(Life.RUNNING)
    watch.look(0, tell=DENIED)
    assert watch.look(70) == []
    assert watch.look(80, tell=DENIED) == [(Kind.FAILED, "exit code 3")]


def test_denied_but_the_marker_is_there_after_that() -> None:
    watch = Watch()
    watch.look(0)
    assert watch.look(70, tell=MARKED) == [(Kind.FINISHED, "")]


def test_silence_but_the_marker_is_there_after_that() -> None:
    watch = Watch()
    watch.look(0)
    assert watch.look(70, tell=Verdict(False, finished=True)) == [(Kind.FINISHED, "")]


@pytest.mark.parametrize("phase", Phase)
def test_a_marker_while_it_is_still_listed(phase: Phase) -> None:
    watch = Watch(Life.RUNNING)
    assert watch.look(0, {ID: phase}, [MARKER]) == [(Kind.FINISHED, "")]
    assert watch.look(10, {ID: phase}, [MARKER]) == [], "once"


def test_another_jobs_marker_or_id_proves_nothing() -> None:
    watch = Watch()
    others = ["m/qsub.finished.00", "m/qsub.finished.", "n/qsub.finished.0", "m/qsub.finished.10"]
    assert watch.look(0, {JobID("77"): Phase.RUNNING, JobID("7[]"): Phase.RUNNING}, others) == []
    assert watch.doubts.keys() == {KEY}


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_is_in_the_batch_system(phase: Phase) -> None:
    watch = Watch()
    running = [(Kind.RUNNING, "")] if phase in (Phase.RUNNING, Phase.ENDING) else []
    assert watch.look(0, {ID: phase}) == running
    assert watch.look(1000, {ID: phase}) == []
    assert not watch.doubts


def test_an_unclear_job_that_is_found_again() -> None:
    watch = Watch(Life.UNCLEAR)
    assert watch.look(0, {ID: Phase.RUNNING}) == [(Kind.STARTED, "")]
    assert watch.look(10, {ID: Phase.RUNNING}) == [(Kind.RUNNING, "")]


def test_an_unclear_job_is_never_unclear_anew_but_ends_by_evidence() -> None:
    watch = Watch(Life.UNCLEAR)
    assert watch.look(0) == watch.look(10_000) == []
    assert watch.look(10_010, tell=DENIED) == []
    assert watch.look(10_070, tell=DENIED) == [(Kind.FAILED, "exit code 3")]
    assert Watch(Life.UNCLEAR).look(0, files=[MARKER]) == [(Kind.FINISHED, "")]


def test_an_unclear_job_without_an_id_is_not_denied_by_an_empty_look() -> None:
    job = Job(KEY, Life.UNCLEAR, 1, None, True)
    seen = Seen({}, frozenset())
    assert settle.suspect([job], seen, marker, {}, Mono(0)) == {}
    assert settle.settle([job], seen, marker, {}, {}, set(), GRACE, AT, Mono(0)) == []


def test_a_killed_job_is_asked_for_at_once() -> None:
    watch = Watch(Life.RUNNING)
    assert watch.look(0, {ID: Phase.ENDING}, killing=True) == []
    assert watch.look(1, tell=DENIED, killing=True) == [(Kind.KILLED, "deleted by jobmon kill")]
    assert watch.asked == 1


def test_killing_proves_nothing_by_itself() -> None:
    watch = Watch(Life.RUNNING)
    assert watch.look(0, killing=True) == []
    assert watch.look(1, tell=MARKED, killing=True) == [(Kind.FINISHED, "")]


def test_a_marker_that_comes_after_failed() -> None:
    for state in (Life.FAILED, Life.KILLED):
        assert Watch(state).look(0, files=[MARKER]) == [(Kind.FINISHED, "")]
        assert Watch(state).look(0) == []


def test_what_is_not_in_the_batch_system_is_not_doubted() -> None:
    for state in (Life.NEW, Life.READY, Life.SUBMITTING, Life.FINISHED, Life.FAILED, Life.KILLED):
        watch = Watch(state)
        assert watch.look(0, tell=DENIED) == watch.look(10_000, tell=DENIED) == []
        assert not watch.doubts


def test_a_denial_without_words_says_so() -> None:
    watch = Watch()
    watch.look(0, tell=Verdict(True))
    ((_, why),) = watch.look(60, tell=Verdict(True))
    assert why == "the batch system no longer knows it"


verdicts = st.builds(Verdict, st.booleans(), st.booleans())


@given(
    st.sampled_from(Life),
    st.lists(
        st.tuples(
            st.floats(0, 200),
            st.none() | st.sampled_from(Phase),
            st.booleans(),
            verdicts,
            st.booleans(),
        ),
        max_size=12,
    ),
)
def test_nothing_is_concluded_without_evidence(
    state: Life, looks: list[tuple[float, Phase | None, bool, Verdict, bool]]
) -> None:
    watch = Watch(state)
    now, absent, gone = 0.0, list[float](), list[float]()
    for pause, phase, marked, tell, killing in looks:
        now += pause
        before = watch.job.life
        queue = {ID: phase} if phase else {}
        asked = watch.asked
        events = watch.look(now, queue, [MARKER] if marked else [], tell, killing)
        asked = watch.asked > asked
        absent = [] if phase or before not in settle.ALIVE else [*absent, now]
        gone = [] if phase or marked else [*gone, now] if asked and tell.gone else gone
        for kind, _ in events:
            assert kind in TABLE[before]
            if kind == Kind.FINISHED:
                assert marked or (asked and tell.finished)
            elif kind in (Kind.FAILED, Kind.KILLED):
                assert asked and tell.gone and not tell.finished and not marked and not phase
                if kind == Kind.FAILED:
                    assert len(gone) >= 2 and gone[-1] - gone[0] >= GRACE
                assert (kind == Kind.KILLED) == killing
            elif kind == Kind.UNCLEAR:
                assert len(absent) >= 2 and absent[-1] - absent[0] >= PATIENCE
            else:
                assert phase, "started or running: it is listed"
        if before in IN_SYSTEM and not events:
            assert watch.job.life == before


def test_many_jobs_each_by_its_own_evidence() -> None:
    jobs = [Job(Key(f"m{i}/qsub.0"), Life.STARTED, 1, JobID(str(i)), True) for i in range(4)]
    seen = Seen({JobID("0"): Phase.RUNNING}, frozenset(["m1/qsub.finished.0"]))
    doubts = {job.key: Doubt(Mono(0), Mono(0)) for job in jobs[2:]}
    told = {jobs[2].key: DENIED, jobs[3].key: SILENT}
    events = settle.settle(jobs, seen, marker, doubts, told, set(), GRACE, AT, Mono(100))
    assert [(e.key[:2], e.kind) for e in events] == [
        ("m0", Kind.RUNNING),
        ("m1", Kind.FINISHED),
        ("m2", Kind.FAILED),
    ]
    assert all(isinstance(e, Event) for e in events)


def test_an_id_that_the_listing_cut_is_the_known_one_that_begins_so() -> None:
    cut = {JobID("12345678.gadi-*"): Phase.RUNNING, JobID("9.vm"): Phase.PENDING}
    seen = Seen(cut, frozenset({MARKER}), listing="text")
    ours, two, none = JobID("12345678.gadi-pbs"), JobID("12345678.gadi-pbs2"), JobID("12345679.g")
    whole = settle.uncut(seen, [ours, none, None])
    assert whole.queue == cut | {ours: Phase.RUNNING}
    assert (whole.files, whole.listing) == (seen.files, seen.listing)
    assert settle.uncut(seen, [ours, two]).queue.keys() == {*cut, ours, two}  # either may live
    assert settle.uncut(seen, [JobID("9.vm.example")]).queue == cut
    plain = Seen({ours: Phase.RUNNING}, frozenset())
    assert settle.uncut(plain, [two]) is plain
