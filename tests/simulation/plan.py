"""What a seed decides: the tree, each job's fate, which faults there are, how likely they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from simulation.batch import Fate

RATES: Mapping[str, tuple[float, float]] = {
    # name: the least and the highest chance, each time it could happen
    "kill -9 at a write": (0.002, 0.03),
    "kill -9 before a call": (0.02, 0.15),
    "kill -9 at a remote step": (0.002, 0.02),
    "kill -9 after a call": (0.02, 0.15),
    "kill -9 while it waits": (0.02, 0.3),
    "kill -9 before a push": (0.1, 0.5),
    "kill -9 while pushing": (0.02, 0.2),
    "power failure": (0.002, 0.02),
    "SIGTERM": (0.02, 0.2),
    "disk full here": (0.002, 0.02),
    "no network": (0.01, 0.1),
    "connection refused": (0.05, 0.5),
    "drop before": (0.05, 0.4),
    "drop while asking": (0.05, 0.4),
    "drop after": (0.05, 0.5),
    "drop while submitting": (0.1, 0.7),
    "login node dies after qsub": (0.1, 0.6),
    "half-open": (0.02, 0.2),
    "half an answer": (0.05, 0.4),
    "a page of text": (0.05, 0.4),
    "cannot fork": (0.05, 0.4),
    "old loop": (0.5, 1.0),
    "login node kills the loop": (0.2, 0.7),
    "push breaks off": (0.1, 0.5),
    "pull breaks off": (0.05, 0.3),
    "slow command": (0.05, 0.5),
    "batch system down": (0.01, 0.1),
    "batch system hung": (0.01, 0.1),
    "id counter starts again": (0.01, 0.1),
    "refused": (0.1, 0.7),
    "error, not accepted": (0.1, 0.5),
    "error though accepted": (0.1, 0.5),
    "empty answer": (0.05, 0.6),
    "half a listing": (0.05, 0.6),
    "garbage": (0.05, 0.5),
    "new state": (0.05, 0.6),
    "asleep for eight hours": (0.01, 0.1),
    "wall time steps back": (0.5, 1.0),
    "deleted by hand": (0.3, 1.0),
    "held by hand": (0.3, 1.0),
    "requeued": (0.3, 1.0),
    "node failure": (0.3, 1.0),
    "disk full there": (0.3, 1.0),
    "jobmon kill": (0.3, 1.0),
    "jobmon kill --hold, release": (0.3, 1.0),
    "quelist reordered": (0.3, 1.0),
    "script edited": (0.3, 1.0),
    "jobmon retry": (0.3, 1.0),
    "journal and quelist put aside": (0.3, 1.0),
    "script changed there": (0.3, 1.0),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One world, before it begins."""

    scheduler: str
    date: str
    tree: Mapping[str, str | None]  # key -> its dependency file
    fate: Callable[[str, int], Fate]
    faults: dict[str, float]
    until: float
    grace: float
    flags: dict[str, Any]
    skew: float
    lag: float
    accounting: bool
    accounting_lag: float
    memory: float
    keeps: bool


def plan(chance: Random, sure: Sequence[str] = (), wanted: str | None = None) -> Plan:
    """The plan of a seed's own ``chance``; the faults in ``sure`` are among its faults, and likely.

    ``wanted``: the batch system, whatever chance says.
    """
    scheduler = chance.choice(("slurm", "sge"))
    grace, lag = chance.choice(((20.0, 0.0), (20.0, 0.0), (20.0, 15.0), (60.0, 45.0)))
    fates_seed = chance.random()
    if fates_seed < 0.3:
        scheduler = "pbs"
    scheduler = wanted or scheduler

    def fate(key: str, n: int) -> Fate:
        return _fate(Random(f"{fates_seed} {key} {n}"))

    return Plan(
        scheduler,
        "20261121_120000",
        _tree(chance),
        fate,
        _faults(chance) | {name: RATES[name][1] for name in sure},
        chance.uniform(60, 300),
        grace,
        {
            "remote": "simulated",
            "rdir": "/home/u/runs",
            "scheduler": scheduler,
            "maxqsub": chance.randint(1, 4),
            "interval": chance.choice((10.0, 30.0)),
            "grace": grace,
            "pulls_every": 60.0,
            "retries": chance.choice((0, 0, 1, 2)),
        },
        chance.choice((0.0, 0.0, 3600.0, -3600.0)),
        lag,
        chance.random() < 0.8,
        chance.choice((0.0, 15.0, 300.0)),
        chance.choice((5.0, 120.0)),
        chance.random() < 0.5,
    )


def _tree(chance: Random) -> dict[str, str | None]:
    tree: dict[str, str | None] = {}
    folders = [f"m{number}" for number in range(chance.randint(1, 3))]
    for folder in folders:
        for number in range(chance.randint(1, 3)):
            needs = f"qsub.finished.{number - 1}\n" if number else ""
            if tree and chance.random() < 0.2:
                other = chance.choice(list(tree))
                needs += f"../{other.replace('qsub.', 'qsub.finished.')}\n"
            if chance.random() < 0.1:
                needs += "not ../STOP\n"
            tree[f"{folder}/qsub.{number}"] = needs
    return tree


def _fate(chance: Random) -> Fate:
    pending, runs = (
        chance.choice((0.0, 0.5, 8.0, 30.0)),
        chance.choice((0.0, 3.0, 3.0, 20.0, 20.0, 60.0, 60.0, 200.0)),
    )
    luck = chance.random()
    if luck < 0.75:
        early = chance.choice((0.0, 0.0, 0.0, 25.0))
        writes = "qsub.new" if chance.random() < 0.05 else ""
        return Fate(pending, runs, early=early, writes=writes)
    if luck < 0.85:
        return Fate(pending, runs, "FAILED", 3, marks=False)
    if luck < 0.9:
        return Fate(pending, runs, "COMPLETED", 0, marks=False)
    if luck < 0.95:
        return Fate(pending, runs, "TIMEOUT", 0, marks=False)
    return Fate(pending, runs, "FAILED", 1, marks=True)  # its marker, then an error


def _faults(chance: Random) -> dict[str, float]:
    """A few kinds of faults: many at once would hide each other."""
    names = chance.sample(list(RATES), chance.choice((0, 1, 2, 2, 3, 4, 6)))
    found = {}
    for name in names:
        least, most = RATES[name]
        found[name] = chance.uniform(least, most)
    return found
