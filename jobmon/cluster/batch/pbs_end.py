"""What PBS says of a job in full (``qstat -f``, ``qstat -x -f``): its state, its place, its end.

Long values go on in the next line behind a tab. Both dialects write a signal as 256 + its number
(``Exit_status``; Torque: ``exit_status``) and their own reasons as numbers below 0, which differ:
OpenPBS's are those of ``JOB_EXEC_KILL_*``, Torque's those of ``JOB_EXEC_OVERLIMIT_*``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobmon.cluster.batch import clip
from jobmon.core.model import Cause, JobID, Phase, Reason

_PHASES = {
    "Q": Phase.PENDING,
    "W": Phase.PENDING,  # waits for a time of its own
    "T": Phase.PENDING,  # on its way to another queue or server
    "M": Phase.PENDING,  # has moved to another server, which has it now
    "R": Phase.RUNNING,
    "B": Phase.RUNNING,  # an array of which something has begun
    "H": Phase.HELD,
    "S": Phase.HELD,  # suspended
    "U": Phase.HELD,  # suspended while somebody uses the machine
    "E": Phase.ENDING,
    "F": Phase.ENDING,
    "X": Phase.ENDING,  # a task of an array that is over
    "C": Phase.ENDING,  # Torque's F
}
ENDED = frozenset("FXC")

ID = r"[0-9]{1,18}(?:\[\])?(?:\.[A-Za-z0-9][A-Za-z0-9._-]*)?"
"""An ID: its number, brackets for an array, its server."""

_BLOCK = re.compile(rf"^Job Id: *({ID})[ \t]*$", re.M)
_FIELD = re.compile(r"^ {4}([A-Za-z_]\w*(?:\.\w+)?) = (.*)$", re.M)
_WORKDIR = re.compile(r"(?:^|(?<=[^\\]),)PBS_O_WORKDIR=((?:\\.|[^,\\])*)")

_TIME = {"-29", "-28", "torque -11", "torque -12"}
_MEMORY = {"-27", "-26", "torque -10"}
_NODE = {-4, -5, -6, -14, -20}  # its node's daemon began anew, or lost another's
_LIMITS = (
    ("walltime", Cause.TIME),
    ("cput", Cause.TIME),
    ("mem", Cause.MEMORY),
    ("vmem", Cause.MEMORY),
)
_UNITS = {unit: 1024**power for power, unit in enumerate("bkmgtp")}


@dataclass(frozen=True, slots=True)
class Told:
    """One job's fields, by their names in small letters."""

    fields: Mapping[str, str]
    state: str
    script: str  # its absolute path; empty if it is not told for sure


def phase_of(state: str) -> Phase:
    """The phase of a state's letter; UNKNOWN for one that is not known."""
    return _PHASES.get(state, Phase.UNKNOWN)


def same(one: str, other: str) -> bool:
    """Whether two spellings of an ID are one job: the server may be named in full or not."""
    (a, _, host), (b, _, place) = one.partition("."), other.partition(".")
    return a == b and (not host or not place or f"{host}.".startswith(f"{place}.")
                       or f"{place}.".startswith(f"{host}."))  # fmt: skip


def shown(text: str) -> dict[JobID, Told]:
    """The jobs of an output of ``qstat -f``; one without a state is left out.

    A line may be broken in the middle of a letter that is several bytes.
    """
    whole = text.encode("utf-8", "surrogateescape").replace(b"\n\t", b"")
    parts = _BLOCK.split(whole.decode("utf-8", "surrogateescape"))[1:]
    found = {}
    for jobid, body in zip(parts[::2], parts[1::2], strict=True):
        fields: dict[str, str] = {}
        for name, value in _FIELD.findall(body):
            fields.setdefault(name.lower(), value)
        if state := fields.get("job_state"):
            found[JobID(jobid)] = Told(fields, state, _script(fields))
    return found


def _script(fields: Mapping[str, str]) -> str:
    """The script's absolute path: the last argument of qsub, in the folder it was run in.

    Torque tells the folder by itself. OpenPBS escapes a comma in a variable, Torque does not, so
    that there only the field of its own is sure.
    """
    words = (fields.get("submit_arguments") or fields.get("submit_args") or "").split()
    folders = _WORKDIR.findall(fields.get("variable_list", ""))
    folder = re.sub(r"\\(.)", r"\1", folders[0]) if len(folders) == 1 else ""
    folder = fields.get("init_work_dir") or folder
    if not words or words[-1].startswith(("-", "/")) or not folder.startswith("/"):
        return ""
    return f"{folder.rstrip('/')}/{words[-1]}"


def reason(told: Told) -> Reason:
    """Why a job ended without its marker."""
    get = told.fields.get
    status = get("exit_status", "")
    comment = get("comment", "")
    number = f"torque {status}" if told.state == "C" else status
    exceeded = re.search(r"exceeded resource (\S+)", comment)
    by = re.search(r"terminated by (\S+)", comment)
    if number in _TIME or (exceeded and exceeded[1] in {"walltime", "cput"}):
        return Reason(Cause.TIME, clip(_limit(told, Cause.TIME) or "out of time"))
    if number in _MEMORY or (exceeded and exceeded[1] in {"mem", "vmem"}):
        return Reason(Cause.MEMORY, clip(_limit(told, Cause.MEMORY) or "out of memory"))
    if exceeded:
        return Reason(Cause.EXIT, clip(f"it exceeded its {exceeded[1]}, PBS says: {comment}"))
    if by:
        return Reason(Cause.DELETED, clip(f"terminated by {by[1]}"))
    if not re.fullmatch("-?[0-9]{1,9}", status):
        return _unstarted(told, comment)
    return _coded(told, int(status), comment)


def _unstarted(told: Told, comment: str) -> Reason:
    if told.fields.get("stime") or told.fields.get("start_time"):
        return Reason(Cause.EXIT, clip(f"PBS tells no exit code: {comment}".removesuffix(": ")))
    return Reason(Cause.NEVER_STARTED, clip(comment or "PBS does not tell why"))


def _coded(told: Told, status: int, comment: str) -> Reason:
    more = f"; PBS says: {comment}" if comment else ""
    if status < 0:
        node = "could not run it to its end" if status in _NODE else "could not run it"
        cause = Cause.NODE if status in _NODE else Cause.NEVER_STARTED
        return Reason(cause, clip(f"PBS {node} (Exit_status {status}){more}"))
    if status == 0:
        return Reason(Cause.EXIT, "ended with exit code 0 but wrote no marker")
    # OpenPBS adds a signal to 256, and so does Torque; a shell adds it to 128.
    signal = status - 256 if status > 256 else status - 128 if 128 < status < 160 else 0
    if not signal:
        return Reason(Cause.EXIT, f"exit code {status}")
    for cause in (Cause.TIME, Cause.MEMORY):
        if limit := _limit(told, cause):
            return Reason(cause, clip(f"{limit}, killed by signal {signal}"))
    if status > 256 and signal in (9, 15):  # nobody's name stands there
        return Reason(Cause.EXIT, f"deleted by hand (qdel), or else killed by signal {signal}")
    if status > 256:
        return Reason(Cause.EXIT, f"killed by signal {signal}")
    return Reason(Cause.EXIT, f"exit code {status} (128 + signal {signal})")


def _limit(told: Told, cause: Cause) -> str:
    """The limit of this kind that was reached, in words; empty if none was."""
    what = "out of time" if cause is Cause.TIME else "out of memory"
    for name, kind in _LIMITS:
        asked = told.fields.get(f"resource_list.{name}", "")
        used = told.fields.get(f"resources_used.{name}", "")
        if kind is cause and _amount(used) >= _amount(asked) > 0:
            return f"{what} (limit {name}={asked}, used {used})"
    return ""


def _amount(text: str) -> float:
    """Seconds of ``00:00:05``, bytes of ``6940kb``; else 0."""
    if re.fullmatch("[0-9]{1,9}(?::[0-9]{2}){1,2}", text):
        seconds = 0
        for part in text.split(":"):
            seconds = seconds * 60 + int(part)
        return float(seconds)
    size = re.fullmatch(r"([0-9]{1,18})([kmgtp]?)[bw]?", text.lower())
    return float(size[1]) * _UNITS[size[2] or "b"] if size else 0.0
