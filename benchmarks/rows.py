"""The table "what to reach": each row, what measures it, and how raw figures become its verdict.

Rule: nothing here measures. A row's ``read`` turns the raw figures of its group (or None where
they were not measured) into what stands in the page and whether the limit is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Raw = Mapping[str, Any]
Verdict = tuple[str, bool]
"""What was measured, in words, and whether that is enough."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``group`` is the measurement that it is read from."""

    name: str
    group: str
    what: str
    limit: str
    read: Callable[[Raw], Verdict]
    how: str


def _logins(raw: Raw) -> Verdict:
    runs = raw["runs"]
    most = max(run["logins"] for run in runs)
    return f"{most} (in {len(runs)} runs of {runs[0]['cycles']} cycles or so)", most == 1


def _quiet_channels(raw: Raw) -> Verdict:
    slurm, sizes = raw["slurm"], raw["sizes"]
    most = max(slurm["channels_cycles"][1:-1] + [size["quiet_channels"] for size in sizes])
    jobs = ", ".join(f"{size['jobs']:,}" for size in sizes)
    return f"{most} (300 pending on Slurm; {jobs} jobs)", most <= 1


def _busy_channels(raw: Raw) -> Verdict:
    most = max(max(run["channels_cycles"]) for run in raw["runs"])
    return f"{most} at most", most <= 4


def _listings(raw: Raw) -> Verdict:
    # The number behind a cycle's is that of the last look, before a run may end.
    turns = {int(n): times for run in raw["runs"] for n, times in run["listings_cycles"].items()}
    once = set(turns) - {0, 1} == set() or all(
        run["listings_cycles"].get("2", 0) <= 1 and set(run["listings_cycles"]) <= {"1", "2"}
        for run in raw["runs"]
    )
    return "1; 2 in the last cycle of a run, whose end is looked at again", once


def _whole(raw: Raw) -> Verdict:
    pairs = zip(raw["walls_s"], raw["floors_s"], strict=True)
    seconds = ", ".join(f"{wall:.1f} s / {floor:.1f} s" for wall, floor in pairs)
    return f"{raw['ratio']:.2f} × ({seconds})", raw["ratio"] <= 1.15


def _submit(raw: Raw) -> Verdict:
    ratios = {
        f"{system} by {link}": found["ratio"]
        for system, links in raw["systems"].items()
        for link, found in links.items()
    }
    words = ", ".join(f"{name} {ratio:.2f} ×" for name, ratio in ratios.items())
    return words, max(ratios.values()) <= 1.25


def _dependents(raw: Raw) -> Verdict:
    longest = raw["interval_s"] + raw["cycle_max_s"]
    typical = (raw["interval_s"] + raw["cycle_median_s"]) / 2
    words = (
        f"{raw['gap_max_s']:.2f} s at most, {raw['gap_median_s']:.2f} s in the median "
        f"({len(raw['gaps_s'])} pairs; {longest:.2f} s and {typical:.2f} s are the limits)"
    )
    return words, raw["gap_max_s"] <= longest and raw["gap_median_s"] <= typical


def _cycle(raw: Raw) -> Verdict:
    small, big = raw["small"]["quiet_ms"], raw["big"]["quiet_ms"]
    means = raw["big"]["quiet_mean_ms"], raw["small"]["quiet_mean_ms"]
    words = f"{big / small:.2f} × ({big:.1f} ms / {small:.1f} ms; "
    words += f"means {means[0]:.1f} / {means[1]:.1f})"
    return words, big / small <= 1.5 and big < 50


def _memory(raw: Raw) -> Verdict:
    return f"{raw['rss_mb']:.0f} MB, {raw['peak_mb']:.0f} MB at most", raw["peak_mb"] < 300


def _start(raw: Raw) -> Verdict:
    start, resume = raw["start_ratio"], raw["resume_ratio"]
    words = (
        f"start {start:.2f} × ({raw['start_s']:.1f} s / {raw['copy_s']:.1f} s), "
        f"resume {resume:.2f} × ({raw['resume_s']:.1f} s)"
    )
    return words, max(start, resume) <= 1.5


def _login_cpu(raw: Raw) -> Verdict:
    """From what ``benchmarks/peers`` has left; those that never look are no peers here."""
    peers, bare = raw["peers"], raw["peers"]["floor"]["many"]["cpu"]
    looking = {
        name: peer
        for name, peer in peers.items()
        if "never" not in peer["looks"] and not name.startswith("jobmon")
    }
    hour_name, hour = min(_found(looking, _hour), key=lambda pair: pair[1])
    run_name, run = min(_found(looking, lambda p: _beyond(p, bare)), key=lambda pair: pair[1])
    ours, our_run = _hour(peers["jobmon"]), _beyond(peers["jobmon"], bare)
    words = (
        f"{ours:.1f} s an hour (the least of the others: {hour_name} {hour:.1f} s); 200 jobs: "
        f"{our_run:.2f} s beyond qsub (the least: {run_name} {run:.2f} s)"
    )
    return words, bool(ours and our_run and ours < hour and our_run < run)


def _found(
    peers: Mapping[str, Raw], figure: Callable[[Raw], float | None]
) -> list[tuple[str, float]]:
    each = ((name, figure(peer)) for name, peer in peers.items())
    return [(name, value) for name, value in each if value is not None]


def _hour(peer: Raw) -> float | None:
    value = peer.get("pending", {}).get("cpu_hour")
    return float(value) if value is not None else None


def _beyond(peer: Raw, bare: float) -> float | None:
    """Seconds beyond what its submissions cost by a bare loop (which are 200 in ``bare``)."""
    many = peer.get("many", {})
    return many["cpu"] - bare * many["submissions"] / 200 if "cpu" in many else None


def _bytes(raw: Raw) -> Verdict:
    slurm = raw["slurm"]
    jobs = slurm["jobs"]
    beside = slurm["quiet_bytes"] - slurm["listing_bytes"]
    words = f"{beside:,.0f} bytes with {jobs} jobs; the limit is {8192 + 100 * jobs:,}"
    return words, beside < 8192 + 100 * jobs


def _pull(raw: Raw) -> Verdict:
    ratios = raw["ratio"]
    words = ", ".join(f"{name} {ratio:.2f} ×" for name, ratio in ratios.items())
    return words, ratios["fabric"] <= 1.3 and ratios["openssh"] <= 1.05


def _commands(raw: Raw) -> Verdict:
    words = (
        f"{raw['help_s']:.2f} s; {raw['status_s']:.2f} s "
        f"({raw['cold_s']:.1f} s where no daemon has left a summary)"
    )
    return words, raw["help_s"] < 0.3 and raw["status_s"] < 1


def _watch(raw: Raw) -> Verdict:
    words = (
        f"{raw['open_s']:.1f} s; {1000 * raw['key_s']:.0f} ms, "
        f"at most {1000 * raw['key_max_s']:.0f} ms"
    )
    return words, raw["open_s"] < 2 and raw["key_s"] < 0.1


ROWS = (
    Row(
        "logins", "many", "SSH logins in the life of a daemon", "1", _logins,
        "`Accepted` in the log of a private sshd, whole runs of 200 jobs.",
    ),
    Row(
        "quiet-channels", "quiet", "channels in a cycle in which nothing changed", "at most 1",
        _quiet_channels,
        "The link's own count at both ends of each cycle (for Slurm its sum is the sshd log's); "
        "runs of all sizes by the link to this machine, with a stand-in batch system.",
    ),
    Row(
        "busy-channels", "many", "channels in a cycle that pulls and submits", "at most 4",
        _busy_channels,
        "The same count, from the begin of a cycle to the begin of the next, so that the pulls "
        "beside it are in it; 200 jobs of 3 s.",
    ),
    Row(
        "listings", "many", "listing commands a cycle", "1", _listings,
        "A wrapper before squeue on the login node notes when it is called.",
    ),
    Row(
        "whole-run", "many", "200 jobs of 3 s on 16 slots, against the floor", "1.15 ×", _whole,
        "Whole processes of `jobmon run --maxqsub 200 --interval 2`, results home; the floor is "
        "a loop of sbatch on the login node, to its last job's end; in turns, 16 cores reserved.",
    ),
    Row(
        "submit", "submit", "a batch of 500 submissions, against the bare loop", "1.25 ×",
        _submit,
        "`benchmarks/submit_batch.py`: both are one channel of the same link, in turns, the ratio "
        "of the medians; jobs on hold.",
    ),
    Row(
        "dependents", "chains", "end of a job to the submission of its dependent",
        "interval + a cycle, half in the median", _dependents,
        "16 chains of 24 jobs of 2 to 4 s, `--interval 2`; from the job's own time stamp before "
        "its marker to the call of sbatch, both by the login node's clock; the longest cycle "
        "counts for the longest wait, half of interval and median cycle for the median.",
    ),
    Row(
        "cycle", "cycle", "processor time for a cycle, 100,000 jobs against 1,000",
        "1.5 ×, below 50 ms", _cycle,
        "User and system time of the daemon's process in a quiet cycle, beside reading the "
        "listing, median of 31 cycles, median of the rounds; 1,000 jobs in the batch system "
        "in both, which is a stand-in, by the link to this machine.",
    ),
    Row(
        "memory", "commands", "memory of the daemon at 100,000 jobs", "below 300 MB", _memory,
        "VmRSS and VmHWM of a real daemon after 40 cycles of the same run.",
    ),
    Row(
        "start", "start", "start and resume at 100,000 jobs, against `cp -r` and one rsync",
        "1.5 ×", _start,
        "From the command to the end of the first cycle, when `--daemon` gives the terminal back; "
        "by Fabric to the loopback host, both trees in memory.",
    ),
    Row(
        "login-cpu", "peers", "login-node processor seconds", "below every peer that looks",
        _login_cpu,
        "`benchmarks/peers`: user and system time of a private sshd and all its descendants.",
    ),
    Row(
        "bytes", "quiet", "bytes in a quiet cycle, beside the listing", "8 KB + 100 a job",
        _bytes,
        "What the link sent and received in a quiet cycle of 300 pending jobs, less the listing "
        "as it stands in the file `qstat`.",
    ),
    Row(
        "pull", "pull", "pulling one 1 GB result, against rsync over OpenSSH",
        "1.3 × Fabric, 1.05 × OpenSSH", _pull,
        "`benchmarks/pull_big.py`: the same file in turns, the ratio of the medians.",
    ),
    Row(
        "commands", "commands", "`jobmon --help`; `jobmon status` at 100,000 jobs",
        "0.3 s; 1 s", _commands,
        "Wall time of whole processes, median of five; status of a run that a daemon has minded.",
    ),
    Row(
        "watch", "watch", "`jobmon watch` at 100,000 jobs: until it shows them; a key's answer",
        "2 s; 0.1 s", _watch,
        "From the command to the counts on a terminal's other end, median of five; from a key to "
        "the cursor's new place, typed while it reads the run, median of 100 and the longest.",
    ),
)  # fmt: skip
