"""``jobmon release``, ``retry`` and ``resolve``: jobs go again, or a doubt about one is ended."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from jobmon.act.asked import Say, daemon_of, have_done
from jobmon.cluster.links.login import Ask
from jobmon.core.life import OPEN
from jobmon.core.model import JobID, Kind, Life
from jobmon.core.text import printable
from jobmon.cycle.hands import ENDED, untenable
from jobmon.run.usage import UsageError
from jobmon.show.read import view
from jobmon.show.select import meant, one

NAMED = 10
"""How many jobs of one state are named; the rest is counted."""

_INSTEAD = {
    "held": "was not run yet; 'jobmon release' lets it go",
    "waiting": "was not run yet; it goes when the files are there that it waits for",
    "blocked": "was not run yet; mend what it waits for: 'jobmon status' names it",
    "ready": "was not run yet; it is next without this",
    "submitted": "is in the batch system; 'jobmon kill' it first",
    "running": "is in the batch system; 'jobmon kill' it first",
    "finished": "has its marker; remove that here and on the cluster and start afresh",
    "unclear": "may still run; see for yourself, then 'jobmon resolve'",
}
"""What to do in place of ``jobmon retry``, by what a job is shown as."""


def release(run: Path, words: Sequence[str], *, ask: Ask, say: Say) -> int:
    """Let held and killed jobs go again."""
    seen = view(run)
    keys = [key for key in meant(seen, words) if seen.jobs[key].life in OPEN | {Life.KILLED}]
    if not have_done(run, "release", {"keys": keys}, ask, say):
        return 1
    say(f"released {len(keys)} job(s){_then(run)}")
    return 0


def retry(run: Path, words: Sequence[str], *, ask: Ask, say: Say) -> int:
    """Begin a new attempt of failed and killed jobs; 1 if any of those named was not retried."""
    seen = view(run)
    keys = meant(seen, words)
    able = [key for key in keys if seen.jobs[key].life in ENDED]
    if able and not have_done(run, "retry", {"keys": able}, ask, say):
        return 1
    states = {row.job.key: row.state for row in view(run).rows()}
    if able:
        say(f"{len(able)} job(s) begin a new attempt{_then(run)}")
    others = [key for key in keys if key not in set(able)]
    for state in dict.fromkeys(states[key] for key in others):
        alike = [printable(key) for key in others if states[key] == state]
        more = f" and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
        instead = _INSTEAD.get(state, "ended just now; say it again")
        say(f"not retried, {state}: {', '.join(alike[:NAMED])}{more}: {instead}")
    return 1 if others else 0


def resolve(run: Path, word: str, jobid: str | None, *, ask: Ask, say: Say) -> int:
    """End the doubt about an unclear job: it has the job ID ``jobid``, or is lost (None).

    Raises UsageError, with nothing changed, where that cannot be.
    """
    seen = view(run)
    key = one(seen, word, "resolve")
    named = JobID(jobid) if jobid is not None else None
    row = seen.by_key[key]
    if row.state != "unclear":
        raise UsageError(f"{key} is {row.state}, not unclear; nothing was changed")
    if trouble := untenable(seen.jobs, key, named):
        raise UsageError(f"{trouble}; nothing was changed")
    if not have_done(run, "resolve", {"keys": [key], "jobid": named}, ask, say):
        return 1
    new = view(run).jobs[key].history[len(row.job.history) :]
    if not any(event.jobid == named if named else event.kind != Kind.UNCLEAR for event in new):
        say(f"{printable(key)}: the doubt was not ended; jobmon.log says why")
        return 1
    what = f"is job {named}" if named else f"attempt {row.job.n} is taken as lost"
    say(f"{printable(key)}: {what}{_then(run)}")
    return 0


def _then(run: Path) -> str:
    if daemon_of(run) is not None:
        return ""
    return f"; 'jobmon --ldir {shlex.quote(str(run))}' goes on with the run"
