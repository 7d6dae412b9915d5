"""The findings of ``jobmon check`` for a person, line by line as they come, or as JSON.

The level stands there as a word, so that nothing depends on colour.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.text import Text

from jobmon.core.finding import Finding, Level, exit_code
from jobmon.core.text import printable

SHOWN = 20
"""How many of what a finding is about are named; the rest is counted."""

_STYLES = {Level.GREEN: "green", Level.YELLOW: "bold yellow", Level.RED: "bold red"}
_INDENT = " " * 8


def as_lines(findings: Iterable[Finding]) -> int:
    """Print them; the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    seen: list[Finding] = []
    for found in findings:
        seen.append(found)
        line = Text(f"{found.level:8}", style=_STYLES[found.level])
        line.append(f"{found.what:14}", style="bold").append(
            printable(found.words), style="default"
        )
        console.print(line)
        for one in found.each[:SHOWN]:
            console.print(Text(f"{_INDENT}  {printable(one)}"))
        if len(found.each) > SHOWN:
            console.print(Text(f"{_INDENT}  and {len(found.each) - SHOWN} more; see --json"))
        if found.way_out:
            console.print(Text(f"{_INDENT}way out: {printable(found.way_out)}"))
    counts = Counter(found.level for found in seen)
    total = ", ".join(f"{counts[level]} {level}" for level in Level)
    console.print(Text(f"{total}; nothing was submitted or changed"))
    return exit_code(seen)


def as_json(findings: Iterable[Finding]) -> tuple[str, int]:
    """All of it for programs, and the exit code."""
    seen = list(findings)
    code = exit_code(seen)
    text = json.dumps({"exit_code": code, "findings": [asdict(found) for found in seen]}, indent=1)
    return text, code
