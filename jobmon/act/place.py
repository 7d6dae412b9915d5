"""Which folder is meant: a project, a run of it, or a folder with one project in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jobmon.run.usage import UsageError

RUN_FILES = ("qsub.now", "quelist", "qsub.log")
_DATE = re.compile(r"\d{8}_\d{6}")


@dataclass(frozen=True, slots=True)
class Place:
    """What ``--ldir`` means: the project, the run to resume (or None for a new one), and what
    is to be appended to ``rdir``."""

    project: Path
    run: Path | None
    below: str = ""


def is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in RUN_FILES)


def find(ldir: Path, datedir: str | None) -> Place:
    """What ``--ldir`` and ``--datedir`` mean. Raises UsageError."""
    ldir = ldir.expanduser().resolve()
    if not ldir.is_dir():
        raise UsageError(f"--ldir {ldir}: there is no such folder")
    if is_run(ldir):
        if datedir and datedir != ldir.name:
            raise UsageError(f"--ldir {ldir} is a run already; leave --datedir {datedir} out")
        return Place(ldir.parent, ldir)
    place = _project(ldir)
    if datedir is None:
        return place
    odd = "/" in datedir or not datedir.isprintable() or len(datedir) > 100
    if odd or datedir in {"", ".", "..", "init"}:
        raise UsageError(f"--datedir {datedir!a}: a folder name like 20261120_173102 is wanted")
    run = place.project / datedir
    if not run.exists():
        return place
    if not is_run(run):
        raise UsageError(f"--datedir {run} is there, but it is no run; choose another name")
    return Place(place.project, run, place.below)


def _project(ldir: Path) -> Place:
    if (ldir / "init").is_dir():
        return Place(ldir, None)
    children = [child for child in sorted(ldir.iterdir()) if (child / "init").is_dir()]
    if len(children) == 1:
        return Place(children[0], None, children[0].name)
    if children:
        names = ", ".join(child.name for child in children)
        raise UsageError(f"--ldir {ldir} holds several projects ({names}); name one of them")
    raise UsageError(f"--ldir {ldir} holds no folder init/ and is no run; see 'jobmon init'")


def run_meant(folder: Path) -> Path:
    """The run that ``--run`` means: a run folder, or a project's latest. Raises UsageError."""
    folder = folder.expanduser().resolve()
    if is_run(folder):
        return folder
    latest = folder / "latest"
    if is_run(latest):
        return latest.resolve()
    runs = [run for run in _folders(folder) if is_run(run)]
    runs.sort(key=lambda run: (bool(_DATE.fullmatch(run.name)), run.name))
    if runs:
        return runs[-1]
    way_out = "name one by --run DIR"
    if (folder / "init").is_dir():
        way_out = f"make one by: jobmon --ldir {shlex.quote(str(folder))}"
    raise UsageError(
        f"--run {folder}: this is no run folder, and no project with a run in it; {way_out}"
    )


def _folders(folder: Path) -> Iterable[Path]:
    """What may be a run: not what is still being made, which is hidden."""
    there = folder.iterdir() if folder.is_dir() else ()
    return (child for child in there if child.is_dir() and not child.name.startswith("."))
