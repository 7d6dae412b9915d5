"""Journals of runs that never were, for reports: chains of five in folders, some of which fail."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jobmon.core.model import Event, JobID, Kind
from jobmon.run import names
from jobmon.run.journal import format_event

TZ = timezone(timedelta(hours=9))
BEGUN = datetime(2026, 11, 20, 22, tzinfo=TZ)
STEP = 3000
HARMFUL = "<img src=x onerror=alert(1)> & </script><b>'ü\""
"""A folder whose name would be mark-up."""


def after(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=int(seconds))


def event(seconds: float, kind: Kind, key: str, n: int = 1, **notes: str) -> Event:
    jobid = None if kind in {Kind.READY, Kind.SUBMITTING, Kind.REOPENED} else JobID("7")
    return Event(after(seconds), kind, names.read_key(names.encode(key)), n, jobid, notes)


def life(key: str, began: float, rng: random.Random, *, first_fails: bool = False) -> list[Event]:
    """The events of one job, which may fail first, and may end without being seen running."""
    out: list[Event] = []
    for n in (1, 2) if first_fails else (1,):
        runs = began + 1 + rng.expovariate(1 / 400)
        ends = runs + rng.lognormvariate(6.5, 0.5)
        out += [event(began, Kind.READY, key, 0), event(began, Kind.SUBMITTING, key, n)]
        out.append(event(began + 1, Kind.STARTED, key, n))
        if rng.random() > 0.05:
            out.append(event(runs, Kind.RUNNING, key, n))
        if n == 1 and first_fails:
            reason = f"exit code {1 + rng.randrange(3)}; last words: SCF {rng.random()}"
            out.append(event(ends, Kind.FAILED, key, n, cause="exit", reason=reason))
            if rng.random() < 0.5:
                break
            began = ends + 60
            out.append(event(began, Kind.REOPENED, key, n))
        else:
            end = Kind.KILLED if rng.random() < 0.02 else Kind.FINISHED
            out.append(event(ends, end, key, n))
    return out


def made(run: Path, jobs: int, *, scripts: bool = True) -> Path:
    """A run folder with so many jobs; the folder of the first of them has a harmful name.

    Without ``scripts`` there is only the journal.
    """
    rng = random.Random(jobs)
    run.mkdir(parents=True)
    told: list[Event] = []
    for number in range(jobs):
        place, step = divmod(number, 5)
        folder = f"mp-{place}" if place else HARMFUL.replace("/", "∕")
        key = f"{folder}/qsub.{step}"
        if scripts:
            path = run / key
            path.parent.mkdir(exist_ok=True)
            path.write_text("#!/bin/sh\n#SBATCH -n 8\ntrue\n")
        told += life(key, place * 20 + step * STEP, rng, first_fails=rng.random() < 0.1)
    told.sort(key=lambda each: each.at)
    (run / "qsub.log").write_text("".join(format_event(each) + "\n" for each in told), "utf-8")
    return run
