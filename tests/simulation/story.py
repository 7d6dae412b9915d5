"""One run from its first start to its end, in a world that a seed decides.

A tree of jobs, their fates, the faults, a person's hands: all follow from the seed. The daemon
is started again after each death, as a person would; after ``until`` nothing goes wrong any
more, and the run must come to its end.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unittest import mock

from jobmon.act import opened, start
from jobmon.act.start import Wish
from jobmon.cluster.base import ClusterError
from jobmon.cycle.loop import Loop
from jobmon.run.journal import JournalError
from jobmon.run.names import BadFile
from jobmon.run.owner import OwnerError
from jobmon.run.tree import OURS
from jobmon.run.usage import UsageError
from simulation.batch import Batch
from simulation.dialects import Commands, Dialect, GridEngine, Slurm
from simulation.disk import Disk
from simulation.hands import Person
from simulation.here import Crash, Endless, Here, inhabited
from simulation.link import LoginNode, SimulatedLink, SimulatedTransfer
from simulation.pbs import Pbs
from simulation.plan import Plan, plan
from simulation.variants import Variant
from simulation.witness import Witness
from simulation.world import Faults, World

DIALECTS: Mapping[str, Callable[[], Dialect]] = {"slurm": Slurm, "sge": GridEngine, "pbs": Pbs}

SAID = (UsageError, ClusterError, JournalError, BadFile, OwnerError, OSError)
"""The errors that ``jobmon`` tells a person in one line."""


@dataclass(frozen=True, slots=True)
class Told:
    """How one story ended: the promises that were broken, and what happened on the way."""

    seed: int
    broken: tuple[str, ...]
    happened: Counter[str]
    submissions: int
    starts: int
    unclear: int
    seconds: float


def tell(
    seed: int,
    folder: Path,
    sure: Sequence[str] = (),
    broken: Variant | None = None,
    scheduler: str | None = None,
) -> Told:
    """Live through the world of ``seed``, with the run's files in ``folder``, made and removed.

    ``sure``: faults that this world has, and often; ``broken``: the program is broken on purpose
    meanwhile; ``scheduler``: its batch system, if it is not left to chance.
    """
    variant = broken() if broken is not None else contextlib.nullcontext()
    made = plan(Random(seed), sure, scheduler)
    world = World(Random(f"{seed} fates"))
    faults = Faults(world, made.faults, made.until)
    disk = Disk()
    twin = f"/home/u/runs/{made.date}"
    witness = Witness(world, disk, twin, made.grace)
    batch = Batch(world, faults, disk, twin, made.fate, witness.accepted)
    witness.batch = batch
    _settle_in(batch, made)
    commands = Commands(batch, DIALECTS[made.scheduler]())
    batch.server = ".vm" if made.scheduler == "pbs" else ""
    disk.mkdir("/home/u")
    here = Here(world, faults)
    link = SimulatedLink(LoginNode(world, disk, commands, made.skew), faults, here, made.keeps)
    folder.mkdir(parents=True)
    try:
        _write(folder, made)
        here.journal = folder / made.date / "qsub.log"
        with inhabited(here, witness.heard), variant, _connected(link, twin, seed):
            person = Person(world, faults, here, batch, folder / made.date)
            person.plan_day(made)
            starts = _live(folder, made, person, witness)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Told(
        seed,
        tuple(witness.broken),
        faults.happened,
        len(batch.jobs),
        starts,
        witness.unclear,
        world.now,
    )


def _settle_in(batch: Batch, made: Plan) -> None:
    batch.lag = made.lag
    batch.accounting, batch.accounting_lag = made.accounting, made.accounting_lag
    batch.memory = made.memory


def _write(folder: Path, made: Plan) -> None:
    for key, needs in made.tree.items():
        path = folder / "init" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.name.removeprefix("qsub.")
        path.write_text(f"#!/bin/sh\nwork && touch qsub.finished.{name}\n")
        if needs is not None:
            path.with_name(f"qsub.dependency.{name}").write_text(needs)


@contextlib.contextmanager
def _connected(link: SimulatedLink, twin: str, seed: int) -> Iterator[None]:
    def transfer(settings: object, link_: object, run: Path, twin: str) -> SimulatedTransfer:
        return SimulatedTransfer(link, run, twin, OURS)

    turning = functools.partial(Loop, rng=Random(seed))
    with (
        mock.patch.object(start, "link_to", lambda settings, ask: link),
        mock.patch.object(opened, "transfer_for", transfer),
        mock.patch.object(start, "Loop", turning),
    ):
        yield


def _live(folder: Path, made: Plan, person: Person, witness: Witness) -> int:
    """Start the run again and again until it has come to its end; how often."""
    world, here, run = person.world, person.here, person.run
    wish = Wish(folder, made.date, made.flags)
    for starts in range(1, 400):
        here.born()
        if run.is_dir() and person.faults.strike("journal and quelist put aside"):
            person.put_aside()
        calm = world.now >= made.until
        said: list[str] = []
        try:
            code = start.start(wish, _nobody, said.append)
        except Crash:
            world.advance(world.chance.choice((0.5, 5.0, 100.0)))
            continue
        except Endless:
            witness.violated(f"it goes on for ever; it said: {said[-1:]}")
            witness.over(run)
            return starts
        except SAID as error:
            if calm and not isinstance(error, ClusterError):
                witness.violated(f"it cannot be started any more: {error!r}")
                return starts
            said = [str(error)]
            code = start.NO_ANSWER
        except Exception as error:  # noqa: BLE001 (a traceback that a person would see)
            witness.violated(f"{type(error).__name__}: {error}")
            return starts
        if code == start.OK or (code == start.UNFINISHED and calm):
            witness.over(run)
            return starts
        # A person looks in later, after the last fault at the latest.
        world.advance(max(30.0, min(made.until - world.now, 600.0)))
    witness.violated(f"no end after {world.now:.0f} s; it said: {said[-1:]}")
    return starts


def _nobody(prompt: str, echo: bool) -> str:
    raise AssertionError("nobody is asked in a simulated world")
