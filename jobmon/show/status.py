"""``jobmon status``: a table by state, and the jobs that need a person; or all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from jobmon.core.rows import Row
from jobmon.run import names
from jobmon.run.owner import holder
from jobmon.show.read import View
from jobmon.show.summary import conflicts, counts, summary


def as_json(view: View) -> str:
    """The run as JSON; keys as the names are (bytes that are no UTF-8 as lone surrogates)."""
    table = view.rows()
    return json.dumps(
        {
            "run": str(view.run),
            "counts": counts(table),
            "conflicts": view.conflicts,
            "jobs": [_job(row) for row in table],
        },
        indent=1,
    )


def _job(row: Row) -> dict[str, object]:
    job = row.job
    return {
        "key": job.key,
        "state": row.state,
        "jobid": job.jobid,
        "missing": list(row.missing),
        "reason": row.reason,
        "cause": row.cause or None,
        "history": [
            {"event": str(event.kind), "time": names.stamp(event.at), "jobid": event.jobid}
            for event in job.history
        ],
    }


def as_table(view: View, say: Callable[[str], None]) -> None:
    """Print counts by state, who holds the run, and the jobs that need a person."""
    table = view.rows()
    first, *rest = summary(table, view.run)
    rest += conflicts(view.conflicts)
    say(first.partition(": ")[0])
    for state, number in counts(table).items():
        say(f"  {state:10} {number:6}")
    say(_daemon(view.run))
    if rest:
        say("in need of a person:")
    for line in rest:
        say(line)


def _daemon(run: Path) -> str:
    there = holder(run)
    if there is None:
        return "no daemon has this run; 'jobmon --ldir RUN' goes on with it"
    return f"process {there.process.pid} on {there.process.host} has this run since {there.since}"
