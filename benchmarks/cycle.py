"""This machine's processor time for a cycle: the daemon's own loop over a run of any size.

The loop is the real one, over the link to this machine; only the batch system is a stand-in, whose
commands are processes of their own and are not counted. User and system time of this process.
Quiet: nothing changes. Busy: in each cycle a twentieth of
the jobs in the batch system ends, and as many are submitted, if there are so many.

    python -m benchmarks.cycle JOBS ALIVE [--profile FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobmon.act import start
from jobmon.cluster.batch.slurm import Slurm
from jobmon.cycle.loop import Loop
from jobmon.run import names

from . import lab
from .bigrun import BigRun, Shape, make

WARM, QUIET, BUSY = 4, 31, 10
"""How many cycles go by before the first that is measured, and how many are measured."""


@dataclass(slots=True)
class Meter:
    """Stands around the loop's cycle, and ends the loop when enough was measured."""

    big: BigRun
    profile: Path | None
    start_seconds: float = 0.0
    first: float = 0.0
    quiet: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    reading: list[float] = field(default_factory=list)
    channels: dict[str, int] = field(default_factory=dict)  # the most in a cycle of a kind
    _read: float = 0.0
    _turn: int = 0
    _profiles: dict[str, cProfile.Profile] = field(default_factory=dict)

    def parse(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """``Slurm.parse`` with the time it takes noted: reading the listing."""

        def parse(batch: Slurm, listing: str) -> Any:
            began = time.thread_time()
            try:
                return real(batch, listing)
            finally:
                self._read += time.thread_time() - began

        return parse

    def cycle(self, real: Callable[..., None]) -> Callable[..., None]:
        def cycle(loop: Loop, **kind: Any) -> None:
            _wait_for_pulls()
            which = self._which()
            if which == "busy":
                self._end_some()
            self._read = 0.0
            profile = self._profiles.setdefault(which, cProfile.Profile()) if self.profile else None
            channels = loop.cluster.link.spent().channels
            began = time.process_time()
            if profile:
                profile.enable()
            real(loop, **kind)
            if profile:
                profile.disable()
            spent = time.process_time() - began
            self._turn += 1
            used = loop.cluster.link.spent().channels - channels
            self.channels[which] = max(used, self.channels.get(which, 0))
            if which == "first":
                self.first = spent
            elif which == "quiet" and not _pulling():
                self.quiet.append(spent - self._read)
                self.reading.append(self._read)
            elif which == "busy":
                self.busy.append(spent - self._read)
            elif which == "over":
                loop.stop.set()

        return cycle

    def _which(self) -> str:
        if self._turn == 0:
            return "first"
        if self._turn < WARM:
            return "warm"
        if len(self.quiet) < QUIET:
            return "quiet"
        return "busy" if len(self.busy) < BUSY else "over"

    def _end_some(self) -> None:
        """Have the next jobs end: their markers are there, and the listing has them no more."""
        many = max(1, len(self.big.alive) // 20)
        ending = self.big.alive[len(self.busy) * many :][:many]
        for key, _ in ending:
            (self.big.twin / names.marker(key)).touch()
        self.big.batch.leave({str(jobid) for _, jobid in ending})

    def dump(self) -> None:
        for which, profile in self._profiles.items():
            if self.profile and which in {"first", "quiet", "busy"}:
                profile.dump_stats(self.profile.with_suffix(f".{which}"))


def _pulling() -> bool:
    return any(thread.name == "pull" for thread in threading.enumerate())


def _wait_for_pulls() -> None:
    for thread in threading.enumerate():
        if thread.name == "pull":
            thread.join()


def _nobody(prompt: str, echo: bool) -> str:
    raise RuntimeError(f"nobody is asked here: {prompt}")


def _said(line: str) -> None:
    print(line, file=sys.stderr)


def measure(big: BigRun, profile: Path | None = None) -> dict[str, float]:
    """Milliseconds of processor time a cycle beside reading the listing, and of what led to it."""
    big.batch.first_in_path()
    meter = Meter(big, profile)
    Loop._cycle = meter.cycle(Loop._cycle)  # type: ignore[method-assign]
    Slurm.parse = meter.parse(Slurm.parse)  # type: ignore[method-assign]
    began = time.process_time()
    start.start(start.Wish(big.run, None, {}), _nobody, _said)
    whole = time.process_time() - began
    meter.dump()
    return {
        "quiet_ms": 1000 * statistics.median(meter.quiet),
        "quiet_mean_ms": 1000 * statistics.fmean(meter.quiet),
        "quiet_max_ms": 1000 * max(meter.quiet),
        "reading_ms": 1000 * statistics.median(meter.reading),
        "busy_ms": 1000 * statistics.median(meter.busy) if meter.busy else 0.0,
        "first_ms": 1000 * meter.first,
        "whole_s": whole,
        "quiet_channels": meter.channels.get("quiet", 0),
        "busy_channels": meter.channels.get("busy", 0),
    }


def main(argv: list[str]) -> Mapping[str, float]:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("jobs", type=int)
    words.add_argument("alive", type=int)
    words.add_argument("--profile", type=Path)
    wish = words.parse_args(argv)
    with lab.folder("cycle") as base:
        big = make(base / "big", Shape(wish.jobs, wish.alive))
        return {"jobs": wish.jobs, "alive": wish.alive} | measure(big, wish.profile)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:]), indent=1))
