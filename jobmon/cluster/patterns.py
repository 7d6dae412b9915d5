"""rsync's filter patterns, for the one place where rsync itself is not used.

The rules (rsync(1), FILTER RULES): a pattern that begins with ``/`` is anchored at the top; one
that holds no other ``/`` is matched against the last part of a name, else against its end;
``*`` stops at a slash and ``**`` does not; one that ends in ``/`` fits folders only. The first
rule that fits decides, and a folder that is left out takes all that it holds with it.
"""

from __future__ import annotations

import os
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
    parts = _bytewise(path).split("/")
    for depth in range(1, len(parts) + 1):
        name = "/".join(parts[:depth])
        is_folder = depth < len(parts)
        for rule in rules:
            if _fits(_bytewise(rule.pattern), name, is_folder):
                if not rule.include:
                    return False
                break
    return True


def _bytewise(text: str) -> str:
    """``text`` with a letter for each byte: to rsync, ``?`` is a byte."""
    return os.fsencode(text).decode("latin-1")


def _fits(pattern: str, name: str, is_folder: bool) -> bool:
    if len(pattern) > 1 and pattern.endswith("/"):
        if not is_folder:
            return False
        pattern = pattern[:-1]
    if is_folder and pattern.endswith("***"):
        name += "/"  # dir/*** fits dir too
    if pattern.startswith("**"):
        name = f"/{name}"  # **/name fits at the top too
    return _regex(pattern).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _regex(pattern: str) -> re.Pattern[str]:
    start = "" if pattern.startswith("/") else "(?:.*/)?"
    rest = pattern.removeprefix("/")
    if not re.search(r"[*?\[]", pattern):
        return re.compile(start + re.escape(rest), re.DOTALL)
    pieces = re.findall(r"\*\*+|\[[!^]?(?:\]|\\.|)(?:\\.|[^\]\\])*\]|\\.|.", rest, re.DOTALL)
    return re.compile(start + "".join(map(_piece, pieces)), re.DOTALL)


def _piece(piece: str) -> str:
    if piece.startswith("**"):
        return ".*"
    match piece:
        case "*":
            return "[^/]*"
        case "?":
            return "[^/]"
        case "[" | "\\":
            return "(?!)"  # never closed, or nothing behind it: fits nothing
    if piece.startswith("["):
        return _one_of(piece[1:-1])
    return re.escape(piece[-1])


def _one_of(inner: str) -> str:
    """A bracket's contents as a regular expression; it never fits a slash."""
    no = inner[0] in "!^"
    out = []
    for sign in re.findall(r"\\.|.", inner[no:], re.DOTALL):
        plain = sign[-1]
        out.append(sign if sign == "-" else re.escape(plain) if plain != "^" else "\\^")
    try:
        found = f"(?!/)[{'^' if no else ''}{''.join(out)}]"
        re.compile(found)
    except re.error:  # a range from high to low
        return "(?!)"
    return found
