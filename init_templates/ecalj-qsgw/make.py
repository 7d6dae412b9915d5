"""Makes the job folders of ecalj-qsgw: see init_templates/ecalj/ecalj.py."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any


def make(here: Path, project: Path, values: dict[str, Any]) -> None:
    shared = runpy.run_path(str(here.parent / "ecalj" / "ecalj.py"))
    shared["make"](here, project, values, iterations=values["niter"])
