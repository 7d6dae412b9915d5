"""Everything about one job, as values: ``explain_text.py`` prints them, the live view shows them.

Reads the run folder, without its lock; asks the cluster for nothing.
"""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass
from datetime import datetime

from jobmon.core.model import JobID, Key
from jobmon.run import names
from jobmon.run.paths import Paths, read_conflicts
from jobmon.run.settings import read_run_file
from jobmon.run.usage import UsageError
from jobmon.show import listing, outputs
from jobmon.show.causes import Cause, Tree, roots
from jobmon.show.history import Moment, moments
from jobmon.show.outputs import Tail
from jobmon.show.read import View

LINES = 10
"""How many last lines of each output file are shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ready job stands: ``nth`` of ``ready`` ones in the order of submission, with
    ``inside`` jobs in the batch system; ``maxqsub``: how many may be, None if that is not known."""

    nth: int
    ready: int
    inside: int
    maxqsub: int | None


@dataclass(frozen=True, slots=True)
class Explained:
    """``state``, ``reason`` and ``cause`` as ``status`` has them; ``attempts``: how many so far.

    ``needs``: what it waits for; ``behind``: how many jobs wait for it, those that wait for them
    included. ``listed``: its line in the batch system's listing, ``seen`` when that was.
    ``conflicts``: files of its folder that were changed on both sides. ``look``, ``mend``: what a
    person can type: the words behind ``jobmon``. ``enter``: the line that leads into its folder on
    the cluster, empty where the run's settings cannot be read.
    """

    key: Key
    state: str
    reason: str
    cause: str
    jobid: JobID | None
    attempts: int
    life: tuple[Moment, ...]
    needs: tuple[Cause, ...]
    behind: int
    place: Place | None
    listed: str
    seen: str
    output: tuple[Tail, ...]
    conflicts: tuple[str, ...]
    look: tuple[tuple[str, ...], ...]
    mend: tuple[tuple[str, ...], ...]
    enter: str


def explain(view: View, key: Key, now: datetime) -> Explained:
    """What is known of the job ``key`` of the view. ``now`` is the wall's time."""
    row = view.by_key[key]
    job = row.job
    where, twin, maxqsub = _settings(view)
    jobid = next((e.jobid for e in reversed(job.history) if e.jobid is not None), None)
    seen, listed = "", ""
    if job.in_system and job.jobid is not None:
        seen, listed = listing.line_of(view.run, job.jobid)
    causes = Tree(view.by_key, view.missing).of(key) if row.state in {"waiting", "blocked"} else ()
    patterns = outputs.patterns_of(view.run, key, twin)
    files = outputs.here(view.run, key, patterns, jobid) if jobid is not None else []
    folder = names.split(key)[0]
    return Explained(
        key,
        row.state,
        row.reason or job.why,
        row.cause,
        job.jobid,
        job.n,
        moments(job, now),
        causes,
        len(_behind(view, key)),
        _place(view, key, maxqsub) if row.state == "ready" else None,
        listed,
        seen,
        tuple(_tails(view, files)),
        tuple(
            path
            for path in read_conflicts(Paths(view.run))
            if posixpath.dirname(path) == folder or path.startswith(f"{folder}/")
        ),
        _look(key, row.state) if jobid is not None else (),
        tuple(dict.fromkeys(_mend(key, row.state, causes))),
        _enter(key, where, twin),
    )


def _settings(view: View) -> tuple[str, str, int | None]:
    """The host to enter, the twin, and ``maxqsub``; what cannot be read is left open."""
    try:
        settings, identity = read_run_file(Paths(view.run).settings)
    except UsageError:
        return "", "", None
    target = settings.target
    if target is None:
        return "", identity.rdir, settings.maxqsub
    user = f"{target.user}@" if target.user else ""
    port = f"-p {target.port} " if target.port else ""
    config = f"-F {shlex.quote(str(settings.ssh_config))} " if settings.ssh_config else ""
    return f"{config}{port}{shlex.quote(user + target.host)}", identity.rdir, settings.maxqsub


def _tails(view: View, files: list[str]) -> list[Tail]:
    found: list[Tail] = []
    for path in files:
        try:
            lines = outputs.last_lines(view.run / path, LINES)
        except OSError:
            continue
        found.append((path, tuple(lines)))
    return found


def _behind(view: View, key: Key) -> set[Key]:
    """The jobs that cannot go before this one has finished."""
    found: set[Key] = set()
    todo = [key]
    while todo:
        waiting = view.index.asking({names.marker(todo.pop())}) - found - {key}
        found |= waiting
        todo += waiting
    return found


def _place(view: View, key: Key, maxqsub: int | None) -> Place:
    ready = [k for k, row in view.by_key.items() if row.state == "ready"]
    order = {k: i for i, k in enumerate(_quelist(view))}
    ready.sort(key=lambda k: order.get(k, len(order)))
    inside = sum(row.job.in_system for row in view.by_key.values())
    return Place(ready.index(key) + 1, len(ready), inside, maxqsub)


def _quelist(view: View) -> list[Key]:
    """The order of submission, which a person may have changed."""
    try:
        lines = Paths(view.run).quelist.read_text("utf-8", "surrogateescape").split("\n")
    except OSError:
        return []
    return [Key(names.decode(line.partition(" ")[0])) for line in lines[1:] if line]


def _look(key: Key, state: str) -> tuple[tuple[str, ...], ...]:
    return (("logs", "-f", key) if state in {"submitted", "running"} else ("logs", key),)


def _enter(key: Key, where: str, twin: str) -> str:
    folder = shlex.quote(f"{twin}/{names.split(key)[0]}".rstrip("/"))
    if where:
        return f"ssh -t {where} {shlex.quote(f'cd {folder} && exec $SHELL -l')}"
    return f"cd {folder}" if twin else ""


_MEND = {
    "failed": (("retry",),),
    "killed": (("retry",),),
    "held": (("release",),),
    "unclear": (("resolve", "--lost"), ("resolve", "--jobid=ID")),
}


def _mend(key: Key, state: str, causes: tuple[Cause, ...]) -> list[tuple[str, ...]]:
    """What a person can type: for the job, or for those that it waits for in vain."""
    if state == "blocked":
        ends = [cause for cause in roots(causes) if cause.key is not None]
        return [line for end in ends if end.key for line in _mend(end.key, end.state, ())]
    return [(verb, key, *flags) for verb, *flags in _MEND.get(state, ())]
