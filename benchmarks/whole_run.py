"""Whole runs on the loopback Slurm, counted at its login node by ``meter``.

``many``: 200 jobs of 3 s on 16 slots with their pulls, against a bare loop of local submissions
on the login node, one after the other, so many rounds. ``chains``: how long after the end of a
job its dependent is submitted, both by the login node's own clock. ``quiet``: the cycles in which
nothing changes, of a run whose jobs all pend.

    python -m benchmarks.whole_run [many ROUNDS] [chains] [quiet JOBS]
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobmon.cluster import ledger
from jobmon.core.model import Attempt, Key
from jobmon.run.settings import read_run_file

from . import lab, meter, peers_run
from .peers_list import DRIVERS

JOBS, INTERVAL = 200, 2.0
CHAINS, LENGTH = 16, 24
ACCOUNT = "hpclimits"

Figures = dict[str, Any]


def many(rounds: int) -> Figures:
    """200 jobs of 3 s: seconds of the floor and of jobmon, and what jobmon asked of the cluster."""
    floors: list[float] = []
    runs: list[Figures] = []
    with peers_run.reservation(later=False, account=ACCOUNT) as name:
        for _ in range(rounds):
            with _node(name) as node:
                floor, bare = _floor(node)
            floors.append(floor)
            with _node(name) as node:
                runs.append(_run(node, _separate) | {"bare_cpu": bare})
    walls = [run["wall"] for run in runs]
    ratios = [wall / floor for wall, floor in zip(walls, floors, strict=True)]
    return {
        "floors_s": floors,
        "walls_s": walls,
        "ratio": statistics.median(ratios),
        "runs": runs,
    }


def chains() -> Figures:
    """Seconds from the end of a job to the submission of its dependent, in several chains."""
    with (
        peers_run.reservation(later=False, account=ACCOUNT) as name,
        _node(name) as node,
    ):
        found = _run(node, _chained)
    gaps = found.pop("gaps")
    return found | {
        "interval_s": INTERVAL,
        "gap_median_s": statistics.median(gaps),
        "gap_max_s": max(gaps),
        "gaps_s": gaps,
    }


def quiet(jobs: int) -> Figures:
    """What a cycle costs while ``jobs`` jobs pend and nothing changes."""
    with (
        peers_run.reservation(later=True, account=ACCOUNT) as name,
        _node(name) as node,
    ):
        return _run(node, lambda init, payload: _separate(init, payload, jobs), pending=jobs)


def _node(reserved: str) -> meter.LoginNode:
    return meter.LoginNode(env={"SBATCH_RESERVATION": reserved}, account=ACCOUNT)


def _floor(node: meter.LoginNode) -> tuple[float, float]:
    """Seconds from the first local submission to the last job's end; processor seconds of it."""
    remote = peers_run.fresh_remote(node)
    told = [str(DRIVERS / "floor.sh"), "many", str(JOBS), "0", "-", str(remote)]
    told += [str(node.home / "payload"), str(node.ssh_config), node.host]
    before, began = node.spent(), time.time()
    subprocess.run(told, input=b"go\n", check=True, capture_output=True)
    last = max(end for _, end in peers_run.stamps(node, JOBS))
    _settle(node)
    shutil.rmtree(remote, ignore_errors=True)
    return last - began, (node.spent() - before).cpu


def _separate(init: Path, payload: Path, jobs: int = JOBS) -> None:
    """Each job in its own folder."""
    for number in range(jobs):
        _put(init / f"job{number:03}", 0, str(payload), "")


def _chained(init: Path, payload: Path) -> None:
    """Chains of jobs of two to four seconds, so that their ends fall anywhere in a cycle."""
    chance = random.Random(4)  # noqa: S311 (always the same lengths)
    for chain in range(CHAINS):
        for step in range(LENGTH):
            body = f"sleep {chance.uniform(2, 4):.2f}; echo {step} >result.{step}.dat\ntrue"
            needs = f"qsub.finished.{step - 1}\n" if step else ""
            _put(init / f"chain{chain}", step, body, needs)


def _put(folder: Path, step: int, body: str, needs: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    end = f"date +%s.%N >ended.{step}\ntouch qsub.finished.{step}\n"
    text = f"#!/bin/sh\n#SBATCH -n 1\nset -e\n{body}\n{end}"
    (folder / f"qsub.{step}").write_text(text)
    (folder / f"qsub.dependency.{step}").write_text(needs)


def _run(node: meter.LoginNode, tree: Any, pending: int = 0) -> Figures:
    """One whole run by the command line; with ``pending``, ended after some quiet cycles."""
    remote = peers_run.fresh_remote(node)
    with tempfile.TemporaryDirectory(prefix="jobmon-whole-") as folder:
        work = Path(folder)
        tree(work / "project" / "init", node.home / "payload")
        words = ["run", "--ldir", str(work / "project"), "--rdir", str(remote)]
        words += ["--remote", node.host, "--ssh-config", str(node.ssh_config)]
        words += ["--maxqsub", str(max(JOBS, pending)), "--interval", str(INTERVAL)]
        words += ["--result", "*.dat"]
        argv = [sys.executable, "-m", "benchmarks.counted", str(work / "cycles.json"), *words]
        before, began = node.spent(), time.time()
        with (work / "said").open("wb") as said:
            program = subprocess.Popen(argv, cwd=lab.ROOT, stdout=said, stderr=said)
            try:
                if pending:
                    _await_quiet(node, program, pending)
                    program.terminate()
                program.wait(timeout=600)
            finally:
                program.terminate()
                program.wait(timeout=60)
        wall = time.time() - began
        _settle(node)
        spent = node.spent() - before
        run = (work / "project" / "latest").resolve()
        if not pending and program.returncode:
            raise RuntimeError(f"jobmon: exit {program.returncode}: {(work / 'said').read_text()}")
        found: Figures = {"wall": wall, "load": _load()} | peers_run.as_figures(spent)
        rows = json.loads((work / "cycles.json").read_text())
        found |= _cycles(rows, node)
        found["results_home"] = len(list(run.rglob("*.dat")))
        if pending:
            listing = (run / "qstat").read_bytes().partition(b"\n")[2]
            found |= {"jobs": pending, "listing_bytes": len(listing)}
        if tree is _chained:
            found["gaps"] = _gaps(node, run, remote / run.name)
    peers_run.cancel_all(ACCOUNT)
    shutil.rmtree(remote, ignore_errors=True)
    return found


def _await_quiet(node: meter.LoginNode, program: subprocess.Popen[bytes], pending: int) -> None:
    end = time.monotonic() + 300
    while node.spent().submissions < pending:
        if time.monotonic() > end or program.poll() is not None:
            raise RuntimeError("the jobs are not submitted")
        time.sleep(1)
    time.sleep(12 * INTERVAL)


def _cycles(rows: list[Figures], node: meter.LoginNode) -> Figures:
    """How many cycles there were, the dearest, and the quiet ones by themselves."""
    listings = [call.time for call in node.calls() if _is_listing(call)]
    channels, quiet_channels, sizes = [], [], []
    looks: Counter[int] = Counter()
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        end = after["before"] if after else row["after"]
        used = end["channels"] - row["before"]["channels"]
        until = after["begin"] if after else time.time()
        looks[sum(row["begin"] <= at < until for at in listings)] += 1
        channels.append(used)
        if after and end["journal"] == row["before"]["journal"] and used <= 1:
            quiet_channels.append(used)
            moved = [end[way] - row["before"][way] for way in ("sent", "received") if way in end]
            sizes.append(sum(moved))
    spans = [row["end"] - row["begin"] for row in rows]
    return {
        "cycles": len(rows),
        "channels_cycle_max": max(channels[:-1], default=0),
        "channels_cycle_min": min(channels[1:-1], default=0),
        "channels_cycles": channels,
        "listings_cycles": {str(number): times for number, times in looks.items()},
        "quiet_cycles": len(quiet_channels),
        "quiet_bytes": statistics.median(sizes) if sizes else None,
        "cycle_median_s": statistics.median(spans),
        "cycle_max_s": max(spans),
    }


def _is_listing(call: meter.Call) -> bool:
    return call.name == "squeue" and "--jobs" not in call.args and "states=all" not in call.args


def _gaps(node: meter.LoginNode, run: Path, twin: Path) -> list[float]:
    """From the marker of each job to the submission of the one that waits for it."""
    _, identity = read_run_file(run / "jobmon.yaml")
    submitted = {
        word.removeprefix("--comment=jobmon:"): call.time
        for call in node.calls()
        if call.name == "sbatch"
        for word in call.args.split()
        if word.startswith("--comment=jobmon:")
    }
    gaps = []
    for chain in range(CHAINS):
        for step in range(1, LENGTH):
            ended = float((twin / f"chain{chain}" / f"ended.{step - 1}").read_text())
            key = Key(f"chain{chain}/qsub.{step}")
            gaps.append(submitted[ledger.token(identity.id, Attempt(key, 1))] - ended)
    return gaps


def _settle(node: meter.LoginNode) -> None:
    """Wait until nothing of the run is left on the login node; what stays there is named."""
    try:
        node.settle()
    except TimeoutError as error:
        left = subprocess.run(
            ["ps", "-u", node.user, "-o", "pid=,ppid=,stat=,etime=,args="],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        raise TimeoutError(f"{error}:\n{left}") from error


def _load() -> float:
    return float(Path("/proc/loadavg").read_text().split()[0])


def main(words: list[str]) -> Mapping[str, Figures]:
    found: dict[str, Figures] = {}
    if "many" in words:
        found["many"] = many(int(words[words.index("many") + 1]))
    if "chains" in words:
        found["chains"] = chains()
    if "quiet" in words:
        found["quiet"] = quiet(int(words[words.index("quiet") + 1]))
    return found


if __name__ == "__main__":
    lab.need_cluster()
    print(json.dumps(main(sys.argv[1:] or ["many", "2", "chains", "quiet", "300"]), indent=1))
