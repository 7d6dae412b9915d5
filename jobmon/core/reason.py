"""Why a job failed, in words a user knows: what the batch system says, then its own last words.

A batch system's file gives the cause and that system's own words; what they are called for a
person stands here, once.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobmon.core.model import Cause, Reason
from jobmon.core.text import printable

LINES = 3
"""How many of a job's last lines are shown."""

WIDTH = 200
"""How many characters of each of them."""

FORGOTTEN = Reason(Cause.FORGOTTEN, "the batch system no longer knows it")

_HEADS = {Cause.DELETED: "deleted by hand", Cause.NEVER_STARTED: "never started"}


def told(reason: Reason | None, output: Iterable[str] = ()) -> Reason:
    """The reason of a job that is gone, for the journal and for people.

    ``output`` are texts that may end in the job's last words, the likeliest first.
    """
    known = reason or FORGOTTEN
    head = _HEADS.get(known.cause)
    words = f"{head}: {known.words}" if head else known.words
    last = next((lines for text in output if (lines := _last_lines(text))), None)
    return Reason(known.cause, f"{words}; last words: {' / '.join(last)}" if last else words)


def _last_lines(text: str) -> list[str]:
    lines = [line for raw in text.split("\n") if (line := printable(raw))]
    return [line if len(line) <= WIDTH else f"…{line[1 - WIDTH :]}" for line in lines[-LINES:]]
