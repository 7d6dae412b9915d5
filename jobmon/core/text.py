"""Text that came from elsewhere, made fit to be shown."""

from __future__ import annotations

import re


def printable(text: bytes | str) -> str:
    """``text`` on one line, without control codes: fit for a terminal and a log."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = re.sub(r"\s+", " ", text)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text).strip()
