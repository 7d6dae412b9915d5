"""What a site tells of its batch system's version, and of how many jobs it takes.

Text in, values out, as the other files here. A system that is not named here tells nothing, and
neither does an answer that is not understood: a limit is a help, no evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Outputs = Sequence[tuple[int, str]]
"""The exit code and the output (both streams) of each of ``commands``."""


@dataclass(frozen=True, slots=True)
class Limit:
    """``jobs`` at most in the batch system at a time. ``everywhere``: whatever a job asks for."""

    jobs: int
    whose: str
    everywhere: bool = True


def commands(system: str, user: str) -> list[list[str]]:
    """What to ask: the version first."""
    match system:
        case "slurm":
            who = ["sacctmgr", "-nP", "show", "assoc", f"user={user}"]
            return [
                ["squeue", "--version"],
                [*who, "format=Account,Partition,MaxSubmitJobs,QOS"],
                ["sacctmgr", "-nP", "show", "qos", "format=Name,MaxSubmitJobsPerUser"],
                ["scontrol", "show", "config"],
            ]
        case "sge":
            return [["qstat", "-help"], ["qconf", "-sconf"]]
        case "pbs":
            return [["qstat", "--version"], ["qstat", "-Bf"], ["qstat", "-Qf"]]
        case "pjm":
            return [["true"], ["pjstat", "--limit"]]  # it tells no version
    return []


def version(outputs: Outputs) -> str:
    """The first line that says anything; "" if the command failed."""
    if not outputs:
        return ""
    code, text = outputs[0]
    return next((line.strip() for line in text.splitlines() if line.strip()), "") * (code == 0)


def limits(system: str, user: str, outputs: Outputs) -> list[Limit]:
    """The limits that were told, the smallest first."""
    read: dict[str, Callable[[str, Sequence[str]], Iterator[Limit]]] = {
        "slurm": _slurm,
        "sge": _sge,
        "pbs": _pbs,
        "pjm": _pjm,
    }
    texts = [text if code == 0 else "" for code, text in outputs]
    if system not in read or len(texts) != len(commands(system, user)):
        return []
    return sorted(read[system](user, texts), key=lambda limit: limit.jobs)


def _slurm(user: str, texts: Sequence[str]) -> Iterator[Limit]:
    """Slurm's manual pages sacctmgr(1) and slurm.conf(5); 22.05 prints rows as here."""
    _, accounts, qualities, config = texts
    rows = [row.split("|") for row in accounts.splitlines() if row.count("|") == 3]
    own = {quality for row in rows for quality in row[3].split(",") if quality}
    for account, partition, most, _ in rows:
        if most.isdigit():
            where = f"account {account}" + (f" in partition {partition}" if partition else "")
            yield Limit(int(most), f"MaxSubmitJobs of {where}", len(rows) == 1)
    for row in qualities.splitlines():
        name, _, most = row.partition("|")
        if most.isdigit() and name in own:
            yield Limit(int(most), f"MaxSubmitJobsPerUser of QOS {name}", own == {name})
    for most in re.findall(r"^MaxJobCount\s*=\s*(\d+)\s*$", config, re.M):
        yield Limit(int(most), "MaxJobCount of all users together")


def _sge(user: str, texts: Sequence[str]) -> Iterator[Limit]:
    """Grid Engine's manual page sge_conf(5): 0 is no limit."""
    whose = {"max_u_jobs": "max_u_jobs of each user", "max_jobs": "max_jobs of all users together"}
    for name, most in re.findall(r"^(max_u_jobs|max_jobs)\s+(\d+)\s*$", texts[1], re.M):
        if int(most):
            yield Limit(int(most), whose[name])


def _pbs(user: str, texts: Sequence[str]) -> Iterator[Limit]:
    """``max_queued`` as the PBS Professional Reference Guide has it, ``max_user_queuable`` as
    Torque's pbs_server_attributes(7B). A limit for the user by name goes before the general one.
    """
    yield from _pbs_limits(user, texts[1], "", everywhere=True)
    for part in re.split(r"^Queue: *", texts[2], flags=re.M)[1:]:
        name = part.split("\n", 1)[0].strip()
        yield from _pbs_limits(user, part, f" in queue {name}", everywhere=False)


def _pjm(user: str, texts: Sequence[str]) -> Iterator[Limit]:
    """``pjstat --limit`` as the Job Operation Software End-user's Guide (2.2.2) shows it."""
    whose, units = "", texts[1].count("RSCUNIT:")
    for line in texts[1].splitlines():
        match line.split():
            case ["USER:" | "GROUP:" as kind, name]:
                whose = f"{kind[:-1].lower()} {name}"
            case ["ALL:"]:
                whose = "all users together"
            case ["ru-accept" | "rg-accept" as limit, most, _] if most.isdigit():
                yield Limit(int(most), f"{limit} of {whose}", limit == "ru-accept" and units == 1)


def _pbs_limits(user: str, text: str, where: str, *, everywhere: bool) -> Iterator[Limit]:
    text = re.sub(r"\n\t *", "", text)  # long lines are folded
    each, of_all = f"each user{where}", f"all users together{where}"
    mine: dict[str, int] = {}
    for value in re.findall(r"^\s*max_queued = (.*)$", text, re.M):
        for name, most in re.findall(r"\[[uo]:\"?([^=\]\"]+)\"? *= *(\d+)\]", value):
            mine[name] = int(most)
    for name in (user if user in mine else "PBS_GENERIC", "PBS_ALL"):
        if name in mine:
            whose = of_all if name == "PBS_ALL" else each
            yield Limit(mine[name], f"max_queued of {whose}", everywhere)
    for most in re.findall(r"^\s*max_user_queuable = (\d+)\s*$", text, re.M):
        yield Limit(int(most), f"max_user_queuable of {each}", everywhere)
