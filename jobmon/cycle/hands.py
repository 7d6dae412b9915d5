"""What a person asks of a run: kill, hold, release. Done by whoever holds the run's lock."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jobmon.cluster.cluster import Cluster
from jobmon.core.life import OPEN
from jobmon.core.model import Event, Key, Kind, Life, Mono, Phase, Seen
from jobmon.cycle.state import Know, job_folder
from jobmon.cycle.survey import read_folders
from jobmon.run import names
from jobmon.run.owner import Request

log = logging.getLogger(__name__)

AGAIN = 20.0
"""Seconds after which a job that is still listed is deleted once more."""


def take_request(know: Know, request: Request) -> bool:
    """Do what a request asks, as far as it is this run's; True if it asks the daemon to end."""
    asked = request.body.get("keys")
    keys = [Key(str(key)) for key in asked] if isinstance(asked, list) else []
    keys = [key for key in keys if key in know.jobs]
    match request.do:
        case "stop":
            return True
        case "kill":
            kill(know, keys, hold=bool(request.body.get("hold")))
        case "release":
            release(know, keys)
        case _:
            log.warning("a request '%s' is not known here and is left out", request.do)
    return False


def kill(know: Know, keys: Iterable[Key], *, hold: bool) -> None:
    """Have these jobs deleted at the next chance; with ``hold`` they stay stopped."""
    keys = list(keys)
    if hold:
        put_away(know, keys)
    know.killing |= know.listed().keys() & set(keys)


def put_away(know: Know, keys: Iterable[Key]) -> None:
    """Move the dependency files of these jobs aside, so that they are held."""
    folders = set()
    for key in keys:
        if know.jobs[key].life == Life.FINISHED:
            continue
        source = know.paths.run / names.dependency(key)
        target = know.paths.held / names.dependency(key)
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
            folders.add(job_folder(key))
    read_folders(know, folders)


def release(know: Know, keys: Iterable[Key]) -> None:
    """Let held jobs go: their dependency files come back; a killed job is open again."""
    keys = list(keys)
    for key in keys:
        put = know.paths.held / names.dependency(key)
        target = know.paths.run / names.dependency(key)
        if target.exists():
            continue
        if put.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            put.replace(target)
        elif know.jobs[key].life in OPEN | {Life.KILLED}:
            target.touch()
    at = know.clock.wall()
    killed = [know.jobs[key] for key in keys if know.jobs[key].life == Life.KILLED]
    know.record([Event(at, Kind.REOPENED, job.key, job.n) for job in killed])
    read_folders(know, {job_folder(key) for key in keys})


@dataclass(slots=True)
class Deleter:
    """Deletes what is to be killed, again and again until it is gone."""

    know: Know
    cluster: Cluster
    _asked: dict[Key, Mono] = field(default_factory=dict)

    def step(self, seen: Seen | None = None) -> Sequence[Key]:
        """Delete the killed jobs that are still there; which they are. Raises ClusterError."""
        know = self.know
        know.killing &= know.listed().keys()
        now = know.clock.now()
        due = []
        for key in sorted(know.killing, key=names.order):
            jobid = know.jobs[key].jobid
            listed = seen is None or (jobid is not None and jobid in seen.queue)
            ending = (
                seen is not None and jobid is not None and seen.queue.get(jobid) == Phase.ENDING
            )
            waited = key not in self._asked or now - self._asked[key] >= AGAIN
            if jobid is not None and listed and waited and not (ending and key in self._asked):
                due.append(key)
                self._asked[key] = now
        ids = [jobid for key in due if (jobid := know.jobs[key].jobid)]
        said = self.cluster.delete(ids)
        if due:
            log.info("deleting %s: %s", ", ".join(due), said or "asked")
        return due
