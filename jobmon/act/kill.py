"""``jobmon kill`` and ``jobmon release``: by the daemon where one runs, else in its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path

from jobmon.act.opened import link_to, opened, settings_of
from jobmon.act.stop import stop
from jobmon.cluster.links.login import Ask
from jobmon.core.life import OPEN, Job
from jobmon.core.model import Key, Life
from jobmon.cycle import hands
from jobmon.cycle.hands import Deleter
from jobmon.cycle.look import Looker
from jobmon.cycle.record import Recorder
from jobmon.cycle.survey import survey
from jobmon.run import owner, views
from jobmon.run.paths import Paths
from jobmon.run.usage import UsageError
from jobmon.show.read import chosen, view

LIMIT = 180.0
"""Seconds to look until killed jobs are gone."""

Say = Callable[[str], None]


def kill(run: Path, words: Sequence[str], *, hold: bool, ask: Ask, say: Say) -> int:
    """Delete jobs of this run and see that they are gone; 0 only if nothing is left.

    Without ``words`` all of them, after the daemon was stopped.
    """
    keys = _meant(run, words) if words else None
    if keys is None and not stop(run, say):
        return 1
    there = owner.holder(run)
    if keys is not None and there is not None and there.what == "run":
        asked = owner.request(run, {"do": "kill", "keys": keys, "hold": hold})
        say(f"asked process {there.process.pid} on {there.process.host}")
        return _watch(run, keys, asked, say)
    return _alone(lambda: _in_place(run, keys, hold=hold, ask=ask, say=say))


def release(run: Path, words: Sequence[str], *, ask: Ask, say: Say) -> int:
    """Let held and killed jobs go again."""
    jobs = view(run).jobs
    keys = [key for key in _meant(run, words) if jobs[key].life in OPEN | {Life.KILLED}]
    there = owner.holder(run)
    if there is not None and there.what == "run":
        owner.request(run, {"do": "release", "keys": keys})
        say(f"asked process {there.process.pid} on {there.process.host}: {len(keys)} job(s)")
        return 0
    return _alone(lambda: _release_in_place(run, keys, ask, say))


def _release_in_place(run: Path, keys: Sequence[Key], ask: Ask, say: Say) -> int:
    settings, identity = settings_of(run, {})
    link = link_to(settings, ask)
    with opened(run, link, settings, identity, what="release") as work:
        work.know.load(work.know.journal.events)
        survey(work.know, whole=True)
        hands.release(work.know, keys)
        Recorder(work.know).draw(at_once=True)
    say(f"released {len(keys)} job(s); 'jobmon --ldir {run}' goes on with the run")
    return 0


def _alone(work: Callable[[], int]) -> int:
    """Do ``work``; where another kill or release has the run just now, after that."""
    until = time.monotonic() + LIMIT
    while True:
        try:
            return work()
        except owner.Held as error:
            if error.holder.what == "run" or time.monotonic() > until:
                raise
            time.sleep(0.3)


def _meant(run: Path, words: Sequence[str]) -> list[Key]:
    found, unknown = chosen(list(view(run).jobs), words)
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: no job, folder or pattern of {run} is called so")
    return found


def _in_place(run: Path, keys: Sequence[Key] | None, *, hold: bool, ask: Ask, say: Say) -> int:
    settings, identity = settings_of(run, {})
    with opened(run, link_to(settings, ask), settings, identity, what="kill") as work:
        know = work.know
        know.load(know.journal.events)
        survey(know, whole=True)
        chosen_keys = list(know.jobs) if keys is None else keys
        if hold:
            hands.put_away(know, chosen_keys)
        seen = None
        meant: set[Key] = set()
        if know.in_system or know.past:
            looker, deleter = Looker(know, work.cluster), Deleter(know, work.cluster)
            before = set(know.in_system)
            seen = looker.look()
            hands.kill(know, chosen_keys, hold=False)
            meant = know.killing | (before & set(chosen_keys))
            until = time.monotonic() + LIMIT
            while know.killing and time.monotonic() < until:
                deleter.step(seen)
                time.sleep(min(2.0, settings.interval))
                seen = looker.look()
                know.killing &= know.listed().keys()
        Recorder(know).draw(seen, at_once=True)
        left = know.listed().keys() & set(chosen_keys)
        return _told(know.jobs, meant, left, say)


def _watch(run: Path, keys: Sequence[Key], asked: str, say: Say) -> int:
    """Wait until the daemon has taken up the request and the jobs are gone."""
    request = owner.request_path(run, asked)
    meant = _now(run) & set(keys)
    until = time.monotonic() + LIMIT
    while time.monotonic() < until and (request.exists() or _now(run) & set(keys)):
        if owner.holder(run) is None:
            request.unlink(missing_ok=True)
            say("the daemon has ended meanwhile; say it again")
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
    say(f"{killed} killed, {len(ended) - killed} had ended by themselves, {len(left)} left")
    for key in sorted(left):
        say(f"  left: {key} ({jobs[key].jobid or 'its job ID is not known'}), {jobs[key].life}")
    return 1 if left else 0
