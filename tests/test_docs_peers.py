"""The figures of docs/coming-from.md are rows of what docs/performance.md tells as measured.

``python tests/test_docs.py --write`` writes them anew.
"""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "coming-from.md"
NAMES = {
    "**jobmon-default**": "jobmon",
    "aiida": "AiiDA",
    "dpdispatcher": "DPDispatcher",
    "dpdispatcher-array": "DPDispatcher, one job array",
}
COLUMNS = (
    "whole run, s",
    "logins",
    "channels",
    "submissions",
    "status commands",
    "login node, CPU s",
)
PLACE = re.compile(r"(<!-- peers[^>]*-->\n).*?(<!-- end peers -->)", re.S)


def measured() -> list[list[str]]:
    """The table of the whole runs on the page of costs, its head first."""
    text = (DOCS / "performance.md").read_text("utf-8")
    head = next(line for line in text.splitlines() if "whole run, s | last job ended" in line)
    lines = text[text.index(head) :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def made() -> str:
    head, _, *rows = measured()
    places = [head.index(column) for column in COLUMNS]
    lines = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    found = {row[0]: row for row in rows}
    lines += [[NAMES[name], *(found[name][i] for i in places)] for name in NAMES]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write() -> None:
    PAGE.write_text(PLACE.sub(lambda m: f"{m[1]}{made()}{m[2]}", PAGE.read_text("utf-8")), "utf-8")


def test_the_figures_are_those_that_were_measured() -> None:
    found = PLACE.search(PAGE.read_text("utf-8"))
    assert found is not None
    assert found[0] == f"{found[1]}{made()}{found[2]}"
    assert made().count("\n") == len(NAMES) + 2
