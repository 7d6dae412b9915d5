"""rsync's filter patterns, for the one place where rsync itself is not used.

The rules (rsync(1), FILTER RULES): a pattern that begins with ``/`` is anchored at the top; one
that holds no other ``/`` is matched against the last part of a name, else against its end;
``*`` stops at a slash and ``**`` does not; one that ends in ``/`` fits folders only. The first
rule that fits decides, and a folder that is left out takes all that it holds with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Rule:
    include: bool
    pattern: str


def escape(path: str) -> str:
    """``path`` as a pattern that fits only itself.

    rsync takes a backslash for an escape only in a pattern that holds a wildcard.
    """
    return re.sub(r"([*?\[\\])", r"\\\1", path) if re.search(r"[*?\[]", path) else path


def kept(rules: Sequence[Rule], path: str) -> bool:
    """Whether the file at ``path`` (relative to the top) passes the rules."""
    parts = path.split("/")
    for depth in range(1, len(parts) + 1):
        name = "/".join(parts[:depth])
        is_folder = depth < len(parts)
        for rule in rules:
            if _fits(rule.pattern, name, is_folder):
                if not rule.include:
                    return False
                break
    return True


def _fits(pattern: str, name: str, is_folder: bool) -> bool:
    if pattern.endswith("/") and not is_folder:
        return False
    return _regex(pattern.rstrip("/")).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    start = "" if pattern.startswith("/") else "(?:.*/)?"
    wild = re.search(r"[*?\[]", pattern) is not None
    out, rest = [], pattern.removeprefix("/")
    while rest:
        found = re.match(r"\*\*|\*|\?|\[[!^]?\]?[^\]]*\]|\\.|.", rest, re.DOTALL)
        assert found is not None
        piece, rest = found[0], rest[found.end() :]
        out.append(_piece(piece, wild))
    return re.compile(start + "".join(out), re.DOTALL)


def _piece(piece: str, wild: bool) -> str:
    match piece:
        case "**":
            return ".*"
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
    if piece.startswith("[") and len(piece) > 2:
        inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
        return f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]"
    if piece.startswith("\\") and len(piece) == 2:
        return re.escape(piece[1] if wild else piece)
    return re.escape(piece)
