"""PJM, the batch system of Fujitsu's Technical Computing Suite: pjsub, pjstat, pjdel.

Written from manuals and never tried on a real one: the Job Operation Software End-user's Guide
(J2UL-2534-01ENZ0(09), March 2024; below: the Guide) and the Fugaku Users Guide 1.52. Names of items
that these leave to pjstat's own manual page (ec, pc, sn, ermsg, cmt) are those that public programs
for FX100 and Fugaku ask for. What none of them says stays unclear.

A job is looked up by its comment (``pjsub --comment``), which has no other effect than
``PJM_COMMENT`` in the job and a line of its statistics; a script with a comment of its own keeps
it, and is then not found. The job's name and folder are no token: PJM cuts the one and does not
list the other.

Nothing denies an ID: of one that it does not know pjstat prints no row, with exit code 0, and
pjdel, which does deny it, is no question. So a job is gone if it is not listed any more and the
history (``pjstat -H``) has its end. Where a site keeps no history, an end without a marker is
unclear.
A bulk job or a step job is one job under the number before ``[1]`` or ``_0``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch import ByToken, answer, clip, ids, overall
from jobmon.core.model import Answer, Cause, JobID, Phase, Reason, Verdict

_SUB = r"(?:_[0-9]+|\[[0-9,-]*\])?"
_ID = re.compile(rf"([0-9]{{1,18}}){_SUB}")
_TAKEN = re.compile(
    rf"\[INFO\] PJM 0000 pjsub Job ([0-9]{{1,18}}){_SUB} submitted\.[ \t\r]*$", re.M
)
_FAILED = re.compile(r"\[ERR\.\] PJM [0-9]{4} pjsub (.+)")
# Clear words for what will not be had as it is.
_NO = re.compile(
    r"upper limit|lower limit|not authorized|No execute permission|Cannot open the file"
    r"|Unknown option|option error|does not exist|\binvalid\b",
    re.I,
)
# Fugaku's own check before pjsub: see the Fugaku Users Guide 1.52, 5.3.1.
_SITE = re.compile(r"^Specify --no-check-\S+ option if you\b.*", re.M)
# Words of the way there and back, on which a request may have been heard all the same.
_MAYBE = re.compile(
    r"time ?out|timed out|communicat|connect|internal|system error|receiv|\bsend|service|daemon",
    re.I,
)
# A limit on how many jobs there may be (items of pjacl: Guide, 2.2.2); it passes when one ends.
_FULL = re.compile(r"\br[ug]-(?:interact-)?accept")
_COMMENT = re.compile(r"^#PJM[ \t](?:.*[ \t])?--comment(?:[=\s]|$)", re.M)
_JOB = re.compile(rf"^ *JOB ID *: *([0-9]{{1,18}}){_SUB}[ \t\r]*$", re.M)
_TOKEN = re.compile(r"^ *COMMENT *: *jobmon:(\S+)[ \t\r]*$", re.M)

_PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        **dict.fromkeys(("ACC", "QUE", "RNA"), Phase.PENDING),
        **dict.fromkeys(("RNP", "RUN", "RNE"), Phase.RUNNING),
        **dict.fromkeys(("HLD", "SPP", "SPD", "RSM"), Phase.HELD),
        **dict.fromkeys(("RNO", "EXT", "CCL", "RJT"), Phase.ENDING),
        "ERR": Phase.STUCK,
    }
)
"""The states of the Guide, table 1.10. ERR stays until somebody deletes the job."""

_ENDS = frozenset({"EXT", "CCL", "RJT"})

_CODES: Mapping[int, tuple[Cause, str]] = MappingProxyType(
    {
        1: (Cause.DELETED, "deleted by pjdel"),
        2: (Cause.NEVER_STARTED, "rejected: it breaks a rule of the site"),
        3: (Cause.NEVER_STARTED, "rejected by the site's job manager exit"),
        6: (Cause.NEVER_STARTED, "cancelled by the condition of its step job"),
        7: (Cause.DELETED, "cancelled for a deadline of the site"),
        8: (Cause.NEVER_STARTED, "cancelled by the site's job manager exit"),
        11: (Cause.TIME, "out of time (its elapse limit)"),
        12: (Cause.MEMORY, "out of memory (its limit)"),
        16: (Cause.NEVER_STARTED, "its folder or its output files could not be reached"),
        18: (Cause.DELETED, "ended after its least elapse time, for another job"),
        20: (Cause.NODE, "a node failed"),
        21: (Cause.NEVER_STARTED, "the script could not be executed"),
        22: (Cause.NODE, "the interconnect failed"),
        23: (Cause.MEMORY, "out of memory (the OOM killer)"),
        28: (Cause.NEVER_STARTED, "its job execution environment failed"),
        29: (Cause.NEVER_STARTED, "there is no such job execution environment"),
    }
)
"""Job end codes (PC) with a cause of their own: Guide, table A.1. The others are the system's."""


class Pjm(ByToken):
    """PJM by pjsub, pjstat and pjdel."""

    name = "pjm"

    def list_command(self, user: str) -> list[str]:
        """pjstat lists the jobs of whoever runs it, those that have ended left out."""
        return ["pjstat", "--choose", "jid,st"]

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        """See ``Batch``. No text at all is a whole listing, as is a header without rows."""
        found: dict[JobID, list[Phase]] = {}
        for jobid, state in _listed(listing):
            found.setdefault(jobid, []).append(_PHASES.get(state, Phase.UNKNOWN))
        return {jobid: overall(phases) for jobid, phases in found.items()}

    def submit_command(self, script: str, token: str) -> list[str]:
        """The token goes into the comment, unless the script has a comment of its own."""
        return ["pjsub"] if _COMMENT.search(script) else ["pjsub", "--comment", f"jobmon:{token}"]

    def accepted(self, code: int, text: str) -> Answer:
        failed = _FAILED.search(text)
        refusal = failed[1] if failed and _NO.search(failed[1]) else None
        if failed is None and (site := _SITE.search(text)):
            refusal = site[0]
        if refusal is not None and _MAYBE.search(refusal):
            refusal = None
        unsent = text if failed and refusal and _FULL.search(refusal) else None
        return answer("pjsub", code, text, ids(_TAKEN, text), refusal, unsent)

    def find_commands(self, user: str) -> list[list[str]]:
        return [["pjstat", "-s"], ["pjstat", "-H", "-s", "--choose", "jid,cmt"]]

    def find(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[str, JobID]:
        """See ``Batch``. The history adds what has ended, where the site keeps comments in it."""
        code, _, err = outputs[0] if outputs else (1, "", "no answer")
        if code != 0:
            raise LookFailed(f"pjstat -s ended with exit code {code}: {clip(err)}")
        found: dict[str, JobID] = {}
        texts = [out for code, out, _ in outputs if code == 0]
        for number, token in sorted(pair for out in texts for pair in _tokens(out)):
            found[token] = JobID(str(number))
        return found

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        return [
            ["pjstat", "--choose", "jid,st", jobid],
            ["pjstat", "-H", "-v", "--choose", "jid,st,ec,pc,sn,ermsg", jobid],
        ]

    def verdict(self, jobid: JobID, outputs: Sequence[tuple[int, str, str]]) -> Verdict:
        """See ``Batch``. A job in ERR is not gone, and has a reason all the same."""
        if len(outputs) != 2 or outputs[0][0] != 0:
            return Verdict(gone=False)
        (_, out, _), (code2, out2, _) = outputs
        try:
            alive = [state for job, state in _listed(out) if job == jobid and state not in _ENDS]
        except LookFailed:
            return Verdict(gone=False)
        if alive:
            stopped = Reason(Cause.NODE, "PJM stopped it for an error of its own (ERR); delete it")
            return Verdict(gone=False, reason=stopped if set(alive) == {"ERR"} else None)
        ended = [row for job, row in _rows(out2) if job == jobid] if code2 == 0 else []
        if not ended or any(row.get("ST") not in _ENDS for row in ended):
            return Verdict(gone=False)
        return Verdict(gone=True, reason=_reason(ended[-1]))

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]:
        return ["pjdel", *jobids]


def _listed(text: str) -> list[tuple[JobID, str]]:
    """IDs and states of a listing. Raises LookFailed for a text that is none, or a row cut off."""
    rows = list(_rows(text))
    if text.strip() and not _header(text):
        raise LookFailed(f"pjstat printed no whole listing; it said: {clip(text)}")
    if short := [jobid for jobid, row in rows if not re.fullmatch("[A-Z]{3}", row.get("ST", ""))]:
        raise LookFailed(f"pjstat listed job {short[0]} without a state")
    return [(jobid, row["ST"]) for jobid, row in rows]


def _header(text: str) -> re.Match[str] | None:
    return re.search(r"^JOB_ID[ \t]+ST\b.*$", text, re.M)


def _rows(text: str) -> Iterator[tuple[JobID, Mapping[str, str]]]:
    """The rows under the header, by its names; the last column may have several words."""
    header = _header(text)
    if header is None:
        return
    names = header[0].split()
    for line in text[header.end() :].split("\n"):
        words = line.split(None, len(names) - 1)
        if words and (job := _ID.fullmatch(words[0])):
            yield JobID(job[1]), dict(zip(names, (word.strip() for word in words), strict=False))


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """The jobs with a token of ours that ``pjstat -s`` shows: a job's lines begin with its ID."""
    jobs = list(_JOB.finditer(text))
    ends = [*(job.start() for job in jobs[1:]), len(text)]
    for job, end in zip(jobs, ends, strict=False):
        if token := _TOKEN.search(text, job.end(), end):
            yield int(job[1]), token[1]


def _reason(row: Mapping[str, str]) -> Reason:
    """Why a job ended, from its row of the history."""
    said = row.get("REASON", "-")
    more = "" if said in {"-", ""} else f"; PJM says: {said}"
    pc, ec, sn = (_number(row.get(name, "")) for name in ("PC", "EC", "SN"))
    if pc in _CODES:
        cause, words = _CODES[pc]
        return Reason(cause, clip(f"{words}{more}"))
    if pc > 0:
        return Reason(Cause.NODE, clip(f"ended by PJM itself (job end code {pc}){more}"))
    if row["ST"] == "CCL":
        return Reason(Cause.DELETED, clip(f"cancelled{more}"))
    if row["ST"] == "RJT":
        return Reason(Cause.NEVER_STARTED, clip(f"rejected{more}"))
    if sn > 0:
        return Reason(Cause.EXIT, clip(f"killed by signal {sn}{more}"))
    none = "ended with exit code 0 but wrote no marker"
    return Reason(Cause.EXIT, clip((f"exit code {ec}" if ec > 0 else none) + more))


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
