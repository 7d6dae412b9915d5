"""What the batch systems themselves have on record, asked without jobmon."""

from __future__ import annotations

import re
import time

from conftest import TestCluster


def _out(cluster: TestCluster, host: str, command: str) -> str:
    return cluster.run(host, command).stdout


def slurm_submissions(cluster: TestCluster, host: str, folder: str) -> list[str]:
    """Folder and script of every submission ever made under ``folder``, by Slurm's accounting."""
    fields = "JobID,WorkDir%400,SubmitLine%600"
    found = []
    for line in _out(cluster, host, f"sacct -X -n -P -S now-1days -o {fields}").splitlines():
        _, _, rest = line.partition("|")
        workdir, bar, submitted = rest.partition("|")
        if bar and f"/{folder}/" in workdir + "/":
            found.append(f"{workdir.split(f'/{folder}/', 1)[1]}/{submitted.split()[-1]}")
    return sorted(found)


def listed(cluster: TestCluster, host: str) -> set[str]:
    """The job IDs that the batch system lists for the account now."""
    if host == "sge":
        return set(re.findall(r"^\s*(\d+) ", _out(cluster, host, "qstat"), re.MULTILINE))
    return set(_out(cluster, host, "squeue -h -o %F").split())


def sleeper(cluster: TestCluster, host: str) -> str:
    """Submit an unrelated job of the same account; its ID."""
    if host == "sge":
        out = _out(cluster, host, "echo 'sleep 300' | qsub -cwd -o /dev/null -e /dev/null -N other")
        found = re.search(r"Your job (\d+)", out)
    else:
        out = _out(cluster, host, "sbatch -o /dev/null --wrap 'sleep 300'")
        found = re.search(r"Submitted batch job (\d+)", out)
    assert found, out
    return found[1]


def delete(cluster: TestCluster, host: str, jobid: str) -> None:
    _out(cluster, host, f"{'qdel' if host == 'sge' else 'scancel'} {jobid}")


def gone(cluster: TestCluster, host: str, jobids: set[str], limit: float = 90) -> bool:
    """Whether none of the jobs is listed any more, waiting for that up to ``limit`` seconds."""
    end = time.monotonic() + limit
    while listed(cluster, host) & jobids:
        if time.monotonic() > end:
            return False
        time.sleep(0.3)
    return True
