"""``jobmon kill`` and ``jobmon release``: by the daemon where one runs, else in its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
from jobmon.run import owner
from jobmon.run.usage import UsageError
from jobmon.show.read import chosen, view

LIMIT = 180.0
"""Seconds to look until killed jobs are gone."""

Say = Callable[[str], None]


def kill(run: Path, words: Sequence[str], *, hold: bool, ask: Ask, say: Say) -> int:
    """Delete jobs of this run and see that they are gone; 0 only if nothing is left.

    Without ``words`` all of them, after the daemon was stopped.
    """
    seen = view(run)
    keys = _meant(run, list(seen.jobs), words)
    if not words and not stop(run, say):
        return 1
    there = owner.holder(run)
    if words and there is not None:
        owner.request(run, {"do": "kill", "keys": keys, "hold": hold})
        say(f"asked process {there.process.pid} on {there.process.host}")
        return _watch(run, keys, say)
    return _in_place(run, keys, hold=hold, ask=ask, say=say)


def release(run: Path, words: Sequence[str], *, ask: Ask, say: Say) -> int:
    """Let held and killed jobs go again."""
    seen = view(run)
    keys = [
        key
        for key in _meant(run, list(seen.jobs), words)
        if seen.jobs[key].life in OPEN | {Life.KILLED}
    ]
    there = owner.holder(run)
    if there is not None:
        owner.request(run, {"do": "release", "keys": keys})
        say(f"asked process {there.process.pid} on {there.process.host}: {len(keys)} job(s)")
        return 0
    settings, identity = settings_of(run, {})
    with opened(run, link_to(settings, ask), settings, identity) as work:
        work.know.load(work.know.journal.events)
        survey(work.know, whole=True)
        hands.release(work.know, keys)
        Recorder(work.know).draw(at_once=True)
    say(f"released {len(keys)} job(s); 'jobmon --ldir {run}' goes on with the run")
    return 0


def _meant(run: Path, keys: Sequence[Key], words: Sequence[str]) -> list[Key]:
    found, unknown = chosen(keys, words) if words else (list(keys), [])
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: no job, folder or pattern of {run} is called so")
    return found


def _in_place(run: Path, keys: Sequence[Key], *, hold: bool, ask: Ask, say: Say) -> int:
    settings, identity = settings_of(run, {})
    with opened(run, link_to(settings, ask), settings, identity) as work:
        know = work.know
        know.load(know.journal.events)
        survey(know, whole=True)
        hands.kill(know, keys, hold=hold)
        meant = know.killing & set(keys)
        if meant:
            looker, deleter = Looker(know, work.cluster), Deleter(know, work.cluster)
            until = time.monotonic() + LIMIT
            seen = looker.look()
            while know.killing and time.monotonic() < until:
                deleter.step(seen)
                time.sleep(min(2.0, settings.interval))
                seen = looker.look()
            Recorder(know).draw(seen, at_once=True)
        else:
            Recorder(know).draw(at_once=True)
        return _told([know.jobs[key] for key in keys], meant, say)


def _watch(run: Path, keys: Sequence[Key], say: Say) -> int:
    meant = {key for key in keys if view(run).jobs[key].in_system}
    until = time.monotonic() + LIMIT
    while time.monotonic() < until and owner.holder(run) is not None:
        jobs = view(run).jobs
        if not any(jobs[key].in_system for key in keys):
            break
        time.sleep(0.5)
    jobs = view(run).jobs
    return _told([jobs[key] for key in keys], meant, say)


def _told(jobs: Sequence[Job], meant: set[Key], say: Say) -> int:
    left = [job for job in jobs if job.in_system]
    ended = [job for job in jobs if job.key in meant and not job.in_system]
    killed = sum(1 for job in ended if job.life == Life.KILLED)
    say(f"{killed} killed, {len(ended) - killed} had ended by themselves, {len(left)} left")
    for job in left:
        say(f"  left: {job.key} ({job.jobid or 'its job ID is not known'}), {job.life}")
    return 1 if left else 0
