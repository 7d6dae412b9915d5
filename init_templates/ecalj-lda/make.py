"""Makes the job folders of ecalj-lda: see init_templates/ecalj/ecalj.py."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any


def make(here: Path, project: Path, values: dict[str, Any]) -> None:
    runpy.run_path(str(here.parent / "ecalj" / "ecalj.py"))["make"](here, project, values)
