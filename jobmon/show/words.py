"""Times, counts and bars in words and signs that a person reads; no state, no file."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

BAR = 30
"""How many signs the longest bar has."""

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def span(seconds: float) -> str:
    """A time in its two largest units: ``45 s``, ``3 min 20 s``, ``2 h``, ``3 d 4 h``."""
    left = max(0, round(seconds))
    for i, (unit, size) in enumerate(_UNITS):
        if left >= size:
            head, rest = divmod(left, size)
            if i + 1 == len(_UNITS) or head >= 10:
                return f"{head + (rest * 2 >= size)} {unit}"
            below, unit_below = rest // _UNITS[i + 1][1], _UNITS[i + 1][0]
            return f"{head} {unit} {below} {unit_below}" if below else f"{head} {unit}"
    return "0 s"


def bar(count: int, of: int) -> str:
    """A bar of the share that ``count`` is; whatever is there at all shows."""
    return "█" * max(count > 0, round(BAR * count / of)) if of else ""


def nth(number: int) -> str:
    """``1st``, ``2nd``, ``3rd``, ``4th`` …"""
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if number % 100 in {11, 12, 13} else ends.get(number % 10, 'th')}"


def command(words: Sequence[str], run: Path | None = None) -> str:
    """A command line of jobmon to be typed; ``run`` where the current folder is not meant."""
    where = ["--run", str(run)] if run is not None else []
    return " ".join(["jobmon", words[0], *map(shlex.quote, [*where, *words[1:]])])
