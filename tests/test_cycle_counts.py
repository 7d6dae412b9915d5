"""A cycle costs the same however large the run is: folders read, files asked about, lines printed.

The cluster is the stand-in of ``faults_lab``; what the real ones are asked is in ``test_counts``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faults_lab import Lab

from jobmon.core.model import Life, Seen
from jobmon.cycle import question
from jobmon.cycle.loop import Loop
from jobmon.run import tree, views
from jobmon.run.tree import Tree

ALIVE, ENDING, QUIET, BUSY = 20, 5, 8, 6


def cycles(
    folder: Path, folders: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Counter[str]], list[Counter[str]]]:
    """The counts of quiet cycles, and of those from the end of some jobs on.

    Each folder has a chain of three; as many jobs as may be are in the batch system.
    """
    lab = Lab(folder, {"maxqsub": ALIVE, "pulls_every": 1e9})
    lab.farm.length = 1e6
    for f in range(folders):
        lab.put(f"m{f}/qsub.0")
        lab.put(f"m{f}/qsub.1", "qsub.finished.0\n")
        lab.put(f"m{f}/qsub.2", "qsub.finished.1\n../m0/data\n")
    counts: list[Counter[str]] = []
    now: Counter[str] = Counter()

    def counting(owner: Any, name: str, what: str) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **more: Any) -> Any:
            now[what] += 1
            return original(*args, **more)

        monkeypatch.setattr(owner, name, counted)

    cycle, look = Loop._cycle, lab.farm.look

    def counted_look(files: set[str], stats: Any = (), **how: Any) -> Seen:
        now["files asked about"] += len(files)
        return look(files, stats, **how)

    def counted_cycle(self: Loop, *, whole: bool) -> None:
        now.clear()
        cycle(self, whole=whole)
        counts.append(+now)
        if len(counts) == QUIET:
            for job in list(lab.farm.queue.values())[:ENDING]:
                job.until = 0.0
        if len(counts) == QUIET + BUSY:
            self.stop.set()

    with monkeypatch.context() as patch:
        patch.setattr(tree, "TICK_NS", 0)
        for module, name, small in (
            (tree, "SLICE", 15),
            (tree, "GLANCES", 40),
            (question, "AT_LEAST", 10),
            (question, "SCANNED", 30),
        ):
            patch.setattr(module, name, small)
        monkeypatch = patch
        counting(Tree, "read", "folders read")
        counting(views, "line_of", "lines printed")
        patch.setattr(lab.farm, "look", counted_look)
        patch.setattr(Loop, "_cycle", counted_cycle)
        lab.session()
    return counts[3:QUIET], counts[QUIET:]


def test_a_cycle_of_a_large_run_costs_no_more_than_one_of_a_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, small_busy = cycles(tmp_path / "small", 60, monkeypatch)
    large, large_busy = cycles(tmp_path / "large", 180, monkeypatch)
    for quiet in small, large:
        assert not any(count["lines printed"] for count in quiet)
        # The run folder itself is written to by jobmon, so a glance shows a change each time.
        assert {count["folders read"] for count in quiet} <= {15, 16}
        # A marker of each job, the turns; the plain file once, though all wait for it.
        assert max(count["files asked about"] for count in quiet) <= ALIVE + 2 * (10 + ALIVE // 10)
    for busy in small_busy, large_busy:
        assert sum(count["lines printed"] for count in busy) <= 4 * ENDING
        assert max(count["folders read"] for count in busy) <= 16 + 4 * ENDING
    assert sum(c["lines printed"] for c in small_busy) == sum(
        c["lines printed"] for c in large_busy
    )


def test_the_pauses_grow_while_the_batch_system_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path, {"interval": 10.0})
    lab.farm.length = 600.0
    lab.put("m/qsub.0")
    took: list[float] = []
    pauses: list[float] = []
    pause = Loop._pause

    def at_look() -> None:
        took.append(4.0 if 3 <= len(took) < 6 else 0.5)
        lab.time.mono += took[-1]

    def counted(self: Loop) -> float:
        pauses.append(pause(self))
        return pauses[-1]

    lab.farm.at_look = at_look
    monkeypatch.setattr(Loop, "_pause", counted)
    lab.session()
    for look, wait in zip(took, pauses, strict=False):
        longest = 30.0 if look == 4.0 else 10.0
        assert 0.9 * longest <= wait <= longest, "never later than said, nor all at one time"
    assert len(set(pauses)) > len(pauses) // 2


@pytest.mark.parametrize(("needs", "soonest"), [("qsub.finished.0\n", 0.75), ("", 0.9)])
def test_an_end_that_another_job_waits_for_is_looked_for_sooner(
    tmp_path: Path, needs: str, soonest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab(tmp_path, {"interval": 10.0})
    lab.farm.length = 2000.0
    lab.put("m/qsub.0")
    lab.put("m/qsub.1", needs)
    pauses: list[float] = []
    pause = Loop._pause

    def counted(self: Loop) -> float:
        if not any(self.know.jobs[key].life == Life.FINISHED for key in self.know.jobs):
            pauses.append(pause(self))
        return pause(self)

    monkeypatch.setattr(Loop, "_pause", counted)
    lab.session()
    assert len(pauses) > 100
    assert soonest * 10 <= min(pauses[2:]) < soonest * 10 + 0.5 and max(pauses) <= 10
