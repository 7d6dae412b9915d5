"""What Slurm says of a job, row by row, and why one ended: the answers of three commands.

squeue and scontrol speak for the controller. sacct knows more of an end (who cancelled it, the
memory), but comes late, for some tasks of an array before others, and takes 128 off exit codes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch import clip
from jobmon.core.model import Cause, JobID, Phase, Reason

FORMAT = "%F|%T|%r|end"  # the array's ID or the job's own, state, reason
_ROW = re.compile(r"([0-9]+)\|([^|\s]+)\|(.*)\|end")
FIELDS = "JobID,State,ExitCode,Timelimit,ReqMem,MaxRSS,NodeList"

_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED"),
    *("NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT"),
}
_PHASES = {
    "PENDING": Phase.PENDING,
    "CONFIGURING": Phase.PENDING,  # the nodes boot, the script does not run yet
    "REQUEUED": Phase.PENDING,
    "RUNNING": Phase.RUNNING,
    "RESIZING": Phase.RUNNING,
    "SIGNALING": Phase.RUNNING,
    "SUSPENDED": Phase.HELD,
    "STOPPED": Phase.HELD,
    "REQUEUE_HOLD": Phase.HELD,
    "RESV_DEL_HOLD": Phase.HELD,
    "SPECIAL_EXIT": Phase.HELD,
    "COMPLETING": Phase.ENDING,
    "STAGE_OUT": Phase.ENDING,
} | dict.fromkeys(_ENDED, Phase.ENDING)  # still listed: the place is free when the row is gone
_NEVER = {
    "DependencyNeverSatisfied": "a job that it depends on did not end as it asks",
    "BadConstraints": "no node can ever have what it asks for",
    "InvalidAccount": "its account does not exist any more",
    "InvalidQOS": "its QOS does not exist any more",
}

_DEADLY = frozenset({4, 6, 7, 8, 9, 11, 15})  # the signals that programs die of
_SCONTROL = re.compile(r"\b(JobState|Reason|ExitCode|TimeLimit|NodeList)=(\S*)")


@dataclass(frozen=True, slots=True)
class Row:
    """One allocation: of squeue or scontrol, or of sacct with its steps' peak in ``peak``."""

    state: str
    reason: str = ""
    exit: str = ""  # "CODE:SIGNAL"
    limit: str = ""
    memory: str = ""
    peak: str = ""
    nodes: str = ""
    by: str = ""

    @property
    def alive(self) -> bool:
        return self.state not in _ENDED


def listed(text: str) -> list[tuple[JobID, Row]]:
    """The rows of an output in ``FORMAT``. Raises LookFailed at a line that is none."""
    rows = []
    for line in text.split("\n"):
        row = _ROW.fullmatch(line.strip())
        if row is not None:
            rows.append((JobID(row[1]), Row(row[2], row[3])))
        elif line.strip():
            raise LookFailed(f"squeue printed a line that is no row of a listing: {clip(line)}")
    return rows


def shown(text: str) -> list[Row]:
    """The rows of ``scontrol -o show job``."""
    rows = []
    for line in text.split("\n"):
        # The name comes first and is the user's own text: what is said last of a field counts,
        # and the command and the comment come behind them all.
        said = dict(_SCONTROL.findall(line.split(" Command=")[0]))
        if line.startswith("JobId=") and "JobState" in said:
            get = said.get
            row = Row(said["JobState"], get("Reason", ""), get("ExitCode", ""))
            rows.append(replace(row, limit=get("TimeLimit", ""), nodes=get("NodeList", "")))
    return rows


def accounted(jobid: JobID, text: str) -> list[Row]:
    """The allocations of ``jobid`` (several for an array) in the output of sacct."""
    rows: dict[str, Row] = {}
    for line in text.split("\n"):
        said = line.split("|")
        if len(said) != 7 or re.split(r"[_+.]", said[0])[0] != jobid:
            continue
        name, _, step = said[0].partition(".")
        state, *by = said[1].split() or [""]
        if not step:
            who = by[1] if by[:1] == ["by"] and len(by) > 1 else ""
            rows[name] = Row(state, "", said[2], said[3], said[4], "", said[6], who)
        elif name in rows and _bytes(said[5]) > _bytes(rows[name].peak):
            rows[name] = replace(rows[name], peak=said[5])
    return list(rows.values())


def _bytes(text: str) -> float:
    size = re.match(r"([0-9.]+)([KMGTP]?)", text)
    try:
        return float(size[1]) * 1024 ** " KMGTP".index(size[2] or " ") if size else 0.0
    except ValueError:
        return 0.0


def phase_of(row: Row) -> Phase:
    """The phase of a row; UNKNOWN for a state that is not known."""
    phase = _PHASES.get(row.state, Phase.UNKNOWN)
    if phase is Phase.PENDING and row.reason in _NEVER:
        return Phase.STUCK
    if phase is Phase.PENDING and re.match(r"JobHeld|JobHoldMaxRequeue|.*\bheld\b", row.reason):
        return Phase.HELD
    return phase


def never(alive: Sequence[Row]) -> Reason | None:
    """Why none of the rows that are not at an end will ever start; None if one may."""
    if any(phase_of(row) is not Phase.STUCK for row in alive):
        return None
    why = alive[0].reason
    return Reason(Cause.NEVER_STARTED, f"it will never start: {_NEVER[why]} ({why})")


def reason(controller: Sequence[Row], accounting: Sequence[Row]) -> Reason | None:
    """Why a job failed, by the first of its rows that did; None if nothing is known.

    :param controller: the ended rows of scontrol, or else of squeue
    :param accounting: the ended rows of sacct
    """
    row = _worst(controller) or _worst(accounting)
    more = _worst(accounting)
    if row is None:
        return None
    if more is not None and more is not row and more.state == row.state:
        row = replace(more, exit=row.exit or more.exit, reason=row.reason)
    limit = f" (limit {row.limit})" if row.limit else ""
    known = [f"limit {row.memory}"] * bool(row.memory) + [f"peak {row.peak}"] * bool(row.peak)
    memory = f" ({', '.join(known)})" if known else ""
    nodes = f" ({row.nodes})" if row.nodes not in ("", "(null)", "None assigned") else ""
    words = {
        "TIMEOUT": (Cause.TIME, f"out of time{limit}"),
        "DEADLINE": (Cause.TIME, "its deadline passed"),
        "OUT_OF_MEMORY": (Cause.MEMORY, f"out of memory{memory}"),
        "CANCELLED": (Cause.DELETED, f"cancelled by user {row.by}" if row.by else "cancelled"),
        "NODE_FAIL": (Cause.NODE, f"node failure{nodes}"),
        "BOOT_FAIL": (Cause.NODE, f"a node did not boot{nodes}"),
        "PREEMPTED": (Cause.NODE, "stopped in favour of another job (preempted)"),
    }
    exact = bool(controller and controller[0].exit)
    cause, said = words[row.state] if row.state in words else _exit(row, exact)
    return Reason(cause, clip(said))


def _worst(rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if row.state != "COMPLETED"), rows[0] if rows else None)


def _exit(row: Row, exact: bool) -> tuple[Cause, str]:
    """The reason in an exit code such as ``3:0``, or in the scheduler's own word."""
    code, _, signal = row.exit.partition(":")
    if row.reason in _NEVER:
        return Cause.NEVER_STARTED, f"it could not start: {_NEVER[row.reason]} ({row.reason})"
    if signal == "53":  # Slurm's own number, for a batch script that it could not set up
        return Cause.NEVER_STARTED, "its output file could not be opened (Slurm's signal 53)"
    if signal not in ("", "0"):
        return Cause.EXIT, f"killed by signal {signal}"
    if code in ("", "0"):
        if row.state == "COMPLETED":
            return Cause.EXIT, "ended with exit code 0 but wrote no marker"
        return Cause.EXIT, f"Slurm calls it {row.state}" + f" ({row.reason})" * bool(row.reason)
    number = int(code) if re.fullmatch("[0-9]{1,3}", code) else 0
    more = f" (128 + signal {number - 128})" if 128 < number < 160 else ""
    if not exact and number in _DEADLY:
        more = f" (or {number + 128}, a signal: sacct takes 128 off)"
    return Cause.EXIT, f"exit code {code}{more}"
