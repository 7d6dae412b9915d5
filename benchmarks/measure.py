"""``benchmarks/limits``: measures the groups of ``rows`` and keeps what was found.

Raw figures are merged, a group at a time, into docs/performance/limits.json; the table of the
page docs/performance.md, between its markers, and the picture beside it are drawn from that file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from . import growth, lab, page
from .rows import ROWS

DOCS = lab.ROOT / "docs" / "performance"
RAW = DOCS / "limits.json"
PEERS = DOCS / "peers.json"
ROUNDS = 2
BIG, SMALL, ALIVE = 100_000, 1_000, 1_000

Raw = dict[str, Any]


def module(name: str, *words: str) -> Any:
    """The JSON that a module of this folder prints, run as a process of its own."""
    argv = [sys.executable, "-m", f"benchmarks.{name}", *words]
    done = subprocess.run(argv, cwd=lab.ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def cycle() -> Raw:
    """Rounds in turns; of each size the median."""
    turns = [
        {size: module("cycle", str(jobs), str(ALIVE)) for size, jobs in _sizes()}
        for _ in range(ROUNDS)
    ]
    return {size: _medians([turn[size] for turn in turns]) for size, _ in _sizes()} | {
        "rounds": turns
    }


def _sizes() -> tuple[tuple[str, int], tuple[str, int]]:
    return ("small", SMALL), ("big", BIG)


def _medians(found: list[Raw]) -> Raw:
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def many() -> Raw:
    return dict(module("whole_run", "many", str(ROUNDS))["many"])


def chains() -> Raw:
    return dict(module("whole_run", "chains")["chains"])


def quiet() -> Raw:
    sizes = [module("cycle", str(jobs), str(ALIVE)) for jobs in (SMALL, BIG)]
    return {"slurm": module("whole_run", "quiet", "300")["quiet"], "sizes": sizes}


def submit() -> Raw:
    return {"systems": module("submit_batch", "--jobs", "500", "--rounds", "3")}


def pull() -> Raw:
    return dict(module("pull_big"))


def start() -> Raw:
    return dict(module("start", str(BIG), str(ROUNDS)))


def commands() -> Raw:
    return dict(module("commands", str(BIG), str(ALIVE)))


def watch() -> Raw:
    return dict(module("watch", str(BIG), str(ALIVE)))


def peers() -> Raw:
    """Measured by ``benchmarks/peers``; here it is only read."""
    return dict(json.loads(PEERS.read_text()))


def grown() -> Raw:
    """What the picture shows, at each size."""
    points = []
    for jobs in growth.SIZES:
        words = (str(jobs), str(growth.ALIVE))
        point = {"jobs": jobs, "cycle": module("cycle", *words)}
        point |= {"commands": module("commands", *words), "start": module("start", str(jobs), "1")}
        points.append(point)
    return {"points": points}


GROUPS: Mapping[str, Callable[[], Raw]] = {
    "cycle": cycle,
    "commands": commands,
    "watch": watch,
    "start": start,
    "many": many,
    "chains": chains,
    "quiet": quiet,
    "submit": submit,
    "pull": pull,
    "peers": peers,
    "growth": grown,
}


def machine() -> Raw:
    """The machine in numbers, without its names."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr
    return {
        "processors": os.cpu_count(),
        "memory_gb": round(memory),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "openssh": said.partition(",")[0],
    }


def read() -> Raw:
    return json.loads(RAW.read_text()) if RAW.exists() else {"groups": {}}


def keep(name: str, found: Raw) -> None:
    """Merge one group into the file, so that what was measured before an error is not lost."""
    raw = read()
    raw["machine"] = machine()
    load = round(os.getloadavg()[0], 1)
    raw["groups"][name] = {"on": f"{date.today():%Y-%m-%d}", "load": load} | found
    DOCS.mkdir(parents=True, exist_ok=True)
    new = RAW.with_name(f"{RAW.name}.new")
    new.write_text(json.dumps(raw, indent=1) + "\n")
    new.replace(RAW)


def main(argv: list[str]) -> int:
    names = [row.name for row in ROWS]
    words = argparse.ArgumentParser(
        prog="benchmarks/limits",
        description="Measure each limit as a ratio to what it is compared with in the same run.",
        epilog=f"ROW is one of: {', '.join(names)}, growth; without any, all are measured.",
    )
    words.add_argument("rows", nargs="*", metavar="ROW")
    words.add_argument("--write", action="store_true", help="only write the page anew")
    wish = words.parse_args(argv)
    if unknown := set(wish.rows) - {*names, "growth"}:
        words.error(f"there is no row {', '.join(sorted(unknown))}")
    wanted = set(wish.rows) or {*names, "growth"}
    groups = {row.group for row in ROWS if row.name in wanted} | ({"growth"} & wanted)
    failed = 0
    if not wish.write:
        lab.need_cluster()
        for name in [name for name in GROUPS if name in groups]:
            began = time.monotonic()
            try:
                keep(name, GROUPS[name]())
            except (subprocess.CalledProcessError, OSError, ValueError, LookupError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                failed = 1
            else:
                print(f"{name}: measured in {time.monotonic() - began:.0f} s", file=sys.stderr)
    raw = read()
    if points := raw["groups"].get("growth", {}).get("points"):
        growth.draw(points, DOCS / "growth.png")
    return page.write(raw, lab.ROOT / "docs" / "performance.md") or failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
