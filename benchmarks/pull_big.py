"""Pulling one big result, against rsync over OpenSSH.

    python -m benchmarks.pull_big [--megabytes 1024] [--rounds 3]

In turns, from the same login node of scripts/testcluster into a new folder of $TMPDIR: ours is
Rsync.pull over the daemon's open connection and the landing after it; the other is rsync -rt with
an ssh of its own, login included. The file is random, so that nothing can be compressed. Prints
JSON: the seconds of each turn, and for each link the ratio of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.submit_batch import LINKS, ssh_config
from jobmon.cluster import landing
from jobmon.cluster.base import Link
from jobmon.cluster.links import connect
from jobmon.cluster.probe import probe
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import Wanted
from jobmon.core.address import Remote
from jobmon.core.site import Site

HOST = "hpc"
NAME = "m/result.bin"
WANTED = Wanted(("m",), ("*",), (), ())


def _plain(top: str, size: int, here: Path) -> float:
    command = ["rsync", "-rt", "-e", f"ssh -F {ssh_config()}", f"{HOST}:{top}/m", f"{here}/"]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    return _took(began, size, here)


def _ours(link: Link, top: str, size: int, here: Path) -> float:
    rsync = Rsync(link, here, top, [".jobmon"])
    began = time.perf_counter()
    trouble = rsync.pull(WANTED)
    cargo = landing.ready(here, WANTED, [".jobmon"])
    landing.land(here, cargo.files)
    if trouble or cargo.left:
        raise SystemExit(f"not all was pulled: {trouble} {cargo.left}")
    return _took(began, size, here)


def _took(began: float, size: int, here: Path) -> float:
    seconds = round(time.perf_counter() - began, 3)
    if (here / NAME).stat().st_size != size:
        raise SystemExit("the file did not come whole")
    shutil.rmtree(here)
    return seconds


def measure(megabytes: int, rounds: int) -> dict[str, object]:
    """The seconds of each turn, and the ratios."""
    size = megabytes << 20
    links: dict[str, Link] = {
        kind: connect(Remote(HOST), ssh=kind, ssh_config=ssh_config(), ask=lambda prompt, echo: "")
        for kind in LINKS
    }
    times: dict[str, list[float]] = {"plain": [], **{kind: [] for kind in LINKS}}
    try:
        for link in links.values():
            link.open()
        link = links["fabric"]
        top = f"{probe(link, systems=False, site=Site()).home}/bench-pull-{os.getpid()}"
        make = f"mkdir -p {top}/m && head -c {size} /dev/urandom >{top}/{NAME} && echo made\n"
        if b"made" not in b"".join(link.stream("exec /bin/sh", make.encode(), 300)):
            raise SystemExit("the big file could not be made")
        for n in range(rounds + 1):
            for kind in list(times)[:: 1 if n % 2 else -1]:
                here = Path(tempfile.mkdtemp(prefix="pull"))
                one = links.get(kind)
                seconds = _ours(one, top, size, here) if one else _plain(top, size, here)
                if n:  # the first round brings everything into memory
                    times[kind].append(seconds)
        list(link.stream("exec /bin/sh", f"rm -rf {top}\n".encode(), 60))
    finally:
        for one in links.values():
            one.close()
    plain = statistics.median(times["plain"])
    ratios = {kind: round(statistics.median(times[kind]) / plain, 3) for kind in LINKS}
    return {"megabytes": megabytes, "seconds": times, "ratio": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print(json.dumps(measure(asked.megabytes, asked.rounds), indent=1))


if __name__ == "__main__":
    main()
