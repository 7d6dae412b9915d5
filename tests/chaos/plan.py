"""Which faults, in which order, how bad, how far apart: all of it from a seed, nothing done."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum

LIES = {
    "slurm": (
        ("empty", "squeue"),
        ("empty", "squeue scontrol sacct"),
        ("half", "squeue"),
        ("garbage", "squeue sacct"),
        ("error", "sbatch"),
        ("silent", "sbatch"),
    ),
    "sge": (
        ("empty", "qstat"),
        ("empty", "qstat qacct"),
        ("half", "qstat"),
        ("garbage", "qstat qacct"),
        ("error", "qsub"),
        ("silent", "qsub"),
    ),
}
"""What the batch commands can be made to say (see scripts/cluster/liar.sh), and which of them.

Of the last two the job is accepted all the same, and its answer lost."""

PATIENT = 30
"""One half-open connection in so many drops is left alone until jobmon itself finds it."""


class What(StrEnum):
    KILL = "kill"
    DROP = "drop"
    STOP = "stop"
    HANG = "hang"
    LIE = "answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``pause`` and ``hold`` are seconds: since the one before, and until it ceases.

    ``how``: the moment of a kill (``submitting``, ``anywhere``, ``start``), the kind of a drop
    (``reset``, ``half-open``, ``down``), the lie that is told. ``size``: bytes until a drop and of
    half a listing, or the seconds by which a kill comes behind its moment. ``alone``: nothing else
    happens until it has ceased.
    """

    what: What
    how: str
    pause: float
    size: float = 0.0
    hold: float = 0.0
    where: str = ""
    alone: bool = False


def plan(scheduler: str, seed: int, counts: dict[What, int]) -> list[Fault]:
    """So many faults of each kind, in an order of chance; the same for the same seed."""
    rng = random.Random(f"{seed} {scheduler}")
    kinds = [what for what, n in counts.items() for _ in range(n)]
    rng.shuffle(kinds)
    patient = counts.get(What.DROP, 0) // PATIENT
    faults = [_fault(what, scheduler, rng) for what in kinds]
    drops = [i for i, fault in enumerate(faults) if fault.what == What.DROP]
    for i in rng.sample(drops, patient):
        fault = faults[i]
        faults[i] = Fault(fault.what, "patient", fault.pause, fault.size, where=fault.where)
    return faults


def _fault(what: What, scheduler: str, rng: random.Random) -> Fault:
    pause = rng.uniform(0.2, 2.2)
    match what:
        case What.KILL:
            how = rng.choices(["submitting", "anywhere", "start"], [5, 3, 2])[0]
            late = {"submitting": 1.5, "anywhere": 0.0, "start": 1.5}[how]
            return Fault(what, how, pause, size=rng.uniform(0, late))
        case What.DROP:
            how = rng.choices(["reset", "half-open", "down"], [6, 2, 2])[0]
            size = int(10 ** rng.uniform(0.5, 4.3))
            hold = rng.uniform(0.5, 4) if how == "down" else 0.0
            return Fault(what, how, pause, size, hold, rng.choice(["up", "down"]))
        case What.STOP:
            return Fault(what, "stop", pause, hold=rng.uniform(0.5, 5))
        case What.HANG:
            return Fault(what, "freeze", pause, hold=rng.uniform(2, 12))
        case What.LIE:
            how, where = rng.choice(LIES[scheduler])
            # The look that is lied to, and the next, a grace later, and the question behind it.
            hold = rng.uniform(5, 12) if how in {"empty", "half", "garbage"} else 3.0
            alone = rng.random() < 0.5
            return Fault(what, how, pause, rng.randrange(1, 900), hold, where, alone)
