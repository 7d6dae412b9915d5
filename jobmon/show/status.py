"""``jobmon status``: a table by state, and the jobs that need a person; or all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from jobmon.core.model import Kind
from jobmon.core.rows import Row
from jobmon.run import names, shown, spending
from jobmon.run.owner import holder
from jobmon.run.paths import Paths, read_conflicts
from jobmon.show.read import View, view
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


def as_table(run: Path, say: Callable[[str], None]) -> None:
    """Print counts by state, who holds the run, what it has cost, and the jobs that need a person.

    Of a large run it is what the daemon last saw. Raises BadFile for a journal that cannot be read.
    """
    paths = Paths(run)
    seen = shown.read(paths)
    if seen is not None:
        table, submissions, stands = seen.rows(), seen.submissions, read_conflicts(paths)
    else:
        all_of_it = view(run)
        table, stands = all_of_it.rows(), all_of_it.conflicts
        submissions = sum(
            event.kind == Kind.SUBMITTING for row in table for event in row.job.history
        )
    first, *rest = summary(table, run)
    rest += conflicts(stands)
    say(first.partition(": ")[0])
    for state, number in counts(table).items():
        say(f"  {state:10} {number:6}")
    if seen is not None:
        say(f"files as seen at {seen.at}; 'jobmon status --json' looks at all of them now")
    say(_daemon(run))
    say(spending.words(spending.read(paths.spent), submissions))
    if rest:
        say("in need of a person:")
    for line in rest:
        say(line)


def _daemon(run: Path) -> str:
    there = holder(run)
    if there is None:
        return "no daemon has this run; 'jobmon --ldir RUN' goes on with it"
    return f"process {there.process.pid} on {there.process.host} has this run since {there.since}"
