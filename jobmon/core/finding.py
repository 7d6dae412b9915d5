"""What a check says of one thing: how well it stands, in words, and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """``RED``: a run cannot do what is meant. ``YELLOW``: a person should look at it."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. ``each`` names all that it is about, where that is more than one thing."""

    level: Level
    what: str
    words: str
    way_out: str = ""
    each: tuple[str, ...] = ()


def exit_code(findings: Iterable[Finding]) -> int:
    """0 if all is green, 1 if something is yellow, 2 if something is red."""
    return max((list(Level).index(found.level) for found in findings), default=0)
