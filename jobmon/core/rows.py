"""What a person is shown of each job: its state in the design's words, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace

from jobmon.core.life import OPEN, Job
from jobmon.core.model import Cause, Key, Life
from jobmon.core.needs import Needs, in_vain, unmet

STATES = (
    "held",
    "waiting",
    "blocked",
    "ready",
    "submitted",
    "running",
    "finished",
    "failed",
    "killed",
    "unclear",
)

_BY_LIFE = {
    Life.SUBMITTING: "submitted",
    Life.STARTED: "submitted",
    Life.RUNNING: "running",
    Life.FINISHED: "finished",
    Life.FAILED: "failed",
    Life.KILLED: "killed",
    Life.UNCLEAR: "unclear",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One job as shown. ``missing``: what it waits for, as a dependency file would say it.

    ``cause``: why it failed or never starts, as one of the words of ``Cause``.
    """

    job: Job
    state: str
    missing: tuple[str, ...]
    reason: str
    cause: str = ""


def rows(
    jobs: Mapping[Key, Job],
    needs: Callable[[Key], Needs],
    present: Set[str],
    maker: Callable[[str], Key | None],
    held: Callable[[Key], str],
    stuck: Mapping[Key, str],
) -> list[Row]:
    """Every job as a person is shown it, in the order of ``jobs``.

    ``held``: what lets a held job go. ``stuck``: why a job that is in the batch system will
    never start there by itself.
    """
    blocked = in_vain(jobs, needs, present, maker)
    shown = (_row(job, needs, present, blocked, held) for job in jobs.values())
    return [
        # It may have seemed to run for a moment, and is back in the queue for ever.
        replace(row, state="submitted", reason=stuck[row.job.key], cause=str(Cause.NEVER_STARTED))
        if row.job.key in stuck and row.state in {"submitted", "running"}
        else row
        for row in shown
    ]


def _row(
    job: Job,
    needs: Callable[[Key], Needs],
    present: Set[str],
    blocked: Mapping[Key, str],
    held: Callable[[Key], str],
) -> Row:
    if job.life not in OPEN:
        return Row(job, _BY_LIFE[job.life], (), job.why, job.cause)
    mine = needs(job.key)
    if mine is None:
        return Row(job, "held", (), f"held: {held(job.key)}")
    missing = tuple(str(need) for need in unmet(mine, present))
    if job.key in blocked:
        return Row(job, "blocked", missing, blocked[job.key])
    return Row(job, "waiting" if missing else "ready", missing, "")
