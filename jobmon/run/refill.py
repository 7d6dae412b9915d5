"""A job's script filled in anew, with other values for some placeholders.

The source is the script in ``init/``; what was put in at the start comes from the run's own
``jobmon.yaml``, and what earlier retries changed from the journal: a REOPENED event with a note
``set_NAME``. A copy that is not what these make was edited by hand, and is never written over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from jobmon.core.model import Event, Key, Kind
from jobmon.run import names, script
from jobmon.run.atomic import write_atomically
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity, Settings, header_text, read_run_file
from jobmon.run.tree import read_plain
from jobmon.run.usage import UsageError

NOTE = "set_"
"""How the note of a REOPENED event begins that says what a placeholder was set to."""

_FIXED = frozenset({"jobname", "cwd", "HEADER"})
"""Placeholders that are what they are by where a job stands."""


def check(sets: Mapping[str, str]) -> None:
    """Raises UsageError for a value that cannot be set for some jobs only."""
    for name, value in sets.items():
        if name in _FIXED:
            raise UsageError(f"--set {name}: __{name}__ follows from where the job is; leave it")
        if "\n" in value or "\0" in value or "\r" in value:
            raise UsageError(f"--set {name}: one line is wanted")
        if name == "maxcore" and not (value.isascii() and value.isdigit() and int(value) > 0):
            raise UsageError(f"--set maxcore={value}: maxcore wants a whole number, 1 or more")


def set_before(history: Iterable[Event]) -> dict[str, str]:
    """What earlier retries of a job have set."""
    return {
        name.removeprefix(NOTE): value
        for event in history
        if event.kind == Kind.REOPENED
        for name, value in event.notes.items()
        if name.startswith(NOTE)
    }


@dataclass(frozen=True, slots=True)
class Refill:
    """What the scripts of one run were filled in with when it was made."""

    run: Path
    settings: Settings
    identity: Identity
    header: str | None

    @classmethod
    def of(cls, run: Path) -> Refill:
        """Raises UsageError where the run's settings or its header cannot be read."""
        settings, identity = read_run_file(Paths(run).settings)
        return cls(run, settings, identity, header_text(settings))

    def text(self, key: Key, before: Mapping[str, str], sets: Mapping[str, str]) -> bytes:
        """The script of a job with ``sets``; ``before`` is what was set for it earlier.

        Raises UsageError where it cannot be made, or would undo what somebody else changed.
        """
        source = self.run.parent / "init" / key
        by_hand = f"edit {self.run / key} by hand, and retry without --set"
        try:
            template, there = read_plain(source), read_plain(self.run / key)
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}; {by_hand}") from None
        if self.header is not None:
            template = script.fill(template, {"HEADER": self.header})
        for name in sets:
            if f"__{name}__".encode() not in template:
                free = [w for w in script.left_over(template) if w.strip("_") not in _FIXED]
                has = ", ".join(free) or "none that can be set"
                raise UsageError(f"--set {name}: {source} has no __{name}__; it has {has}")
        folder = names.split(key)[0]
        cwd = f"{self.identity.rdir}/{folder}" if folder else self.identity.rdir
        values = script.values(self.settings, cwd.rpartition("/")[2], cwd, None)
        old = script.fill(template, {**values, **before})
        new = script.fill(template, {**values, **before, **sets})
        if there not in {old, new}:  # new: this was done once, and cut off behind it
            raise UsageError(
                f"{self.run / key} is not what {source} makes: one of them was changed since the "
                f"start; {by_hand}"
            )
        return new

    def write(self, key: Key, before: Mapping[str, str], sets: Mapping[str, str]) -> None:
        """Put the script with ``sets`` in place, whole. Raises UsageError, OSError."""
        text = self.text(key, before, sets)
        write_atomically(self.run / key, text.decode("utf-8", "surrogateescape"))
