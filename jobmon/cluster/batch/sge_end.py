"""Why a Grid Engine job ended, from what ``qacct -j`` prints.

Nobody's name stands there for a deletion, and one limit's number (37) for three limits: more is
said only where the times and sizes used reach a limit that the job asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jobmon.cluster.batch import clip
from jobmon.core.model import Cause, JobID, Reason

_BEFORE = frozenset({1, 3, 4, 6, 7, 8, 9, 10, 11, 21, 26, 27, 28, 29, 31, 32, 33, 34, 35, 36, 38})
"""The codes of ``failed`` for a script that was not started."""

_LIMITS = (
    ("h_rt", "ru_wallclock", Cause.TIME),
    ("s_rt", "ru_wallclock", Cause.TIME),
    ("h_cpu", "cpu", Cause.TIME),
    ("s_cpu", "cpu", Cause.TIME),
    ("h_vmem", "maxvmem", Cause.MEMORY),
    ("s_vmem", "maxvmem", Cause.MEMORY),
)
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_UNITS |= {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def reason(jobid: JobID, text: str) -> Reason | None:
    """Why the job failed, by the first of its tasks that did; None if there is no record of it."""
    tasks = _tasks(jobid, text)
    if not tasks:
        return None
    bad = (t for t in tasks if _number(t, "failed") or _number(t, "exit_status"))
    cause, words = _why(next(bad, tasks[0]))
    return Reason(cause, clip(words))


def _tasks(jobid: JobID, text: str) -> list[Mapping[str, str]]:
    """The last record of each task. Numbers are used again: only the newest submission counts."""
    records = []
    for part in re.split(r"^={20,}$", text, flags=re.M):
        pairs = (line.split(None, 1) for line in part.split("\n") if line.strip())
        record = {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}
        if record.get("jobnumber") == jobid:
            records.append(record)
    newest = records[-1].get("qsub_time") if records else None
    same = (record for record in records if record.get("qsub_time") == newest)
    return list({record.get("taskid"): record for record in same}.values())


def _why(task: Mapping[str, str]) -> tuple[Cause, str]:
    failed, status = _number(task, "failed"), _number(task, "exit_status")
    said = task.get("failed", "").partition(":")[2].strip() or f"failed {failed}"
    if failed in _BEFORE:
        return Cause.NEVER_STARTED, f"the script was not started: {said}"
    if failed == 0 and status <= 128:
        none = "ended with exit code 0 but wrote no marker"
        return Cause.EXIT, f"exit code {status}" if status else none
    if failed == 0:
        return Cause.EXIT, f"exit code {status} (128 + signal {status - 128})"
    name = re.search(r"\((.+)\)", task.get("exit_status", ""))
    killed = f"killed by signal {status - 128}" + (f" ({name[1]})" if name else "")
    end = killed if status > 128 else f"exit code {status}"
    if failed == 37 or status > 128:
        for limit, used, cause in _LIMITS:
            asked = re.search(rf"\b{limit}=([^,\s]+)", task.get("category", ""))
            if asked and _amount(task.get(used, "")) >= _amount(asked[1]) > 0:
                what = "out of time" if cause is Cause.TIME else "out of memory"
                return cause, f"{what} (limit {limit}={asked[1]}, used {task[used]}), {end}"
    if failed == 100 and status == 137:  # the record names nobody
        end = f"deleted by hand (qdel), or else {end}"
    return Cause.EXIT, end if failed == 100 else f"{end}; Grid Engine says: {said}"


def _number(task: Mapping[str, str], name: str) -> int:
    number = re.match("[0-9]{1,9}", task.get(name, ""))
    return int(number[0]) if number else 0


def _amount(text: str) -> float:
    """Seconds of ``3``, ``1:00:00`` or ``3.1s``; bytes of ``50M`` or ``4.824MB``; else 0."""
    if re.fullmatch("[0-9]{1,9}(?::[0-9]{1,9}){2}", text):
        hours, minutes, seconds = map(int, text.split(":"))
        return hours * 3600 + minutes * 60 + seconds
    size = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)([kmgtKMGT]?)[Bs]?", text)
    return float(size[1]) * _UNITS[size[2]] if size else 0.0
