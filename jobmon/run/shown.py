"""What ``jobmon status`` shows of a large run at once: the daemon leaves it, as reading all of such
a run takes long.

It is where each job stood at a byte of the journal; what the journal says behind that byte is laid
on top, so only what files say of a job (held, waiting, blocked) may be as old as the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from jobmon.core.life import Job
from jobmon.core.model import Event, Key, Kind
from jobmon.core.needs import Index
from jobmon.core.pace import Pace, pace
from jobmon.core.rows import Row, rows
from jobmon.run import journal, names
from jobmon.run.atomic import write_atomically
from jobmon.run.paths import Paths
from jobmon.run.tree import read_needs

LARGE = 5000
"""Jobs from which on a run is large; a smaller one is read whole whenever it is asked for."""

_STATES = {
    Kind.READY: "ready",
    Kind.SUBMITTING: "submitted",
    Kind.UNSUBMITTED: "ready",
    Kind.STARTED: "submitted",
    Kind.REOPENED: "waiting",
}


def table(
    jobs: Mapping[Key, Job],
    index: Index,
    present: set[str],
    stuck: Mapping[Key, str],
    paths: Paths,
) -> list[Row]:
    """Every job as a person is shown it. ``present``: the needed files that are there."""
    some_aside = paths.held.is_dir()

    def held(key: Key) -> str:
        if key not in index:
            return f"its script is gone here; bring {key} back to let it go"
        dependency = paths.run / names.dependency(key)
        folder = names.split(key)[0]
        if os.path.lexists(dependency) and (trouble := read_needs(dependency, folder)[1]):
            return trouble
        if some_aside and (paths.held / names.dependency(key)).exists():
            return f"'jobmon release {key}' lets it go"  # an empty file would drop its needs
        return f"touch {names.dependency(key)} to let it go"

    return rows(jobs, index.of, present, names.marker_key, held, stuck)


def pace_of(table: Sequence[Row], index: Index, maxqsub: int, at: datetime) -> Pace:
    """How quick the run of this table goes."""

    def id_of(key: Key) -> str:
        return names.split(key)[1]

    return pace(table, index.of, names.marker_key, id_of, maxqsub, at)


def state_after(event: Event) -> str:
    """What a job is shown as right after an event, until its files are read."""
    return _STATES.get(event.kind, str(event.kind))


@dataclass(slots=True)
class Shown:
    """Where each job stands, and why where that was said; ``at`` is when the daemon saw it, and
    ``pace`` as of then. ``offset``: the byte of the journal up to which it was followed."""

    at: str
    submissions: int = 0
    states: dict[Key, str] = field(default_factory=dict)
    why: dict[Key, str] = field(default_factory=dict)
    pace: Pace | None = None
    offset: int = 0

    def rows(self) -> list[Row]:
        """As much of the table as is known."""
        return [Row(Job(k), state, (), self.why.get(k, "")) for k, state in self.states.items()]

    def add(self, events: Iterable[Event]) -> None:
        """Lay on top what happened since."""
        for event in events:
            self.submissions += event.kind == Kind.SUBMITTING
            self.states[event.key] = state_after(event)
            self.why[event.key] = event.notes.get("reason", "")


def write(paths: Paths, shown: Shown, offset: int) -> None:
    """Leave it for others, as of the byte ``offset`` of the journal. Raises OSError."""
    by_state: dict[str, list[Key]] = {}
    for key, state in shown.states.items():
        by_state.setdefault(state, []).append(key)
    text = json.dumps(
        {
            "at": shown.at,
            "offset": offset,
            "submissions": shown.submissions,
            "states": by_state,
            "why": {key: why for key, why in shown.why.items() if why},
            "pace": asdict(shown.pace) if shown.pace is not None else None,
        }
    )
    write_atomically(paths.shown, text)


def read(paths: Paths) -> Shown | None:
    """What a daemon left, brought up to the journal's end; None where the run is to be read.

    Raises BadFile for a journal that cannot be read.
    """
    try:
        data = json.loads(paths.shown.read_bytes())
        shown = Shown(str(data["at"]), int(data["submissions"]))
        for state, keys in data["states"].items():
            shown.states.update(dict.fromkeys(map(Key, keys), state))
        shown.why = {Key(key): str(why) for key, why in data["why"].items()}
        shown.pace = _pace(data.get("pace"))
        offset = int(data["offset"])
        if len(shown.states) < LARGE or paths.journal.stat().st_size < offset:
            return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    events, shown.offset = journal.follow(paths.journal, offset)
    shown.add(events)
    return shown


def _pace(data: dict[str, Any] | None) -> Pace | None:
    """What ``write`` wrote; None where an older daemon left none. Raises LookupError, TypeError."""
    if data is None:
        return None
    to_end = data["to_end"]
    known = tuple(map(float, to_end)) if to_end is not None else None
    return Pace(data["per_hour"], data["left"], data["unknown"], known)  # type: ignore[arg-type]
