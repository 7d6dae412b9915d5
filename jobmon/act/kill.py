"""``jobmon kill``: by the daemon where one runs, else in its place, and seen to the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from jobmon import progress
from jobmon.act.asked import LIMIT, Say, alone, daemon_of, given_up, taken
from jobmon.act.mend import some, would
from jobmon.act.opened import Opened
from jobmon.act.stop import stop
from jobmon.act.stop import would as would_stop
from jobmon.cluster.base import TwinLost
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.links.login import Ask
from jobmon.core.life import Job
from jobmon.core.model import Key, Life, Seen
from jobmon.core.text import printable
from jobmon.cycle import hands, memory
from jobmon.cycle.hands import Deleter
from jobmon.cycle.look import Looker
from jobmon.cycle.record import Recorder
from jobmon.run import owner, views
from jobmon.run.paths import Paths
from jobmon.show.read import view
from jobmon.show.select import meant

_NONE = "none of them is in the batch system"


def kill(
    run: Path,
    words: Sequence[str],
    states: Sequence[str],
    *,
    hold: bool,
    dry: bool,
    ask: Ask,
    say: Say,
) -> int:
    """Delete jobs of this run and see that they are gone; 0 only if nothing is left.

    Without ``words`` and ``states`` all of them, after the daemon was stopped.
    """
    keys = meant(view(run), words, states) if words or states else None
    if dry:
        return _would(run, keys, hold=hold, say=say)
    if keys is None and not stop(run, say):
        return 1
    there = daemon_of(run)
    if keys is not None and there is not None:
        asked = owner.request(run, {"do": "kill", "keys": keys, "hold": hold})
        say(f"asked process {there.process.pid} on {there.process.host}")
        with progress.step("waiting for the jobs to be gone"):
            return _watch(run, keys, asked, say)
    return alone(lambda: _in_place(run, keys, hold=hold, ask=ask, say=say))


def _would(run: Path, keys: Sequence[Key] | None, *, hold: bool, say: Say) -> int:
    seen = view(run)
    if keys is None:
        say(would_stop(run))
    chosen = list(seen.jobs) if keys is None else keys
    inside = [key for key in chosen if seen.jobs[key].in_system]
    told = [f"{key} ({seen.jobs[key].jobid or 'its job ID is not known'})" for key in inside]
    say(f"would delete {len(told)} job(s): {some(told) or _NONE}")
    if hold:
        say(would("hold", [key for key in chosen if seen.jobs[key].life != Life.FINISHED]))
    return 0


def _in_place(run: Path, words: Sequence[Key] | None, *, hold: bool, ask: Ask, say: Say) -> int:
    with taken(run, "kill", ask) as work:
        know = work.know
        keys = list(know.jobs) if words is None else list(words)
        if hold:
            hands.put_away(know, keys)
        seen = None
        meant: Set[Key] = set()
        if know.in_system or know.past:
            looker = Looker(know, work.cluster)
            before = set(know.in_system)
            try:
                with progress.step(f"looking at the jobs on {know.identity.where}"):
                    seen = looker.look()
            except TwinLost as error:
                return _without_twin(work, keys, error, say)
            hands.kill(know, keys, hold=False)
            meant = know.killing | (before & set(keys))
            with progress.step(f"deleting {len(know.killing):,} job(s)"):
                seen = _delete(work, looker, seen)
            memory.keep(know)
        Recorder(know).draw(seen, at_once=True)
        left = know.listed().keys() & set(keys)
        return _told(know.jobs, meant, left, say)


def _delete(work: Opened, looker: Looker, seen: Seen) -> Seen:
    """Delete what is to be killed until it is gone; the last look."""
    know, deleter = work.know, Deleter(work.know, work.cluster)
    until = time.monotonic() + LIMIT
    while know.killing and time.monotonic() < until:
        deleter.step(seen)
        time.sleep(min(2.0, know.settings.interval))
        seen = looker.look()
        know.killing &= know.listed().keys()
    return seen


def _without_twin(work: Opened, keys: Sequence[Key], error: TwinLost, say: Say) -> int:
    """Delete by the journal's own job IDs. What became of them, a look at the twin must tell."""
    know, there = work.know, work.cluster
    hands.kill(know, keys, hold=False)
    ids = {jobid: key for key in know.killing if (jobid := know.jobs[key].jobid) is not None}
    blind = Cluster(there.link, there.batch, there.transfer, "", there.run_id, there.user)
    until = time.monotonic() + LIMIT
    with progress.step(f"deleting {len(ids):,} job(s)"):
        blind.delete(list(ids))
        while (left := blind.look(()).queue.keys() & ids.keys()) and time.monotonic() < until:
            time.sleep(min(2.0, know.settings.interval))
    say(printable(str(error)))
    say(f"{len(ids) - len(left)} job(s) of the journal are no longer listed, {len(left)} left")
    say("how they ended is settled when the run is resumed with its twin")
    return 1 if left else 0


def _watch(run: Path, keys: Sequence[Key], asked: str, say: Say) -> int:
    """Wait until the daemon has taken up the request and the jobs are gone."""
    request = owner.request_path(run, asked)
    meant: set[Key] = set()  # also what was submitted between the asking and the taking up
    until = time.monotonic() + LIMIT
    while time.monotonic() < until:
        waits = request.exists()
        meant |= (now := _now(run) & set(keys))
        if not (waits or now):
            break
        if given_up(run, asked, say):
            return 1
        time.sleep(0.3)
    return _told(view(run).jobs, meant, _now(run) & set(keys), say)


def _now(run: Path) -> set[Key]:
    """The jobs that are in the batch system, as the daemon last drew it."""
    path = Paths(run).now
    return {now.key for now in views.read_now(path.read_text("utf-8"), path)}


def _told(jobs: Mapping[Key, Job], meant: Set[Key], left: Set[Key], say: Say) -> int:
    ended = meant - left
    killed = sum(1 for key in ended if jobs[key].life == Life.KILLED)
    by_themselves = len(ended) - killed
    found = f"{killed} killed, {by_themselves} had ended by themselves, {len(left)} left"
    say(found if meant or left else f"0 killed: {_NONE}")
    for key in sorted(left):
        jobid = jobs[key].jobid or "its job ID is not known"
        say(f"  left: {printable(key)} ({jobid}), {jobs[key].life}")
    return 1 if left else 0
