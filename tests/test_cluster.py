"""All that the cycle sees of the cluster, over a real shell; and exactly-once under crashes."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_lab import QSUB, RUN_ID, SHELLS, Lab

from jobmon.cluster import ledger
from jobmon.cluster.base import ClusterError, ConnectionLost, LookFailed
from jobmon.cluster.cluster import Cluster, Gone, _output
from jobmon.cluster.links.local import LocalLink
from jobmon.cluster.transfer import Same
from jobmon.core.model import (
    Accepted,
    Attempt,
    Cause,
    JobID,
    Key,
    NotRun,
    Phase,
    Reason,
    Stat,
    Unclear,
    Verdict,
)

WEIRD = "-a 'b\" $HOME é"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def submitted(lab: Lab, *keys: str) -> list[JobID]:
    answers = lab.submit(*(lab.order(key) for key in keys)).values()
    return [answer.jobid for answer in answers if isinstance(answer, Accepted)]


def test_one_look(lab: Lab) -> None:
    one, two = submitted(lab, "m/qsub.0", f"{WEIRD}/qsub.0")
    (lab.twin / WEIRD / "qsub.finished.0").write_text("x")
    seen = lab.cluster.look(
        ["m/qsub.finished.0", f"{WEIRD}/qsub.finished.0", "top"], [f"{WEIRD}/qsub.finished.0"]
    )
    assert seen.queue == {one: Phase.RUNNING, two: Phase.RUNNING}
    assert seen.files == {f"{WEIRD}/qsub.finished.0"}
    (stat,) = seen.stats.values()
    assert isinstance(stat, Stat) and stat.size == 1
    assert seen.listing == "begin\njob 1\njob 2\nend\n"


def test_a_look_asks_for_nothing_and_for_the_same_twice(lab: Lab) -> None:
    assert lab.cluster.look([]).files == frozenset()
    (lab.twin / "a").touch()
    assert lab.cluster.look(["a", "a"], ["a", "a"]).files == {"a"}


def test_many_files_in_one_look(lab: Lab) -> None:
    wanted = [f"d{i % 40}/f{i}" for i in range(4000)]
    for i in range(0, 4000, 7):
        path = lab.twin / wanted[i]
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert lab.cluster.look(wanted).files == set(wanted[::7])


@pytest.mark.parametrize("jobs", [0, 10, 1000])
def test_a_look_is_few_bytes_beside_the_listing(lab: Lab, jobs: int) -> None:
    """Both ways, our own program included, with a marker here and there."""
    wanted = [f"mp-{i}00/relax/qsub.finished.{i % 4}" for i in range(jobs)]
    for path in wanted[::3]:
        (lab.twin / path).parent.mkdir(parents=True)
        (lab.twin / path).touch()
    cluster = Cluster(LocalLink(), lab.batch, Same(), str(lab.twin), RUN_ID, "me")
    seen, spent = cluster.look(wanted), cluster.spent()
    assert seen.files == set(wanted[::3])
    assert spent.sent + spent.received - len(seen.listing) < 4000 + 60 * jobs
    assert spent.channels == 1


def test_a_listing_that_failed_is_no_look(lab: Lab) -> None:
    (lab.fake / "list-code").write_text("1")
    (lab.fake / "noise").write_text("cannot connect\x1b[1m\n")
    with pytest.raises(LookFailed, match=r"me@lab: the listing failed \(1\): cannot connect.\[1m"):
        lab.cluster.look([])


def test_half_a_listing_is_no_look(lab: Lab) -> None:
    (lab.fake / "half").touch()
    with pytest.raises(LookFailed, match="no whole listing"):
        lab.cluster.look([])


def test_noise_before_everything(tmp_path: Path) -> None:
    lab = Lab(tmp_path, banner=b"jm0 BEGIN\n\x00whole\nrow\xff\n")
    (lab.fake / "noise").write_text("Last login: today\n")
    (one,) = submitted(lab, "m/qsub.0")
    assert lab.cluster.look([]).queue == {one: Phase.RUNNING}
    assert len(lab.cluster.records()) == 1


@pytest.mark.fault("Connections: lost")
def test_an_answer_cut_anywhere_is_no_look(lab: Lab) -> None:
    submitted(lab, "m/qsub.0")
    (lab.twin / "m" / "qsub.finished.0").touch()
    whole = 0
    for cut in itertools.count(0, 13):
        lab.link.cut = cut
        try:
            seen = lab.cluster.look(["m/qsub.finished.0"], ["m/qsub.0"])
        except LookFailed:
            continue
        assert seen.queue and seen.files and seen.stats, "all or nothing"
        whole += 1
        if whole == 2:
            break
    assert cut > 100


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        ([b"", b"\0ran 0", b"", b"\0said"], (0, "", "")),
        ([b"a", b"\0ran 0", b"", b"\0said"], (0, "a", "")),
        ([b"a", b"", b"\0ran 12", b"e", b"", b"f", b"\0said"], (12, "a\n", "e\n\nf")),
        ([b"\xff", b"", b"", b"\0ran 0", b"\xff", b"\0said"], (0, "\udcff\n\n", "\udcff")),
    ],
)
def test_the_outputs_newlines_are_its_own(lines: list[bytes], want: tuple[int, str, str]) -> None:
    assert _output(iter(lines)) == want


def test_half_an_output_is_none() -> None:
    with pytest.raises(LookFailed):
        _output(iter([b"a", b""]))


def test_what_became_of_jobs_that_left(lab: Lab) -> None:
    keys = [Key(f"m{i}/qsub.0") for i in range(3)]
    one, two, three = submitted(lab, *keys)
    for jobid in (two, three):
        (lab.fake / "jobs" / jobid / "gone").touch()
    (lab.twin / "m2" / "qsub.finished.0").touch()
    (lab.twin / "m1" / f"qsub.0.e{two}").write_text("trace\nno\x1bconvergence\n\n")
    (lab.twin / "m1" / f"qsub.0.e{two}9").write_text("another job's\n")
    gone = [
        Gone(key, jobid, f"{key.replace('qsub.', 'qsub.finished.')}", (f".e{jobid}",))
        for key, jobid in zip(keys, (one, two, three), strict=True)
    ]
    lost = Reason(Cause.FORGOTTEN, "gone; last words: trace / no�convergence")
    assert lab.cluster.confirm(gone) == {
        keys[0]: Verdict(False),
        keys[1]: Verdict(True, False, lost),
        keys[2]: Verdict(True, True, Reason(Cause.FORGOTTEN, "gone")),
    }


def test_last_words_say_nothing_of_a_job_that_is_not_gone(lab: Lab) -> None:
    (one,) = submitted(lab, "m/qsub.0")
    (lab.twin / "m" / f"x.e{one}").write_text("boom\n")
    gone = Gone(Key("m/qsub.0"), one, "m/qsub.finished.0", (f".e{one}",))
    (verdict,) = lab.cluster.confirm([gone]).values()
    assert verdict == Verdict(gone=False)


def test_delete(lab: Lab) -> None:
    one, two = submitted(lab, "m/qsub.0", "m/qsub.1")
    assert lab.cluster.delete([]) == ""
    assert lab.cluster.delete([one]) == f"deleted {one} and a warning"
    assert lab.cluster.look([]).queue.keys() == {two}


def test_recovering_nothing_asks_nothing(lab: Lab) -> None:
    lab.twin.rename(lab.top / "away")
    assert lab.cluster.recover([]) == {}


def test_an_attempt_without_an_answer_is_named_by_its_absence(lab: Lab) -> None:
    """The connection breaks after the first answer: that one counts, the rest is recovered."""
    orders = [lab.order(f"m{i}/qsub.0") for i in range(3)]
    lab.link.cut = 190
    heard = []
    with pytest.raises(LookFailed):
        for attempt, answer in lab.cluster.submit(orders):
            heard.append((attempt, answer))
    lab.link.cut = None
    assert len(heard) < 3
    found = lab.cluster.recover([o.attempt for o in orders])
    assert all(found[attempt] == answer for attempt, answer in heard)
    taken = {ledger.token(RUN_ID, a) for a, x in found.items() if isinstance(x, Accepted)}
    assert sorted(taken) == sorted(lab.jobs())
    assert all(isinstance(x, Accepted | NotRun) for x in found.values())


# --- exactly once ----------------------------------------------------------------------

# Where the loop may be taken down: each program that it calls, before or after its work.
KILL = 'kill -9 "-$(cut -d" " -f6 /proc/$$/stat)"; exit 9\n'
CRASH = """#!/bin/sh
count=$(cat FAKE/steps 2>/dev/null || echo 0)
count=$((count + 1))
echo "$count" >FAKE/steps
[ "$count" = "$(cat FAKE/crash-at 2>/dev/null)" ] && { KILL }
exec REAL "$@"
"""


def crashing(lab: Lab) -> None:
    """date, cksum and rm of the cluster may kill the loop that called them."""
    fake = str(lab.fake).replace(" ", "\\ ")
    for name in ("date", "cksum", "rm"):
        real = shutil.which(name) or name
        text = CRASH.replace("KILL", KILL).replace("FAKE", fake).replace("REAL", real)
        lab.program(name, text)


steps = st.lists(
    st.tuples(
        st.sampled_from(["submit", "submit", "recover", "race"]),
        st.sampled_from(["ok", "ok", "die-before", "die-after", "odd", "refuse"]),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=6,
)


@given(
    steps,
    st.booleans(),
    st.sampled_from(sorted(SHELLS)),
    st.sampled_from(["none", ledger.CLOCK]),
)
@settings(max_examples=25, deadline=None)
@pytest.mark.fault("The protocol: recovery from any state of journal and record")
def test_no_crash_makes_a_job_run_twice(
    told: list[tuple[str, str, int]], tokens: bool, shell: str, clock: str
) -> None:
    """Submit, crash anywhere, recover, submit n + 1 only on a proof: at most one is accepted for
    each attempt, and none that was accepted is ever said not to run."""
    with tempfile.TemporaryDirectory() as top, mock.patch.object(ledger, "CLOCK", clock):
        lab = Lab(Path(top), SHELLS[shell])
        crashing(lab)
        if not tokens:
            (lab.fake / "no-tokens").touch()
        keys = [Key("m/qsub.0"), Key("m/qsub.1")]
        n = dict.fromkeys(keys, 1)
        done: set[Key] = set()
        for what, mode, crash_at in told:
            lab.mode(mode)
            (lab.fake / "steps").unlink(missing_ok=True)
            (lab.fake / "crash-at").write_text(str(crash_at or ""))
            open_ = [key for key in keys if key not in done]
            orders = [lab.order(key, n[key], again=n[key] > 1) for key in open_]
            if what != "recover":
                _try(lambda orders=orders: lab.submit(*orders))  # type: ignore[misc]
            if what == "race":
                _try(lambda orders=orders: lab.submit(*reversed(orders)))  # type: ignore[misc]
            (lab.fake / "crash-at").write_text("")
            found = lab.cluster.recover([o.attempt for o in orders])
            accepted = Counter(lab.calls())
            for order in orders:
                attempt, answer = order.attempt, found[order.attempt]
                token = ledger.token(RUN_ID, attempt)
                assert accepted[token] <= 1, "one call for an attempt, for ever"
                jobs = _jobs_of(lab, token)
                match answer:
                    case Accepted(jobid):
                        assert jobs in ([jobid], None)
                        done.add(attempt.key)
                    case Unclear():
                        assert jobs == [] or not tokens or mode == "odd"
                        done.add(attempt.key)  # never again unasked
                    case _:  # a proof that this one never runs: the next may
                        assert not jobs, f"{answer} of a job that was accepted"
                        n[attempt.key] += 1
        total = len(list(lab.fake.glob("jobs/*")))
        assert total <= len(keys), "more jobs than there are keys: one was doubled"


def _try(act: Callable[[], object]) -> None:
    try:
        act()
    except (ConnectionLost, LookFailed):
        pass
    except ClusterError as error:  # pragma: no cover - says what a crash must not lead to
        raise AssertionError(str(error)) from error


def _jobs_of(lab: Lab, token: str) -> list[JobID] | None:
    """The jobs of a token; None where the batch system does not tell."""
    if (lab.fake / "no-tokens").exists():
        return None
    return [
        JobID(path.parent.name)
        for path in lab.fake.glob("jobs/*/token")
        if path.read_text().strip() == token
    ]


def test_the_crash_tests_do_crash(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of the loop, in turn: what is there after it, and what recovery says."""
    monkeypatch.setattr(ledger, "CLOCK", "none")
    assert "die-after" in QSUB
    crashing(lab)
    said = set()
    for crash_at in range(1, 6):
        (lab.fake / "steps").unlink(missing_ok=True)
        (lab.fake / "crash-at").write_text(str(crash_at))
        order = lab.order("m/qsub.0", crash_at, again=True)
        (lab.twin / "m" / "qsub.finished.0").touch()
        with pytest.raises((LookFailed, ConnectionLost)):
            lab.submit(order)
        (lab.fake / "crash-at").write_text("")
        (answer,) = lab.cluster.recover([Attempt(Key("m/qsub.0"), crash_at)]).values()
        said.add(type(answer))
        assert not lab.calls()
    assert said == {NotRun, Unclear}, "before the claim it is won, behind it nobody can tell"


@pytest.mark.fault("The protocol: an old loop that wakes up later")
def test_a_loop_that_wakes_up_after_recovery_does_nothing(lab: Lab) -> None:
    """The old loop is held right before its claim while the attempt is recovered."""
    wait = f"until [ -e '{lab.fake}/go' ]; do sleep 0.05; done"
    lab.program("cksum", f"#!/bin/sh\n{wait}\nexec {shutil.which('cksum')}\n")
    order = lab.order()
    stream = lab.cluster.submit([order])
    told: list[object] = []
    thread = threading.Thread(target=lambda: told.extend(stream))
    thread.start()
    try:
        assert lab.cluster.recover([order.attempt]) == {order.attempt: ledger.GIVEN_UP}
    finally:
        (lab.fake / "go").touch()
        thread.join(30)
    assert told == [(order.attempt, None)]
    assert not lab.calls()
    again = lab.order(n=2)
    assert list(lab.submit(again).values()) == [Accepted(JobID("1"))]
