"""``jobmon retry``: a new attempt of failed and killed jobs, changed first if that is asked.

All is checked before anything is asked; ``cycle/change.py`` does it then, under the run's lock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobmon.act.asked import LIMIT, Say, daemon_of, have_done
from jobmon.act.mend import instead, some, then, would
from jobmon.act.opened import link_to, settings_of
from jobmon.cluster.files import Files
from jobmon.cluster.links.login import Ask
from jobmon.core.life import ENDED
from jobmon.core.model import Key, Kind
from jobmon.core.text import printable
from jobmon.cycle.change import CLEARED
from jobmon.run import clearing, names, refill
from jobmon.run.paths import Paths, read_changes
from jobmon.run.usage import UsageError
from jobmon.show.read import View, view
from jobmon.show.select import meant

_INSTEAD = {
    "held": "was not run yet; 'jobmon release' lets it go",
    "waiting": "was not run yet; it goes when the files are there that it waits for",
    "blocked": "was not run yet; mend what it waits for: 'jobmon explain' names it",
    "ready": "was not run yet; it is next without this",
    "submitted": "is in the batch system; 'jobmon kill' it first",
    "running": "is in the batch system; 'jobmon kill' it first",
    "finished": "has its marker; remove that here and on the cluster and start afresh",
    "unclear": "may still run; see for yourself, then 'jobmon resolve'",
}
"""What to do in place of ``jobmon retry``, by what a job is shown as."""


@dataclass(frozen=True, slots=True)
class Change:
    """``sets``: placeholders, bare, and their new values; ``clean``: patterns of files to clear."""

    sets: Mapping[str, str] = field(default_factory=dict)
    clean: Sequence[str] = ()


def retry(
    run: Path,
    words: Sequence[str],
    states: Sequence[str],
    change: Change,
    *,
    dry: bool,
    ask: Ask,
    say: Say,
) -> int:
    """Begin a new attempt of failed and killed jobs; 1 if any of those named was not retried.

    Raises UsageError, with nothing changed, where ``change`` cannot be made.
    """
    seen = view(run)
    keys = meant(seen, words, states)
    able = [key for key in keys if seen.jobs[key].life in ENDED]
    _check(seen, able, change)
    others = [key for key in keys if seen.jobs[key].life not in ENDED]
    if dry:
        say(would("retry", able))
        for name, value in change.sets.items() if able else ():
            say(f"would set __{name}__ to {printable(value)} in their scripts")
        for line in _would_clear(run, able, change.clean, ask) if change.clean and able else ():
            say(line)
    elif able:
        body = {"keys": able, "set": dict(change.sets), "clean": list(change.clean)}
        if not have_done(run, "retry", body, ask, say) or not _cleared(run, able, say):
            return 1
        after = view(run)
        begun = [key for key in able if _reopened(seen, after, key)]
        if change.clean:
            for key in begun:
                say(f"cleared for {printable(key)}: {_what(after, key) or 'nothing was there'}")
        say(f"{len(begun)} job(s) begin a new attempt{then(run)}")
        if lost := [key for key in able if key not in set(begun)]:
            say(f"not retried: {some(lost)}; jobmon.log says why")
            others += lost
        seen = after
    for line in instead("not retried", [k for k in others if k not in able], seen, _INSTEAD):
        say(line)
    return 1 if others else 0


def _check(seen: View, keys: Sequence[Key], change: Change) -> None:
    refill.check(change.sets)
    clearing.check(change.clean)
    if change.sets:
        source = refill.Refill.of(seen.run)
        for key in keys:
            source.text(key, refill.set_before(seen.jobs[key].history), change.sets)
    if change.clean:
        busy = {names.split(key)[0]: key for key, job in seen.jobs.items() if job.in_system}
        for key in keys:
            folder = names.split(key)[0]
            if other := busy.get(folder):
                raise UsageError(
                    f"{other} is in the batch system and has its files in the folder of {key}; "
                    "wait for its end or kill it before --clean there"
                )
            clearing.kept(seen.run, folder)


def _would_clear(run: Path, keys: Sequence[Key], clean: Sequence[str], ask: Ask) -> list[str]:
    """What would be deleted, by folder. Raises ClusterError where the other side cannot be seen."""
    settings, identity = settings_of(run, {})
    folders = list(dict.fromkeys(names.split(key)[0] for key in keys))
    link = link_to(settings, ask)
    try:
        there = Files(link, identity.rdir, identity.id).names(folders)
    finally:
        link.close()
    told = []
    for folder in folders:
        sides = {"here": clearing.here(run, folder), "there": there[folder]}
        goes = {
            side: clearing.goes(folder, found, clean, clearing.kept(run, folder))
            for side, found in sides.items()
        }
        every = sorted({*goes["here"], *goes["there"]})
        where = {name: " and ".join(s for s in goes if name in goes[s]) for name in every}
        each = ", ".join(f"{printable(name)} ({where[name]})" for name in every)
        told.append(f"would delete in {printable(folder or '.')}: {each or 'nothing fits'}")
    return told


def _cleared(run: Path, keys: Sequence[Key], say: Say) -> bool:
    """Wait until a daemon has cleared what the retries of these jobs wait for."""
    until = time.monotonic() + LIMIT
    while read_changes(Paths(run)) & set(keys):
        if time.monotonic() > until or daemon_of(run) is None:
            say("the files are not cleared yet; that, and the retry, is done when it can be")
            return False
        time.sleep(0.2)
    return True


def _reopened(before: View, after: View, key: Key) -> bool:
    new = after.jobs[key].history[len(before.jobs[key].history) :]
    return any(event.kind == Kind.REOPENED for event in new)


def _what(seen: View, key: Key) -> str:
    events = (e for e in reversed(seen.jobs[key].history) if e.kind == Kind.REOPENED)
    return printable(next(events).notes.get(CLEARED, ""))
