"""What a cycle remembers for the next start belongs to an attempt, never to the one after it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobmon.core.life import Job
from jobmon.core.model import Key, Life, Mono
from jobmon.core.settle import Doubt
from jobmon.cycle import memory

KEY = Key("m/qsub.0")


def know(folder: Path, n: int, **more: Any) -> Any:
    """As much of what a daemon knows as is remembered, of a run with one job in its nth attempt."""
    known: dict[str, Any] = {
        "paths": SimpleNamespace(memory=folder / "memory"),
        "jobs": {KEY: Job(KEY, Life.STARTED, n)},
        "in_system": {KEY},
        "killing": set(),
        "changes": {},
        "conflicts": set(),
        "kept": "",
    }
    known |= {name: {} for name in ("past", "refusals", "stuck", "doubts", "unheard")}
    return SimpleNamespace(**known | more)


@pytest.mark.parametrize("n", [1, 2])
def test_the_next_attempt_inherits_no_doubt(tmp_path: Path, n: int) -> None:
    doubts, unheard = {KEY: Doubt(Mono(5.0), Mono(9.0))}, {KEY: Mono(4.0)}
    memory.keep(know(tmp_path, 1, doubts=doubts, unheard=unheard, killing={KEY}))
    later = know(tmp_path, n)
    memory.recall(later)
    assert later.doubts == (doubts if n == 1 else {})
    assert later.unheard == (unheard if n == 1 else {})
    assert later.killing == ({KEY} if n == 1 else set())


def test_what_an_older_version_remembered_is_passed_over(tmp_path: Path) -> None:
    memory.keep(know(tmp_path, 1))
    path = tmp_path / "memory"
    path.write_text(path.read_text().replace('"doubts": {}', '"doubts": {"m/qsub.0": [5.0, 9.0]}'))
    later = know(tmp_path, 1)
    memory.recall(later)
    assert later.doubts == {}
