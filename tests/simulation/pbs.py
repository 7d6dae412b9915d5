"""What the simulated PBS prints, in the words of OpenPBS 23.06 (see ``tests/goldens/pbs``).

It has no place for a token: the truth which attempt a job is comes from the record that was claimed
last before qsub was run, which jobmon's own search does not look at.
"""

from __future__ import annotations

from jobmon.cluster import ledger
from jobmon.core.model import Attempt, Key
from simulation.batch import Batch, Truth
from simulation.dialects import Said

HEAD = (
    "\nvm: \n"
    "                                                            Req'd  Req'd   Elap\n"
    "Job ID          Username Queue    Jobname    SessID NDS TSK Memory Time  S Time\n"
    "--------------- -------- -------- ---------- ------ --- --- ------ ----- - -----\n"
)
STATES = {"PENDING": "Q", "RUNNING": "R", "HELD": "H", "STUCK": "H"}
STATUS = {"CANCELLED": 271, "TIMEOUT": -29, "NODE_FAIL": -4}
LAST = "Job has finished, use -x or -H to obtain historical job information"


class Pbs:
    """qsub, qstat, qselect, qdel."""

    submits, lists = "qsub", "qstat"
    # In the words of qsub, whichever is asked: that it failed is all that others are read for.
    down = (162, "", "Connection refused\nqsub: cannot connect to server vm (errno=15010)\n")
    refused = (170, "", "qsub: Unknown queue\n")
    unsure = (159, "", "qsub: Batch protocol error\n")

    def submit(self, batch: Batch, words: list[str], folder: str) -> Said:
        token = self._claimed(batch, f"{folder}/{words[-1]}".removeprefix(f"{batch.twin}/"))
        job = batch.submit(folder, words[-1], token)
        return 0, f"{job.id}\n", ""

    @staticmethod
    def _claimed(batch: Batch, key: str) -> str:
        stem = ledger.record_name(Attempt(Key(key), 0)).removesuffix("0")
        names = batch.disk.names(f"{batch.twin}/.jobmon/record")
        mine = [name for name in names if name.startswith(stem)]
        return max(mine, key=lambda name: int(name.removeprefix(stem)), default="")

    def other(self, batch: Batch, words: list[str]) -> Said:
        match words:
            case ["qstat", "-u", _]:
                rows = [self._row(job, batch) for job in batch.listed()]
                return 0, HEAD + "".join(rows) if rows else "", ""
            case ["qstat", "-f", *ids]:
                return self._in_full(batch, ids, past=False)
            case ["qstat", "-x", "-f", *ids]:
                return self._in_full(batch, ids, past=True)
            case ["qselect", "-x", *_]:
                jobs = batch.jobs if batch.accounting else batch.listed()
                return 0, "".join(f"{job.id}\n" for job in jobs), ""
        for word in words[1:]:
            if (job := batch.named(word)) is not None:
                batch.delete(job)
        return 0, "", ""

    @staticmethod
    def _state(job: Truth, batch: Batch) -> str:
        return (
            "E" if not job.alive and batch.world.now < job.unlisted else STATES.get(job.state, "F")
        )

    def _row(self, job: Truth, batch: Batch) -> str:
        return (
            f"{job.id:<15} {'u':<8} {'workq':<8} {job.script:<10}  --    1   1    --    --  "
            f"{self._state(job, batch)} 00:00\n"
        )

    def _in_full(self, batch: Batch, ids: list[str], *, past: bool) -> Said:
        out = err = ""
        code = 0
        for jobid in ids:
            job = batch.named(jobid)
            state = self._state(job, batch) if job is not None else ""
            if job is None or (state == "F" and not batch.accounting):
                code, err = 153, err + f"qstat: Unknown Job Id {jobid}\n"
            elif state == "F" and not past:
                code, err = 35, err + f"qstat: {jobid} {LAST}\n"
            else:
                status = f"    Exit_status = {STATUS.get(job.end, job.code)}\n"
                out += (
                    f"Job Id: {job.id}\n    Job_Name = {job.script}\n    job_state = {state}\n"
                    f"    Variable_List = PBS_O_HOME=/home/u,\n\tPBS_O_WORKDIR={job.folder}\n"
                    f"{status if state == 'F' else ''}    Submit_arguments = {job.script}\n\n"
                )
        return code, out, err
