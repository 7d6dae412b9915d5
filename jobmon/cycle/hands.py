"""What a person asks of a run: kill, hold, release, retry, resolve. Done by whoever holds its lock.

Each can be done twice without harm: a request is taken away only after it was done and what it
changed is on disk, so that no crash loses it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from jobmon.cluster.cluster import Cluster
from jobmon.core import choose
from jobmon.core.life import ENDED, OPEN, Job
from jobmon.core.model import Event, JobID, Key, Kind, Life, Mono, Phase, Seen
from jobmon.core.settle import give_up
from jobmon.cycle import change, memory
from jobmon.cycle.state import Know, job_folder
from jobmon.cycle.survey import read_folders
from jobmon.run import names, owner
from jobmon.run.journal import JournalError
from jobmon.run.owner import OwnerError

log = logging.getLogger(__name__)

AGAIN = 20.0
"""Seconds after which a job that is still listed is deleted once more."""

_JOBID = re.compile(r"[0-9]{1,18}(\[\])?(\.[A-Za-z][A-Za-z0-9._-]{0,254})?")


def take_requests(know: Know) -> bool:
    """Do what was asked of the run, oldest first; True if the daemon is asked to end.

    One that cannot be done now (a full disk) stays, with all behind it, and is said once.
    """
    run = know.paths.run
    try:
        for request in owner.waiting(run):
            if request.do == "stop":
                owner.done(run, request.id)  # first: one left behind would end the next daemon
                return True
            do(know, request.do, request.body)
            owner.done(run, request.id)
    except (OwnerError, JournalError, OSError) as error:
        if know.complain(f"request: {error}"):
            log.warning("what was asked of this run cannot be done yet: %s", error)
    return False


def do(know: Know, verb: str, body: Mapping[str, object]) -> None:
    """Do what a request asks, as far as it is this run's. Raises JournalError, OSError."""
    asked = body.get("keys")
    keys = [Key(str(key)) for key in asked] if isinstance(asked, list) else []
    keys = [key for key in keys if key in know.jobs]
    match verb:
        case "kill":
            kill(know, keys, hold=bool(body.get("hold")))
        case "hold":
            put_away(know, [key for key in keys if know.jobs[key].life in OPEN])
        case "release":
            let_go(know, [key for key in keys if know.jobs[key].life in OPEN | {Life.KILLED}])
        case "retry":
            retry(know, [key for key in keys if know.jobs[key].life in ENDED], body)
        case "resolve":
            named = body.get("jobid")
            for key in keys:
                resolve(know, key, JobID(str(named)) if named is not None else None)
        case _:
            log.warning("a request '%s' is not known here and is left out", verb)


def kill(know: Know, keys: Iterable[Key], *, hold: bool) -> None:
    """Have these jobs deleted at the next chance; with ``hold`` they stay stopped."""
    keys = list(keys)
    if hold:
        put_away(know, keys)
    know.killing |= know.listed().keys() & set(keys)
    memory.keep(know)


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


def retry(know: Know, keys: Sequence[Key], body: Mapping[str, object]) -> None:
    """Open ended jobs again, changed as the request asks; what is to be cleared first, later."""
    want = change.asked(body)
    if want.clean:
        know.changes |= {key: replace(want, n=know.jobs[key].n) for key in keys}
        memory.keep(know)
    else:
        notes = change.filled(know, keys, want.sets)
        let_go(know, notes.keys(), notes)


def clear(know: Know, cluster: Cluster) -> Mapping[Key, str]:
    """Clear what retries wait for, and open those jobs again; whose files cannot be, and why.

    Raises ClusterError, OSError.
    """
    if not know.changes:
        return {}
    cleared, refused = change.clear(know, cluster.link)
    for key, files in cleared.items():
        notes = change.filled(know, [key], know.changes[key].sets)
        notes = {key: {**mine, **change.note(files)} for key, mine in notes.items()}
        let_go(know, notes.keys(), notes)
    forget(know, [*cleared, *refused])
    return refused


def forget(know: Know, keys: Iterable[Key]) -> None:
    """These jobs wait for no clearing any more."""
    for key in keys:
        know.changes.pop(key, None)
    memory.keep(know)


def let_go(
    know: Know,
    keys: Collection[Key],
    notes: Mapping[Key, Mapping[str, str]] = MappingProxyType({}),
) -> None:
    """Let held and ended jobs go: their dependency files come back, what ended is open again."""
    for key in keys:
        put = know.paths.held / names.dependency(key)
        target = know.paths.run / names.dependency(key)
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)  # a person may have deleted it
        if put.exists():
            put.replace(target)
        else:
            target.touch()
    at = know.clock.wall()
    ended = [know.jobs[key] for key in keys if know.jobs[key].life in ENDED]
    _reopen(
        know,
        [
            Event(at, Kind.REOPENED, job.key, job.n, notes=notes.get(job.key, MappingProxyType({})))
            for job in ended
        ],
    )
    read_folders(know, {job_folder(key) for key in keys})


def retry_failed(know: Know, *, whole: bool) -> None:
    """Open failed jobs again as often as ``retries`` says: those newly failed, or any."""
    failed = {event.key for event in know.news if event.kind == Kind.FAILED}
    jobs = know.jobs.values() if whole else [know.jobs[key] for key in sorted(failed)]
    retries = know.settings.retries
    alone = (job for job in jobs if job.key not in know.changes)
    events = choose.retry(alone, retries, know.clock.wall())
    for event in events:
        nth = f", {event.notes[choose.RETRY]} of {retries}" if event.notes else ""
        log.info("%s is tried again%s", event.key, nth)
    _reopen(know, events)


def _reopen(know: Know, events: Sequence[Event]) -> None:
    know.record(events)
    for event in events:
        know.refusals.pop(event.key, None)
    read_folders(know, {job_folder(event.key) for event in events})


def resolve(know: Know, key: Key, jobid: JobID | None) -> None:
    """End the doubt about an unclear job: it has this job ID, or is gone (None)."""
    job = know.jobs[key]
    if trouble := untenable(know.jobs, key, jobid):
        log.warning("'jobmon resolve' is left out: %s", trouble)
        return
    at = know.clock.wall()
    if jobid is None:
        know.record([give_up(job, know.killing, at)])
        know.killing.discard(key)
        read_folders(know, [job_folder(key)])
    else:
        know.record([Event(at, Kind.STARTED, key, job.n, jobid)])


def untenable(jobs: Mapping[Key, Job], key: Key, jobid: JobID | None) -> str:
    """Why a doubt cannot be ended so; empty if it can."""
    job = jobs[key]
    if job.life != Life.UNCLEAR:
        return f"{key} is {job.life}, not unclear"
    if jobid is None or jobid == job.jobid:
        return ""
    if not _JOBID.fullmatch(jobid):
        return f"{jobid!a} is no job ID, such as 353143"
    if job.jobid is not None:
        return f"the job ID of {key} is known: {job.jobid}"
    for other in jobs.values():
        if any(event.jobid == jobid for event in other.history):
            return f"job ID {jobid} belongs to {other.key}"
    return ""


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
