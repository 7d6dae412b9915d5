"""``jobmon hold``, ``release`` and ``resolve``: jobs stop, or go again, or a doubt is ended."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from jobmon.act.asked import Say, daemon_of, have_done
from jobmon.cluster.links.login import Ask
from jobmon.core.life import OPEN
from jobmon.core.model import JobID, Key, Kind
from jobmon.core.text import printable
from jobmon.cycle.hands import untenable
from jobmon.run.usage import UsageError
from jobmon.show.read import View, view
from jobmon.show.select import meant, one

NAMED = 10
"""How many jobs of one state are named; the rest is counted."""

_NOT_HELD = {
    "held": "is held already",
    "submitted": "is in the batch system and goes on; 'jobmon kill --hold' ends and holds it",
    "running": "is in the batch system and goes on; 'jobmon kill --hold' ends and holds it",
    "unclear": "may be in the batch system; 'jobmon explain' tells more",
    "finished": "has ended",
    "failed": "has ended, and goes no more by itself; 'jobmon retry' would let it",
    "killed": "has ended, and goes no more by itself; 'jobmon retry' would let it",
}
"""Why ``jobmon hold`` leaves a job alone, by what it is shown as."""

_NOT_RELEASED = {
    "submitted": "is in the batch system",
    "running": "is in the batch system",
    "unclear": "may be in the batch system; see 'jobmon resolve --help'",
    "finished": "has ended",
    "failed": "has ended; 'jobmon retry' begins a new attempt",
}
"""Why ``jobmon release`` leaves a job alone; others are not held in the first place."""


def hold(
    run: Path, words: Sequence[str], states: Sequence[str], *, dry: bool, ask: Ask, say: Say
) -> int:
    """Keep jobs that are not submitted from being so; 1 if any of those named cannot be held."""
    seen = view(run)
    keys = meant(seen, words, states)
    able = [k for k in keys if seen.jobs[k].life in OPEN and seen.by_key[k].state != "held"]
    if dry:
        say(would("hold", able))
    elif able and not have_done(run, "hold", {"keys": able}, ask, say):
        return 1
    after = seen if dry else view(run)
    done = set(able) if dry else {key for key in able if after.by_key[key].state == "held"}
    if not dry:
        say(f"{len(done)} job(s) are held until 'jobmon release'")
    left = [key for key in keys if key not in done]
    for line in instead("not held", left, after, _NOT_HELD):
        say(line)
    return 0 if all(after.by_key[key].state == "held" for key in left) else 1


def release(
    run: Path, words: Sequence[str], states: Sequence[str], *, dry: bool, ask: Ask, say: Say
) -> int:
    """Let held and killed jobs go again."""
    seen = view(run)
    keys = meant(seen, words, states)
    able = [key for key in keys if seen.by_key[key].state in {"held", "killed"}]
    if dry:
        say(would("release", able))
    elif able and not have_done(run, "release", {"keys": able}, ask, say):
        return 1
    else:
        say(f"released {len(able)} job(s){then(run) if able else ''}")
    left = [key for key in keys if seen.by_key[key].state in _NOT_RELEASED]
    for line in instead("not released", left, seen, _NOT_RELEASED):
        say(line)
    return 0


def resolve(run: Path, word: str, jobid: str | None, *, dry: bool, ask: Ask, say: Say) -> int:
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
    what = f"is job {named}" if named else f"attempt {row.job.n} is taken as lost"
    if dry:
        say(f"would note of {printable(key)}: {what}")
        return 0
    if not have_done(run, "resolve", {"keys": [key], "jobid": named}, ask, say):
        return 1
    new = view(run).jobs[key].history[len(row.job.history) :]
    if not any(event.jobid == named if named else event.kind != Kind.UNCLEAR for event in new):
        say(f"{printable(key)}: the doubt was not ended; jobmon.log says why")
        return 1
    say(f"{printable(key)}: {what}{then(run)}")
    return 0


def would(verb: str, keys: Sequence[Key]) -> str:
    """What ``--dry-run`` says of the jobs that would be changed."""
    return f"would {verb} {len(keys)} job(s)" + (f": {some(keys)}" if keys else "")


def some(keys: Sequence[str]) -> str:
    """The first few by name, the others by number."""
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(map(printable, keys[:NAMED])) + more


def instead(what: str, keys: Sequence[Key], seen: View, words: dict[str, str]) -> list[str]:
    """A line for each state of jobs that a command is not for: ``words`` says why, by state."""
    states = {key: seen.by_key[key].state for key in keys}
    return [
        f"{what}, {state}: {some([key for key in keys if states[key] == state])}: "
        f"{words.get(state, 'ended just now; say it again')}"
        for state in dict.fromkeys(states.values())
    ]


def then(run: Path) -> str:
    """How it goes on where no daemon has the run."""
    if daemon_of(run) is not None:
        return ""
    return f"; 'jobmon --ldir {shlex.quote(str(run))}' goes on with the run"
