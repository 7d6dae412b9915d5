"""Start and resume of a big run, against ``cp -r`` and one ``rsync`` of the same tree.

Start: from the command to the end of the first cycle, when ``--daemon`` gives the terminal back:
the copy, the checks, the push, a whole look and the first submission. Resume: the same on that
run after ``jobmon stop``. One job may be in the batch system, so that Slurm's pace plays no part.

    python -m benchmarks.start JOBS [ROUNDS]
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from pathlib import Path

from . import lab
from .bigrun import Shape, write_tree


def measure(jobs: int, rounds: int) -> dict[str, object]:
    """Seconds of each, medians of ``rounds``, and their ratios to the copy."""
    with lab.folder("start") as base:
        project = base / "project"
        write_tree(project / "init", Shape(jobs, 0))
        first = project / "init" / "mp-00000" / "qsub.0"
        first.write_text("#!/bin/sh\n#SBATCH -n 1\nsleep 600\ntouch qsub.finished.0\n")
        done = [_round(base, project, number) for number in range(rounds)]
    plain, start, resume = (statistics.median(column) for column in zip(*done, strict=True))
    return {
        "jobs": jobs,
        "folders": sum(1 for _ in Shape(jobs, 0).folders()),
        "copy_s": plain,
        "start_s": start,
        "resume_s": resume,
        "start_ratio": start / plain,
        "resume_ratio": resume / plain,
        "rounds": [list(row) for row in done],
    }


def _round(base: Path, project: Path, number: int) -> tuple[float, float, float]:
    plain = _copy(base, project / "init")
    date = f"20261101_12000{number}"
    words = ["run", "--ldir", str(project), "--datedir", date, "--remote", "hpc"]
    words += ["--ssh-config", str(lab.CONFIG), "--rdir", str(base / "there"), "--maxqsub", "1"]
    (base / "there").mkdir(exist_ok=True)
    (base / "there").chmod(0o777)
    run = project / date
    try:
        start = _timed(words)
        lab.jobmon("stop", "--run", str(run), check=True)
        resume = _timed(["run", "--ldir", str(run)])
    finally:
        lab.jobmon("stop", "--run", str(run))
        for line in (run / "qsub.now").read_text().splitlines():
            lab.there(f"scancel {line.split()[1]}", check=False)
    lab.there(f"rm -rf '{base}/there/{date}'")
    shutil.rmtree(run)
    return plain, start, resume


def _copy(base: Path, init: Path) -> float:
    """``cp -r`` on this machine, then one rsync of the copy to the cluster."""
    shell = f"ssh -F {lab.CONFIG}"
    target = base / "plain"
    target.mkdir(exist_ok=True)
    target.chmod(0o777)
    took = lab.seconds(["cp", "-r", str(init), str(base / "copy")])
    took += lab.seconds(["rsync", "-a", "-e", shell, f"{base / 'copy'}/", f"hpc:{target}/tree/"])
    shutil.rmtree(base / "copy")
    lab.there(f"rm -rf '{target}/tree'")
    return took


def _timed(words: list[str]) -> float:
    began = time.monotonic()
    done = lab.jobmon(*words, "--daemon")
    took = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"jobmon did not start: {done.stdout}{done.stderr}")
    return took


if __name__ == "__main__":
    lab.need_cluster()
    numbers = [int(word) for word in sys.argv[1:]] or [100_000]
    print(json.dumps(measure(numbers[0], (numbers[1:] or [2])[0]), indent=1))
