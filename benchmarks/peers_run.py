"""One case for one peer, measured: the driver is started, and the login node counted.

Rule: nothing here knows a peer; all get the same jobs, the same 16 slots (a reservation of
Slurm that the account's jobs go into by an environment variable of the login node), the same
counting (meter.py). What a driver does before it says READY is not counted.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from benchmarks import meter
from benchmarks.peers_list import CHECKOUT, COUNTS, DRIVERS, PENDING_INTERVAL, Peer

SLOTS = 16
SECONDS = 3
WINDOW = 180.0
LIMIT = {"many": 1500.0, "chain": 2400.0, "pending": 600.0}


def environment_of(peer: Peer) -> tuple[Path, str]:
    """The peer's interpreter and version; its virtual environment is made where missing."""
    if not peer.package:
        return Path(sys.executable), "-"
    venv = Path(tempfile.gettempdir()) / "jobmon-peers" / peer.venv
    python, made = venv / "bin" / "python", venv / "made"
    if not made.exists() or made.read_text() != peer.package:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        editable = ["--editable"] if peer.package == str(CHECKOUT) else []
        subprocess.run([*pip, *editable, peer.package], check=True)
        made.write_text(peer.package)
    name = "jobmon-ssh" if peer.package == str(CHECKOUT) else peer.package.split("=")[0]
    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    answer = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
    return python, answer.stdout.strip()


def run(peer: Peer, kind: str, account: str) -> dict[str, Any]:
    """The figures of one case. Raises RuntimeError where the peer does not come to its end."""
    python, version = environment_of(peer)
    # Reserved for tomorrow: jobs stay pending. Else: on 16 of the cores.
    cores = SLOTS if kind == "many" else 1
    base = Path(tempfile.mkdtemp(prefix="jobmon-peer-"))
    try:
        with (
            reservation(later=kind == "pending", account=account, cores=cores) as name,
            meter.LoginNode(env={"SBATCH_RESERVATION": name}, account=account) as node,
        ):
            remote = fresh_remote(node)
            try:
                figures = _measure(node, peer, kind, python, base, remote)
            finally:
                cancel_all(account)
                shutil.rmtree(remote, ignore_errors=True)
    except Exception:
        print(f"what {peer.name} said is in {base}", file=sys.stderr)
        raise
    shutil.rmtree(base)
    return {"version": version, "load": os.getloadavg()[0], **figures}


def _measure(
    node: meter.LoginNode, peer: Peer, kind: str, python: Path, base: Path, remote: Path
) -> dict[str, Any]:
    command = driver_command(node, peer, kind, python, base, remote)
    with (base / "errors").open("wb") as errors:
        driver = subprocess.Popen(
            command,
            cwd=base / "work",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    assert driver.stdin is not None
    assert driver.stdout is not None
    try:
        await_word(driver.stdout, b"READY")
        node.settle()
        before, began = node.spent(), time.time()
        driver.stdin.write(b"go\n")
        driver.stdin.flush()
        if kind == "pending":
            return _pending(node, began)
        figures: dict[str, Any] = {}
        if peer.name != "floor":
            home = int(await_word(driver.stdout, b"DONE", LIMIT[kind]).split()[-1])
            figures = {"wall": time.time() - began, "results": home}
        ran = stamps(node, COUNTS[kind] if peer.name == "floor" else 0)
        driver.wait(timeout=120)
        node.settle(120)
        spent = node.spent() - before
    finally:
        end_group(driver)
    if kind == "chain":
        gaps = [after[0] - last[1] for last, after in itertools.pairwise(ran)]
        figures |= {"gap_median": statistics.median(gaps), "gap_max": max(gaps)}
    figures |= {"ran": len(ran), "last_end": max(end for _, end in ran) - began}
    return figures | as_figures(spent) | {"sessions": dict(node.sessions())}


def _pending(node: meter.LoginNode, began: float) -> dict[str, Any]:
    """The costs of an hour, from a few minutes in which all jobs wait and none changes."""
    end = time.monotonic() + LIMIT["pending"]
    while node.spent().submissions < COUNTS["pending"]:
        if time.monotonic() > end:
            raise RuntimeError("it does not get its jobs submitted")
        time.sleep(1)
    time.sleep(2.5 * PENDING_INTERVAL)
    before, at = node.spent(), time.time()
    time.sleep(WINDOW)
    spent, seconds = node.spent() - before, time.time() - at
    figures = as_figures(spent)
    hour = {name: n * 3600 / seconds for name, n in figures.items() if isinstance(n, int | float)}
    return {"measured_seconds": seconds, "submitted_in": at - began, "calls": figures["calls"]} | {
        f"{name}_hour": n for name, n in hour.items()
    }


def as_figures(spent: meter.Spent) -> dict[str, Any]:
    return {
        "logins": spent.logins,
        "channels": spent.channels,
        "submissions": spent.submissions,
        "status_commands": spent.status_commands,
        "calls": {name: n for name, n in spent.calls.items() if n},
        "cpu": spent.cpu,
    }


def driver_command(
    node: meter.LoginNode, peer: Peer, kind: str, python: Path, base: Path, remote: Path
) -> list[str]:
    work = base / "work"
    work.mkdir()
    interval = PENDING_INTERVAL if kind == "pending" else peer.interval
    payload = str(node.home / "payload")
    driver = str(DRIVERS / peer.driver)
    if peer.driver.endswith(".sh"):
        told = [kind, COUNTS[kind], interval, work, remote, payload, node.ssh_config, node.host]
        return [driver, *map(str, told)]
    case = {
        "kind": kind,
        "count": COUNTS[kind],
        "interval": interval,
        "tuned": peer.tuned,
        "work": str(work),
        "remote": str(remote),
        "payload": payload,
        "host": node.host,
        "port": node.port,
        "user": node.user,
        "key": str(node.key),
        "ssh_config": str(node.ssh_config),
        "python": str(python),
    }
    told_in = base / "case.json"
    told_in.write_text(json.dumps(case))
    return [str(python), driver, str(told_in)]


def fresh_remote(node: meter.LoginNode) -> Path:
    """An empty folder on the cluster, the program of each job, and no time stamps."""
    remote = node.home / f"run{time.time_ns()}"
    remote.mkdir()
    payload = node.home / "payload"
    payload.write_text(
        f"#!/bin/sh\nbegan=$(date +%s.%N)\nsleep {SECONDS}\n"
        'echo "$began $(date +%s.%N)" >>"$HOME/stamps"\necho 42 >result.dat\n'
    )
    payload.chmod(0o755)
    (node.home / "stamps").write_text("")
    for path in (remote, node.home / "stamps"):
        shutil.chown(path, node.user, node.user)
    return remote


def stamps(node: meter.LoginNode, wanted: int) -> list[tuple[float, float]]:
    """Begin and end of each job that ran, by begin; waits until so many have ended."""
    end = time.monotonic() + LIMIT["many"]
    while True:
        lines = (node.home / "stamps").read_text().splitlines()
        if len(lines) >= wanted:
            return sorted((float(a), float(b)) for a, b in map(str.split, lines))
        if time.monotonic() > end:
            raise RuntimeError(f"{len(lines)} of {wanted} jobs ran")
        time.sleep(0.1)


def await_word(lines: IO[bytes], word: bytes, seconds: float = 300.0) -> str:
    """The driver's line that begins so. Raises RuntimeError where it ends or hangs before."""

    def give_up(*_: object) -> None:
        raise RuntimeError(f"no {word.decode()} within {seconds:.0f} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(int(seconds))
    try:
        for line in lines:
            if line.startswith(word):
                return line.decode()
    finally:
        signal.alarm(0)
    raise RuntimeError(f"the driver ended before its {word.decode()}")


def end_group(driver: subprocess.Popen[bytes]) -> None:
    """End a driver and its children, gently first: AiiDA's has a daemon to stop."""
    for kind, seconds in ((signal.SIGTERM, 60), (signal.SIGKILL, 10)):
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            driver.wait(seconds)
            return


def slurm(*command: str) -> str:
    """A command of Slurm's, beside the login node: it is not counted."""
    env = {**os.environ, "SLURM_CONF": str(meter.testcluster() / "slurm/slurm.conf")}
    answer = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
    if answer.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {answer.stderr.strip()}")
    return answer.stdout


@contextmanager
def reservation(*, later: bool, account: str = meter.ACCOUNT, cores: int = SLOTS) -> Iterator[str]:
    """Cores for the account's jobs only; later: from tomorrow on, so that they stay pending."""
    name = f"jobmonbench{os.getpid()}{'later' if later else ''}"
    when = "now+1days" if later else "now"
    meter.make_account(account)
    slurm(
        *("scontrol", "create", "reservation", f"ReservationName={name}", f"StartTime={when}"),
        *("Duration=01:00:00", f"Users={account}", "Nodes=ALL", f"CoreCnt={cores}"),
        "Flags=IGNORE_JOBS",
    )
    try:
        yield name
    finally:
        slurm("scontrol", "delete", f"reservation={name}")


def cancel_all(account: str = meter.ACCOUNT) -> None:
    """Delete what is left of the benchmark's jobs: the account has no other use."""
    ids = slurm("squeue", "-h", "-u", account, "-o", "%A").split()
    if ids:
        slurm("scancel", *ids)
    end = time.monotonic() + 30
    while slurm("squeue", "-h", "-u", account, "-t", "PD,R,CG") and time.monotonic() < end:
        time.sleep(0.5)


def describe() -> dict[str, Any]:
    """What was common to all."""
    return {
        "slurm": slurm("sinfo", "-V").strip(),
        "openssh": subprocess.run(
            ["ssh", "-V"], check=False, capture_output=True, text=True
        ).stderr.split(",")[0],
        "python": sys.version.split()[0],
        "processors": os.cpu_count(),
        "jobs": COUNTS,
        "slots": SLOTS,
        "job_seconds": SECONDS,
    }
