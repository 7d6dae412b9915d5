"""Write the tables of docs/reliability.md, and see that they are up to date.

Counts come from docs/reliability/*.json, which scripts/simulate and scripts/chaos write by
``--json``; the table of faults from the tests that carry the marker ``fault``.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).resolve().parent.parent
PAGE = HOUSE / "docs" / "reliability.md"
COUNTS = HOUSE / "docs" / "reliability"

ROWS = {
    "connection by": "ssh",
    "rounds of jobs": "rounds",
    "jobs": "jobs",
    "submissions, by the scheduler's own record": "submissions",
    "daemon killed with -9": "kills",
    "connection cut": "drops",
    "scheduler stopped and started": "stops",
    "scheduler hung": "hangs",
    "times that answers were emptied, halved, garbled or lost": "empties",
    "commands that answered so": "lies",
    "**submitted twice**": "double",
    "**lost**": "lost",
    "**promises broken in any way**": "problems",
    "`unclear` (each time no answer was on record)": "unclear",
    "seconds": "seconds",
}
"""What is said of a storm, and what scripts/chaos calls that."""

STORM = frozenset(ROWS.values())
WORLDS = frozenset({"worlds", "starts", "submissions", "unclear", "broken", "faults", "variants"})


class Collector:
    """A pytest plugin: which test shows which fault."""

    def __init__(self) -> None:
        self.shown: dict[str, dict[str, set[str]]] = {}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for mark in item.iter_markers("fault"):
                group, _, fault = str(mark.args[0]).partition(": ")
                where = f"{Path(item.path).stem}::{item.name.split('[')[0]}"
                self.shown.setdefault(group, {}).setdefault(fault, set()).add(where)


def marked() -> dict[str, dict[str, set[str]]]:
    """Group -> fault -> the tests that show it."""
    collector = Collector()
    words = ["--collect-only", "-q", "-p", "no:cacheprovider", str(HOUSE / "tests")]
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = pytest.main(words, plugins=[collector])
    if code != 0:
        raise SystemExit(f"the tests cannot be collected:\n{said.getvalue()[-2000:]}")
    return collector.shown


def faults(shown: dict[str, dict[str, set[str]]]) -> list[str]:
    lines = []
    for group in sorted(shown):
        lines += [f"**{group}**", "", "| fault | shown by |", "| --- | --- |"]
        for fault, tests in sorted(shown[group].items()):
            cells = ", ".join(f"`{test}`" for test in sorted(tests))
            lines.append(f"| {fault.replace('|', '&#124;')} | {cells} |")
        lines.append("")
    return lines


def simulated(found: dict[str, Any]) -> list[str]:
    lines = [
        f"{found['worlds']:,} worlds, {found['starts']:,} starts of the daemon, "
        f"{found['submissions']:,} submissions, {found['unclear']:,} times `unclear` "
        f"(each time the evidence was lost): **{found['broken']:,} broken promises**.",
        "",
        "| fault | struck so often |",
        "| --- | ---: |",
    ]
    lines += [f"| {name} | {times:,} |" for name, times in sorted(found["faults"].items())]
    lines += ["", "| broken on purpose | caught after so many worlds |", "| --- | ---: |"]
    lines += [f"| {name} | {worlds:,} |" for name, worlds in sorted(found["variants"].items())]
    return lines


def real(found: dict[str, dict[str, Any]]) -> list[str]:
    names = {"slurm": "Slurm", "sge": "Grid Engine"}
    lines = [f"| | {' | '.join(names[one] for one in found)} |", f"| --- |{' ---: |' * len(found)}"]
    for words, name in ROWS.items():
        cells = " | ".join(_cell(counts[name]) for counts in found.values())
        lines.append(f"| {words} | {cells} |")
    return lines


def _cell(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def counts(name: str) -> dict[str, Any]:
    """What a script counted; ends with one line, where that file is missing or is none of its."""
    path = COUNTS / f"{name}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SystemExit(
            f"{path}: {why}; see the head of scripts/reliability for what makes it"
        ) from None
    if missing := sorted((WORLDS if name == "simulated" else STORM) - found.keys()):
        raise SystemExit(f"{path}: no {', '.join(missing)}; make it anew, see scripts/reliability")
    return found


def made(before: str) -> str:
    """The page with what stands between its marks made anew."""
    text = before
    for name, lines in (
        ("simulated", simulated(counts("simulated"))),
        ("real", real({one: counts(one) for one in ("slurm", "sge")})),
        ("faults", faults(marked())),
    ):
        begin, end = f"<!-- {name}: made by scripts/reliability -->\n", f"<!-- end {name} -->"
        head, _, rest = text.partition(begin)
        body = "\n".join(lines).strip("\n")
        text = f"{head}{begin}\n{body}\n\n{end}{rest.partition(end)[2]}"
    return text


def main() -> int:
    before = PAGE.read_text("utf-8")
    after = made(before)
    if "--check" in sys.argv[1:]:
        lines = list(
            difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        )
        if lines:
            print(f"{PAGE} is not up to date; run scripts/reliability:", *lines[:20], sep="\n")
        return 1 if lines else 0
    PAGE.write_text(after, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
