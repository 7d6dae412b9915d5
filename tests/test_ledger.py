"""The client's half of exactly-once: checksums, blocks, and what a record says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_lab import FakeBatch
from test_names import keys

from jobmon.cluster import ledger
from jobmon.cluster.base import LookFailed
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


def test_a_block_says_all_that_the_loop_must_know() -> None:
    needs = (Need("a b/x"), Need("STOP", absent=True))
    order = Order(ONE, "m", "qsub.0", b"abc", "qsub.finished.0", needs, again=True)
    assert ledger.block(order, ["qsub", "-x", "a b"]).decode() == (
        f"r {NAME}\nk m/qsub.0\nd m\ns qsub.0\nc 1219131554 3\nm qsub.finished.0\no again\n"
        "n a b/x\nz STOP\na qsub\na -x\na a b\ng\n"
    )
    top = Order(ONE, "", "qsub.0", b"abc", "qsub.finished.0", (), again=False)
    assert b"\nd .\n" in ledger.block(top, []) and b"\no new\n" in ledger.block(top, [])


@given(keys)
def test_a_block_is_one_line_a_word(key: Key) -> None:
    folder = key.rpartition("/")[0]
    order = Order(Attempt(key, 1), folder, "qsub.0", b"", "qsub.finished.0", (Need(key),), False)
    lines = ledger.block(order, ["q", "é\udcff"]).split(b"\n")
    assert [line[:2] for line in lines] == [
        *(b"r ", b"k ", b"d ", b"s ", b"c ", b"m ", b"o ", b"n ", b"a ", b"a ", b"g"), b"",
    ]  # fmt: skip
    assert lines[1] == b"k " + os.fsencode(key)


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
