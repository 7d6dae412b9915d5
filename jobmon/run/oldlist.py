"""The quelist of ecalj's own ``jobauto`` loop, read where there is no journal.

A line is ``/abs/path/qsub.0 spre@DATE@JOBID started@DATE@JOBID finished@DATE``. The path is of
the machine and the folder of then; it is not quoted and may hold spaces. Any mark may be missing
(a line without marks waits for its turn), the very oldest lack ``@JOBID`` and write ``finished
DATE``. ``spre`` is a ``started`` of before the loop was last restarted. DATE is local time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath

from jobmon.core.model import JobID, Key, Kind
from jobmon.run import names
from jobmon.run.names import BadFile
from jobmon.run.views import HEADER, Line, Mark

WAY_OUT = "mend or delete the line, or rename quelist away: the next start is then afresh"

_MARK = r"(spre|started|finished|failed)[@ ]([0-9]{8}_[0-9]{6})(?:@([^\s@]+))?"
_FIRST_MARK = re.compile(rf"\s+{_MARK}(?=\s|$)")
_REST = re.compile(rf"(?:\s+{_MARK}(?=\s|$))*\s*")


def is_old(text: str) -> bool:
    """Whether this is a quelist of the old loop: no header, and lines that begin with ``/``."""
    first = next((row for row in text.split("\n") if row.strip()), "")
    return first != HEADER and first.startswith("/")


def read_old_quelist(
    text: str, path: Path, run_folder: Path, exists: Callable[[str], bool]
) -> list[Line]:
    """The lines of an old quelist, as far as they go: what is missing there is missing here.

    ``path`` is the quelist's own, for messages; ``exists`` tells whether a path relative to the
    run folder is there. Raises BadFile for a line that cannot be read or placed.
    """
    lines: dict[Key, Line] = {}
    for line_no, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            script, marks = _parse(row.strip(" \t\r"))
            key = _place(script, run_folder, exists)
            if key in lines:
                raise ValueError(f"{key!r} stands there twice")
        except ValueError as error:
            raise BadFile(path, line_no, str(error), WAY_OUT) from error
        lines[key] = Line(key, marks)
    return list(lines.values())


def _parse(row: str) -> tuple[str, tuple[Mark, ...]]:
    first = _FIRST_MARK.search(row)
    script = row[: first.start()] if first else row
    marks = row[len(script) :]
    if not _REST.fullmatch(marks):
        raise ValueError(f"{marks.strip()!r} are not kind@DATE@JOBID of the old loop")
    if not script.startswith("/"):
        raise ValueError("it does not begin with the script's absolute path")
    found = [(m[1], m[2], m[3]) for m in _FIRST_MARK.finditer(marks)]
    started = {f[1:] for f in found if f[0] == "started"}
    # A spre with the same time and ID as a started tells of the same submission.
    return script, tuple(_mark(*f) for f in found if f[0] != "spre" or f[1:] not in started)


def _mark(word: str, date: str, jobid: str | None) -> Mark:
    kind = Kind.STARTED if word == "spre" else Kind(word)
    try:
        at = datetime.strptime(date, "%Y%m%d_%H%M%S").astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{date} is no date like 20251120_173102") from error
    return Mark(kind, at, JobID(jobid) if jobid and kind is Kind.STARTED else None)


def _place(script: str, run_folder: Path, exists: Callable[[str], bool]) -> Key:
    """The key of a script by its path of then.

    It is what stands behind the run folder's own name; where that is not there, or is there
    more than once, the longest tail that exists here.
    """
    steps = PurePosixPath(script).parts[1:]
    if ".." in steps or names.script_id(steps[-1] if steps else "") is None:
        raise ValueError(f"{script!r} is no path of a script qsub.ID")
    name = run_folder.absolute().name
    behind = ["/".join(steps[i + 1 :]) for i, step in enumerate(steps[:-1]) if step == name]
    if len(behind) == 1:
        return Key(behind[0])
    for tail in [*behind, *("/".join(steps[i:]) for i in range(len(steps)))]:
        if exists(tail):
            return Key(tail)
    raise ValueError(f"{script!r} is of another folder, and no end of its path is in {run_folder}")
