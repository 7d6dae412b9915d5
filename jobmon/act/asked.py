"""How what a person asks of a run gets done: by its daemon where one runs, else in its place.

In both cases ``cycle/hands.py`` does it, under the run's lock, and what others asked before comes
first. A request to a daemon is done once its file is gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from jobmon import progress
from jobmon.act.opened import Opened, link_to, opened, settings_of
from jobmon.cluster.base import ClusterError
from jobmon.cluster.links.login import Ask
from jobmon.cycle import hands, memory
from jobmon.cycle.record import Recorder
from jobmon.cycle.survey import survey
from jobmon.run import owner
from jobmon.run.owner import Holder

LIMIT = 180.0
"""Seconds to wait for a daemon, for the lock, or until killed jobs are gone."""

Say = Callable[[str], None]
Result = TypeVar("Result")


def daemon_of(run: Path) -> Holder | None:
    """The daemon that has the run, if one has."""
    there = owner.holder(run)
    return there if there is not None and there.what == "run" else None


def have_done(run: Path, verb: str, body: Mapping[str, object], ask: Ask, say: Say) -> bool:
    """Have a request done; False, with the reason said, if a daemon did not come to it."""
    there = daemon_of(run)
    if there is None:

        def in_place() -> bool:
            with taken(run, verb, ask) as work:
                hands.do(work.know, verb, body)
                _clear(work)
                memory.keep(work.know)
                Recorder(work.know).draw(at_once=True)
            return True

        return alone(in_place)
    request = owner.request(run, {"do": verb, **body})
    say(f"asked process {there.process.pid} on {there.process.host}")
    until = time.monotonic() + LIMIT
    with progress.step("waiting until it comes to that"):
        while time.monotonic() < until:
            if not owner.request_path(run, request).exists():
                return True
            if given_up(run, request, say):
                return False
            time.sleep(0.1)
    say("it has not come to that yet; what was asked stays, and jobmon.log tells when it is done")
    return False


def _clear(work: Opened) -> None:
    """Clear what a retry waits for. Raises ClusterError; then it is as if it had not been asked."""
    try:
        hands.clear(work.know, work.cluster)
    except ClusterError:
        hands.forget(work.know, list(work.know.changes))
        raise


def given_up(run: Path, request: str, say: Say) -> bool:
    """Whether the daemon ended without coming to a request, which is then taken back."""
    if owner.holder(run) is not None or not owner.request_path(run, request).exists():
        return False
    owner.done(run, request)
    say("the daemon has ended meanwhile; say it again")
    return True


@contextmanager
def taken(run: Path, what: str, ask: Ask) -> Iterator[Opened]:
    """The run under its lock, known as it stands, with all done that was asked of it before."""
    settings, identity = settings_of(run, {})
    with opened(run, link_to(settings, ask), settings, identity, what=what) as work:
        with progress.step(f"reading {run}"):
            work.know.load(work.know.journal.events)
            survey(work.know, whole=True)
        hands.take_requests(work.know)
        yield work


def alone(work: Callable[[], Result]) -> Result:
    """Do ``work``; where another command has the run just now, after that."""
    until = time.monotonic() + LIMIT
    while True:
        try:
            return work()
        except owner.Held as error:
            if error.holder.what == "run" or time.monotonic() > until:
                raise
            time.sleep(0.3)
