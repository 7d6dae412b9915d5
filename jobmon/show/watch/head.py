"""The lines above the sheets: which run, who has it, its counts with bars, and its pace."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text

from jobmon.core.rows import STATES
from jobmon.core.text import printable
from jobmon.show.watch.board import LETTERS, Board, Sight
from jobmon.show.watch.sheet import STYLES

SIDE_BY_SIDE = 84
"""Cells from which on two counts stand beside each other."""


def head(run: str, daemon: str, pace: str, at: str) -> Text:
    """The first lines."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(printable(run), Style(bold=True))
    text.append(f"  {at}\n{printable(daemon)}\n")
    text.append(printable(pace))
    return text


def counts(board: Board, width: int) -> Text:
    """A letter, a name, a number and a bar for each state that some job is in."""
    there = [state for state in STATES if board.counts[state] > 0]
    columns = 2 if width >= SIDE_BY_SIDE and len(there) > 1 else 1
    across = width // columns
    long = max(1, across - 26)
    text = Text(no_wrap=True)
    lines = -(-len(there) // columns)
    for i in range(lines):
        for state in there[i::lines]:
            number = board.counts[state]
            share = round(long * number / len(board.rows))
            blocks = "█" * max(1, share)
            text.append(f" {LETTERS[state]} ", STYLES[state])
            text.append(f" {state:10}{number:8}  ")
            text.append(
                f"{blocks:{long + 2}}", Style(color=STYLES[state].bgcolor or STYLES[state].color)
            )
        text.append("\n")
    text.right_crop(1)
    return text


def below(sight: Sight, marks: int) -> str:
    """What of the run is in sight, in words."""
    shown, there = len(sight.keys), len(sight.board.rows)
    jobs = "job" if there == 1 else "jobs"
    words = [f"{there} {jobs}" if shown == there else f"{shown} of {there} {jobs}"]
    if sight.words:
        words.append(f"filter: {sight.words}")
    words.append(f"by {sight.sort}{', backwards' if sight.backwards else ''}")
    if marks:
        words.append(f"{marks} marked")
    return " · ".join(map(printable, words))
