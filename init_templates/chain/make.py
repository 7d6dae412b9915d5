"""Makes the job folders of the chain template: ``steps`` scripts in each, one behind the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobmon.act.layout import folder_names, write_job, write_settings


def make(here: Path, project: Path, values: dict[str, Any]) -> None:
    script = (here / "script.sh").read_text()
    for name in folder_names("folders", values["folders"].split(",")):
        folder = project / "init" / name
        folder.mkdir(parents=True)
        for step in range(values["steps"]):
            needs = [f"qsub.finished.{step - 1}"] if step else []
            write_job(folder, str(step), script.replace("@ID@", str(step)), needs)
    write_settings(here, project, values, {})
