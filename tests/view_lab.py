"""A run folder made by hand, of scripts and of a life for each job, for commands that only look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import names, views
from jobmon.run.journal import Journal
from jobmon.run.options import build
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity, write_run_file

Life = Sequence[tuple[float, Kind] | tuple[float, Kind, Mapping[str, str]]]
"""Seconds after the run's start, what happened then, and the notes of that."""

ENDED: Life = ((0, Kind.READY), (10, Kind.STARTED), (20, Kind.RUNNING))
FAILED: Life = (*ENDED, (80, Kind.FAILED, {"reason": "exit code 3", "cause": "exit"}))
FINISHED: Life = (*ENDED, (70, Kind.FINISHED))
RUNNING: Life = ENDED
READY: Life = ((0, Kind.READY),)


def run_of(
    folder: Path,
    needs: Mapping[str, str | None],
    lives: Mapping[str, Life],
    *,
    now: float = 100.0,
    **settings: object,
) -> Path:
    """A run: ``needs`` is each job's dependency file, ``lives`` what became of some of them.

    The run began ``now`` seconds ago.
    """
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=now)
    run = folder / "20261121_120000"
    paths = Paths(run)
    paths.hidden.mkdir(parents=True)
    values = {"remote": "local", "maxqsub": 2, **settings}
    identity = Identity("r-1", "local", "local", str(folder / "far" / run.name))
    write_run_file(paths.settings, build(values, str), identity)
    for key, text in needs.items():
        path = run / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        if text is not None:
            (run / names.dependency(Key(key))).write_text(text)
    events = [event for key, life in lives.items() for event in _events(Key(key), life, begin)]
    events.sort(key=lambda event: event.at)
    with Journal.open(paths.journal) as journal:
        journal.append(events)
    paths.quelist.write_text(views.print_quelist(views.lines_of(events)), "utf-8")
    paths.now.touch()
    return run


def _events(key: Key, life: Life, begin: datetime) -> list[Event]:
    found: list[Event] = []
    n, jobid = 0, None
    for second, kind, *rest in life:
        at = begin + timedelta(seconds=second)
        if kind == Kind.STARTED:
            n += 1
            found.append(Event(at, Kind.SUBMITTING, key, n))
            jobid = JobID(str(1000 + sum(map(ord, key)) * 10 + n))
        told = jobid if kind not in {Kind.READY, Kind.REOPENED} else None
        found.append(Event(at, kind, key, n, told, rest[0] if rest else {}))
    return found
