"""Who we are on the cluster and which batch system answers there: asked once, at a new run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from jobmon.cluster import ledger
from jobmon.cluster.base import Link, LookFailed, Step, call
from jobmon.core.site import Site
from jobmon.core.text import printable

_PBS = re.compile(
    r"^(pbs_version = |Version: [0-9].*\nCommit: |[Vv]ersion: [0-9.]+\s*\Z)", re.MULTILINE
)
"""OpenPBS and PBS Pro; Torque 4 to 6; Torque before."""
_PJM = re.compile(r"\A\s*\Z|^JOB_ID[ \t]+ST\b", re.MULTILINE)

QUESTIONS = {
    "slurm": ["squeue", "--noheader", "--me", "--format=%i"],
    # Only Grid Engine's qstat knows -help this way; only its qconf knows its submit hosts.
    "sge": ["qstat", "-help"],
    "sge-master": ["qconf", "-ss"],
    "pjm": ["pjstat", "--choose", "jid,st"],  # its commands know no --version
    # PBS tells its name without asking the server, and its server's state.
    "pbs": ["qstat", "--version"],
    "pbs-server": ["qstat", "-B"],
}
"""What each batch system is asked, to see whether it answers."""

_GRID_ENGINE = re.compile(r"^(SGE|GE|OGS|UGE|AGE|Grid Engine)\b", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Tried:
    """What one batch system's own command said: exit code, where the command is, its output.

    ``named``: the settings say how that command is called.
    """

    code: int
    path: str
    text: str
    named: bool = False


@dataclass(slots=True)
class Probe:
    """The account over there. ``tried`` holds the systems whose commands are in the path."""

    user: str = ""
    home: str = ""
    path: str = ""
    rsync: str = ""
    tried: dict[str, Tried] = field(default_factory=dict)


def probe(link: Link, *, systems: bool, site: Site, first: bool = False) -> Probe:
    """Ask; ``systems``: for batch systems too; ``first``: only those that can be the first of
    ``answering``.

    Raises ConnectionLost, LookFailed, LoginFailed.
    """
    found = Probe()
    asked = questions(site, first=first) if systems else ()
    lines = call(link, "probe", site.words(["rsync"]), asked, limit=90.0)
    for line in lines:
        word, _, rest = ledger.text(line[1:] if line[:1] == b"\0" else b"").partition(" ")
        match word:
            case "user":
                found.user = rest
            case "home":
                found.home = rest
            case "path":
                found.path = rest
            case "rsync":
                found.rsync = rest
            case "batch":
                name, code, path = rest.split(" ", 2)
                named = QUESTIONS[name][0] in site.commands
                found.tried[name] = Tried(int(code), path, ledger.said(lines), named)
    if not found.user or not found.home.startswith("/"):
        raise LookFailed(f"{link.where}: the shell there does not tell who and where we are")
    return found


def questions(site: Site, *, first: bool) -> Iterator[Step]:
    """The steps of ``probe.sh``. Who is ``first`` goes by the path as long as the site names no
    command; and Slurm's exit code alone says that it answers."""
    by_path = first and not any(words[0] in site.commands for words in QUESTIONS.values())
    for name, words in QUESTIONS.items():
        rival = QUESTIONS[name.partition("-")[0]][0]  # whose place in the path counts
        kind = ["a"] if not by_path else ["b"] if name == "slurm" else ["c", rival]
        yield [*kind, name, *site.words(words)]


def answering(found: Probe) -> list[str]:
    """The batch systems that answered, the likeliest first.

    The commands of PBS, of Grid Engine and of Slurm's wrappers share names, so the systems are
    asked, not the path. Where several answer, the one whose commands the settings name is meant,
    then the one whose commands stand first in the path, and Slurm where they stand together.
    """
    slurm, master = found.tried.get("slurm"), found.tried.get("sge-master")
    qstat = found.tried.get("sge")
    answered = {}
    if slurm is not None and slurm.code == 0:
        answered["slurm"] = slurm
    if qstat is not None and _GRID_ENGINE.search(qstat.text) and master and master.code == 0:
        answered["sge"] = qstat
    pbs, server = found.tried.get("pbs"), found.tried.get("pbs-server")
    if pbs is not None and pbs.code == 0 and _PBS.search(pbs.text) and server and server.code == 0:
        answered["pbs"] = pbs
    pjm = found.tried.get("pjm")
    if pjm is not None and pjm.code == 0 and _PJM.search(pjm.text):
        answered["pjm"] = pjm
    folders = found.path.split(":")

    def rank(name: str) -> int:
        if answered[name].named:
            return -1
        folder = answered[name].path.rpartition("/")[0]  # as the path has it: see probe.sh
        return folders.index(folder) if folder in folders else len(folders)

    return sorted(answered, key=rank)


def silence(found: Probe) -> str:
    """Why no batch system answered, in words."""
    names = {"slurm": "squeue", "sge-master": "qconf", "pjm": "pjstat"}
    pbs = found.tried.get("pbs")
    if pbs is not None and pbs.code == 0 and _PBS.search(pbs.text):
        names["pbs-server"] = "PBS's qstat"
    said = [
        f"{names[name]} says: {printable(tried.text[-200:])}"
        for name, tried in found.tried.items()
        if name in names and tried.code != 0
    ]
    return (
        "; ".join(said)
        or "squeue, qconf, pjstat and PBS's qstat are not in the path there; "
        "site: of jobmon.yaml can name them"
    )
