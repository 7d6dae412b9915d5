"""A run in a few lines: counts by state, and the jobs that need a person, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jobmon.core.rows import STATES, Row
from jobmon.core.text import printable

NEED_A_PERSON = ("failed", "killed", "held", "blocked", "unclear")
SHOWN = 50
"""How many jobs of one state are named; the rest is counted."""


def counts(table: Sequence[Row]) -> dict[str, int]:
    """How many jobs are in each state, in the design's order; states without jobs left out."""
    found = Counter(row.state for row in table)
    return {state: found[state] for state in STATES if found[state]}


def summary(table: Sequence[Row], run: Path) -> list[str]:
    """The lines that a run ends with."""
    total = ", ".join(f"{number} {state}" for state, number in counts(table).items())
    lines = [f"{printable(str(run))}: {total or 'no jobs'}"]
    needy = [row for row in table if row.state in NEED_A_PERSON or _stuck(row)]
    for state in dict.fromkeys(row.state for row in sorted(needy, key=_rank)):
        rows = [row for row in needy if row.state == state]
        lines += [f"  {state:8} {printable(row.job.key)}  {_why(row)}" for row in rows[:SHOWN]]
        if len(rows) > SHOWN:
            lines.append(f"  {state:8} and {len(rows) - SHOWN} more; see jobmon status --json")
    return lines


def _stuck(row: Row) -> bool:
    return row.state == "submitted" and bool(row.reason)


def _rank(row: Row) -> int:
    return NEED_A_PERSON.index(row.state) if row.state in NEED_A_PERSON else len(NEED_A_PERSON)


def _why(row: Row) -> str:
    instead = "; see 'jobmon resolve --help'" if row.state == "unclear" else ""
    return printable(row.reason or row.job.why) + instead


def conflicts(paths: Sequence[str]) -> list[str]:
    """A line for each file that was changed on both sides."""
    way_out = "changed on both sides: make both alike, or delete one"
    return [f"  conflict {printable(path)}  {way_out}" for path in sorted(paths)]
