"""The command line of `scripts/chaos`. Exit code 0: every promise was kept; 1: one was not, or
the storm could not be made; 2: a wrong command line, or no cluster."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import TestCluster, connected, why_no_cluster

from chaos.faults import HOST, ChaosError, Faults
from chaos.plan import What, plan
from chaos.proxy import Proxy
from chaos.records import Verdict
from chaos.storm import Storm

NUMBERS = (
    ("kills", 0, "kill -9 of the daemon"),
    ("drops", 0, "connections cut in the middle"),
    ("stops", 0, "the scheduler stopped and started"),
    ("hangs", 0, "the scheduler hung (SIGSTOP)"),
    ("empties", 0, "answers emptied, cut, garbled or lost"),
    ("jobs", 100, "jobs of a round (100)"),
    ("seed", 0, "which plan of faults (0)"),
)


def options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos",
        description="A storm of real faults on the loopback cluster, counted by its own records.",
    )
    parser.add_argument("--scheduler", choices=["slurm", "sge"], required=True)
    for name, default, words in NUMBERS:
        parser.add_argument(f"--{name}", type=_whole, metavar="N", default=default, help=words)
    parser.add_argument("--ssh", choices=["fabric", "openssh"], default="fabric")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there")
    parser.add_argument("--keep", action="store_true", help="keep the folders, also if all is well")
    parser.epilog = "New rounds of jobs are begun until all faults are spent."
    args = parser.parse_args(argv)
    if not args.jobs:
        parser.error("--jobs 0: a round without jobs ends at once; give 1 or more")
    return args


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


@contextmanager
def alone(scheduler: str) -> Iterator[None]:
    """One storm at a time on a batch system."""
    path = Path(tempfile.gettempdir()) / f"jobmon-chaos-{scheduler}.{os.getuid()}.lock"
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(
                f"chaos: another storm is at work on {scheduler}; waiting for its end", flush=True
            )
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def ssh_config(cluster: TestCluster, port: int, folder: Path) -> Path:
    """A configuration in which the login node is reached through the proxy."""
    folder.mkdir()
    (key,) = {
        " ".join(line.split(" ")[1:])
        for line in (cluster.folder / "ssh" / "known_hosts").read_text().splitlines()
    }
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}\n")
    path = folder / "ssh_config"
    path.write_text(
        f"Host {HOST}\n  HostName 127.0.0.1\n  Port {port}\n  User {cluster.user(HOST)}\n"
        f'  IdentityFile "{cluster.folder}/ssh/id_ed25519"\n  IdentitiesOnly yes\n'
        f'  BatchMode yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile "{folder}/known_hosts"\n'
    )
    return path


def report(storm: Storm, verdict: Verdict, args: argparse.Namespace, seconds: float) -> None:
    counts = {
        "scheduler": args.scheduler,
        "ssh": args.ssh,
        "seed": args.seed,
        "rounds": len(storm.rounds),
        "jobs": verdict.jobs,
        "kills": storm.kills(),
        "drops": storm.tally[What.DROP],
        "stops": storm.tally[What.STOP],
        "hangs": storm.tally[What.HANG],
        "empties": storm.tally[What.LIE],
        "lies": storm.faults.lies(),
        "submissions": verdict.submissions,
        "double": verdict.double,
        "lost": verdict.lost,
        "unclear": len(verdict.unclear),
        "problems": len(verdict.problems),
        "seconds": round(seconds),
    }
    for line in verdict.unclear:
        print(f"unclear: {line}")
    for line in verdict.problems:
        print(f"BROKEN: {line}")
    print("  ".join(f"{name} {value}" for name, value in counts.items()))
    if args.json:
        args.json.write_text(json.dumps(counts) + "\n")


def main(argv: list[str]) -> int:
    args = options(argv)
    if reason := why_no_cluster():
        print(f"chaos: {reason}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # faults cease all the same
    folder = Path(tempfile.mkdtemp(prefix="jobmon-chaos-"))
    try:
        with alone(args.scheduler):
            good = storm(connected(), args, folder)
    except ChaosError as error:
        print(f"chaos: {error}", file=sys.stderr)
        good = False
    if good and not args.keep:
        shutil.rmtree(folder)
    else:
        print(f"chaos: its folders are kept: {folder}")
    return 0 if good else 1


def storm(cluster: TestCluster, args: argparse.Namespace, folder: Path) -> bool:
    """Whether all was well."""
    counts = {
        What.KILL: args.kills,
        What.DROP: args.drops,
        What.STOP: args.stops,
        What.HANG: args.hangs,
        What.LIE: args.empties,
    }
    began = time.monotonic()
    with Proxy(cluster.nodes[HOST].port) as proxy:
        config = ssh_config(cluster, proxy.port, folder / "ssh")
        faults = Faults(cluster, args.scheduler, proxy)
        it = Storm(
            cluster, args.scheduler, proxy, faults, folder, (), args.jobs,
            lambda line: print(line, flush=True),
        )  # fmt: skip
        it.flags = (
            *("--remote", HOST, "--rdir", it.rdir, "--scheduler", args.scheduler),
            *("--ssh", args.ssh, "--ssh-config", str(config)),
        )
        try:
            verdict = it.go(plan(args.scheduler, args.seed, counts))
        finally:
            for each in it.rounds:
                each.kill()
            faults.mended()
        report(it, verdict, args, time.monotonic() - began)
        if verdict.problems:
            print(f"chaos: the twins are kept: ~/{it.rdir} of {cluster.user(HOST)}")
        elif not args.keep:
            faults.there(f"rm -rf ~/{it.rdir}")
    return not verdict.problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
