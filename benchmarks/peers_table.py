"""The results of benchmarks/peers: kept in docs/performance/peers.json, shown in a page.

Rule: every column for every peer, whoever wins it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.peers_list import COUNTS, PEERS, Peer

DOCS = Path(__file__).parent.parent / "docs"
RAW = DOCS / "performance" / "peers.json"
PAGE = DOCS / "performance.md"
BEGIN, END = "<!-- peers -->", "<!-- /peers -->"


def keep(peer: Peer, kind: str, figures: dict[str, Any], common: dict[str, Any]) -> None:
    """Merge one case into the raw results."""
    RAW.parent.mkdir(exist_ok=True)
    raw = json.loads(RAW.read_text()) if RAW.exists() else {"peers": {}}
    raw["common"] = common
    row = raw["peers"].setdefault(peer.name, {})
    row |= {"settings": peer.settings, "looks": peer.looks}
    if "version" in figures:
        row["version"] = figures["version"]
    row[kind] = figures
    new = RAW.with_suffix(".new")
    new.write_text(json.dumps(raw, indent=1, sort_keys=True) + "\n")
    new.replace(RAW)


def write() -> None:
    """Write the tables into the page, if that is there: benchmarks/limits makes it."""
    if RAW.exists() and PAGE.exists():
        new = PAGE.with_suffix(".new")
        new.write_text(inserted(PAGE.read_text()))
        new.replace(PAGE)


def inserted(page: str) -> str:
    """The page with the tables between their markers; at its end, where it has none."""
    if BEGIN not in page or END not in page:
        page = f"{page.rstrip()}\n\n## Beside others\n\n{BEGIN}\n{END}\n"
    head, rest = page.split(BEGIN, 1)
    return f"{head}{BEGIN}\n{tables()}\n{END}{rest.split(END, 1)[1]}"


def tables() -> str:
    """Four tables and what stands between them, from the raw results."""
    raw = json.loads(RAW.read_text())
    common, rows = raw["common"], raw["peers"]
    told = [(peer, rows[peer.name]) for peer in PEERS if peer.name in rows]
    text = _INTRO.format(**common, jobs_many=common["jobs"]["many"])
    text += _table(
        ["", "version", "settings", "looks at the queue; how it knows that a job has ended"],
        [[_name(p), row.get("version", "-"), p.settings, p.looks] for p, row in told],
    )
    text += _MANY.format(**common, jobs_many=common["jobs"]["many"])
    floor = rows.get("floor", {}).get("many", {})
    bare = floor["cpu"] / floor["submissions"] if "cpu" in floor else 0.0
    heads = [
        "",
        "rounds",
        "whole run, s",
        "last job ended, s",
        "results home",
        "logins",
        "channels",
    ]
    heads += [
        "submissions",
        "status commands",
        "login node, CPU s",
        "beyond its submissions, CPU s",
    ]
    text += _table(heads, [_many(p, row["many"], bare) for p, row in told if "many" in row])
    text += _CHAIN.format(**common, jobs_chain=common["jobs"]["chain"])
    heads = ["", "end to start, median s", "end to start, max s", "whole run, s", "logins"]
    heads += ["channels", "submissions", "status commands", "login node, CPU s"]
    text += _table(heads, [_chain(p, row["chain"]) for p, row in told if "chain" in row])
    text += _PENDING.format(**common, jobs_pending=common["jobs"]["pending"])
    heads = ["", "logins an hour", "channels an hour", "status commands an hour"]
    heads += ["login node, CPU s an hour", "looks in the window"]
    return text + _table(heads, [_hour(p, row["pending"]) for p, row in told if "pending" in row])


_INTRO = """
The same jobs by jobmon and by others, on the loopback cluster ({slurm}), each in its own
virtual environment. `benchmarks/peers` makes all of this; the raw figures are in
[peers.json](performance/peers.json).

- All are counted in the same way. The login node is a private sshd: its log gives the logins
  (`Accepted`) and channels (`Starting session`), wrappers first in its `PATH` count each call of
  sbatch, and of squeue, sacct and scontrol as status commands.
- Processor seconds are those of that sshd's listener and all its descendants: user and system
  time, of children as the kernel adds them up once they are waited for. Orphans are waited
  for by the listener. Jobs run under slurmd and are not in it; the wrappers, about 1 ms a
  call, are.
- What is set up before (an environment, AiiDA's profile and daemon) is not counted.
- Everyone's jobs run in a reservation of {slots} cores; each job takes {job_seconds} s, stamps its
  begin and end, and leaves a small file that has to come home.
- The machine ({processors} processors) did other work meanwhile: the seconds of the wall clock
  carry that noise, counts do not. Scheduling passes of this Slurm begin once a second.

"""
_MANY = """
{jobs_many} jobs of {job_seconds} s on {slots} slots. The last column is without what the floor
takes for as many submissions. Of several rounds, in which all took turns, the one of median time
is shown, with the median of the processor seconds:

"""
_CHAIN = """
A chain of {jobs_chain} jobs of {job_seconds} s, each after the one before; from the jobs' own
stamps. The shell loop hands the chain over to Slurm, remotemanager lets each job submit the
next, jobmon, DPDispatcher and AiiDA submit it from here once they know of the end. DPDispatcher
has no dependencies: its chain is one submission after the other.

"""
_PENDING = """
{jobs_pending} jobs that pend and do not change, everyone looking every 10 s; measured for three
minutes, once all were submitted, and scaled to an hour. jobmon's looks are 9 to 10 s apart at
random, so that many users do not ask in the same second:

"""


def _name(peer: Peer) -> str:
    return f"**{peer.name}**" if peer.driver.startswith("jobmon") else peer.name


def _many(peer: Peer, it: dict[str, Any], bare: float) -> list[str]:
    if "error" in it:
        return [_name(peer), "", it["error"], *[""] * 8]
    home = f"{it['results']}" if "results" in it else "-"
    home += "" if it["ran"] == COUNTS["many"] else f" ({it['ran']} jobs ran)"
    wall = f"{it['wall']:.0f}" if "wall" in it else "-"
    beyond = "-" if peer.name == "floor" else f"{it['cpu'] - bare * it['submissions']:.2f}"
    counts = [str(it[n]) for n in ("logins", "channels", "submissions", "status_commands")]
    rounds = str(it.get("rounds", 1))
    return [
        _name(peer),
        rounds,
        wall,
        f"{it['last_end']:.0f}",
        home,
        *counts,
        f"{it['cpu']:.2f}",
        beyond,
    ]


def _chain(peer: Peer, it: dict[str, Any]) -> list[str]:
    if "error" in it:
        return [_name(peer), it["error"], *[""] * 7]
    times = [f"{it['gap_median']:.1f}", f"{it['gap_max']:.1f}", f"{it['wall']:.0f}"]
    counts = [str(it[n]) for n in ("logins", "channels", "submissions", "status_commands")]
    return [_name(peer), *times, *counts, f"{it['cpu']:.2f}"]


def _hour(peer: Peer, it: dict[str, Any]) -> list[str]:
    if "error" in it:
        return [_name(peer), it["error"], *[""] * 4]
    names = ("logins_hour", "channels_hour", "status_commands_hour")
    looks = ", ".join(f"{n} {name}" for name, n in sorted(it["calls"].items())) or "none"
    return [_name(peer), *(f"{it[name]:.0f}" for name in names), f"{it['cpu_hour']:.1f}", looks]


def _table(heads: list[str], rows: list[list[str]]) -> str:
    align = ["---"] * len(heads)
    lines = [heads, align, *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
