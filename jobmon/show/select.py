"""Which jobs a person means: by key, folder, pattern and state; the same in every command."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from jobmon.core.model import Key
from jobmon.core.rows import Row
from jobmon.run import names
from jobmon.run.usage import UsageError


class Shown(Protocol):
    """The jobs of a run as they are shown: a ``View``, or a ``Glance``."""

    @property
    def run(self) -> Path: ...

    @property
    def by_key(self) -> Mapping[Key, Row]: ...


def meant(seen: Shown, words: Sequence[str], states: Sequence[str] = ()) -> list[Key]:
    """The jobs that job keys, folders or patterns mean, as far as they are in one of ``states``,
    folder by folder as people count.

    Raises UsageError for a word that means none, and where neither words nor states are given.
    """
    if not words and not states:
        raise UsageError("no job is named: give KEYS, '.' for all, or --state")
    found, unknown = select(seen, words, states)
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: no job, folder or pattern of {seen.run} is called so"
        )
    return sorted(found, key=names.order)


def one(seen: Shown, word: str, verb: str) -> Key:
    """The one job that ``word`` means. Raises UsageError."""
    keys = meant(seen, [word])
    if len(keys) != 1:
        raise UsageError(f"{word} means {len(keys)} jobs; 'jobmon {verb}' wants one")
    return keys[0]


def select(
    view: Shown, words: Sequence[str], states: Sequence[str] = ()
) -> tuple[list[Key], list[str]]:
    """The jobs that words mean (all of them, without words) and that are in one of ``states`` (in
    any, without states); and the words that mean none."""
    found, unknown = chosen(list(view.by_key), words) if words else (list(view.by_key), [])
    return [key for key in found if not states or view.by_key[key].state in states], unknown


def chosen(jobs: Sequence[Key], words: Sequence[str]) -> tuple[list[Key], list[str]]:
    """The jobs that job keys, folders or patterns mean, and the words that mean none.

    A word that is a job's key means that job alone, whatever it would mean as a pattern.
    """
    found: dict[Key, None] = {}
    unknown = []
    there = set(jobs)
    for raw in words:
        if raw in there:
            found[Key(raw)] = None
            continue
        word = raw.rstrip("/") or raw
        hits = [
            key
            for key in jobs
            if key.startswith(f"{word}/")
            or word == "."
            or fnmatch.fnmatchcase(key, word)
            or fnmatch.fnmatchcase(names.split(key)[0], word)
        ]
        found.update(dict.fromkeys(hits))
        if not hits:
            unknown.append(raw)
    return list(found), unknown
