"""Which files hold a job's output: what its script names, and what is there.

The batch systems put the job ID into the names that they give by themselves. So of the files that
fit a pattern, those count that hold the ID of this attempt, and those whose name has no variable.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from jobmon.core.model import JobID, Key
from jobmon.run import names
from jobmon.run.script import OUTPUTS, PJM_OUTPUTS, output_patterns

_WILD = re.compile(r"[*?\[]")

Tail = tuple[str, tuple[str, ...]]
"""A file, by its path relative to the run folder, and its last lines."""


def patterns_of(run: Path, key: Key, twin: str) -> list[str]:
    """The patterns of a job's output files, relative to its folder, by the script that is here."""
    try:
        text = (run / key).read_bytes().decode("utf-8", "replace")
    except OSError:
        text = ""
    return output_patterns(text, f"{twin}/{names.split(key)[0]}".rstrip("/"))


def folders(patterns: Iterable[str]) -> list[str]:
    """The folders, relative to the job folder, in which such files are looked for."""
    found = {posixpath.dirname(pattern) for pattern in patterns}
    return sorted(folder for folder in found if not _WILD.search(folder))


def chosen(files: Iterable[str], patterns: Sequence[str], jobid: JobID | None) -> list[str]:
    """Which of ``files`` (relative to the job folder) hold the output of the attempt ``jobid``."""
    fits = re.compile("|".join(f"(?:{_regex(pattern)})" for pattern in patterns))
    hits = sorted(name for name in files if fits.fullmatch(name))
    number = jobid.partition(".")[0].partition("[")[0] if jobid else ""
    has_id = re.compile(rf"(?<![0-9]){re.escape(number)}(?![0-9])" if number else r"(?!)")
    mine = [name for name in hits if has_id.search(posixpath.basename(name)) or name in patterns]
    given = {*OUTPUTS, *PJM_OUTPUTS}
    own = [pattern for pattern in patterns if pattern not in given and _WILD.search(pattern)]
    if mine or not own:
        return mine
    unnumbered = re.compile("|".join(f"(?:{_regex(pattern)})" for pattern in own))
    return [name for name in hits if unnumbered.fullmatch(name)]


def here(run: Path, key: Key, patterns: Sequence[str], jobid: JobID | None) -> list[str]:
    """The job's output files that are here, relative to the run folder."""
    folder = names.split(key)[0]
    files: list[str] = []
    for below in folders(patterns):
        try:
            found = os.listdir(run / folder / below)  # noqa: PTH208 (names are wanted)
        except OSError:
            continue
        files += [posixpath.join(below, name) for name in found]
    there = (names.path(folder, name) for name in chosen(files, patterns, jobid))
    return [path for path in there if (run / path).is_file()]


def last_lines(path: Path, lines: int, most: int = 65536) -> list[str]:
    """The last lines of a file, from its last ``most`` bytes. Raises OSError."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return cut(file.read(most), lines)


def cut(data: bytes, lines: int) -> list[str]:
    """The last lines of what was read of a file's end."""
    found = data.decode("utf-8", "replace").split("\n")
    return found[:-1][-lines:] if found[-1] == "" else found[-lines:]


def _regex(pattern: str) -> str:
    """An rsync pattern as a regular expression; a backslash escapes only beside wildcards."""
    if not _WILD.search(pattern):
        return re.escape(pattern)
    pieces = re.findall(r"\\.|\[[^\]]+\]|.", pattern, re.DOTALL)
    return "".join(map(_piece, pieces))


def _piece(piece: str) -> str:
    if piece.startswith("[") and len(piece) > 1:
        inner = re.sub(r"([\[\\&~|])", r"\\\1", piece[1:-1])
        return f"[{inner}]"
    return {"*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece[-1]))
