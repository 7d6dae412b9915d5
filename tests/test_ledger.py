"""The client's half of exactly-once: checksums, steps, and what a record says."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_lab import FakeBatch
from test_names import keys

from jobmon.cluster import ledger
from jobmon.cluster.base import LookFailed, frame
from jobmon.cluster.ledger import Entry, Order
from jobmon.core.model import (
    Accepted,
    Answer,
    Attempt,
    Differs,
    JobID,
    Key,
    Marked,
    Need,
    NotRun,
    Refused,
    Unclear,
)

BATCH = FakeBatch(Path("/"))
KEY = Key("m/qsub.0")
ONE = Attempt(KEY, 1)
NAME = ledger.record_name(ONE)


@given(st.binary(max_size=3000))
@settings(max_examples=40, deadline=None)
def test_cksum_is_the_systems(data: bytes) -> None:
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)
    assert ledger.cksum(data) == done.stdout.decode().strip()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65535, 65536, 16_777_216])
def test_cksum_of_sizes_that_take_another_byte(size: int) -> None:
    data = b"x" * size
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)
    assert ledger.cksum(data) == done.stdout.decode().strip()


@given(keys, st.integers(1, 10**6))
def test_a_record_has_a_name_that_any_file_system_takes(key: Key, n: int) -> None:
    name = ledger.record_name(Attempt(key, n))
    assert name.isascii() and len(name) < 50 and "/" not in name
    assert name != ledger.record_name(Attempt(key, n + 1))
    assert ledger.token("run-1", Attempt(key, n)) == f"run-1-{name}"


def test_the_steps_say_all_that_the_loop_must_know() -> None:
    needs = (Need("a b/x"), Need("y"), Need("STOP", absent=True), Need("z"))
    order = Order(ONE, "m", "qsub.0", b"abc", "qsub.finished.0", needs, again=True)
    top = Order(ONE, "", "qsub.0", b"", "qsub.finished.0", (), again=False)
    assert list(ledger.steps([(order, ["qsub", "-x", "a b"]), (top, [])])) == [
        ["v", "m/qsub.0", "./qsub.0"],
        ["r", NAME, "m/qsub.0", "m", "qsub.0", "1219131554 3", "qsub.finished.0", "again"],
        ["n", "a b/x", "y"],
        ["z", "STOP"],
        ["n", "z"],
        ["g", "qsub", "-x", "a b"],
        ["r", NAME, "m/qsub.0", ".", "qsub.0", "4294967295 0", "qsub.finished.0", "new"],
        ["g"],
    ]


def test_the_sums_of_a_few_scripts_are_read_at_once() -> None:
    orders = [
        (Order(Attempt(Key(f"m/qsub.{i}"), 1), "m", f"qsub.{i}", b"", "x", (), False), ["q"])
        for i in range(2 * ledger.SUMS + 1)
    ]
    steps = list(ledger.steps(orders))
    read = [step for step in steps if step[0] == "v"]
    assert [len(step) - 1 for step in read] == [ledger.SUMS, ledger.SUMS, 1]
    assert [path for step in read for path in step[1:]] == [f"m/{o.script}" for o, _ in orders]
    assert [step[0] for step in steps[:4]] == ["v", "r", "g", "r"]


@given(keys)
def test_a_word_of_a_step_travels_as_one(key: Key) -> None:
    """Through a shell, whatever is in it; a line each."""
    text = frame("recover", [], "jmX", [["r", "name", key], ["q"]])
    ours = os.fsencode(shlex.join(["r", "name", key]))
    assert b"\n" + ours + b"\nq\nfi; " in text
    done = subprocess.run(
        ["sh", "-c", b'r() { printf "%s|" "$@"; }\n' + ours], capture_output=True, check=True
    )
    assert done.stdout == b"name|%s|" % os.fsencode(key)


ANSWERS: list[tuple[str, Answer | None]] = [
    ("lost", None),
    ("marked", Marked()),
    ("unmet m/x y", NotRun("m/x y changed meanwhile")),
    ("differs", Differs()),
    ("late", NotRun("the loop's time was over")),
    ("unwritable", NotRun("the record on the cluster cannot be written (quota? disk full?)")),
    ("surprise", Unclear("the record says: surprise")),
    ("ran", Unclear("the record says: ran")),
    ("ran x", Unclear("the record says: ran x")),
]


@pytest.mark.parametrize(("said", "answer"), ANSWERS)
def test_an_answer_without_output(said: str, answer: Answer | None) -> None:
    lines = [b"noise", b"\0did other.1 marked", f"\0did {NAME} {said}".encode(), b"\0said", b"x"]
    found = list(ledger.submit_answers(iter(lines), {NAME: ONE}, BATCH))
    assert found == [(ONE, answer)]


def test_answers_with_output_and_others_behind_them() -> None:
    two = Attempt(KEY, 2)
    lines = [
        *(f"\0did {NAME} ran 0".encode(), b"banner", b"accepted 12", b"\0said"),
        *(f"\0did {ledger.record_name(two)} ran 1".encode(), b"refused: no \xff", b"\0said"),
    ]
    found = list(
        ledger.submit_answers(iter(lines), {NAME: ONE, ledger.record_name(two): two}, BATCH)
    )
    assert found == [(ONE, Accepted(JobID("12"))), (two, Refused("no \udcff"))]


def entry(text: str) -> Entry:
    lines = [f"\0record {NAME}".encode(), *text.encode().split(b"\n"), b"\0said", b"\0whole"]
    ((name, found),) = ledger.entries(iter(lines))
    assert name == NAME and found is not None and found.name == NAME
    return found


RAN = "key m/qsub.0\nran 0\nnode07\naccepted 12\n\nend\n"


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_whole_record(ending: str) -> None:
    found = entry(RAN + ending)
    assert found.whole and found.key == KEY
    assert ledger.entry_answer(found, BATCH) == Accepted(JobID("12"))
    assert ledger.entry_answer(entry("key m/qsub.0\nrecovered\nend\n"), BATCH) == ledger.GIVEN_UP


@pytest.mark.parametrize("cut", range(len(RAN) - 1))
def test_a_torn_record_says_nothing(cut: int) -> None:
    found = entry(RAN[:cut])
    assert not found.whole
    assert ledger.entry_answer(found, BATCH) is None
    assert found.key in (None, KEY), "and names no other job"


@pytest.mark.fault("Disks and clocks: there full, at each write")
def test_won_and_unwritable() -> None:
    lines = [b"\0won a.1", b"\0unwritable b.1", b"\0whole"]
    assert list(ledger.entries(iter(lines))) == [("a.1", None)]


def test_half_an_answer_of_the_record_is_none() -> None:
    with pytest.raises(LookFailed, match="half an answer"):
        list(ledger.entries(iter([b"\0won a.1"])))
