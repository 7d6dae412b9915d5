"""Slurm: its own commands, 20.11 and later; what 22.05 printed is in ``tests/goldens/slurm``.

squeue and scontrol speak for the controller, which alone knows who is alive; sacct adds why a
job ended, and is never needed. An array is one job under the ID that sbatch named. Formats end
in a word of our own, so that half a line cannot pass for a whole one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch import ByToken, answer, clip, ids, overall
from jobmon.cluster.batch.slurm_end import (
    FIELDS,
    FORMAT,
    accounted,
    listed,
    never,
    phase_of,
    reason,
    shown,
)
from jobmon.core.model import Answer, JobID, Phase, Verdict

_TAKEN = re.compile(r"Submitted batch job ([0-9]+)(?: on cluster \S+)?[ \t\r]*$", re.M)
_FAILED = re.compile(r"sbatch: error: Batch job submission failed: *(.+)")
# The words of the controller for a request that it read and will not have.
_NO = re.compile(
    r"\binvalid\b|not permitted|than permitted|not available|violates|exceeds|denied|not allowed"
    r"|\brequired\b|too long|not supported|\bdisabled\b|dependency problem|partition not set"
    r"|nodes not in this partition|empty or missing|quota",
    re.I,
)
# Words of the way there and back, on which a request may have been heard all the same.
_MAYBE = re.compile(
    r"authentication|credential|protocol|version|\brpc\b|communication|timed out", re.I
)
_NO_LOCAL = re.compile(
    r"sbatch: (?:error: |fatal: )?(?:Unable to open file|This does not look like a batch script"
    r"|Batch script is empty|Batch script contains|unrecognized option|invalid option"
    r"|option .* requires an argument|option .* is ambiguous"
    r"|Invalid .*(?:specification|argument|value))",
    re.I,
)
# Nothing left this command: no connection, or no seal to send a request under.
_UNSENT = re.compile(
    r"\(connect failure\)|auth_g_create: REQUEST_SUBMIT_BATCH_JOB|g_slurm_auth_create:"
    r"|Unable to process configuration file|backup controller in standby"
)
_UNKNOWN_ID = re.compile(r"^slurm_load_jobs error: Invalid job id specified\s*$", re.M)
_COMMENT = re.compile(r"^#SBATCH[ \t](?:.*[ \t])?--com(?:m(?:e(?:n(?:t)?)?)?)?(?:[=\s]|$)", re.M)
_TOKEN = re.compile(r"\bjobmon:([^\s,|;'\"]+)")


class Slurm(ByToken):
    """Slurm by squeue, sbatch, scancel, scontrol and sacct."""

    name = "slurm"

    def list_command(self, user: str) -> list[str]:
        return ["squeue", "--noheader", f"--user={user}", f"--format={FORMAT}"]

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        """See ``Batch``. An empty text is a whole listing: squeue prints nothing for no jobs."""
        found: dict[JobID, list[Phase]] = {}
        for jobid, row in listed(listing):
            found.setdefault(jobid, []).append(phase_of(row))
        return {jobid: overall(phases) for jobid, phases in found.items()}

    def submit_command(self, script: str, token: str) -> list[str]:
        """The token goes into the comment, unless the script has a comment of its own."""
        return ["sbatch"] if _COMMENT.search(script) else ["sbatch", f"--comment=jobmon:{token}"]

    def accepted(self, code: int, text: str) -> Answer:
        refusal = None
        if failed := _FAILED.search(text):
            # A site's submit filter says no in words of its own above an 'Unspecified error'.
            filtered = "Unspecified error" in failed[1] and text.count("sbatch: error:") > 1
            if filtered and not _MAYBE.search(text):
                refusal = text.replace("sbatch: error: ", "")
            elif _NO.search(failed[1]) and not _MAYBE.search(failed[1]):
                refusal = failed[1]
        elif local := _NO_LOCAL.search(text):
            refusal = text[local.start() :].replace("sbatch: error: ", "")
        unsent = text if _UNSENT.search(text) else None
        # A line that a killed sbatch did not get to finish may hold half a number.
        whole = text if code == 0 else text[: text.rfind("\n") + 1]
        return answer("sbatch", code, text, ids(_TAKEN, whole), refusal, unsent)

    def find_commands(self, user: str) -> list[list[str]]:
        squeue = ["squeue", "--noheader", "--states=all", f"--user={user}", "--format=%F|%k"]
        sacct = ["sacct", "-X", "-n", "-P", "-S", "now-14days", "-u", user]
        return [squeue, [*sacct, "-o", "JobID,SubmitLine"]]

    def find(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[str, JobID]:
        """See ``Batch``. sacct may fail (no accounting, or older than SubmitLine); squeue not."""
        code, _, err = outputs[0] if outputs else (1, "", "no answer")
        if code != 0:
            raise LookFailed(f"squeue ended with exit code {code}: {clip(err)}")
        found: dict[str, JobID] = {}
        for jobid, token in sorted(
            (int(row[1]), token[1])
            for code, out, _ in outputs
            if code == 0
            for line in out.split("\n")
            if (row := re.match(r"([0-9]{1,18})(?:[_+][^|\s]*)?\|", line))
            for token in _TOKEN.finditer(line, row.end())
        ):
            found[token] = JobID(str(jobid))
        return found

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        return [
            ["squeue", "--noheader", "--states=all", f"--jobs={jobid}", f"--format={FORMAT}"],
            ["scontrol", "-o", "show", "job", jobid],
            ["sacct", "-n", "-P", "-j", jobid, "-o", FIELDS],
        ]

    def verdict(self, jobid: JobID, outputs: Sequence[tuple[int, str, str]]) -> Verdict:
        """See ``Batch``. A job that can never start is not gone, and has a reason all the same.

        The controller's word counts: a denial of the ID, or every row of it at an end. The
        accounting only tells why: what it has under this number may be an older job's.
        """
        if len(outputs) != 3:
            return Verdict(gone=False)
        (code, out, err), (code2, out2, err2), (code3, out3, _) = outputs
        try:
            squeue = [row for _, row in listed(out)] if code == 0 else []
        except LookFailed:
            squeue = []
        scontrol = shown(out2) if code2 == 0 else []
        sacct = accounted(jobid, out3) if code3 == 0 else []
        if alive := [row for row in squeue + scontrol if row.alive]:
            return Verdict(gone=False, reason=never(alive))
        denied = any(
            code != 0 and _UNKNOWN_ID.search(text)
            for code, text in ((code, out + "\n" + err), (code2, out2 + "\n" + err2))
        )
        if denied or squeue or scontrol:
            ended = [row for row in sacct if not row.alive]
            return Verdict(gone=True, reason=reason(scontrol or squeue, ended))
        return Verdict(gone=False)

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]:
        return ["scancel", *jobids]
