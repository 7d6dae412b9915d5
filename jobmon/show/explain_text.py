"""``jobmon explain`` in words: what ``explain.py`` found, as lines for a terminal, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from jobmon.core.text import clean, printable
from jobmon.run import names
from jobmon.show.causes import Cause
from jobmon.show.explain import Explained, Place
from jobmon.show.history import Moment
from jobmon.show.words import command, nth, span

LAST = 12
"""How many moments of a long life are told; those before are counted."""


def lines(it: Explained, run: Path | None = None) -> list[str]:
    """All of it. ``run`` is put into the commands where the current folder is not that run."""
    why = f": {it.reason}" if it.reason and it.reason != it.state else ""
    why = why.replace(f": {it.state}: ", ": ", 1)
    found = [printable(f"{it.key} is {it.state}{why}")]
    found += _part("its life", _life(it.life))
    found += _part("it waits for", _tree(it.needs))
    found += _part("its place", [_place(it.place)] if it.place is not None else [])
    found += _part(f"the batch system's words, as seen at {it.seen}", [it.listed] * bool(it.listed))
    for path, last in it.output:
        found += _part(f"the end of {path}", [f"| {line}" for line in last] or ["| (empty)"])
    both = "changed on both sides: make both alike, or delete one"
    found += _part("it is kept back by", [f"{path}, {both}" for path in it.conflicts])
    if it.behind:
        found += [f"{it.behind} job(s) wait for it"]
    look = [command(words, run) for words in it.look]
    found += _part("to look closer", [*look, *([it.enter] if it.enter else [])])
    found += _part("to mend it", [command(words, run) for words in it.mend])
    return found


def as_json(it: Explained) -> str:
    """The same for programs; times as ISO 8601, lengths in seconds."""

    def plain(value: object) -> str:
        return names.stamp(value) if isinstance(value, datetime) else str(value)

    data = asdict(it)
    data["output"] = [{"file": path, "lines": list(last)} for path, last in it.output]
    return json.dumps(data, indent=1, default=plain)


def _part(head: str, body: Iterable[str]) -> list[str]:
    told = [f"  {clean(line.expandtabs())}" for line in body]
    return [f"{printable(head)}:", *told] if told else []


def _life(life: Sequence[Moment]) -> Iterator[str]:
    if len(life) > LAST:
        yield f"… {len(life) - LAST} more before"
    for moment in life[-LAST:]:
        lasted = f"for {span(moment.lasted)}" if moment.lasted is not None else ""
        what = f"as {moment.jobid}" if moment.jobid is not None else printable(moment.said)
        yield f"{moment.at:%Y-%m-%d %H:%M:%S}  {moment.word:11}{lasted:18}{what}".rstrip()


def _tree(causes: Sequence[Cause], depth: int = 0) -> Iterator[str]:
    pad = "  " * depth
    for cause in causes:
        if cause.key is None:
            how = {"missing": "is missing, and no job of the run is known to make it"}
            yield f"{pad}{cause.need}  {how.get(cause.state, 'is there, and must not be')}"
        else:
            reason = (
                ""
                if cause.below or cause.again
                else f": {printable(cause.why)}"
                if cause.why
                else ""
            )
            above = ", see above" if cause.again else ""
            yield f"{pad}{cause.key}  {cause.state}{reason}{above}"
        if cause.skipped:
            yield f"{pad}  … {cause.skipped} more of the chain …"
        yield from _tree(cause.below, depth + 1)
        if cause.more:
            yield f"{pad}and {cause.more} more"


def _place(place: Place) -> str:
    most = f", of at most {place.maxqsub}," if place.maxqsub is not None else ""
    return (
        f"{nth(place.nth)} of {place.ready} that are ready; {place.inside} job(s){most} "
        "are in the batch system"
    )
