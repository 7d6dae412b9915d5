"""The shell that recovers: won, lost, whole or not; by every shell at hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell_lab import SHELLS, Lab, ShellLink

from jobmon.cluster import ledger
from jobmon.cluster.base import ConnectionLost, LookFailed
from jobmon.core.model import (
    Accepted,
    Attempt,
    JobID,
    Key,
    Unclear,
)

WEIRD = "-a 'b\" $HOME `x` é;*\\"
ONE = Attempt(Key("m/qsub.0"), 1)


@pytest.fixture(params=SHELLS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, SHELLS[request.param])


@pytest.mark.fault("The protocol: claims")
def test_recovery_wins_what_nobody_claimed_and_for_ever(lab: Lab) -> None:
    order = lab.order(f"{WEIRD}/qsub.0")
    assert lab.cluster.recover([order.attempt]) == {order.attempt: ledger.GIVEN_UP}
    assert lab.entry(order) == f"key {WEIRD}/qsub.0\nrecovered\nend\n"
    assert lab.submit(order) == {order.attempt: None}
    assert lab.cluster.recover([order.attempt]) == {order.attempt: ledger.GIVEN_UP}
    assert not lab.calls()


@pytest.mark.fault("The protocol: recovery from any state of journal and record")
def test_recovery_of_a_record_that_is_not_whole(lab: Lab) -> None:
    """Adopted by its token; unclear where the batch system shows none."""
    lab.mode("die-after")
    order = lab.order()
    with pytest.raises((ConnectionLost, LookFailed)):
        lab.submit(order)
    assert lab.entry(order) == "key m/qsub.0\n"
    assert lab.cluster.recover([ONE]) == {ONE: Accepted(JobID("1"))}
    (lab.fake / "jobs" / "1" / "token").unlink()
    (answer,) = lab.cluster.recover([ONE]).values()
    assert isinstance(answer, Unclear)


@pytest.mark.fault("The protocol: an unclear answer of qsub is looked up")
def test_an_unclear_answer_is_looked_up_by_its_token(lab: Lab) -> None:
    order = lab.order()
    lab.submit(order)
    (lab.record / ledger.record_name(ONE)).write_text("key m/qsub.0\nran 1\ntimed out\nend\n")
    assert lab.cluster.recover([ONE]) == {ONE: Accepted(JobID("1"))}


def test_recovery_where_the_record_cannot_be_written_proves_nothing(lab: Lab) -> None:
    lab.record.rmdir()
    lab.record.write_text("")
    (answer,) = lab.cluster.recover([ONE]).values()
    assert isinstance(answer, Unclear)


def test_all_records(lab: Lab) -> None:
    assert lab.cluster.records() == []
    orders = [lab.order("m/qsub.0"), lab.order(f"{WEIRD}/qsub.0")]
    lab.submit(*orders)
    found = {entry.name: entry for entry in lab.cluster.records()}
    for order in orders:
        entry = found[ledger.record_name(order.attempt)]
        assert entry.key == order.attempt.key and entry.whole
        assert isinstance(lab.cluster.answer(entry), Accepted)


class Half(ShellLink):
    """Sends only a part of what is to be said over there."""

    keep = 0

    def stream(self, command: str, stdin: bytes, limit: float):  # type: ignore[no-untyped-def]
        return super().stream(command, stdin[: -self.keep], limit)


@pytest.mark.parametrize("keep", [2, 5, 60])
def test_half_a_question_has_no_answer(lab: Lab, keep: int) -> None:
    lab.submit(lab.order())
    half = Half(lab.shell, lab.bin)
    half.keep = keep
    lab.cluster = lab.over(half)
    for act in (
        lab.cluster.records,
        lambda: lab.cluster.recover([ONE]),
        lambda: lab.cluster.look([]),
    ):
        with pytest.raises(LookFailed, match="has no end"):
            act()
