"""Makes the one job folder of the array template: ``qsub.0``, the array, and ``qsub.1``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobmon.act.layout import write_job, write_settings

SYSTEMS = {
    "slurm": ("#SBATCH --array=1-@TASKS@", "$SLURM_ARRAY_TASK_ID"),
    "pbs": ("#PBS -J 1-@TASKS@", "$PBS_ARRAY_INDEX"),
    "sge": ("#$ -t 1-@TASKS@", "$SGE_TASK_ID"),
    "pjm": ('#PJM --bulk --sparam "1-@TASKS@"', "$PJM_BULKNUM"),
}
"""What asks for an array, and the variable with the task's number."""


def make(here: Path, project: Path, values: dict[str, Any]) -> None:
    ask, task = SYSTEMS[values["scheduler"]]
    script = (here / "array.sh").read_text().replace("@ARRAY@", ask).replace("@TASK@", task)
    folder = project / "init" / "array"
    folder.mkdir(parents=True)
    write_job(folder, "0", script.replace("@TASKS@", str(values["tasks"])))
    write_job(folder, "1", (here / "gather.sh").read_text(), ["qsub.finished.0"])
    write_settings(here, project, values, {})
