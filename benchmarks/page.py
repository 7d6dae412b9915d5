"""What ``benchmarks/limits`` writes into docs/performance.md, between two markers of that page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .rows import ROWS, Row

BEGIN, END = "<!-- limits -->", "<!-- /limits -->"


def write(raw: Mapping[str, Any], target: Path) -> int:
    """Write the tables anew; 1 if a limit is not kept. Raises ValueError without the markers."""
    text = target.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise ValueError(f"{target}: the markers {BEGIN} and {END} are missing")
    head, rest = text.split(BEGIN, 1)
    behind = rest.split(END, 1)[1]
    lines, kept = _tables(raw)
    new = target.with_name(f"{target.name}.new")
    new.write_text(f"{head}{BEGIN}\n{lines}{END}{behind}", "utf-8")
    new.replace(target)
    return 0 if kept else 1


def _tables(raw: Mapping[str, Any]) -> tuple[str, bool]:
    rows = [(row, *_read(row, raw["groups"])) for row in ROWS]
    table = ["| what | to reach | measured | reached |", "| --- | --- | --- | --- |"]
    table += [f"| {row.what} | {row.limit} | {words} | {yes} |" for row, words, yes in rows]
    how = [
        f"- **{row.what}** (`benchmarks/limits {row.name}`): {row.how}{_when(row, raw['groups'])}"
        for row in ROWS
    ]
    it = raw.get("machine", {})
    about = (
        f"Measured on a virtual machine with {it.get('processors')} processors and "
        f"{it.get('memory_gb')} GB, {it.get('system')}, Python {it.get('python')}, "
        f"{str(it.get('openssh', '')).replace('_', ' ')}; cluster and client share it."
    )
    text = "\n".join([*table, "", about, "", "How each was measured:", "", *how]) + "\n"
    return text, all(yes == "yes" for _, _, yes in rows)


def _read(row: Row, groups: Mapping[str, Any]) -> tuple[str, str]:
    if row.group not in groups:
        return "not measured", "-"
    try:
        words, reached = row.read(groups[row.group])
    except (KeyError, TypeError, ValueError) as missing:
        return f"not whole: {type(missing).__name__} {missing}", "-"
    return words, "yes" if reached else "**no**"


def _when(row: Row, groups: Mapping[str, Any]) -> str:
    group = groups.get(row.group)
    return f" ({group['on']}, load {group['load']})" if group else ""
