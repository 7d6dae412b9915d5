"""What a shell may complete KEYS to: the job folders and scripts of the run folder that is meant.

Only the folder that the word has come to is read, so that a large run is as quick as a small one.
"""

from __future__ import annotations

import os
from pathlib import Path

from jobmon.run import names
from jobmon.run.tree import is_ours

FEW = 20
"""Up to how many folders that fit are offered with their jobs."""


def keys(run: Path, incomplete: str) -> list[str]:
    """The folders and jobs that ``incomplete`` may become, as people count."""
    above, _, begun = incomplete.rpartition("/")
    folders, found = _within(run, above, begun)
    for folder in folders[:FEW] if len(folders) <= FEW else ():
        inner, scripts = _within(run, folder, "")
        found += [*scripts, *inner]
    return [*folders, *found]


def _within(run: Path, folder: str, begun: str) -> tuple[list[str], list[str]]:
    """The folders and the scripts of one folder whose names begin so. Raises OSError."""
    folders, scripts = [], []
    with os.scandir(run / folder) as entries:
        for entry in entries:
            if not entry.name.startswith(begun) or (not folder and is_ours(entry.name)):
                continue
            path = names.path(folder, entry.name)
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif names.script_id(entry.name) is not None:
                scripts.append(path)
    return sorted(folders, key=names.natural), sorted(scripts, key=names.natural)
