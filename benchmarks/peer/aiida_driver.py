"""AiiDA with its own daemon: the profile of `verdi presto` (SQLite, and its own broker where
no RabbitMQ runs), a computer with the transport its manual recommends (core.ssh_async) and
core.slurm. Tuned: the safe interval of connections 0, the poll interval 10 s.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from common import Case, done, read_case, ready


def verdi(*words: str) -> None:
    command = ["verdi", *words]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    if answer.returncode != 0:
        raise SystemExit(f"verdi {' '.join(words)}: {answer.stdout}{answer.stderr}")


def set_up(case: Case) -> None:
    os.environ["AIIDA_PATH"] = str(case.work)
    os.environ["HOME"] = str(case.work)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    ssh = case.work / ".ssh"
    ssh.mkdir(mode=0o700)
    shutil.copy(case.ssh_config, ssh / "config")
    shutil.copy(Path(case.ssh_config).with_name("known_hosts"), ssh / "known_hosts")
    verdi("presto", "-n")
    verdi(
        *("computer", "setup", "-n", "--label", "cluster", "--hostname", case.host),
        *("--transport", "core.ssh_async", "--scheduler", "core.slurm"),
        *("--work-dir", f"{case.remote}/aiida", "--mpiprocs-per-machine", "1"),
    )
    tuned = ("--safe-interval", "0") if case.tuned else ()
    verdi("computer", "configure", "core.ssh_async", "-n", "--host", case.host, *tuned, "cluster")
    verdi("config", "set", "warnings.development_version", "false")


def main() -> None:
    case = read_case()
    set_up(case)
    # What AiiDA reads from the environment is set only now.
    from aiida import engine, load_profile, orm  # noqa: PLC0415

    load_profile()
    if case.tuned:
        orm.load_computer("cluster").set_minimum_job_poll_interval(10.0)
    code = orm.InstalledCode(
        label="payload", computer=orm.load_computer("cluster"), filepath_executable=case.payload
    ).store()
    from aiida_jobs import Chain, Payload  # noqa: PLC0415

    verdi("daemon", "start")
    try:
        ready()
        if case.kind == "chain":
            waited = [engine.submit(Chain, code=code, count=orm.Int(case.count))]
        else:
            waited = [engine.submit(Payload, code=code) for _ in range(case.count)]
        while not all(node.is_terminated for node in waited):
            time.sleep(0.5)
        jobs = orm.QueryBuilder().append(orm.CalcJobNode).all(flat=True)
        ended = [node for node in jobs if node.is_finished_ok]
        done(sum("result.dat" in node.outputs.retrieved.list_object_names() for node in ended))
    finally:
        verdi("daemon", "stop")


main()
