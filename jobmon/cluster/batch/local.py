"""The local queue as a batch system: what its answers mean (see ``jobmon.localqueue``).

Every command names the state folder, so that it does not hang on the environment it is run in.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping, Sequence

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch import ByToken
from jobmon.core.model import (
    Accepted,
    Answer,
    Cause,
    JobID,
    NotRun,
    Phase,
    Reason,
    Refused,
    Unclear,
    Verdict,
)
from jobmon.core.text import printable
from jobmon.localqueue.place import program, state_folder

_HEAD = "jobmon local queue: {} ".format
_ACCEPTED = re.compile(
    r'^Your job ([0-9]+) \(".*"\) has been accepted by the local queue of jobmon$', re.M
)
_REFUSED = re.compile(r"^jobmon localqueue: refused: (.+)$", re.M)
_NOT_DONE = re.compile(r"^jobmon localqueue: not done: (.+)$", re.M)


class Local(ByToken):
    """The local queue of this user on this machine, as ``environ`` says where it is."""

    name = "local"

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._call = [*program(), "--state", str(state_folder(environ))]
        if cores := environ.get("JOBMON_LOCALQUEUE_CORES"):
            self._call += ["--cores", cores]

    def list_command(self, user: str) -> list[str]:
        return [*self._call, "list"]

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        phases = {"pending": Phase.PENDING, "running": Phase.RUNNING}
        rows = _rows("jobs", r"([0-9]+)\|([a-z]+)\|.*", listing)
        return {JobID(job): phases.get(state, Phase.UNKNOWN) for job, state in rows}

    def submit_command(self, script: str, token: str) -> list[str]:
        return [*self._call, "submit", "--token", token, "--"]

    def accepted(self, code: int, text: str) -> Answer:
        # The ID is only printed when the job is in the queue, whatever comes after.
        if taken := _ACCEPTED.findall(text):
            return Accepted(JobID(taken[-1]))
        if code == 1 and (no := _REFUSED.search(text)):
            return Refused(no[1])
        if code == 2 and (no := _NOT_DONE.search(text)):
            return NotRun(no[1])
        if code in (126, 127):  # the shell's own words: there is no such program
            return NotRun(printable(text) or f"the local queue could not be called (exit {code})")
        return Unclear(printable(text) or f"exit {code} without a word")

    def find_commands(self, user: str) -> list[list[str]]:
        return [[*self._call, "find"]]

    def find(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[str, JobID]:
        (_, out, err) = outputs[0]
        rows = _rows("tokens", r"([0-9]+)\|(.+)", out, err)
        return {token: JobID(job) for job, token in rows}

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        return [[*self._call, "show", jobid]]

    def verdict(self, jobid: JobID, outputs: Sequence[tuple[int, str, str]]) -> Verdict:
        code, out, _ = outputs[0]
        try:
            rows = _rows("show", r"(job|unknown) ([0-9]+)(?: (.*))?", out)
        except LookFailed:
            return Verdict(gone=False)
        for kind, job, words in rows:
            if job == jobid and kind == "unknown" and code == 1:
                forgotten = Reason(Cause.FORGOTTEN, f"the local queue knows no job {job}")
                return Verdict(gone=True, reason=forgotten)
            if job == jobid and kind == "job" and code == 0 and words.startswith("ended "):
                return Verdict(gone=True, reason=_reason(words.removeprefix("ended ")))
        return Verdict(gone=False)

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]:
        return [*self._call, "delete", *jobids]


def _rows(what: str, pattern: str, text: str, err: str = "") -> list[tuple[str, ...]]:
    """The entries of a whole answer, without noise around it. Raises LookFailed."""
    lines = text.split("\n")
    heads = [i for i, line in enumerate(lines) if (line + " ").startswith(_HEAD(what))]
    if heads:
        rows = []
        for line in lines[heads[0] + 1 :]:
            if match := re.fullmatch(pattern, line):
                rows.append(match.groups(""))
            elif line == f"end {len(rows)}":
                return rows
    said = printable(f"{text[-200:]} {err[-200:]}")
    raise LookFailed(f"the local queue gave no whole answer; it said: {said or 'nothing'}")


def _reason(how: str) -> Reason:
    """Why a job ended, from the record's own words."""
    word, _, rest = how.partition(" ")
    if word == "exit":
        if rest == "0":
            return Reason(Cause.EXIT, "ended with exit code 0 but wrote no marker")
        return Reason(Cause.EXIT, f"exit code {rest}")
    if word == "signal":
        names = {str(int(s)): s.name for s in signal.Signals}
        name = names.get(rest)
        return Reason(Cause.EXIT, f"killed by signal {rest}" + (f" ({name})" if name else ""))
    if word == "deleted":
        return Reason(Cause.DELETED, "deleted from the local queue")
    if word == "unstarted":
        return Reason(Cause.NEVER_STARTED, f"it could not be started: {rest}")
    return Reason(Cause.NODE, "the machine went down, or the job's processes were killed")
