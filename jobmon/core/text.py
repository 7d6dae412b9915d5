"""Text that came from elsewhere, made fit to be shown."""

from __future__ import annotations

import re


def clean(text: str) -> str:
    """``text`` without control codes and lone surrogates; white space stays as it is."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def printable(text: bytes | str) -> str:
    """``text`` on one line, without control codes: fit for a terminal and a log."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return clean(re.sub(r"\s+", " ", text)).strip()
