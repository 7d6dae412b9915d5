"""What the simulated batch systems print, in the words of the real ones (see ``tests/goldens``).

A dialect answers commands from the truth in ``batch.py``. Faults of a whole batch system (down,
hung, an empty answer) strike in ``Commands``, around any dialect.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from simulation.batch import Batch, Truth
from simulation.world import EPOCH

Said = tuple[int, str, str]
"""Exit code, stdout, stderr."""


class Dialect(Protocol):
    submits: str
    lists: str

    def submit(self, batch: Batch, words: list[str], folder: str) -> Said: ...

    def other(self, batch: Batch, words: list[str]) -> Said: ...

    down: Said
    refused: Said
    unsure: Said


class Slurm:
    """sbatch, squeue, scontrol, sacct, scancel as of Slurm 22.05."""

    submits, lists = "sbatch", "squeue"
    down = (1, "", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n")
    refused = (
        1,
        "",
        "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
    )
    unsure = (
        1,
        "",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n",
    )

    def submit(self, batch: Batch, words: list[str], folder: str) -> Said:
        token = next(w.removeprefix("--comment=jobmon:") for w in words if "--comment=" in w)
        job = batch.submit(folder, words[-1], token)
        return 0, f"Submitted batch job {job.id}\n", ""

    def other(self, batch: Batch, words: list[str]) -> Said:
        match words[0]:
            case "squeue":
                return self._squeue(batch, words)
            case "scontrol":
                return self._scontrol(batch, words[-1])
            case "sacct":
                return self._sacct(batch, words)
            case _:
                for word in words[1:]:
                    if (job := batch.named(word)) is not None:
                        batch.delete(job)
                return 0, "", ""

    def _squeue(self, batch: Batch, words: list[str]) -> Said:
        asked = next((w.removeprefix("--jobs=") for w in words if w.startswith("--jobs=")), None)
        if "--format=%F|%k" in words:
            rows = [f"{j.id}|jobmon:{j.token}\n" for j in batch.remembered()]
            return 0, "".join(rows), ""
        jobs = batch.remembered() if "--states=all" in words else batch.listed()
        if asked is not None:
            jobs = [job for job in jobs if job.id == asked][-1:]
            if not jobs:
                return 1, "", "slurm_load_jobs error: Invalid job id specified\n"
        return 0, "".join(f"{j.id}|{self._state(j, batch)}|{self._why(j)}|end\n" for j in jobs), ""

    @staticmethod
    def _state(job: Truth, batch: Batch) -> str:
        if job.state == "ENDED":
            return "COMPLETING" if batch.world.now < job.unlisted else job.end
        return {"HELD": "PENDING", "STUCK": "PENDING"}.get(job.state, job.state)

    @staticmethod
    def _why(job: Truth) -> str:
        words = {"HELD": "JobHeldUser", "STUCK": "DependencyNeverSatisfied", "PENDING": "Priority"}
        return words.get(job.state, "None")

    def _scontrol(self, batch: Batch, jobid: str) -> Said:
        job = next((j for j in reversed(batch.remembered()) if j.id == jobid), None)
        if job is None:
            return 1, "", "slurm_load_jobs error: Invalid job id specified\n"
        return (
            0,
            f"JobId={job.id} JobName={job.script} JobState={self._state(job, batch)} "
            f"Reason={self._why(job)} ExitCode={job.code}:0 TimeLimit=01:00:00 NodeList=n1 "
            f"Command={job.folder}/{job.script} Comment=jobmon:{job.token}\n",
            "",
        )

    @staticmethod
    def _sacct(batch: Batch, words: list[str]) -> Said:
        if not batch.accounting:
            return 1, "", "Slurm accounting storage is disabled\n"
        now = batch.world.now
        if "JobID,SubmitLine" in words:
            rows = [f"{j.id}|sbatch --comment=jobmon:{j.token} {j.script}\n" for j in batch.jobs]
            return 0, "".join(rows), ""
        job = batch.named(words[words.index("-j") + 1])
        if job is None:
            return 0, "", ""
        state = job.end if job.accounted <= now else "RUNNING"
        by = " by 1001" if state == "CANCELLED" else ""
        return 0, f"{job.id}|{state}{by}|{job.code}:0|01:00:00|100M||n1\n", ""


class GridEngine:
    """qsub, qstat, qacct, qdel as of Grid Engine 8.1.9."""

    submits, lists = "qsub", "qstat"
    down = (
        1,
        "",
        "error: commlib error: got select error (Connection refused)\nerror: unable to send message "
        'to qmaster using port 6444 on host "m": got send error\n',
    )
    refused = (1, "", "Unable to run job: unknown resource 'h_gpu'.\nExiting.\n")
    unsure = (
        1,
        "",
        "Unable to run job: failed receiving gdi request response for mid=1 (got syncron message "
        "receive timeout error)..\nExiting.\n",
    )

    def submit(self, batch: Batch, words: list[str], folder: str) -> Said:
        token = words[words.index("-ac") + 1].removeprefix("jobmon=")
        job = batch.submit(folder, words[-1], token)
        return 0, f'Your job {job.id} ("{job.script}") has been submitted\n', ""

    def other(self, batch: Batch, words: list[str]) -> Said:
        match words[0], words[1]:
            case "qstat", "-j":
                return self._qstat_j(batch, words[2])
            case "qstat", _:
                return self._listing(batch)
            case "qacct", _:
                return self._qacct(batch, words[2])
            case _:
                for word in words[1:]:
                    if (job := batch.named(word)) is not None:
                        batch.delete(job)
                return 0, "", ""

    def _listing(self, batch: Batch) -> Said:
        rows = [
            f'<job_list state="x"><JB_job_number>{j.id}</JB_job_number>'
            f"<JB_name>{j.script}</JB_name><state>{self._state(j)}</state></job_list>\n"
            for j in batch.listed()
        ]
        return (
            0,
            "<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"x\">\n<queue_info>\n"
            + "".join(rows)
            + "</queue_info>\n<job_info>\n</job_info>\n</job_info>\n",
            "",
        )

    @staticmethod
    def _state(job: Truth) -> str:
        return {"PENDING": "qw", "RUNNING": "r", "HELD": "hqw", "STUCK": "Eqw"}.get(job.state, "r")

    @staticmethod
    def _qstat_j(batch: Batch, which: str) -> Said:
        jobs = [job for job in batch.listed() if which in ("*", job.id)]
        if not jobs:
            return 1, "", f"Following jobs do not exist: \n{which}\n"
        error = 'error reason          1:      can\'t open output file "/x"\n'
        return (
            0,
            "".join(
                f"{'=' * 62}\njob_number:                 {job.id}\n"
                f"context:                    jobmon={job.token}\n"
                + (error if job.state == "STUCK" else "")
                for job in jobs
            ),
            "",
        )

    @staticmethod
    def _qacct(batch: Batch, jobid: str) -> Said:
        now = batch.world.now
        jobs = [j for j in batch.jobs if j.id == jobid and j.accounted <= now]
        if not jobs:
            return 1, "", f"error: job id {jobid} not found\n"
        codes = {"CANCELLED": 137, "NODE_FAIL": 137, "TIMEOUT": 137}
        return (
            0,
            "".join(
                f"{'=' * 62}\njobname      {j.script}\njobnumber    {j.id}\ntaskid       undefined\n"
                f"qsub_time    {time.ctime(EPOCH + j.at)}\n"
                f"failed       0\nexit_status  {codes.get(j.end, j.code)}\n"
                f"ru_wallclock 1s\ncategory     NONE\n"
                for j in jobs
            ),
            "",
        )


class NodeDied(Exception):
    """The login node went down under a command: who called it writes nothing any more."""


@dataclass(slots=True)
class Commands:
    """The batch system's commands as a login node runs them, with all that can go wrong there."""

    batch: Batch
    dialect: Dialect
    pause: float = 0.0  # seconds that the running command takes from here; read by who drives it

    def run(
        self, words: list[str], folder: str, limit: float
    ) -> Generator[None, None, tuple[int, bytes, bytes]]:
        batch, dialect, faults = self.batch, self.dialect, self.batch.faults
        now = batch.world.now
        if words[0] == "rsync":
            return 0, b"rsync  version 3.2.7  protocol version 31\n", b""
        if words[0] == "pwd":
            return 0, f"{folder}\n".encode(), b""
        self._new_windows()
        submits = words[0] == dialect.submits
        self.pause = 3.0 if faults.strike("slow command") else 0.02
        yield
        if now < batch.down_until:
            return self._bytes(dialect.down)
        if now < batch.hung_until:
            if submits and batch.world.chance.random() < 0.5:
                faults.happened["accepted though it hung"] += 1
                dialect.submit(batch, words, folder)
            self.pause = min(limit, batch.hung_until - now)
            yield
            return 124, b"", b""
        if submits:
            return self._bytes(self._submitted(words, folder))
        said = dialect.other(batch, words)
        if words[0] == dialect.lists and (code := said[0]) == 0:
            said = (code, self._garbled(words, said[1]), said[2])
        return self._bytes(said)

    def _new_windows(self) -> None:
        batch, chance = self.batch, self.batch.world.chance
        now = batch.world.now
        if batch.faults.strike("batch system down"):
            batch.down_until = now + chance.uniform(5, 90)
        if batch.faults.strike("batch system hung"):
            batch.hung_until = now + chance.uniform(5, 150)
        if batch.faults.strike("id counter starts again"):
            batch.restart_numbers()

    def _submitted(self, words: list[str], folder: str) -> Said:
        batch, dialect, faults = self.batch, self.dialect, self.batch.faults
        if faults.strike("refused"):
            return dialect.refused
        if faults.strike("error, not accepted"):
            return dialect.unsure
        said = dialect.submit(batch, words, folder)
        if faults.strike("login node dies after qsub"):
            raise NodeDied
        if faults.strike("error though accepted"):
            return dialect.unsure
        return said

    def _garbled(self, words: list[str], out: str) -> str:
        """A listing that is not what it should be, exit code 0 all the same."""
        faults, chance = self.batch.faults, self.batch.world.chance
        if faults.strike("empty answer"):
            return ""
        if faults.strike("half a listing"):
            return out[: chance.randrange(len(out) + 1)]
        if faults.strike("garbage"):
            return "Welcome to the cluster\n" * 3
        if faults.strike("new state"):
            return (
                out.replace("RUNNING", "FROBNICATED")
                .replace("<state>r", "<state>xyz")
                .replace(" R 00:00", " Z 00:00")
            )
        return out

    @staticmethod
    def _bytes(said: Said) -> tuple[int, bytes, bytes]:
        return said[0], said[1].encode(), said[2].encode()
