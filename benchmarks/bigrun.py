"""A run of any size in the middle of its life, as users have them, made at once.

Folders of three or four scripts in a chain, every tenth of which waits for its neighbour too.
``alive`` jobs are in the batch system, each the first of its folder. Of the other folders a third
is finished, a third has its first job done and its second ready, and a third is ready to begin.
"""

from __future__ import annotations

import getpass
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from jobmon.core.life import fold
from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import names, views
from jobmon.run.journal import Journal
from jobmon.run.options import Settings
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity, write_run_file
from jobmon.run.synced import Stamp, Synced

from .standin import StandIn

_SCRIPT = """#!/bin/bash
#SBATCH -n 1
#SBATCH --time=1:00:00
set -e
cd {folder}
srun ./code <input.dat >result.{number}
touch qsub.finished.{number}
"""
_BEGAN = datetime(2026, 11, 1, 12).astimezone()


@dataclass(frozen=True, slots=True)
class Shape:
    """How many jobs there are, and how many of them are in the batch system."""

    jobs: int
    alive: int

    def folders(self) -> Iterator[tuple[str, int]]:
        """Each folder and how many scripts are in it: 3 1/3 in the mean, if jobs allow."""
        left, index = self.jobs, 0
        while left > 0:
            spare = left - max(0, self.alive - index - 1)  # each that is alive has its own folder
            size = min(left, max(1, min(spare, 4 if index % 3 == 0 else 3)))
            yield f"mp-{index:05d}", size
            left, index = left - size, index + 1

    def done(self, index: int, size: int) -> tuple[int, bool]:
        """How many jobs of a folder have finished, and whether the next is ready."""
        if index < self.alive:
            return 0, False
        return ((size, False), (1, True), (0, True))[index % 3]


@dataclass(frozen=True, slots=True)
class BigRun:
    """Where such a run is: its folder, its twin on this machine, the stand-in batch system."""

    run: Path
    twin: Path
    batch: StandIn
    alive: tuple[tuple[Key, JobID], ...]


def write_tree(root: Path, shape: Shape) -> None:
    """The job folders as a user makes them, in ``root``."""
    listing = list(shape.folders())
    for index, (folder, size) in enumerate(listing):
        here = root / folder
        here.mkdir(parents=True)
        (here / "input.dat").write_text(f"{folder}\n" * 20)
        for number in range(size):
            text = _SCRIPT.format(folder=folder, number=number)
            (here / f"qsub.{number}").write_text(text)
            needs = f"qsub.finished.{number - 1}\n" if number else ""
            if number and number == size - 1 and index % 10 == 0:
                needs += f"../{listing[index - 1][0]}/qsub.finished.0\n"
            (here / f"qsub.dependency.{number}").write_text(needs)


def make(base: Path, shape: Shape, *, interval: float = 0.3) -> BigRun:
    """Make the run, its twin and its batch system in ``base``, which is emptied first."""
    shutil.rmtree(base, ignore_errors=True)
    run, twin = base / "project" / "20261101_120000", base / "twin"
    run.mkdir(parents=True)
    (base / "project" / "init").mkdir()
    write_tree(run, shape)
    events, alive = _events(shape)
    for event in events:
        if event.kind is Kind.FINISHED:
            for root in (run, twin):
                path = root / names.marker(event.key)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
    _write_own_files(run, twin, events, shape, interval)
    for key, _ in alive:
        (twin / key).parent.mkdir(parents=True, exist_ok=True)
    batch = StandIn(base / "batch", 1_000_000)
    half = shape.alive // 2
    batch.show((jobid, "RUNNING" if i < half else "PENDING") for i, (_, jobid) in enumerate(alive))
    return BigRun(run, twin, batch, tuple(alive))


def _events(shape: Shape) -> tuple[list[Event], list[tuple[Key, JobID]]]:
    events: list[Event] = []
    alive: list[tuple[Key, JobID]] = []
    for index, (folder, size) in enumerate(shape.folders()):
        done, ready = shape.done(index, size)
        for number in range(done):
            events += _life(Key(f"{folder}/qsub.{number}"), JobID(str(1000 + len(events))), True)
        if index < shape.alive:
            key, jobid = Key(f"{folder}/qsub.0"), JobID(str(1000 + len(events)))
            events += _life(key, jobid, False)[: 4 if index < shape.alive // 2 else 3]
            alive.append((key, jobid))
        elif ready:
            events.append(Event(_BEGAN, Kind.READY, Key(f"{folder}/qsub.{done}")))
    return events, alive


def _life(key: Key, jobid: JobID, finished: bool) -> list[Event]:
    kinds = [Kind.READY, Kind.SUBMITTING, Kind.STARTED, Kind.RUNNING, Kind.FINISHED]
    return [
        Event(
            _BEGAN + timedelta(seconds=7 * i),
            kind,
            key,
            1 if i else 0,
            jobid if i > 1 else None,
        )
        for i, kind in enumerate(kinds[: 5 if finished else 4])
    ]


def _write_own_files(
    run: Path, twin: Path, events: list[Event], shape: Shape, interval: float
) -> None:
    paths = Paths(run)
    settings = Settings(
        remote="local",
        rdir=str(twin.parent),
        scheduler="slurm",
        maxqsub=max(1, shape.alive),
        interval=interval,
    )
    where = f"{getpass.getuser()}@{socket.gethostname()}"
    write_run_file(paths.settings, settings, Identity("b0b0b0b0b0b0", where, "slurm", str(twin)))
    paths.hidden.mkdir(mode=0o700)
    (twin / ".jobmon" / "record").mkdir(parents=True, mode=0o700)
    (twin / ".jobmon" / "run").write_text("b0b0b0b0b0b0\n")
    journal = Journal.open(paths.journal)
    for start in range(0, len(events), 10_000):
        journal.append(events[start : start + 10_000])
    journal.close()
    paths.quelist.write_text(views.print_quelist(views.lines_of(events)))
    paths.now.touch()
    present = sorted(
        names.marker(key) for key, job in fold(events).items() if job.life == "finished"
    )
    paths.present.write_text("".join(f"{path}\n" for path in present))
    paths.pushed.touch()
    synced = Synced(paths.synced)
    synced.put(
        (str(path.relative_to(run)), Stamp.of(path.stat()))
        for path in run.glob("mp-*/*")
        if names.marker_id(path.name) is None
    )
    synced.close()
