"""PBS: OpenPBS, PBS Pro and Torque by qstat, qsub, qdel, qselect; what OpenPBS 23.06 printed is in
``tests/goldens/pbs``. The other texts are those of the Altair PBS Professional User's and Reference
Guides and of the sources of OpenPBS and Torque 6.

No option of qsub is harmless enough for a token (the user's ``-N``, ``-v`` and outputs are his, and
``-W`` differs between the dialects), so qsub gets none. A job is known by where it was submitted
(``PBS_O_WORKDIR``) and by the script that ends its arguments; who may adopt it by that,
``cluster/lookup.py`` argues. ``qstat -f`` without IDs shows everybody's jobs and is never asked.

The listing's column of IDs is narrow: OpenPBS puts ``*`` at the end of what it cuts, old Torques
put nothing. An ID that fills its column counts as cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch import answer, clip, ids, overall
from jobmon.cluster.batch.pbs_end import ENDED, ID, Told, phase_of, reason, same, shown
from jobmon.core.model import Accepted, Answer, JobID, NotRun, Phase, Verdict

# A bare number may be anything that a login shell prints.
_TAKEN = re.compile(r"^([0-9]{1,18}(?:\[\])?\.[A-Za-z0-9][A-Za-z0-9._-]*)[ \t\r]*$", re.M)
_SAID = re.compile(r"^qsub: *(?:submit error \()?(.+)", re.M)
# The words of the server, or of qsub before it asks, for what will not be had as it is.
_NO = re.compile(
    r"unknown queue|unknown resource|unknown node|resource limits|illegal|invalid|not allowed"
    r"|access to queue|queue is not enabled|unauthorized request|bad [UG]ID|too long|rejected"
    r"|undefined attribute|cannot set attribute|cannot be used|cannot have|no default queue"
    r"|exceeds? |size limit|not a file|cannot access script|unable to open|directive error"
    r"|mutually exclusive|script file|specification|incompatible|usage:",
    re.I,
)
_HOOK = 15136 & 0xFF  # PBSE_HOOKERROR: a site's own hook says no, in words of its own
# Words of the way there and back, on which a request may have been heard all the same.
_MAYBE = re.compile(
    r"protocol|timed? ?out|end of file|premature|internal error|system error|\brecv\b|receiv"
    r"|background qsub|credential|communication|connection",
    re.I,
)
# Nothing left this command, or the server said that it takes nothing from anybody now. A limit on
# how much is queued passes when something ends.
_UNSENT = re.compile(
    r"qsub: cannot connect to server|Server shutting down"
    r"|Maximum number of jobs\b.* already in|would exceed .*\blimit\b"
)
_DENIED = re.compile(rf"^qstat: Unknown Job Id(?: Error)? +({ID})[ \t]*$", re.M)
_OVER = re.compile(rf"^qstat: ({ID}) Job has finished\b", re.M)
_ROW = re.compile(rf"({ID}|[0-9][][A-Za-z0-9._-]*\*) +\S.* (\S) +[0-9:-]+ *")
_LINE = re.compile(r"-+(?: +-+){5,} *")
_CHUNK = 100  # IDs of one command


class Pbs:
    """OpenPBS and PBS Pro; Torque where it differs."""

    name = "pbs"

    def list_command(self, user: str) -> list[str]:
        return ["qstat", "-u", user]

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        """See ``Batch``. An empty text is a whole listing: qstat prints nothing for no jobs.

        What stands above the line of dashes (the server and its comment, a banner) is passed over;
        below it only rows may stand, and the last one must have an end of line.
        """
        if not listing.strip():
            return {}
        lines = listing.split("\n")
        at = next((i for i, line in enumerate(lines) if _LINE.fullmatch(line.rstrip("\r"))), None)
        if at is None or lines[-1]:
            raise LookFailed(f"qstat printed no whole listing; it said: {clip(listing)}")
        width = len(lines[at].split()[0])
        found: dict[JobID, list[Phase]] = {}
        for line in lines[at + 1 :]:
            row = _ROW.fullmatch(line.rstrip("\r"))
            if row is not None:
                jobid = row[1] if len(row[1]) < width else f"{row[1].rstrip('*')}*"
                found.setdefault(JobID(jobid), []).append(phase_of(row[2]))
            elif line.strip():
                raise LookFailed(f"qstat printed a line that is no row of a listing: {clip(line)}")
        return {jobid: overall(phases) for jobid, phases in found.items()}

    def submit_command(self, script: str, token: str) -> list[str]:
        """Nothing but qsub, which is run in the job folder: that is what tells whose job it is."""
        return ["qsub"]

    def accepted(self, code: int, text: str) -> Answer:
        said = "; ".join(line.strip() for line in _SAID.findall(text)) or text
        refusal = None
        if not _MAYBE.search(said) and (_NO.search(said) or (code == _HOOK and said != text)):
            refusal = re.sub(r" MSG=.*|\)\Z", "", said)
        # A line that a killed qsub did not get to finish may hold half an ID.
        whole = text if code == 0 else text[: text.rfind("\n") + 1]
        heard = answer("qsub", code, text, ids(_TAKEN, whole), refusal, None)
        if code != 0 and not isinstance(heard, Accepted) and _UNSENT.search(text):
            return NotRun(clip(said))
        return heard

    def find_commands(self, user: str) -> list[list[str]]:
        """Who is there, and who was: the second needs a history, which Torque never has."""
        return [self.list_command(user), ["qselect", "-x", "-u", user]]

    def find(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[str, JobID]:
        """See ``Batch``. No job has a token: see ``places``."""
        self._shown(outputs)
        return {}

    def place_commands(
        self, outputs: Sequence[tuple[int, str, str]], known: Set[JobID]
    ) -> list[list[str]]:
        """See ``Batch``. One that was cut is asked for by its number, at the default server that
        listed it."""
        there = self._shown(outputs)
        numbers = {_number(one) for one in known}
        here = [
            _number(one) if one.endswith("*") else one
            for one in there
            if (_number(one) not in numbers if one.endswith("*") else one not in known)
        ]
        code, out, _ = outputs[1] if len(outputs) > 1 else (1, "", "")
        lines = (line.strip() for line in out.split("\n") if code == 0)
        listed = {_number(one) for one in there}
        past = [
            line
            for line in lines
            if re.fullmatch(ID, line) and line not in known and _number(line) not in listed
        ]
        return [
            [*command, *some[first : first + _CHUNK]]
            for command, some in ((["qstat", "-f"], here), (["qstat", "-x", "-f"], past))
            for first in range(0, len(some), _CHUNK)
        ]

    def places(
        self, asked: Sequence[Sequence[str]], outputs: Sequence[tuple[int, str, str]]
    ) -> Mapping[JobID, str]:
        """See ``Batch``. Each job that was asked about must be shown or denied.

        One that is denied has no place any more. Of one that has ended meanwhile the history will
        tell: until then nobody's place is told, since what is left may look like the only one.
        """
        found: dict[JobID, str] = {}
        over = False
        for command, (code, out, err) in zip(asked, outputs, strict=False):
            rows = shown(out)
            denied = [*_DENIED.findall(err), *_OVER.findall(err)] if code != 0 else []
            heard = [*rows, *denied]
            if (out.strip() and not out.endswith("\n\n")) or not all(
                any(same(one, other) for other in heard) for one in _named(command)
            ):
                raise LookFailed(f"qstat -f ended with exit code {code}: {clip(err or out[-200:])}")
            over = over or bool(_OVER.search(err))
            found |= {jobid: told.script for jobid, told in rows.items() if told.script}
        return {} if over else found

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        return [["qstat", "-f", jobid], ["qstat", "-x", "-f", jobid]]

    def verdict(self, jobid: JobID, outputs: Sequence[tuple[int, str, str]]) -> Verdict:
        """See ``Batch``. Gone is what the server denies by its ID, or calls finished.

        Any row of it in another state outweighs that: a job that was moved to another server is
        denied by this one while that one does not answer, and stands in the history as moved.
        """
        if len(outputs) != 2:
            return Verdict(gone=False)
        rows: list[Told] = []
        for code, out, _ in outputs:
            if code == 0:
                rows += [told for one, told in shown(out).items() if same(one, jobid)]
        if any(row.state not in ENDED for row in rows):
            return Verdict(gone=False)
        if rows:
            return Verdict(gone=True, reason=reason(rows[-1]))
        code, _, err = outputs[0]
        denied = [*_DENIED.findall(err), *_OVER.findall(err)] if code != 0 else []
        return Verdict(gone=any(same(one, jobid) for one in denied))

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]:
        return ["qdel", *jobids]

    def _shown(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[JobID, Phase]:
        """The listing among the outputs of ``find_commands``. Raises LookFailed."""
        code, out, err = outputs[0] if outputs else (1, "", "no answer")
        if code != 0:
            raise LookFailed(f"qstat ended with exit code {code}: {clip(err)}")
        return self.parse(out)


def _named(command: Sequence[str]) -> list[str]:
    """The IDs that a command asks about: what stands behind its last option."""
    last = max((i for i, word in enumerate(command) if word == "-f"), default=-1)
    return list(command[last + 1 :])


def _number(jobid: str) -> str:
    """The ID without its server, which may be cut: what the default server calls the job."""
    return jobid.partition(".")[0].rstrip("*")
