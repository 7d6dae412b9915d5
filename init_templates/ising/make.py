"""Makes the job folders of the Ising template: a chain of three jobs for each temperature, and
``table``, whose job waits for files of all of them.

``make`` is called by ``jobmon init`` with the template's folder, the new project's folder, and
the checked values of ``--set``. ValueError says what is wrong with them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

STEPS = ("thermalise", "sample", "analyse")


def make(here: Path, project: Path, values: dict[str, Any]) -> None:
    temperatures: list[float] = values["temperatures"]
    folders = {t: f"T{t:.2f}" if round(t, 2) == t else f"T{t!r}" for t in temperatures}
    if len(folders) < len(temperatures):
        raise ValueError("temperatures: the same one twice")

    init = project / "init"
    (init / "program").mkdir(parents=True)
    shutil.copyfile(here / "ising.py", init / "program" / "ising.py")
    script = (here / "script.sh").read_text()

    for temperature, name in folders.items():
        folder = init / name
        folder.mkdir()
        parameters = {
            "temperature": temperature,
            "size": values["size"],
            "thermalisation": max(100, values["sweeps"] // 5),
            "sweeps": values["sweeps"],
            "seed": values["seed"],
        }
        (folder / "parameters.json").write_text(json.dumps(parameters, indent=1) + "\n")
        for n, step in enumerate(STEPS):
            write_job(folder, script, str(n), step, [f"qsub.finished.{n - 1}"] if n else [])

    table = init / "table"
    table.mkdir()
    results = [f"../{name}/magnetisation.json" for name in folders.values()]
    markers = [f"../{name}/qsub.finished.2" for name in folders.values()]
    step = " ".join(["table", *(f"../{name}" for name in folders.values())])
    write_job(table, script, "0", step, results + markers)

    (project / "jobmon.yaml").write_text(
        "# The settings of this project; a flag of jobmon wins over this file.\n"
        "remote: local      # or [user@]host[:port]; then pythonpath is the interpreter there\n"
        "scheduler: local   # this machine's own queue; elsewhere take this line out\n"
        f"pythonpath: {json.dumps(sys.executable, ensure_ascii=False)}\n"
        "interval: 1        # s\n"
    )


def write_job(folder: Path, script: str, id: str, step: str, needs: list[str]) -> None:
    (folder / f"qsub.{id}").write_text(script.replace("@STEP@", step).replace("@ID@", id))
    (folder / f"qsub.dependency.{id}").write_text("".join(f"{need}\n" for need in needs))
