"""Grid Engine: qstat, qsub, qdel, qacct; what 8.1.9 printed is in ``tests/goldens/sge``.

Only ``qstat -j`` can deny an ID: qacct also has records of jobs that are still in the system (a
start that failed and waits as Eqw), and is late for those that left. An array is one job under
its number. An XML text that declares entities is not read: qstat's never does.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch import ByToken, answer, clip, ids, overall
from jobmon.cluster.batch.sge_end import reason
from jobmon.core.model import Answer, Cause, JobID, Phase, Reason, Verdict

_TAKEN = re.compile(
    r'Your (?:job ([0-9]+) |job-array ([0-9]+)\.[^ \n]+ )\(".*"\) has been submitted[ \t\r]*$', re.M
)
_NO = re.compile(
    r"(?:Unable to run job: |Unable to read script file|qsub: (?:invalid|unknown) |denied: )"
    r"(?:.|\n)*",
    re.I,
)
# Words of the way there and back, on which a request may have been heard all the same.
_MAYBE = re.compile(
    r"commlib|qmaster|answer list|time ?out|gdi request|send message|receiv|contact", re.I
)
# Nothing left this command: nobody listens there, or it does not know where to ask.
_UNSENT = re.compile(
    r"select error \(Connection refused\)|Unable to initialize environment"
    r"|Please set the environment variable SGE_"
)
_FOLDER = re.compile(r"^#\$(?:.*[ \t])?-(?:cwd|wd)(?:\s|$)", re.M)

_DENIED = re.compile(r"^Following jobs do not exist[^:\n]*:((?:\s+[^\s:]+)+)\s*\Z", re.M)
_BLOCK = re.compile(r"^={20,}$", re.M)
_NUMBER = re.compile(r"^job_number: +([0-9]{1,18})\s*$", re.M)
_CONTEXT = re.compile(r"^context: +(.*)$", re.M)
_TOKEN = re.compile(r"(?:^|,)jobmon=([^,\s]+)")
_ERROR = re.compile(r"^error reason +[0-9]+: +(?:[0-9/]+ [0-9:]+ \[[0-9:]+\]: )?(.+)$", re.M)


class GridEngine(ByToken):
    """Grid Engine (Son of Grid Engine 8.1.9 and its kin)."""

    name = "sge"

    def list_command(self, user: str) -> list[str]:
        return ["qstat", "-u", user, "-xml"]

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        """See ``Batch``. Noise around the document is passed over.

        No text at all is no listing here: of no jobs qstat prints a document with empty lists.
        """
        found: dict[JobID, list[Phase]] = {}
        for row in _document(listing).iter("job_list"):
            number = (row.findtext("JB_job_number") or "").strip()
            if not re.fullmatch("[0-9]+", number):
                raise LookFailed(f"qstat listed a job without a number: '{clip(number)}'")
            state = (row.findtext("state") or "").strip()
            found.setdefault(JobID(number), []).append(_phase(state))
        return {jobid: overall(phases) for jobid, phases in found.items()}

    def submit_command(self, script: str, token: str) -> list[str]:
        """The token goes into the job's context, beside what the script itself puts there.

        A job starts in the home folder unless ``-cwd`` or ``-wd`` is given. A script that says
        neither is run in its own folder, as Slurm would: that is where its marker belongs.
        """
        where = [] if _FOLDER.search(script) else ["-cwd"]
        return ["qsub", "-ac", f"jobmon={token}", *where]

    def accepted(self, code: int, text: str) -> Answer:
        no = _NO.search(text)
        refusal = None
        if no is not None and not _MAYBE.search(no[0]):
            refusal = re.sub(r"^Unable to run job: |\s*Exiting\.\s*\Z", "", no[0])
        unsent = text if _UNSENT.search(text) else None
        return answer("qsub", code, text, ids(_TAKEN, text), refusal, unsent)

    def find_commands(self, user: str) -> list[list[str]]:
        """All jobs of all users: ``-j`` heeds no ``-u``. The accounting keeps no context."""
        return [["qstat", "-j", "*"]]

    def find(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[str, JobID]:
        code, out, err = outputs[0] if outputs else (1, "", "no answer")
        if code != 0 and not _denies("*", out, err):
            raise LookFailed(f"qstat -j ended with exit code {code}: {clip(err)}")
        found: dict[str, JobID] = {}
        for jobid, block in sorted(_blocks(out)):
            context = _CONTEXT.search(block)
            token = _TOKEN.search(context[1]) if context else None
            if token is not None:
                found[token[1]] = JobID(str(jobid))
        return found

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        return [["qstat", "-j", jobid], ["qacct", "-j", jobid]]

    def verdict(self, jobid: JobID, outputs: Sequence[tuple[int, str, str]]) -> Verdict:
        """See ``Batch``. A job in Eqw is not gone, and has a reason all the same.

        Gone is what qstat denies by its number. The reason is None while the accounting has no
        record: it comes up to 15 s late, and never for a job deleted before it started.
        """
        if len(outputs) != 2:
            return Verdict(gone=False)
        (code, out, err), (code2, out2, _) = outputs
        if code == 0:
            here = (text for number, text in _blocks(out) if str(number) == jobid)
            return Verdict(gone=False, reason=_never("".join(here)))
        if not _denies(jobid, out, err):
            return Verdict(gone=False)
        return Verdict(gone=True, reason=reason(jobid, out2) if code2 == 0 else None)

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]:
        return ["qdel", *jobids]


def _document(listing: str) -> ET.Element:
    """The ``job_info`` document in ``listing``. Raises LookFailed if there is none, whole."""
    if re.search("<!(?:DOCTYPE|ENTITY)", listing, re.I):
        raise LookFailed(f"qstat printed XML with declarations, not read: {clip(listing)}")
    start = re.search(r"<job_info\b", listing)
    end = listing.rfind("</job_info>")
    text = listing[start.start() : end + len("</job_info>")] if start and end > 0 else ""
    # A job's name may hold what XML does not allow; it is not asked for.
    text = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
    try:
        return ET.fromstring(text)  # noqa: S314 (no declarations: nothing can be expanded)
    except ET.ParseError:
        said = clip(listing) or "nothing"
        raise LookFailed(f"qstat printed no whole XML listing; it said: {said}") from None


def _phase(state: str) -> Phase:
    """The phase of a state such as ``qw``, ``hqw``, ``Eqw``, ``dr``: a letter is a fact each."""
    letters = set(state)
    if not letters or letters - set("dErthRqwsSTNPz"):
        return Phase.UNKNOWN
    order = (("dz", Phase.ENDING), ("E", Phase.STUCK), ("sSTNP", Phase.HELD))
    for any_of, phase in order:
        if letters & set(any_of):
            return phase
    if letters & set("rt"):
        return Phase.RUNNING
    return Phase.HELD if "h" in letters else Phase.PENDING


def _denies(jobid: str, out: str, err: str) -> bool:
    """Whether qstat says of this very ID that there is no such job."""
    said = _DENIED.search(err) or _DENIED.search(out)
    return said is not None and jobid in said[1].split()


def _blocks(text: str) -> list[tuple[int, str]]:
    """The jobs that ``qstat -j`` shows, with their text."""
    parts = _BLOCK.split(text)[1:]
    return [(int(number[1]), part) for part in parts if (number := _NUMBER.search(part))]


def _never(text: str) -> Reason | None:
    """Why a job of which ``qstat -j`` gives this text waits in an error state, if it does."""
    error = _ERROR.search(text)
    return Reason(Cause.NEVER_STARTED, clip(error[1])) if error else None
