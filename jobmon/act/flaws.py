"""What is wrong with a tree that is to be run: what a start refuses, and what it warns of.

A start stops at the first refusal; ``jobmon check`` names them all. Both ask here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jobmon.core.finding import Finding, Level
from jobmon.run import names, script
from jobmon.run.synced import Stamp
from jobmon.run.tree import Parsed, is_ours, read_needs

NAMES, DEPENDENCIES, PLACEHOLDERS, SCRIPTS, MARKERS = (
    "names",
    "dependencies",
    "placeholders",
    "scripts",
    "markers",
)
"""What a flaw is about."""


def walk(top: Path, *, run: bool = False) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Every folder, relative to ``top``, with what is in it. Links to folders are not entered.

    ``run``: it is a run folder, whose own files are passed over. Raises OSError.
    """
    todo = [""]
    while todo:
        folder = todo.pop()
        with os.scandir(f"{top}/{folder}") as found:
            entries = sorted(found, key=lambda entry: entry.name)
        if run and not folder:
            entries = [entry for entry in entries if not is_ours(entry.name)]
        yield folder, entries
        todo += [
            names.path(folder, entry.name)
            for entry in reversed(entries)
            if entry.is_dir(follow_symlinks=False)
        ]


def refused(top: Path, parsed: dict[str, Parsed], *, run: bool = False) -> Iterator[Finding]:
    """Why the tree cannot be run as it stands, naming file and line.

    ``parsed`` is filled: what the dependency files ask for, by their paths in the tree.
    """
    for folder, entries in walk(top, run=run):
        for entry in entries:
            name, path = entry.name, entry.path
            if "\n" in name:
                yield _red(NAMES, f"{path!r}: a newline in a file name; rename it")
                continue
            part = names.part(name)
            if entry.is_dir():
                if part == names.Part.DEPENDENCY:
                    yield _red(NAMES, f"{path}: a folder in place of a file; rename it")
                continue
            wanted = part == names.Part.SCRIPT and not entry.is_file()
            if wanted or not (entry.is_symlink() or entry.is_file()):  # a pipe, a socket, a device
                yield _red(NAMES, f"{path}: no plain file, nor a link to one; mend it")
            elif part == names.Part.DEPENDENCY:
                try:
                    stamp = Stamp.of(entry.stat())  # before it is read
                except OSError as error:  # a link to nowhere
                    yield _red(NAMES, f"{path}: {error.strerror}; mend it")
                    continue
                needs, complaint = read_needs(path, folder)
                if complaint:
                    yield _red(DEPENDENCIES, complaint)
                else:
                    parsed[names.path(folder, name)] = stamp, needs, ""
    for child in () if run else top.iterdir():
        if is_ours(child.name) and child.name != "jobmon.yaml":
            yield _red(NAMES, f"{child}: jobmon keeps a file of that name; rename yours")


def of_link(key: str) -> Finding:
    """Of a link to a folder."""
    return _yellow(NAMES, f"{key} is a link to a folder; no job is looked for behind it")


def of_script(key: str, job_id: str, filled: bytes) -> Iterator[Finding]:
    """What a person should know of a script whose placeholders are ``filled`` in."""
    text = filled.decode("utf-8", "replace")
    left = script.left_over(filled)
    if left:
        words = f"{key}: {', '.join(left)} left over; no value was given for it"
        ours = any(name.strip("_") in script.PLACEHOLDERS for name in left)
        yield Finding(Level.RED if ours else Level.YELLOW, PLACEHOLDERS, words)
    if filled.startswith(b"\xef\xbb\xbf"):
        yield _yellow(
            SCRIPTS,
            f"{key} begins with a byte-order mark, so that its first line does not count",
        )
    if b"\r\n" in filled:
        yield _yellow(
            SCRIPTS, f"{key} has DOS line ends (CRLF), which most shells take for part of a word"
        )
    if not script.writes_marker(text, job_id):
        marker = names.marker_name(job_id)
        yield _yellow(MARKERS, f"{key} never mentions {marker}, so it can never be called finished")
    elif script.marks_unconditionally(text, job_id):
        yield _yellow(
            MARKERS, f"{key} writes its marker whatever happens before; it will always finish"
        )


def _red(what: str, words: str) -> Finding:
    return Finding(Level.RED, what, words)


def _yellow(what: str, words: str) -> Finding:
    return Finding(Level.YELLOW, what, words)
