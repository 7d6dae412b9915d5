"""A retry that changes something first: files are cleared on both sides, placeholders set anew.

The order: files there, files here, the script, then the REOPENED event, which says what was done.
Each step can be done twice, and is after a crash between them. A clearing may have to wait, as the
cluster may be away or another job of the folder may run; until then it is kept in memory.json.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobmon.cluster.base import Link
from jobmon.cluster.files import Clear, Files
from jobmon.core.life import ENDED
from jobmon.core.model import Attempt, Key
from jobmon.run import clearing, names
from jobmon.run.refill import NOTE, Refill, set_before
from jobmon.run.usage import UsageError

if TYPE_CHECKING:
    from jobmon.cycle.state import Know

log = logging.getLogger(__name__)

FOLDERS = 100
"""In how many folders files are cleared in one cycle."""

NAMED = 20
"""How many of the files cleared the journal names."""

CLEARED = "cleared"
"""The note of a REOPENED event that names what was cleared."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done before the attempt behind ``n``; ``sets`` by placeholder, bare."""

    n: int
    sets: Mapping[str, str] = field(default_factory=dict)
    clean: tuple[str, ...] = ()


def asked(body: Mapping[str, object], n: int = 0) -> Change:
    """What a request to retry asks beside the retry."""
    sets, clean = body.get("set"), body.get("clean")
    return Change(
        n,
        {str(k): str(v) for k, v in sets.items()} if isinstance(sets, dict) else {},
        tuple(map(str, clean)) if isinstance(clean, list) else (),
    )


def filled(know: Know, keys: Sequence[Key], sets: Mapping[str, str]) -> dict[Key, dict[str, str]]:
    """Put ``sets`` into the scripts of these jobs; the notes of those for which that could be done.

    Raises OSError.
    """
    notes = {f"{NOTE}{name}": value for name, value in sets.items()}
    done: dict[Key, dict[str, str]] = {}
    for key in keys:
        try:
            if sets:
                before = set_before(know.jobs[key].history)
                Refill.of(know.paths.run).write(key, before, sets)
        except UsageError as error:
            log.warning("'jobmon retry' leaves %s as it is: %s", key, error)
            continue
        done[key] = dict(notes)
    return done


def clear(know: Know, link: Link) -> tuple[dict[Key, tuple[str, ...]], dict[Key, str]]:
    """Clear what retries wait for: the files cleared by job, and those jobs that cannot be so, each
    with why. What has to wait still is in neither.

    Raises ClusterError, OSError, with nothing concluded.
    """
    know.changes = {
        key: change
        for key, change in know.changes.items()
        if know.jobs[key].life in ENDED and know.jobs[key].n == change.n
    }
    due = _due(know)
    if not due:
        return {}, {}
    run, files = know.paths.run, Files(link, know.identity.rdir, know.identity.id)
    there = files.names(list(due))
    wanted: dict[Key, Clear] = {}
    refused: dict[Key, str] = {}
    for folder, keys in due.items():
        for key in keys:
            change = know.changes[key]
            try:
                stay = clearing.kept(run, folder)
            except UsageError as error:
                refused[key] = str(error)
                continue
            found = {*there[folder], *clearing.here(run, folder)}
            goes = clearing.goes(folder, found, change.clean, stay)
            wanted[key] = Clear(Attempt(key, change.n + 1), folder, tuple(goes))
    left = files.clear(list(wanted.values()))
    for key, one in wanted.items():
        if one.attempt in left:
            refused[key] = left[one.attempt]
            continue
        try:
            for name in one.names:
                (run / one.folder / name).unlink(missing_ok=True)
        except OSError as error:
            refused[key] = f"{error.filename}: {error.strerror}"
    cleared = {key: one.names for key, one in wanted.items() if key not in refused}
    for key, names_ in cleared.items():
        log.info("cleared for %s: %s", key, ", ".join(names_) or "nothing was there")
    for key, why in refused.items():
        log.warning("%s is not retried: %s", key, why)
    return cleared, refused


def _due(know: Know) -> dict[str, list[Key]]:
    """The jobs whose files can be cleared now, by folder: none of the folder may run."""
    busy = {names.split(key)[0] for key in know.listed()}
    found: dict[str, list[Key]] = {}
    for key in know.changes:
        folder = names.split(key)[0]
        if folder not in busy and (folder in found or len(found) < FOLDERS):
            found.setdefault(folder, []).append(key)
    return found


def note(cleared: Sequence[str]) -> dict[str, str]:
    """What the journal says of the files cleared."""
    more = f" and {len(cleared) - NAMED} more" if len(cleared) > NAMED else ""
    return {CLEARED: ", ".join(cleared[:NAMED]) + more}
