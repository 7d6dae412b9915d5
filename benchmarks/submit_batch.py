"""A batch of submissions, claims and record included, against a bare loop of the submit command.

    python -m benchmarks.submit_batch [--jobs 500] [--rounds 3] [slurm|sge ...]

Both are one channel over the same link to the same login node of scripts/testcluster, in turns:
the bare loop is a remote `cd FOLDER && sbatch SCRIPT` for each job, ours is Cluster.submit, from
the call to the last answer. All jobs are submitted on hold and deleted after each turn. Prints
JSON: for each batch system and link the seconds of each turn, and the ratio of their medians.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import time
from pathlib import Path
from typing import Literal

from jobmon.cluster.base import Link, call
from jobmon.cluster.batch import batch
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.ledger import Order
from jobmon.cluster.links import connect
from jobmon.cluster.probe import probe
from jobmon.cluster.transfer import Same
from jobmon.core.address import Remote
from jobmon.core.model import Accepted, Attempt, Key
from jobmon.core.site import Site

SYSTEMS = {"slurm": ("hpc", "sbatch", "scancel"), "sge": ("sge", "qsub", "qdel")}
LINKS: tuple[Literal["openssh", "fabric"], ...] = ("openssh", "fabric")
SCRIPT = b"#!/bin/sh\n#SBATCH -H\n#SBATCH -o /dev/null\n#$ -h\n#$ -cwd\n#$ -o /dev/null\ntrue\n"
RUN_ID = "r-bench"
_MAKE = """cd && rm -rf {top} && mkdir {top} && cd {top} && i=0 && while [ $i -lt {jobs} ]; do
mkdir m$i && cat >m$i/qsub.0 <<'SCRIPT' || exit
{script}SCRIPT
i=$((i + 1)); done; echo made"""
_BARE = "cd {top} && for f in m*; do (cd $f && {submit} qsub.0); done"


def ssh_config() -> Path:
    """Of scripts/testcluster, which must run."""
    place = os.environ.get("JOBMON_TESTCLUSTER")
    folder = Path(place) if place else Path(os.environ.get("TMPDIR", "/tmp"), "jobmon-testcluster")
    return folder / "ssh_config"


def _run(link: Link, text: str) -> str:
    return b"".join(link.stream("exec /bin/sh", text.encode() + b"\n", 300)).decode()


def _bare(link: Link, system: str, top: str, jobs: int) -> tuple[float, list[str]]:
    began = time.perf_counter()
    said = _run(link, _BARE.format(top=top, submit=SYSTEMS[system][1]))
    seconds = time.perf_counter() - began
    ids = re.findall(r"job (\d+)", said)
    if len(ids) != jobs:
        raise SystemExit(f"the bare loop submitted {len(ids)} of {jobs}: {said[-300:]}")
    return seconds, ids


def _ours(cluster: Cluster, jobs: int, n: int) -> tuple[float, list[str]]:
    orders = [
        Order(
            Attempt(Key(f"m{i}/qsub.0"), n), f"m{i}", "qsub.0", SCRIPT, "qsub.finished.0", (), True
        )
        for i in range(jobs)
    ]
    began = time.perf_counter()
    answers = dict(cluster.submit(orders))
    seconds = time.perf_counter() - began
    ids = [str(answer.jobid) for answer in answers.values() if isinstance(answer, Accepted)]
    if len(ids) != jobs:
        raise SystemExit(f"{len(ids)} of {jobs} were accepted: {list(answers.values())[:3]}")
    return seconds, ids


def measure(
    system: str, kind: Literal["openssh", "fabric"], jobs: int, rounds: int
) -> dict[str, object]:
    """The seconds of each turn, and the ratio of their medians."""
    host, _, delete = SYSTEMS[system]
    link = connect(Remote(host), ssh=kind, ssh_config=ssh_config(), ask=lambda prompt, echo: "")
    link.open()
    try:
        home = probe(link, systems=False, site=Site()).home
        top = f"{home}/bench-{os.getpid()}"
        _run(link, _MAKE.format(top=top, jobs=jobs, script=SCRIPT.decode()))
        list(call(link, "twin", [top, RUN_ID, "adopt"]))
        cluster = Cluster(link, batch(system), Same(), top, RUN_ID, "")
        bare: list[float] = []
        ours: list[float] = []
        for n in range(1, rounds + 1):
            for mine in (True, False) if n % 2 else (False, True):
                seconds, ids = _ours(cluster, jobs, n) if mine else _bare(link, system, top, jobs)
                times = ours if mine else bare
                times.append(round(seconds, 3))
                _run(link, f"{delete} {' '.join(ids)} >/dev/null")
                time.sleep(1)
        _run(link, f"rm -rf {top}")
    finally:
        link.close()
    ratio = statistics.median(ours) / statistics.median(bare)
    return {"jobs": jobs, "bare": bare, "ours": ours, "ratio": round(ratio, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--links", nargs="+", default=LINKS, choices=LINKS)
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS))
    asked = parser.parse_args()
    found = {
        system: {kind: measure(system, kind, asked.jobs, asked.rounds) for kind in asked.links}
        for system in asked.systems
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
