"""The shell that submits, by every shell at hand, in a twin with a weird name."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from shell_lab import RUN_ID, SHELLS, Lab, ShellLink

from jobmon.cluster import ledger
from jobmon.cluster.base import LONG, SHORT, LookFailed, TwinLost, call, frame
from jobmon.core.model import (
    Accepted,
    Attempt,
    Differs,
    JobID,
    Key,
    Marked,
    NotRun,
    Refused,
    Unclear,
)

WEIRD = "-a 'b\" $HOME `x` é;*\\"
ONE = Attempt(Key("m/qsub.0"), 1)


@pytest.fixture(params=SHELLS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, SHELLS[request.param])


@pytest.fixture
def plain(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


# --- the frame -------------------------------------------------------------------------


def test_a_banner_is_no_answer_and_no_end_is_none(tmp_path: Path) -> None:
    lab = Lab(tmp_path, banner=b"Welcome\r\nto node07, no newline")
    assert lab.submit(lab.order()) == {ONE: Accepted(JobID("1"))}
    lab.link.cut = 40
    with pytest.raises(LookFailed, match=r"me@lab: the answer of 'ask' has no end$"):
        lab.cluster.look([])
    lab.link.cut = 3
    with pytest.raises(LookFailed, match=r"has no end; it said: Welcome to node07, no newline"):
        lab.cluster.look([])


@pytest.mark.fault("Connections: lost")
@pytest.mark.parametrize("command", [SHORT, LONG])
def test_a_program_cut_anywhere_starts_nothing(lab: Lab, command: str) -> None:
    orders = [lab.order(f"{WEIRD}/qsub.{i}", needs="qsub.0\nnot x") for i in range(2)]
    program = lab.wire(*orders)
    rng = random.Random(1)
    size, steps = len(program.rstrip(b"\n")), program.index(b"\nif main ")
    # Everywhere near the ends, where a shell might make sense of it, and a sample of the rest.
    cuts = {*range(4), *range(size - 25, size), *rng.sample(range(size), 30)}
    cuts |= {*range(steps, size, 12)}
    for cut in sorted(cuts):
        done = subprocess.run(
            lab.argv(command), input=program[:cut], capture_output=True, timeout=30, check=False
        )
        assert b"BEGIN" not in done.stdout, cut
    assert not lab.calls() and not list(lab.record.iterdir())
    done = subprocess.run(
        lab.argv(command), input=program, capture_output=True, timeout=30, check=True
    )
    assert done.stdout.startswith(b"\njmTOKEN BEGIN\n") and done.stdout.endswith(b"\njmTOKEN END\n")
    assert lab.calls() == [ledger.token(RUN_ID, order.attempt) for order in orders]


# --- submit.sh -------------------------------------------------------------------------


@pytest.mark.fault("The protocol: the record")
def test_a_submission_is_recorded_and_answered(lab: Lab) -> None:
    order = lab.order(f"{WEIRD}/deep er/qsub.0", needs="in put\nnot STOP\n../qsub.0")
    other = lab.order(f"{WEIRD}/qsub.0")
    (lab.twin / WEIRD / "deep er" / "in put").touch()
    found = lab.submit(order, other)
    assert list(found) == [order.attempt, other.attempt]
    assert found == {order.attempt: Accepted(JobID("1")), other.attempt: Accepted(JobID("2"))}
    assert (lab.fake / "jobs" / "1" / "cwd").read_text() == f"{lab.twin}/{WEIRD}/deep er\n"
    assert lab.jobs() and set(lab.jobs()) == {
        ledger.token(RUN_ID, o.attempt) for o in (order, other)
    }
    said = f"key {WEIRD}/deep er/qsub.0\nran 0\nnode07 says hello\n\naccepted 1\nend\n"
    assert lab.entry(order) == said


def test_the_run_folder_itself_can_hold_a_job(lab: Lab) -> None:
    order = lab.order("qsub.top", needs="qsub.top")
    assert lab.submit(order) == {order.attempt: Accepted(JobID("1"))}
    assert (lab.fake / "jobs" / "1" / "cwd").read_text() == f"{lab.twin}/.\n".replace("/.", "")


def test_an_attempt_is_submitted_once_and_the_next_is_another(lab: Lab) -> None:
    assert lab.submit(lab.order()) == {ONE: Accepted(JobID("1"))}
    assert lab.submit(lab.order()) == {ONE: None}
    assert lab.submit(lab.order(n=2)) == {Attempt(ONE.key, 2): Accepted(JobID("2"))}
    assert len(lab.calls()) == 2


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.fault("The protocol: claims")
def test_a_claim_is_won_once_by_many_loops_at_once(name: str, tmp_path: Path) -> None:
    lab = Lab(tmp_path, SHELLS[name])
    orders = [lab.order(f"m{i}/qsub.0") for i in range(3)]
    links = [ShellLink(SHELLS[name], lab.bin) for _ in range(20)]

    def loop(link: ShellLink) -> dict[Attempt, object]:
        mixed = random.sample(orders, 3)
        by_name = {ledger.record_name(o.attempt): o.attempt for o in orders}
        lines = call(link, "submit", lab.args(), lab.steps(*mixed))
        return dict(ledger.submit_answers(lines, by_name, lab.batch))

    with ThreadPoolExecutor(len(links)) as pool:
        told = list(pool.map(loop, links))
    assert Counter(lab.calls()) == Counter(ledger.token(RUN_ID, o.attempt) for o in orders)
    for order in orders:
        answers = [one[order.attempt] for one in told]
        assert sum(isinstance(answer, Accepted) for answer in answers) == 1
        assert answers.count(None) == 19


def test_demands_are_checked_where_files_are_made(lab: Lab) -> None:
    order = lab.order(needs="a b\nnot STOP")
    assert lab.submit(order) == {ONE: NotRun("m/a b changed meanwhile")}
    (lab.twin / "m" / "a b").touch()
    (lab.twin / "m" / "STOP").touch()
    second = lab.order(n=2, needs="a b\nnot STOP")
    assert lab.submit(second) == {second.attempt: NotRun("not m/STOP changed meanwhile")}
    assert lab.submit(second) == {second.attempt: None}, "an unmet attempt is spent"
    (lab.twin / "m" / "STOP").unlink()
    third = lab.order(n=3, needs="a b\nnot STOP")
    assert lab.submit(third) == {third.attempt: Accepted(JobID("1"))}


def test_one_jobs_demands_are_not_the_nexts(lab: Lab) -> None:
    first, second = lab.order("m/qsub.0", needs="nowhere"), lab.order("m/qsub.1")
    assert list(lab.submit(first, second).values())[1] == Accepted(JobID("1"))


def test_a_marker_that_is_there_before(lab: Lab) -> None:
    order = lab.order()
    marker = lab.twin / "m" / "qsub.finished.0"
    marker.touch()
    assert lab.submit(order) == {ONE: Marked()}
    assert marker.exists() and not lab.calls()
    again = lab.order(n=2, again=True)
    assert lab.submit(again) == {again.attempt: Accepted(JobID("1"))}
    assert not marker.exists(), "an earlier attempt's marker is gone before the next one runs"


def test_a_marker_is_kept_where_the_demands_are_not_met(lab: Lab) -> None:
    marker = lab.twin / "m" / "qsub.finished.0"
    order = lab.order(again=True, needs="nowhere")
    marker.touch()
    assert list(map(type, lab.submit(order).values())) == [NotRun]
    assert marker.exists()


def test_a_script_that_is_not_ours(lab: Lab) -> None:
    order = lab.order()
    there = lab.twin / "m" / "qsub.0"
    second, third = Attempt(ONE.key, 2), Attempt(ONE.key, 3)
    there.write_bytes(b"another\n")
    assert lab.submit(order) == {ONE: Differs()}
    there.unlink()
    assert lab.submit(replace(order, attempt=second)) == {second: Differs()}
    os.mkfifo(there)
    assert lab.submit(replace(order, attempt=third)) == {third: Differs()}
    assert not lab.calls()


def test_an_attempt_that_is_passed_over_is_nobodys_any_more(lab: Lab) -> None:
    """Two copies of a run folder whose scripts differ: the second must not go on to attempt 2
    while the first has attempt 1 submitted, nor the first win what the second passed over."""
    theirs = lab.order()
    ours = replace(theirs, text=b"edited\n")
    assert lab.submit(ours) == {ONE: Differs()}
    assert lab.submit(theirs) == {ONE: None}
    second = lab.order(n=2)
    assert lab.submit(second) == {second.attempt: Accepted(JobID("1"))}
    assert lab.submit(replace(second, text=b"edited\n")) == {second.attempt: None}


@pytest.mark.parametrize(("mode", "kind"), [("refuse", Refused), ("odd", Unclear)])
@pytest.mark.fault("The protocol: the record")
def test_what_the_batch_system_says_is_kept(lab: Lab, mode: str, kind: type) -> None:
    lab.mode(mode)
    order = lab.order()
    (answer,) = lab.submit(order).values()
    assert isinstance(answer, kind)
    assert (lab.entry(order) or "").startswith("key m/qsub.0\nran 1\n")
    assert lab.cluster.recover([ONE]) == {ONE: answer}


def test_a_submit_command_that_is_missing_is_said(lab: Lab) -> None:
    (lab.bin / "qsub").unlink()
    (answer,) = lab.submit(lab.order()).values()
    assert isinstance(answer, Unclear) and "127" in answer.words


DATE = """#!/bin/sh
n=$(cat "$0.n" 2>/dev/null || echo 1)
echo $((n + 1)) >"$0.n"
sed -n "${n}p" "$0.says"
"""


@pytest.mark.parametrize(
    "clock",
    ["1000 1061", "1000 999", "1000 -", "1000 1060 1061", "1000 1010 999", "1000 1010 -"],
)
@pytest.mark.fault("The protocol: an old loop that wakes up later")
def test_a_loop_that_wakes_up_late_does_nothing(
    lab: Lab, clock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "CLOCK", "none")
    lab.program("date", DATE)
    (lab.bin / "date.says").write_text(clock.replace(" ", "\n").replace("-", "") + "\n")
    order = lab.order()
    assert lab.submit(order) == {ONE: NotRun("the loop's time was over")}
    assert not lab.calls()
    assert lab.entry(order) == "key m/qsub.0\nlate\nend\n"
    assert lab.submit(order) == {ONE: None}, "it is passed over for ever"


def test_the_time_is_asked_before_each_submission(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "CLOCK", "none")
    lab.program("date", DATE)
    (lab.bin / "date.says").write_text("1000\n1000\n1000\n1059\n1061\n1061\n1061\n")
    orders = [lab.order(f"m/qsub.{i}") for i in range(3)]
    kinds = [type(answer) for answer in lab.submit(*orders).values()]
    assert kinds == [Accepted, NotRun, NotRun]


@pytest.mark.parametrize("late", ["1061.04 7", "999.99 7", "", "x", None])
@pytest.mark.fault("The protocol: an old loop that wakes up later")
def test_the_time_may_stand_in_a_file(
    lab: Lab, late: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Linux's uptime: the submit command of the first attempt lets it run on, or takes it away."""
    clock = lab.top / "up time"
    clock.write_text("1000.99 7\n")
    monkeypatch.setattr(ledger, "CLOCK", str(clock))
    lab.program("date", "#!/bin/sh\necho unasked >&2; echo 1000\n")
    orders = [lab.order(f"m/qsub.{i}") for i in range(2)]
    qsub = (lab.bin / "qsub").read_text().splitlines()
    there = shlex.quote(str(clock))
    sets = f"rm {there}" if late is None else f"echo {shlex.quote(late)} >{there}"
    lab.program("qsub", "\n".join([qsub[0], sets, *qsub[1:], ""]))
    first, second = lab.submit(*orders).values()
    assert first == Accepted(JobID("1"))
    assert second == NotRun("the loop's time was over")


def test_a_script_edited_after_its_sum_was_read_is_an_edit_like_any_later_one(lab: Lab) -> None:
    """The sums of a few scripts are read at once; one that is not ours by then is found."""
    orders = [lab.order(f"m/qsub.{i}") for i in range(2 * ledger.SUMS)]
    last, early = lab.twin / "m" / f"qsub.{len(orders) - 1}", lab.twin / "m" / "qsub.1"
    qsub = (lab.bin / "qsub").read_text().splitlines()
    edits = f'for f in "{last.name}" "{early.name}"; do echo edited >>"$f"; done'
    lab.program("qsub", "\n".join([qsub[0], edits, *qsub[1:], ""]))
    answers = lab.submit(*orders)
    assert isinstance(answers[orders[1].attempt], Accepted)
    assert answers[orders[-1].attempt] == Differs()
    assert len(lab.calls()) == len(orders) - 1


def test_a_record_that_cannot_be_written(lab: Lab) -> None:
    lab.record.rmdir()
    lab.record.write_text("a file in the folder's place")
    order = lab.order()
    (answer,) = lab.submit(order).values()
    assert isinstance(answer, NotRun) and "cannot be written" in answer.why
    assert not lab.calls()


def test_a_twin_that_is_not_ours(lab: Lab) -> None:
    order = lab.order()
    lab.put_id("r-12")
    acts: list[Callable[[], object]] = [
        lambda: lab.submit(order),
        lambda: lab.cluster.look([]),
        lambda: lab.cluster.recover([ONE]),
    ]
    for act in acts:
        with pytest.raises(TwinLost, match="belongs to another run"):
            act()
    (lab.twin / ".jobmon" / "run").unlink()
    with pytest.raises(TwinLost, match="another run"):
        lab.submit(order)
    lab.twin.rename(lab.top / "away")
    acts = [
        lambda: lab.submit(order),
        lambda: lab.cluster.look([]),
        lab.cluster.records,
    ]
    for act in acts:
        with pytest.raises(TwinLost, match="is missing"):
            act()
    assert not lab.calls()


# --- the shell itself ------------------------------------------------------------------


def test_the_program_is_one_brace_group(plain: Lab) -> None:
    for proc in ("ask", "submit", "recover", "twin", "probe"):
        text = frame(proc, ["a b", "'"], "jmX", [["q", "$x 'y", "z"]]).decode()
        assert text.startswith("{ ") and text.endswith("; exit; }\n")
        assert not [line for line in text.split("\n") if line.startswith(("#", " "))]
        for name in SHELLS:
            subprocess.run([*SHELLS[name], "-n", "-c", text], check=True)
