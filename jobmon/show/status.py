"""``jobmon status``: a table by state, the pace, and the jobs that need a person; chosen jobs by
themselves; or all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from jobmon.core.life import ENDS, OPEN
from jobmon.core.model import Key, Kind
from jobmon.core.pace import Pace, took
from jobmon.core.rows import Row
from jobmon.core.text import printable
from jobmon.run import names, shown, spending
from jobmon.run.owner import holder
from jobmon.run.paths import Paths, read_conflicts
from jobmon.run.usage import UsageError
from jobmon.show.glance import glance
from jobmon.show.read import View, view
from jobmon.show.select import meant
from jobmon.show.summary import conflicts, counts, summary
from jobmon.show.words import bar, span

WIDEST = 60
"""Signs after which the column of keys no longer grows."""


def as_json(view: View, keys: Sequence[Key], now: datetime) -> str:
    """The run as JSON, of its jobs those of ``keys``; keys as the names are (bytes that are no
    UTF-8 as lone surrogates). Times from here to there are seconds."""
    pace = pace_of_view(view, now)
    return json.dumps(
        {
            "run": str(view.run),
            "counts": counts(view.rows()),
            "conflicts": view.conflicts,
            "daemon": _holder(view.run),
            "spent": spending.read(Paths(view.run).spent),
            "pace": asdict(pace) if pace is not None else None,
            "jobs": [_job(view.by_key[key], now) for key in keys],
        },
        indent=1,
    )


def _holder(run: Path) -> dict[str, object] | None:
    there = holder(run)
    if there is None:
        return None
    return {"pid": there.process.pid, "host": there.process.host, "since": there.since}


def _job(row: Row, now: datetime) -> dict[str, object]:
    job = row.job
    return {
        "key": job.key,
        "state": row.state,
        "jobid": job.jobid,
        "missing": list(row.missing),
        "reason": row.reason,
        "cause": row.cause or None,
        "attempts": job.n,
        "took": took(job),
        "lasted": lasted(row, now),
        "history": [
            {"event": str(event.kind), "time": names.stamp(event.at), "jobid": event.jobid}
            for event in job.history
        ],
    }


def as_table(run: Path, now: datetime, say: Callable[[str], None]) -> None:
    """Print counts by state, the pace, who holds the run, what it has cost, and the jobs that need
    a person.

    Of a large run it is what the daemon last saw. Raises BadFile for a journal that cannot be read.
    """
    paths = Paths(run)
    seen = shown.read(paths)
    if seen is not None:
        table, submissions, stands = seen.rows(), seen.submissions, read_conflicts(paths)
        pace = seen.pace
    else:
        all_of_it = view(run)
        table, stands = all_of_it.rows(), all_of_it.conflicts
        submissions = sum(
            event.kind == Kind.SUBMITTING for row in table for event in row.job.history
        )
        pace = pace_of_view(all_of_it, now)
    first, *rest = summary(table, run)
    rest += conflicts(stands)
    say(first.partition(": ")[0])
    for state, number in counts(table).items():
        say(f"  {state:10} {number:6}  {bar(number, len(table))}")
    if seen is not None:
        say(f"files as seen at {seen.at}; 'jobmon status --json' looks at all of them now")
    for line in pace_words(pace):
        say(line)
    say(daemon_words(run, all_finished=set(counts(table)) == {"finished"}))
    say(spending.words(spending.read(paths.spent), submissions))
    if rest:
        say("in need of a person:")
    for line in rest:
        say(line)


def listed(run: Path, words: Sequence[str], states: Sequence[str]) -> list[Row]:
    """The jobs that words and states mean; a large run is not read for that. Raises UsageError."""
    quick = glance(run)
    if quick is not None:
        return quick.whole(meant(quick, words, states))
    seen = view(run)
    return [seen.by_key[key] for key in meant(seen, words, states)]


def as_list(rows: Sequence[Row], now: datetime) -> list[str]:
    """A line for each of these jobs: its state and for how long, its job ID, and why."""
    keys = [printable(row.job.key) for row in rows]
    width = min(WIDEST, max(map(len, keys), default=0))
    found = []
    for key, row in zip(keys, rows, strict=True):
        since = lasted(row, now)
        seconds = took(row.job) if since is None else since
        how_long = span(seconds) if seconds is not None else ""
        jobid = row.job.jobid if row.job.jobid is not None and row.job.life not in OPEN else "-"
        why = printable(row.reason) if row.reason else waits(row)
        line = f"{key:{width}}  {row.state:9}  {how_long:12} {jobid:10} {why}"
        found.append(line.rstrip())
    return found


def waits(row: Row) -> str:
    """The first of what a job waits for, and how much more there is; empty for nothing."""
    if not row.missing:
        return ""
    more = f" and {len(row.missing) - 1} more" if len(row.missing) > 1 else ""
    return f"waits for {printable(row.missing[0])}{more}"


def lasted(row: Row, now: datetime) -> float | None:
    """Seconds since its state began; None for one that ended, or that hangs on files."""
    history = row.job.history
    if not history or history[-1].kind in ENDS or row.state in {"held", "waiting", "blocked"}:
        return None
    return max(0.0, (now - history[-1].at).total_seconds())


def pace_of_view(view: View, now: datetime) -> Pace | None:
    """None where the run's own settings cannot be read, which status has not to complain of."""
    from jobmon.run.settings import read_run_file  # noqa: PLC0415 (heavy)

    try:
        settings, _ = read_run_file(Paths(view.run).settings)
    except UsageError:
        return None
    return shown.pace_of(view.rows(), view.index, settings.maxqsub, now)


def pace_words(pace: Pace | None) -> list[str]:
    """The rate, and when the end is to be expected, as far as they are known."""
    if pace is None:
        return []
    found = []
    if pace.per_hour is not None:
        rate = f"{pace.per_hour:,.0f}" if pace.per_hour >= 100 else f"{pace.per_hour:.3g}"
        found.append(f"{rate} jobs finished an hour")
    if pace.to_end is not None:
        low, middle, high = map(span, pace.to_end)
        told = f"about {middle} to the end" + (f" ({low} to {high})" if low != high else "")
        if pace.unknown:
            told += (
                f"; a guess for {pace.unknown} of the {pace.left} jobs left: none of their id has "
                "finished yet"
            )
        found.append(told)
    return ["; ".join(found)] if found else []


def daemon_words(run: Path, *, all_finished: bool = False) -> str:
    """Who has the run, or that nobody has, which of one that has all finished asks for nothing."""
    there = holder(run)
    if there is None and all_finished:
        return "no daemon has this run: nothing is left to do"
    if there is None:
        return "no daemon has this run; 'jobmon --ldir RUN' goes on with it"
    return f"process {there.process.pid} on {there.process.host} has this run since {there.since}"
