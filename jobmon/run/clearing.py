"""What ``--clean PATTERN`` means in a job folder: which of its files go before a new attempt.

Names in the folder itself only. Never what makes up a job (scripts, dependency files, markers),
nor what jobmon keeps, nor what ``init/`` has: from those a job begins.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from jobmon.run import names
from jobmon.run.tree import is_ours
from jobmon.run.usage import UsageError


def check(patterns: Iterable[str]) -> None:
    """Raises UsageError for what is no pattern of names in a folder."""
    for pattern in patterns:
        if not pattern or "/" in pattern or "\0" in pattern or "\n" in pattern:
            raise UsageError(
                f"--clean {pattern!a}: a name or pattern in the job folder is wanted, without '/'"
            )


def goes(
    folder: str, found: Iterable[str], patterns: Sequence[str], kept: Container[str]
) -> list[str]:
    """Which of the files ``found`` in a job folder are cleared; ``kept`` are those that stay.

    As in a shell, a pattern fits a name that begins with a dot only if it begins so itself.
    """
    return sorted(
        name
        for name in set(found)
        if name not in kept
        and names.part(name) is None
        and not (not folder and is_ours(name))
        and name not in {".", ".."}
        and any(
            fnmatch.fnmatchcase(name, pattern) and name.startswith(".") <= pattern.startswith(".")
            for pattern in patterns
        )
    )


def kept(run: Path, folder: str) -> set[str]:
    """What ``init/`` has in a folder. Raises UsageError where there is no ``init/`` any more."""
    init = run.parent / "init"
    if not init.is_dir():
        raise UsageError(
            f"{init} is gone, so what a job begins from is not known; clear the files by hand"
        )
    try:
        return set(os.listdir(init / folder))  # noqa: PTH208 (names are wanted)
    except (FileNotFoundError, NotADirectoryError):
        return set()  # a job made the folder


def here(run: Path, folder: str) -> list[str]:
    """The files of a job folder here, links among them."""
    try:
        with os.scandir(run / folder) as entries:
            return [e.name for e in entries if e.is_symlink() or e.is_file(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
