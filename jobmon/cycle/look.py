"""Steps 2 and 3: one look at the cluster, and what it proves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from jobmon.cluster.base import ClusterError
from jobmon.cluster.cluster import Cluster, Gone
from jobmon.core import settle
from jobmon.core.life import Job
from jobmon.core.model import Attempt, Event, Key, Kind, Life, Phase, Seen, Unclear, Verdict
from jobmon.cycle.answers import take_answer
from jobmon.cycle.state import Know, job_folder
from jobmon.run import names

log = logging.getLogger(__name__)

SLICE = 2000
"""How many files are asked for in a cycle beside those where something can have happened."""

AT_ONCE = 50
"""How many jobs' fates are asked in one cycle."""

UNHEARD = 90.0
"""Seconds after which an attempt whose answer is nowhere to be found is called unclear: longer
than a submitting loop may live."""


class Looker:
    """Looks, and remembers whose turn it is of the files that are looked at in turn."""

    def __init__(self, know: Know, cluster: Cluster) -> None:
        self._know = know
        self._cluster = cluster
        self._turn: Iterator[str] = iter(())
        self._asked: dict[Key, float] = {}  # when a job's fate was last asked for

    def look(self, *, whole: bool = False) -> Seen:
        """Recover what was not heard, look, and journal what is proven. Raises ClusterError."""
        know = self._know
        self._recover()
        asked = set(self._wanted(whole))
        changed = [path for files in know.changed.values() for path in files]
        changed.sort(key=know.conflicts.__contains__)  # those that stand come last
        seen = self._cluster.look(asked, changed[:SLICE])
        flipped = (asked & know.present) ^ seen.files
        know.present = (know.present - asked) | seen.files
        know.renewed |= know.index.asking(flipped)
        self._settle(seen)
        leaving = (know.past | know.leaving).items()
        know.leaving = {jobid: key for jobid, key in leaving if jobid in seen.queue}
        know.past = {}
        return seen

    def _wanted(self, whole: bool) -> Iterator[str]:
        know = self._know
        yield from (names.marker(key) for key in know.in_system)
        if whole:
            yield from self._everything()
            return
        hot = {job_folder(key) for key in know.in_system} | know.unpulled
        yield from (p for p in know.index.paths() if p.rpartition("/")[0] in hot)
        taken = list(islice(self._turn, SLICE))
        if len(taken) < SLICE:
            self._turn = iter(list(self._everything()))
            taken += islice(self._turn, SLICE - len(taken))
        yield from taken

    def _everything(self) -> Iterator[str]:
        know = self._know
        yield from know.index.paths()
        yield from (names.marker(k) for k, j in know.jobs.items() if j.life != Life.FINISHED)

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
        answers = self._cluster.recover(lost)
        for attempt in lost:
            answer = answers.get(attempt, Unclear("no answer was recorded"))
            since = know.unheard.setdefault(attempt.key, now)
            if not isinstance(answer, Unclear):
                take_answer(know, attempt, answer)
            elif know.jobs[attempt.key].life == Life.SUBMITTING and now - since >= UNHEARD:
                event = Event(
                    know.clock.wall(), Kind.UNCLEAR, attempt.key, attempt.n,
                    notes={"reason": answer.words},
                )  # fmt: skip
                know.record([event])

    def _settle(self, seen: Seen) -> None:
        know = self._know
        now = know.clock.now()
        ours = [know.jobs[key] for key in know.in_system]
        know.doubts = settle.suspect(ours, seen, names.marker, know.doubts, now)
        ripe = settle.ripe(know.doubts, know.killing, know.settings.grace, now)
        lost = [j.key for j in ours if j.life == Life.UNCLEAR and j.jobid not in seen.queue]
        due = sorted([*ripe, *lost], key=lambda key: self._asked.get(key, 0.0))[:AT_ONCE]
        self._asked = {key: self._asked.get(key, 0.0) for key in know.in_system}
        self._asked.update(dict.fromkeys(due, now))
        verdicts = self._confirm(due)
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
                know.clock.wall(),
                now,
            )
        )
        self._stuck(ours, seen)

    def _confirm(self, keys: Iterable[Key]) -> dict[Key, Verdict]:
        gone = []
        for key in keys:
            jobid = self._know.jobs[key].jobid
            if jobid is not None:
                ends = (f".e{jobid}", f"-{jobid}.out", f".o{jobid}")
                gone.append(Gone(key, jobid, names.marker(key), ends))
        if not gone:
            return {}
        try:
            return self._cluster.confirm(gone)
        except ClusterError as error:
            log.info("asking for ended jobs failed, they are asked for again: %s", error)
            return {}

    def _stuck(self, jobs: Iterable[Job], seen: Seen) -> None:
        know = self._know
        for job in jobs:
            if job.jobid is None or seen.queue.get(job.jobid) != Phase.STUCK:
                know.stuck.pop(job.key, None)
            elif job.key not in know.stuck:
                know.stuck[job.key] = "will never start by itself; 'jobmon kill' takes it out"
                log.warning(
                    "%s (%s) will never start by itself; 'jobmon kill %s' takes it out",
                    job.key, job.jobid, job.key,
                )  # fmt: skip
