"""Driving the real command line, as a person would, and holding a run's files against each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from conftest import FAR

from jobmon.core import life
from jobmon.core.model import Kind, Life
from jobmon.run import journal, names, views

WEIRD = 'o\'dd "ü" name'
"""A space, quotes and a letter outside ASCII."""


def script(body: str, job_id: str, *, marker: bool = True) -> str:
    """A batch script for every system; its marker is its last act, on success."""
    end = f"touch qsub.finished.{job_id}\n" if marker else ""
    return (
        "#!/bin/bash\n#SBATCH -n 1\n#$ -cwd\n#PBS -l select=1:ncpus=1\n"
        "cd \"$(cat <<'THERE'\n__cwd__\nTHERE\n)\" || exit 9\n"
        f"{body}\n{end}"
    )


def put(init: Path, key: str, body: str = "true", needs: str | None = "") -> None:
    """Put one job into a tree: its script, and its dependency file unless ``needs`` is None."""
    path = init / key
    path.parent.mkdir(parents=True, exist_ok=True)
    job_id = path.name.removeprefix("qsub.")
    path.write_text(script(body, job_id))
    if needs is not None:
        path.with_name(f"qsub.dependency.{job_id}").write_text(needs)


def chain(init: Path, folder: str, length: int = 3, body: str = "sleep 0.5") -> None:
    """A folder of chained scripts, each of which leaves a result and some output."""
    for i in range(length):
        needs = "" if i == 0 else f"qsub.finished.{i - 1}\n"
        work = f"echo x >> started.{i}\n{body}\necho output of {i}; echo error of {i} >&2\necho {i} > result.{i}"
        put(init, f"{folder}/qsub.{i}", work, needs)


def forest(project: Path) -> None:
    """Seven folders: chains, one that fails with one blocked behind it, one weird name, a join
    that waits for a marker and for a plain file."""
    init = project / "init"
    for folder in ("a1", "a2", "a10", WEIRD, "fails", "deep/er"):
        chain(init, folder)
    put(
        init,
        "fails/qsub.1",
        "echo x >> started.1; echo 'no convergence' >&2; exit 3",
        "qsub.finished.0\n",
    )
    put(
        init,
        "join/qsub.0",
        "echo x >> started.0; cat ../a1/result.2 ../deep/er/result.2 > all",
        JOIN,
    )


JOIN = "../a1/result.2\n../deep/er/qsub.finished.2\n# a comment\n\nnot ../a1/STOP\n"

FAST = "grace: 3\ninterval: 1\n"
"""Settings for tests: the same rules, shorter times."""


def hurry(project: Path, *more: str) -> None:
    """Shorten a local project's times: nothing lags there. ``more`` are further settings."""
    path = project / "jobmon.yaml"
    text = path.read_text().replace(FAST, "grace: 1\ninterval: 0.3\n")
    path.write_text("\n".join([text, *more, ""]))


LOCAL = FAST + "remote: local\nscheduler: local\n"
"""The same, on this machine's own queue."""


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONUNBUFFERED": "1"} | more


CONSTANTS = """
import importlib, json, sys
for name, value in json.loads(sys.argv.pop(1)).items():
    module, _, constant = name.rpartition(".")
    assert hasattr(importlib.import_module(module), constant)
    setattr(importlib.import_module(module), constant, value)
from jobmon.cli import main
main()
"""


def program(constants: Mapping[str, float] = MappingProxyType({})) -> list[str]:
    """What runs jobmon, with other values of the program's ``constants`` for the test."""
    if not constants:
        return [sys.executable, "-m", "jobmon"]
    return [sys.executable, "-c", CONSTANTS, json.dumps(dict(constants))]


def jobmon(
    *args: str | Path,
    timeout: float = 150,
    code: int | None = None,
    constants: Mapping[str, float] = MappingProxyType({}),
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run ``jobmon ARGS`` to its end; with ``code``, that must be its exit code."""
    done = subprocess.run(
        [*program(constants), *map(str, args)],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout,
        check=False,
        env=options.pop("env", environment()),
        stdin=subprocess.DEVNULL,
        **options,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    if code is not None:
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}{done.stderr}"
    return done


@contextmanager
def daemon(
    *args: str | Path, log: Path, constants: Mapping[str, float] = MappingProxyType({})
) -> Iterator[subprocess.Popen[bytes]]:
    """``jobmon ARGS`` in the background of this test, ended with it if it still runs."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [*program(constants), *map(str, args)],
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(true: Callable[[], object], limit: float = 120, what: str = "") -> None:
    """Wait until ``true()`` is so; the test fails after ``limit`` seconds."""
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, f"not within {limit} s: {what or true}"
        time.sleep(0.1)


def only_run(project: Path) -> Path:
    """The one run of a project."""
    runs = [p for p in project.iterdir() if p.is_dir() and (p / "qsub.log").exists()]
    runs = [p for p in runs if not p.is_symlink()]
    assert len(runs) == 1, runs
    return runs[0]


def twin_of(project: Path) -> Path:
    """The twin of the one run of a project on this machine's own queue."""
    return project.parent / FAR / only_run(project).name


def status(run: Path) -> dict[str, Any]:
    """``jobmon status --json``, with the jobs by key and their states."""
    found: dict[str, Any] = json.loads(jobmon("status", "--run", run, "--json", code=0).stdout)
    found["state"] = {job["key"]: job["state"] for job in found["jobs"]}
    found["job"] = {job["key"]: job for job in found["jobs"]}
    return found


def events(run: Path) -> Sequence[str]:
    return (run / "qsub.log").read_text("utf-8").splitlines()


def count(run: Path, kind: str) -> int:
    return sum(1 for line in events(run) if line.split(" ")[1] == kind)


def ran_once(twin: Path) -> None:
    """No script under ``twin`` was ever run twice: each leaves a line at every start."""
    logs = list(twin.rglob("started.*"))
    assert logs
    assert [str(log) for log in logs if log.read_text().count("x") != 1] == []


def agree(run: Path) -> None:
    """Journal, quelist and qsub.now tell the same."""
    told = journal.read(run / "qsub.log")
    jobs = life.fold(told)
    lines = views.read_quelist((run / "quelist").read_text("utf-8"), run / "quelist")
    assert {line.key: line for line in lines} == {line.key: line for line in views.lines_of(told)}
    text = (run / "qsub.now").read_text("utf-8")
    now = {(line.key, line.jobid) for line in views.read_now(text, run / "qsub.now")}
    alive = {(key, job.jobid) for key, job in jobs.items() if job.in_system}
    # One that wrote its marker may be in the batch system for a moment more.
    lingering = {(key, job.jobid) for key, job in jobs.items() if job.life == Life.FINISHED}
    assert alive <= now <= alive | lingering
    ids = Counter(str(event.jobid) for event in told if event.kind == Kind.STARTED)
    assert [i for i, n in ids.items() if n > 1] == [], "one job ID stands for two submissions"
    assert all(names.script_id(key.rpartition("/")[2]) for key in jobs)
