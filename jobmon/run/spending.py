"""What a run has asked of the cluster so far, over all its daemons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jobmon.run.atomic import write_atomically


def read(path: Path) -> dict[str, int]:
    """The counts by name; those of a file that is torn, or not there, are lost."""
    try:
        return {str(name): int(count) for name, count in json.loads(path.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write(path: Path, counts: Mapping[str, int]) -> None:
    """Raises OSError."""
    write_atomically(path, json.dumps(dict(counts)))


def words(counts: Mapping[str, int], submissions: int) -> str:
    """One line for people."""
    logins, channels = counts.get("logins", 0), counts.get("channels", 0)
    sent, received = (size(counts.get(name, 0)) for name in ("sent", "received"))
    return (
        f"spent so far: {logins} logins, {channels} channels, {sent} sent, {received} received, "
        f"{submissions} submissions"
    )


def size(count: int) -> str:
    """A count of bytes for people: ``3.2 MB``."""
    left, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB"):
        if left < 1000 or unit == "GB":
            break
        left /= 1000
    return f"{left:.0f} {unit}" if unit == "B" or left >= 10 else f"{left:.1f} {unit}"
