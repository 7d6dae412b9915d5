"""The command line of the simulation; ``scripts/simulate`` calls it."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from simulation.plan import RATES
from simulation.story import Told, tell
from simulation.variants import ALL

LOG = logging.getLogger("jobmon")

AT_ONCE = 20
"""How many worlds are lived through before one looks whether a variant was caught."""


@dataclass(frozen=True, slots=True)
class Work:
    """One world to live through."""

    seed: int
    sure: tuple[str, ...] = ()
    variant: str | None = None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--seeds", type=int, default=200, help="How many worlds, at most.  [200]")
@click.option("--first", type=int, default=0, help="The first seed.  [0]")
@click.option("--seed", type=int, help="One world only, with all that is said in it.")
@click.option("--sure", multiple=True, type=click.Choice(list(RATES)), help="A fault in each.")
@click.option("--variant", type=click.Choice(list(ALL)), help="Break the program on purpose.")
@click.option("--variants", is_flag=True, help="Break it in each way, until that is caught.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Add the counts to it.")
def main(
    seeds: int,
    first: int,
    seed: int | None,
    sure: tuple[str, ...],
    variant: str | None,
    variants: bool,
    path: Path | None,
) -> None:
    """Live through simulated worlds and say which promises were broken in them."""
    if seed is not None:
        sys.exit(_one(Work(seed, sure, variant)))
    worlds = range(first, first + seeds)
    with multiprocessing.Pool(initializer=_quiet) as pool:
        if variants:
            code, counts = _each_variant(pool, worlds)
        else:
            code, counts = _all(pool, [Work(seed, sure, variant) for seed in worlds])
    if path is not None:
        before = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(_added(before, counts), indent=1, sort_keys=True) + "\n")
    sys.exit(code)


def _all(pool: multiprocessing.pool.Pool, work: list[Work]) -> tuple[int, dict[str, object]]:
    began = time.monotonic()
    broken: list[Told] = []
    happened: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for told in pool.imap_unordered(_told, work, 10):
        total.update(worlds=1, submissions=told.submissions, starts=told.starts)
        total.update(unclear=told.unclear)
        happened.update(told.happened)
        if told.broken:
            broken.append(told)
            click.echo(f"seed {told.seed}: {told.broken[0]}")
        if total["worlds"] % 500 == 0:
            rate = total["worlds"] / (time.monotonic() - began) * 60
            click.echo(f"{total['worlds']} worlds, {rate:.0f} a minute, {len(broken)} broken")
    for name, number in sorted(happened.items()):
        click.echo(f"{number:9} {name}")
    click.echo(
        f"{total['worlds']} worlds, {happened.total()} faults of {len(happened)} kinds, "
        f"{total['submissions']} submissions, {total['starts']} starts, "
        f"{total['unclear']} times unclear: {len(broken)} broken"
    )
    for told in broken[:5]:
        click.echo(f"look closer by: scripts/simulate --seed {told.seed}")
    counts = {**total, "broken": len(broken), "faults": dict(happened)}
    return (1 if broken else 0), counts


def _added(before: Mapping[str, Any], counts: Mapping[str, Any]) -> dict[str, Any]:
    """Both together: numbers of worlds add up, what became of the variants is replaced."""
    both = {**before, **counts}
    for name in (before.keys() & counts.keys()) - {"variants"}:
        if isinstance(counts[name], dict):
            both[name] = Counter(before[name]) + Counter(counts[name])
        else:
            both[name] = before[name] + counts[name]
    return both


def _each_variant(pool: multiprocessing.pool.Pool, worlds: range) -> tuple[int, dict[str, object]]:
    caught: dict[str, int] = {}
    for name in ALL:
        lived = 0
        while name not in caught and lived < len(worlds):
            work = [Work(seed, variant=name) for seed in worlds[lived : lived + AT_ONCE]]
            for number, told in enumerate(pool.map(_told, work, 1), lived + 1):
                if told.broken and name not in caught:
                    caught[name] = number
                    click.echo(f"{name}: caught after {number} worlds: {told.broken[0]}")
            lived += len(work)
        if name not in caught:
            click.echo(f"{name}: NOT caught in {lived} worlds")
    return (0 if caught.keys() == ALL.keys() else 1), {"variants": caught}


def _one(work: Work) -> int:
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    LOG.setLevel(logging.DEBUG)
    told = _told(work)
    click.echo(f"{told.submissions} submissions, {told.starts} starts, {told.seconds:.0f} s")
    for name, number in sorted(told.happened.items()):
        click.echo(f"{number:9} {name}")
    for words in told.broken:
        click.echo(f"broken {words}")
    return 1 if told.broken else 0


def _quiet() -> None:
    logging.disable(logging.CRITICAL)
    gc.freeze()
    gc.set_threshold(50_000)  # a world is small, and there are many


def _told(work: Work) -> Told:
    folder = _folder(work.seed)
    if not work.variant:
        return tell(work.seed, folder, work.sure)
    variant = ALL[work.variant]
    sure = (*work.sure, *variant.faults)
    return tell(work.seed, folder, sure, variant.entered, variant.scheduler)


def _folder(seed: int) -> Path:
    memory = Path("/dev/shm")
    above = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    return above / f"jobmon-simulation-{os.getpid()}-{seed}"


if __name__ == "__main__":
    main()
