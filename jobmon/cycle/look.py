"""Steps 2 and 3: one look at the cluster, and what it proves."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from jobmon.cluster.base import ClusterError
from jobmon.cluster.cluster import Cluster, Gone
from jobmon.core import settle
from jobmon.core.life import Job
from jobmon.core.model import (
    Attempt,
    Cause,
    Event,
    JobID,
    Key,
    Kind,
    Life,
    Mono,
    Phase,
    Reason,
    Seen,
    Unclear,
    Verdict,
)
from jobmon.cycle.answers import take_answers
from jobmon.cycle.question import Question
from jobmon.cycle.state import Know, job_folder
from jobmon.run import names

log = logging.getLogger(__name__)

STATS = 2000
"""How many changed files' counterparts a look asks about."""

AT_ONCE = 50
"""How many jobs' fates are asked in one cycle."""

UNHEARD = 90.0
"""Seconds after which an attempt whose answer is nowhere to be found is called unclear: longer
than a submitting loop may live."""

STUCK = "will never start by itself: "

NAP = 120.0
"""Seconds between two looks that are more than a slow cycle: nobody looked in between."""


class Looker:
    """Looks, and takes in what that proves."""

    def __init__(self, know: Know, cluster: Cluster) -> None:
        self._know = know
        self._cluster = cluster
        self._question = Question(know)
        self._asked: dict[Key, float] = {}  # when a job's fate was last asked for
        self._looked = know.clock.now()
        self._pending: set[JobID] = set()  # as last seen

    def look(self, *, whole: bool = False) -> Seen:
        """Recover what was not heard, look, and journal what is proven. Raises ClusterError."""
        know = self._know
        self._wake()
        self._recover()
        asked = self._question.files(whole=whole)
        changed = [path for files in know.changed.values() for path in files]
        changed.sort(key=know.conflicts.__contains__)  # those that stand come last
        seen = self._cluster.look(asked, changed[:STATS], resting=self._resting())
        seen = settle.uncut(seen, [*know.listed().values(), *know.past])
        self._pending = {jobid for jobid, phase in seen.queue.items() if phase == Phase.PENDING}
        self._looked = know.clock.now()
        know.fresh = False
        flipped = (asked & know.present) ^ seen.files
        know.present -= asked - seen.files
        know.present |= seen.files
        know.renewed |= know.index.asking(flipped)
        self._settle(seen)
        leaving = (know.past | know.leaving).items()
        # An ID counter that began again may have given an old number to a job that is alive.
        alive = {know.jobs[key].jobid for key in know.in_system}
        gone = ((jobid, key) for jobid, key in leaving if jobid not in alive)
        know.leaving = {jobid: key for jobid, key in gone if jobid in seen.queue}
        know.past = {}
        return seen

    def _resting(self) -> set[str]:
        """The folders of jobs that were all pending when last looked at: there nothing is made.

        One that has begun and ended since is not in the listing, so the next look opens its folder.
        """
        know = self._know
        busy = [key for key in know.in_system if know.jobs[key].jobid not in self._pending]
        return {*map(job_folder, know.in_system)} - {*map(job_folder, busy)} - know.unpulled

    def _wake(self) -> None:
        """Begin anew to be patient after a sleep, or a long time without the cluster.

        Nobody asked in all that time, so no silence in it says anything.
        """
        know, now = self._know, self._know.clock.now()
        if now - self._looked > max(NAP, 3 * know.settings.interval):
            since = Mono(now - know.settings.grace)
            know.doubts = {
                key: replace(doubt, since=max(doubt.since, since))
                for key, doubt in know.doubts.items()
            }
            know.unheard = dict.fromkeys(know.unheard, now)

    def _recover(self) -> None:
        know = self._know
        lost = [
            Attempt(key, know.jobs[key].n)
            for key in know.in_system
            if know.jobs[key].life == Life.SUBMITTING
            or (know.jobs[key].life == Life.UNCLEAR and know.jobs[key].jobid is None)
        ]
        if not lost:
            return
        now = know.clock.now()
        answers = self._cluster.recover(lost, self._ids)
        for attempt in lost:
            answer = answers.get(attempt, Unclear("no answer was recorded"))
            since = know.unheard.setdefault(attempt.key, now)
            if not isinstance(answer, Unclear):
                take_answers(know, {attempt: answer})
            elif know.jobs[attempt.key].life == Life.SUBMITTING and now - since >= UNHEARD:
                event = Event(
                    know.clock.wall(), Kind.UNCLEAR, attempt.key, attempt.n,
                    notes={"reason": answer.words},
                )  # fmt: skip
                know.record([event])

    def _ids(self) -> dict[Attempt, JobID | None]:
        """The job ID of every attempt of this run that has one; None for one that was surely not
        submitted."""
        return {
            Attempt(event.key, event.n): event.jobid
            for job in self._know.jobs.values()
            for event in job.history
            if event.jobid is not None or event.kind == Kind.UNSUBMITTED
        }

    def _settle(self, seen: Seen) -> None:
        know = self._know
        now = know.clock.now()
        ours = [know.jobs[key] for key in know.in_system]
        know.doubts = settle.suspect(ours, seen, names.marker, know.doubts, now)
        ripe = settle.ripe(know.doubts, know.killing, know.settings.grace, now)
        due = sorted(ripe, key=lambda key: self._asked.get(key, 0.0))[:AT_ONCE]
        self._asked = {key: self._asked.get(key, 0.0) for key in know.in_system}
        self._asked.update(dict.fromkeys(due, now))
        verdicts = {key: self._known(key, said) for key, said in self._confirm(due).items()}
        know.doubts = settle.denied(know.doubts, verdicts, now)
        marked = filter(None, map(names.marker_key, seen.files))
        judged = dict.fromkeys([*know.in_system, *(key for key in marked if key in know.jobs)])
        know.record(
            settle.settle(
                [know.jobs[key] for key in judged],
                seen,
                names.marker,
                know.doubts,
                verdicts,
                know.killing,
                know.settings.grace,
                know.clock.wall(),
                now,
            )
        )
        self._stuck(ours, seen)
        self._strange(ours, seen)

    def _confirm(self, keys: Iterable[Key]) -> dict[Key, Verdict]:
        gone = []
        for key in keys:
            jobid = self._know.jobs[key].jobid
            if jobid is not None:
                number = jobid.partition(".")[0].removesuffix("[]")  # of PBS, without its server
                ends = (
                    f".e{number}",
                    f".{number}.err",
                    f"-{number}.out",
                    f".o{number}",
                    f".{number}.out",
                )
                gone.append(Gone(key, jobid, names.marker(key), ends))
        if not gone:
            return {}
        try:
            return self._cluster.confirm(gone)
        except ClusterError as error:
            log.info("asking about %d jobs failed, they are asked for again: %s", len(gone), error)
            return {}

    def _known(self, key: Key, said: Verdict) -> Verdict:
        """Of a job that was never to start, what was said of that while it was there says more."""
        vague = said.reason is None or said.reason.cause in {Cause.FORGOTTEN, Cause.NEVER_STARTED}
        if not (said.gone and vague and key in self._know.stuck):
            return said
        why = self._know.stuck[key].removeprefix(STUCK)
        return replace(said, reason=Reason(Cause.NEVER_STARTED, f"never started: {why}"))

    def _strange(self, jobs: Iterable[Job], seen: Seen) -> None:
        """Say once that there are states that no file of ours knows."""
        odd = [job for job in jobs if job.jobid and seen.queue.get(job.jobid) == Phase.UNKNOWN]
        if odd and self._know.complain("a state that is not known"):
            log.warning(
                "%s (%s) is in a state that jobmon does not know, see the file qstat; "
                "whatever is in such a state counts as in the batch system",
                odd[0].key, odd[0].jobid,
            )  # fmt: skip

    def _stuck(self, jobs: Iterable[Job], seen: Seen) -> None:
        """Ask once why a job will never start; what was said holds until it moves."""
        know = self._know
        stuck = []
        for job in jobs:
            phase = seen.queue.get(job.jobid) if job.jobid is not None else None
            if phase == Phase.STUCK and know.jobs[job.key].in_system:
                stuck.append(job.key)
            elif phase is not None:
                know.stuck.pop(job.key, None)
        new = [key for key in stuck if key not in know.stuck][:AT_ONCE]
        for key, verdict in self._confirm(new).items():
            if not verdict.gone:
                why = verdict.reason.words if verdict.reason is not None else "it waits in error"
                know.stuck[key] = f"{STUCK}{why}"
                job = know.jobs[key]
                log.warning(
                    "%s (%s) %s; 'jobmon kill %s' takes it out",
                    key, job.jobid, know.stuck[key], key,
                )  # fmt: skip
