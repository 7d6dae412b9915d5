"""What came of a storm, by the batch system's own records and the jobs' own lines, not jobmon's.

A submission is a job number in Slurm's or Grid Engine's accounting, or in a script's own line.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from conftest import TestCluster
from session import agree, status

from chaos.rounds import ChaosJob, Round
from jobmon.cluster.ledger import record_name
from jobmon.core.model import Attempt, Event, Key, Kind
from jobmon.run import journal

ACCOUNTING = "/var/lib/gridengine/default/common/accounting"


@dataclass(frozen=True, slots=True)
class Submission:
    """One job of the batch system: when it came and went (seconds of its clock), and how."""

    jobid: str
    name: str
    submitted: float
    ended: float  # 0: not ended
    died: bool


@dataclass(slots=True)
class Verdict:
    """What was found. ``problems`` are lines for a person; any of them is a broken promise."""

    jobs: int = 0
    submissions: int = 0
    double: int = 0
    lost: int = 0
    unclear: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def submissions(cluster: TestCluster, scheduler: str, tag: str, user: str) -> list[Submission]:
    """All that the batch system has ever had whose name begins with ``tag``."""
    if scheduler == "sge":
        out = cluster.run("sge", f"cat {ACCOUNTING}").stdout
        rows = [line.split(":") for line in out.splitlines() if f":{tag}" in line]
        return [_sge(row) for row in rows if row[3] == user and row[4].startswith(tag)]
    fields = "JobID,JobName,Submit,End,State,ExitCode"
    command = f"SLURM_TIME_FORMAT=%s sacct -X -n -P -u {user} -S now-1days -o {fields}"
    out = cluster.run("hpc", command).stdout
    rows = [line.split("|") for line in out.splitlines()]
    return [_slurm(row) for row in rows if row[1].startswith(tag)]


def _sge(row: Sequence[str]) -> Submission:
    died = row[11] != "0" or row[12] != "0"
    return Submission(row[5], row[4], float(row[8]), float(row[10]), died)


def _slurm(row: Sequence[str]) -> Submission:
    jobid, name, submitted, ended, state, _ = row
    over = state.split(" ")[0] not in {"PENDING", "RUNNING", "COMPLETING", "SUSPENDED"}
    end = float(ended) if over and ended.isdigit() else 0.0
    return Submission(jobid, name, float(submitted), end, over and state != "COMPLETED")


def alive(cluster: TestCluster, scheduler: str, tag: str, user: str) -> set[str]:
    """The numbers of the jobs so named that the batch system lists now."""
    if scheduler == "sge":
        out = cluster.run("sge", f"qstat -u {user} -xml").stdout
        rows = re.findall(r"<JB_job_number>(\d+)<.*?<JB_name>(.*?)<", out, re.DOTALL)
    else:
        out = cluster.run("hpc", f"squeue -h -u {user} -o '%F %j'").stdout
        rows = re.findall(r"^(\d+) (.*)$", out, re.MULTILINE)
    return {jobid for jobid, name in rows if name.startswith(tag)}


def judge(rounds: Iterable[Round], found: Sequence[Submission], home: Path) -> Verdict:
    """Hold each round's files, and what jobmon says of them, against the records."""
    verdict = Verdict()
    by_name: Mapping[str, list[Submission]] = defaultdict(list)
    for submission in sorted(found, key=lambda s: (s.submitted, int(s.jobid))):
        by_name[submission.name].append(submission)
    for each in rounds:
        _Judge(each, home / each.rdir / each.run.name, verdict).all(by_name)
    return verdict


class _Judge:
    def __init__(self, each: Round, twin: Path, verdict: Verdict) -> None:
        self._round = each
        self._twin = twin
        self._verdict = verdict
        self._doubtful: set[str] = set()  # folders of chains with an unclear job
        self._events: Mapping[str, list[Event]] = defaultdict(list)
        for event in journal.read(each.run / "qsub.log"):
            self._events[event.key].append(event)

    def all(self, by_name: Mapping[str, list[Submission]]) -> None:
        states = status(self._round.run)["state"]
        try:
            agree(self._round.run)
        except AssertionError as error:
            self._problem("run", f"journal, quelist and qsub.now differ: {error}")
        if "Traceback" in self._round.out.read_text("utf-8", "replace"):
            self._problem("run", f"a traceback in {self._round.out}")
        for key in states.keys() - self._round.jobs.keys():
            self._problem(key, "a job that nobody made")
        for job in self._round.jobs.values():
            self._verdict.jobs += 1
            self._job(job, states.get(job.key, "unknown"), by_name.get(job.name, []))

    def _problem(self, key: str, words: str) -> None:
        self._verdict.problems.append(f"{self._round.project.name} {key}: {words}")

    def _job(self, job: ChaosJob, state: str, found: list[Submission]) -> None:
        lines = self._lines(job)
        started = [jobid for what, jobid in lines if what == "start"]
        ids = dict.fromkeys([*(s.jobid for s in found), *started])
        self._verdict.submissions += len(ids)
        self._double(job, found, list(ids))
        if any(what == "unmet" for what, _ in lines):
            self._problem(job.key, "it started before what it waits for was there")
        known = {event.jobid for event in self._events[job.key] if event.jobid}
        if (known or self._answered(job)) and (strange := set(ids) - known):
            self._verdict.lost += 1
            self._problem(job.key, f"{', '.join(sorted(strange))} of it is not in the journal")
        marker = (self._twin / job.key).with_name(
            job.key.rpartition("/")[2].replace(".", ".finished.")
        )
        self._state(job, state, found, marker.exists(), bool(started))

    def _lines(self, job: ChaosJob) -> list[tuple[str, str]]:
        """What the job wrote: ``start``, ``unmet``, ``end``, each with its number."""
        name = job.key.rpartition("/")[2].replace("qsub.", "started.")
        path = (self._twin / job.key).with_name(name)
        text = path.read_text() if path.exists() else ""
        return [(line.split(" ")[0], line.split(" ")[1]) for line in text.splitlines()]

    def _double(self, job: ChaosJob, found: list[Submission], ids: list[str]) -> None:
        """Only what died may be followed by another, and only when it is gone; and of no attempt
        may the journal say that it was never submitted, where it was."""
        kinds = [event.kind for event in self._events[job.key]]
        may = kinds.count(Kind.SUBMITTING) - kinds.count(Kind.UNSUBMITTED)
        twice = len(ids) > may
        for before, after in pairwise(found):
            twice |= not before.died or not before.ended or before.ended > after.submitted
        if twice:
            self._verdict.double += 1
            words = f"on record {len(ids)} times, by the journal {may} times: {', '.join(ids)}"
            self._problem(job.key, words)

    def _state(
        self, job: ChaosJob, state: str, found: list[Submission], marker: bool, ran: bool
    ) -> None:
        failed = sum(1 for event in self._events[job.key] if event.kind == Kind.FAILED)
        if failed > sum(s.died for s in found):
            self._problem(
                job.key, f"called failed {failed} times, without so many deaths on record"
            )
        if state == "unclear":
            self._unclear(job, found)
        elif state == "finished":
            if not marker or not ran:
                self._problem(job.key, "finished, without a marker or a start")
        elif state == "failed":
            if marker:
                self._problem(job.key, "failed, and its marker is there")
        elif state == "blocked":
            if found or ran:
                self._problem(job.key, "blocked, but it ran")
        elif not self._behind_unclear(job, state):
            self._verdict.lost += 1
            self._problem(job.key, f"forgotten: it is '{state}', and nothing goes on")
        if state not in {job.end, "unclear"} and not self._behind_unclear(job, state):
            self._problem(job.key, f"'{state}', but it must end {job.end}: {self._why(job)}")

    def _behind_unclear(self, job: ChaosJob, state: str) -> bool:
        return state in {"waiting", "blocked"} and job.key.rpartition("/")[0] in self._doubtful

    def _unclear(self, job: ChaosJob, found: list[Submission]) -> None:
        """It is true if the remote record holds no whole answer that the job was accepted."""
        ids = ", ".join(s.jobid for s in found) or "none"
        self._doubtful.add(job.key.rpartition("/")[0])
        self._verdict.unclear.append(f"{job.key} (in the records: {ids}): {self._why(job)}")
        if answer := self._answered(job):
            self._problem(job.key, f"unclear, but its record has the answer: {answer}")

    def _answered(self, job: ChaosJob) -> str:
        """What the remote record of its last attempt says of a submission that was accepted."""
        n = max((event.n for event in self._events[job.key]), default=0)
        path = self._twin / ".jobmon" / "record" / record_name(Attempt(Key(job.key), n))
        record = path.read_text("utf-8", "replace") if path.exists() else ""
        taken = re.search(r"^ran 0\n(?:.*\n)*?((?:Submitted batch job|Your job) \d+)", record, re.M)
        return taken[1] if taken else ""

    def _why(self, job: ChaosJob) -> str:
        events = self._events[job.key]
        return events[-1].notes.get("reason", str(events[-1].kind)) if events else "no event"
