"""What a batch script asks for in its own ``#PBS``, ``#$`` and ``#SBATCH`` lines. Pure.

As the systems themselves read them: PBS and Slurm stop at the first command, Grid Engine reads
the whole file. Several systems' lines in one script: the most cores any of them asks for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PBS, SGE, SLURM = "PBS", "SGE", "SLURM"

_PREFIX = {
    PBS: re.compile(r"\s*#PBS\s*(-.*)"),
    SGE: re.compile(r"#\$\s*(-.*)"),
    SLURM: re.compile(r"#SBATCH\s+(-.*)"),
}
# The options that matter here, by each system's spelling: name -> one common word.
_SHORT = {
    PBS: {"l": "need", "N": "name", "o": "out", "e": "err", "j": "join", "S": "shell"}
    | {"J": "array", "t": "array"},
    SLURM: {"n": "ntasks", "c": "cpus-per-task", "N": "nodes", "J": "name", "o": "out"}
    | {"e": "err", "a": "array"},
}
_LONG = {
    **{word: word for word in ("ntasks", "cpus-per-task", "nodes", "ntasks-per-node", "array")},
    **{"job-name": "name", "output": "out", "error": "err"},
}
_ABOUT_CORES = {"need", "slots", "ntasks", "cpus-per-task", "nodes", "ntasks-per-node"}
_SGE = {"-N": "name", "-o": "out", "-e": "err", "-j": "join", "-S": "shell", "-t": "array"}


class DirectiveError(ValueError):
    """A directive that can't be read or honoured; the message names its line."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of one directive line (``line`` counts from 1)."""

    line: int
    system: str
    word: str
    value: str


@dataclass(frozen=True, slots=True)
class Target:
    """Where an output shall go, in the words of ``system``; see ``expand``."""

    system: str
    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What a script asks for. ``join``: stderr (``oe``) or stdout (``eo``) goes to the other."""

    cores: int = 1
    name: str | None = None
    stdout: Target | None = None
    stderr: Target | None = None
    join: str = ""
    shell: str | None = None


def read(script: str) -> Wish:
    """The wish of a script's text. Raises DirectiveError."""
    found = list(options(script))
    last = {option.word: option for option in found}
    if "array" in last:
        raise DirectiveError(
            f"line {last['array'].line} asks for a job array, which the local queue does not have: "
            "write one script for each task"
        )
    out, err = last.get("out"), last.get("err")
    return Wish(
        cores=_cores(found),
        name=last["name"].value if "name" in last else None,
        stdout=Target(out.system, out.value) if out else None,
        stderr=Target(err.system, err.value) if err else None,
        join=_join(last.get("join"), out, err),
        shell=last["shell"].value if "shell" in last else None,
    )


def cores_asked(script: str) -> int | None:
    """How many cores a script asks for (for each task of an array); None if it does not say."""
    found = [option for option in options(script) if option.word in _ABOUT_CORES]
    try:
        return _cores(found) if found else None
    except DirectiveError:
        return None


def options(script: str) -> Iterator[Option]:
    """The options that matter here, in the order of the file."""
    head = True
    for number, line in enumerate(script.split("\n"), 1):
        head = head and (not line.strip() or line.lstrip().startswith("#"))
        for system, prefix in _PREFIX.items():
            match = prefix.match(line)
            if match and (head or system == SGE):
                words = _words(match[1])
                pairs = _sge_pairs(words) if system == SGE else _getopt(system, words)
                for word, value in pairs:
                    yield Option(number, system, word, value)


def expand(target: Target, *, job: int, name: str, user: str, host: str) -> str:
    """The path a ``-o`` or ``-e`` means; one that ends in ``/`` is a folder."""
    if target.system == SLURM:
        values = {"j": str(job), "A": str(job), "x": name, "u": user, "N": host, "%": "%"}
        return re.sub(
            r"%(\d*)([jAxuN%])",
            lambda m: values[m[2]].rjust(int(m[1] or 0), "0") if m[2] in "jA" else values[m[2]],
            target.text,
        )
    path = re.sub(r"^[^/:]*:", "", target.text)
    values = {"JOB_ID": str(job), "PBS_JOBID": str(job), "JOB_NAME": name, "PBS_JOBNAME": name}
    values |= {"USER": user, "HOSTNAME": host}
    return re.sub(r"\$(\w+)", lambda m: values.get(m[1], m[0]), path)


def interpreter(script: bytes, shell: str | None, default: str) -> list[str]:
    """The command that runs the script: its shebang, else what it asks for, else ``default``."""
    if script.startswith(b"#!"):
        line = script[2:].split(b"\n", 1)[0].decode("utf-8", "surrogateescape").strip()
        if line:
            return line.split(None, 1)  # as Linux does: what follows is one argument
    return [shell or default]


def _words(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:  # an unpaired quote
        words = text.split()
    comment = next((i for i, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _getopt(system: str, words: Sequence[str]) -> Iterator[tuple[str, str]]:
    short = _SHORT[system]
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and system == SLURM:
            key, equals, value = word[2:].partition("=")
            if key in _LONG:
                yield _LONG[key], value if equals else _pop(rest)
        elif word[:1] == "-" and word[1:2] in short:
            yield short[word[1:2]], word[2:] or _pop(rest)


def _sge_pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-pe":
            _pop(rest)
            yield "slots", _pop(rest)
        elif word in _SGE:
            yield _SGE[word], _pop(rest)


def _pop(rest: list[str]) -> str:
    return rest.pop(0) if rest else ""


def _join(join: Option | None, out: Option | None, err: Option | None) -> str:
    if join:
        if join.system == SGE:
            return "oe" if join.value in ("y", "yes") else ""
        return join.value if join.value in ("oe", "eo") else ""
    return "oe" if out and out.system == SLURM and not err else ""


def _number(option: Option, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise DirectiveError(
            f"line {option.line}: '{text}' is no number of cores: write a whole number from 1 on"
        )
    return int(text)


def _low(option: Option) -> int:
    """The least of a range ``4``, ``4-8``, ``4-``; ``-8`` asks for at least one."""
    low, dash, _ = option.value.partition("-")
    return 1 if dash and not low else _number(option, low)


def _cores(found: Sequence[Option]) -> int:
    return max(_pbs_cores(found), _sge_cores(found), _slurm_cores(found))


def _pbs_cores(found: Sequence[Option]) -> int:
    asked: dict[str, int] = {}
    for option in found:
        if option.system == PBS and option.word == "need":
            for item in option.value.split(","):
                key, _, value = item.partition("=")
                if key in ("select", "nodes"):
                    asked[key] = sum(_chunk(option, chunk) for chunk in value.split("+"))
                elif key in ("ncpus", "procs"):
                    asked[key] = _number(option, value)
    return max(asked.values(), default=1)


def _chunk(option: Option, chunk: str) -> int:
    """``K:ncpus=N`` or ``K:ppn=N``; K may be missing or a host's name, N too, and mean 1."""
    parts = chunk.split(":")
    times = _number(option, parts[0]) if parts[0][:1].isdigit() else 1
    given = dict(part.partition("=")[::2] for part in parts if "=" in part)
    size = given.get("ncpus") or given.get("ppn") or given.get("mpiprocs")
    return times * (_number(option, size) if size else 1)


def _sge_cores(found: Sequence[Option]) -> int:
    slots = [option for option in found if option.word == "slots"]
    return _low(slots[-1]) if slots else 1


def _slurm_cores(found: Sequence[Option]) -> int:
    last = {option.word: option for option in found if option.system == SLURM}
    nodes, per_node, tasks, each = (
        _low(last[word]) if word in last else 0
        for word in ("nodes", "ntasks-per-node", "ntasks", "cpus-per-task")
    )
    count = max(tasks, nodes) if tasks else max(nodes, 1) * max(per_node, 1)
    return count * max(each, 1)
