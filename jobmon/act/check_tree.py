"""What ``jobmon check`` finds in the tree: read here, and judged by the rules that a start has.

``look`` reads; ``findings`` says what it means, a line for each thing that can be wrong, with all
whom it concerns. What needs the cluster to judge is kept for check_site.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from jobmon.act import flaws
from jobmon.act.flaws import DEPENDENCIES, MARKERS, NAMES, PLACEHOLDERS, SCRIPTS
from jobmon.core.finding import Finding, Level
from jobmon.core.model import Key, Need
from jobmon.core.needs import Needs
from jobmon.core.unmade import behind, downstream, rings, unmade
from jobmon.run import names, script
from jobmon.run.options import Settings
from jobmon.run.settings import header_text
from jobmon.run.tree import Parsed, read_plain
from jobmon.run.usage import UsageError

_PROGRAM = re.compile(
    rb"(?:__binpath__|\$\{?(?:bin|binpath)\}?)[\"']?/([\w.+-]+(?:/[\w.+-]+)*)", re.IGNORECASE
)
_OUTPUT = re.compile(r".*\.[oe]\d+(\.\d+)?|.*[~#]|.*\.(out|err|log)", re.DOTALL)

WAYS_OUT = {
    NAMES: "rename them or take them out",
    SCRIPTS: "save them as plain text with Unix line ends",
    PLACEHOLDERS: "give --binpath, --pythonpath, --qsubheader or 'placeholders:' in jobmon.yaml",
    MARKERS: "as the last line: [ condition ] && touch qsub.finished.ID",
    DEPENDENCIES: "mend those lines",
}
"""The way out of each kind of flaw."""


@dataclass(slots=True)
class Tree:
    """What stands in the tree. Paths and keys are relative to it."""

    needs: dict[Key, Needs] = field(default_factory=dict)
    flaws: list[Finding] = field(default_factory=list)
    programs: set[str] = field(default_factory=set)  # NAME of __binpath__/NAME, or of $bin/NAME
    job_names: list[tuple[str, str, str]] = field(default_factory=list)  # (key, system, -N name)
    stray: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    present: set[str] = field(default_factory=set)  # files asked for that are there
    unmade: list[tuple[Key, Need]] = field(default_factory=list)
    size: int = 0  # bytes of all plain files


def look(top: Path, settings: Settings, *, run: bool) -> Tree:
    """Read ``init/``, or a run folder (``run``), whose scripts are filled in already.

    What cannot be read is a flaw, too.
    """
    tree = Tree()
    parsed: dict[str, Parsed] = {}
    header = None if run else _header(settings, tree)
    try:
        tree.flaws += flaws.refused(top, parsed, run=run)
        for folder, entries in flaws.walk(top, run=run):
            values = {} if run else script.values(settings, _name(top, folder), _CWD, header)
            for entry in entries:
                try:
                    _take(entry, folder, values, parsed, tree)
                except OSError as error:
                    tree.flaws.append(_unread(error, entry.path))
    except OSError as error:
        tree.flaws.append(_unread(error, top))
    _follow(top, tree)
    tree.unmade = _unmade(top, tree)
    return tree


_CWD = "/a/folder/there"
"""Stands for __cwd__: which it is, is known only when a run is made."""


def _unread(error: OSError, path: str | Path) -> Finding:
    return Finding(Level.RED, NAMES, f"{error.filename or path}: {error.strerror}; mend it")


def _name(top: Path, folder: str) -> str:
    return folder.rpartition("/")[2] or top.name


def _header(settings: Settings, tree: Tree) -> str | None:
    try:
        return header_text(settings)
    except UsageError as error:
        tree.flaws.append(Finding(Level.RED, PLACEHOLDERS, str(error)))
        return ""


def _take(
    entry: os.DirEntry[str],
    folder: str,
    values: Mapping[str, str],
    parsed: Mapping[str, Parsed],
    tree: Tree,
) -> None:
    """Note what one name of a folder is, and what is wrong with it."""
    key = names.path(folder, entry.name)
    if entry.is_dir():
        if entry.is_symlink():
            tree.flaws.append(flaws.of_link(key))
        return
    if not entry.is_file():
        return
    tree.size += entry.stat().st_size
    part, job_id = names.part(entry.name), names.script_id(entry.name)
    if job_id is not None:
        raw = read_plain(entry.path)
        tree.needs[Key(key)] = _needs(parsed, key)
        if b"__binpath__" in raw:
            tree.programs |= {name.decode() for name in _PROGRAM.findall(raw)}
        filled = script.fill(raw, values)
        tree.flaws += flaws.of_script(key, job_id, filled)
        tree.job_names += _job_names(key, filled)
    elif part == names.Part.DEPENDENCY:
        if not os.path.lexists(entry.path.replace(names.Part.DEPENDENCY, names.Part.SCRIPT)):
            tree.orphans.append(key)
    elif part == names.Part.MARKER:
        tree.marked.append(key)
    elif entry.name.lower().startswith("qsub.") and not _OUTPUT.fullmatch(entry.name):
        tree.stray.append(key)


def _needs(parsed: Mapping[str, Parsed], key: str) -> Needs:
    found = parsed.get(names.dependency(Key(key)))
    return None if found is None else found[1]


def _job_names(key: str, filled: bytes) -> Iterator[tuple[str, str, str]]:
    """The names that a script's directives give its job, for each batch system."""
    for system, words in script.directives(filled.decode("utf-8", "replace")):
        if "-N" in words[:-1]:
            rest = words[words.index("-N") + 1 :]
            name = list(takewhile(lambda word: not word.startswith("-"), rest))
            yield key, system, " ".join(name)


def _follow(top: Path, tree: Tree) -> None:
    """See which of the files asked for are there already."""
    asked = {need.path for mine in tree.needs.values() for need in mine or ()}
    tree.present = {path for path in asked if os.path.lexists(top / path)}


def _unmade(top: Path, tree: Tree) -> list[tuple[Key, Need]]:
    """What nothing makes: not even a script that names it, unless that comes too late."""
    waiters = behind(tree.needs, names.marker_key)
    doubtful = list(unmade(tree.needs, tree.present, names.marker_key, waiters))
    if not doubtful:
        return []
    named = _named(top, tree.needs, {_word(need) for _, need in doubtful})
    return [
        (key, need)
        for key, need in doubtful
        if named.get(_word(need), set()) <= downstream(key, waiters)
    ]


def _word(need: Need) -> str:
    """The word that a script which makes this would hold: of a marker, its script's name."""
    made = names.marker_key(need.path)
    return (made or need.path).rpartition("/")[2]


def _named(top: Path, keys: Iterable[Key], words: set[str]) -> dict[str, set[Key]]:
    """Which scripts hold these words, each by itself."""
    either = b"|".join(re.escape(os.fsencode(word)) for word in sorted(words, reverse=True))
    pattern = re.compile(rb"(?<![\w.-])(?:" + either + rb")(?![\w-]|\.\w)")
    found: dict[str, set[Key]] = {}
    for key in keys:
        for word in set(pattern.findall(read_plain(top / key))):
            found.setdefault(os.fsdecode(word), set()).add(key)
    return found


# --- what it means ---------------------------------------------------------------------------


def findings(tree: Tree, *, run: bool) -> Iterator[Finding]:
    """A line for each thing that can be wrong with a tree."""
    yield _jobs(tree)
    yield from _kind(NAMES, tree.flaws, "all of them will do")
    yield from _strays(tree)
    yield from _kind(SCRIPTS, tree.flaws, "plain text")
    yield from _kind(PLACEHOLDERS, tree.flaws, "none is left over")
    yield from _kind(MARKERS, tree.flaws, "every script writes its own, on a condition")
    if tree.marked and not run:
        yield Finding(
            Level.YELLOW,
            MARKERS,
            f"{len(tree.marked)} there before the first run: their jobs count as finished",
            "delete them, if those jobs are to run",
            tuple(tree.marked),
        )
    yield from _dependencies(tree)
    yield from _rings(tree)


def _jobs(tree: Tree) -> Finding:
    held = tuple(sorted(key for key, mine in tree.needs.items() if mine is None))
    folders = len({key.rpartition("/")[0] for key in tree.needs})
    words = f"{len(tree.needs)} jobs in {folders} folders"
    if not tree.needs:
        return Finding(
            Level.RED,
            "jobs",
            "no script qsub.ID is there",
            "put batch scripts called qsub.0, qsub.1 and so on into the folders of init/",
        )
    if held:
        return Finding(
            Level.YELLOW,
            "jobs",
            f"{words}, {len(held)} of them held: they have no file qsub.dependency.ID",
            "to let one go: touch qsub.dependency.ID (an empty file waits for nothing)",
            held,
        )
    return Finding(Level.GREEN, "jobs", words)


def _kind(what: str, flaws: Iterable[Finding], well: str) -> Iterator[Finding]:
    """All flaws of a kind as one line for each level, or that there is none."""
    mine = [flaw for flaw in flaws if flaw.what == what]
    if not mine:
        yield Finding(Level.GREEN, what, well)
    for level in (Level.RED, Level.YELLOW):
        words = tuple(flaw.words for flaw in mine if flaw.level == level)
        if words:
            yield Finding(level, what, _count(words, "flaw"), WAYS_OUT[what], words)


def _count(words: tuple[str, ...], noun: str) -> str:
    return f"1 {noun}" if len(words) == 1 else f"{len(words)} {noun}s"


def _strays(tree: Tree) -> Iterator[Finding]:
    if tree.stray:
        yield Finding(
            Level.YELLOW,
            NAMES,
            f"{_count(tuple(tree.stray), 'file')} named like a part of a job, but of none",
            "a script is qsub.ID, with an ID of A-Z a-z 0-9 _ - that is none of dependency, "
            "finished, now, log",
            tuple(tree.stray),
        )
    if tree.orphans:
        yield Finding(
            Level.YELLOW,
            NAMES,
            f"{_count(tuple(tree.orphans), 'dependency file')} without a script",
            "qsub.dependency.ID goes with qsub.ID in the same folder",
            tuple(tree.orphans),
        )


def _dependencies(tree: Tree) -> Iterator[Finding]:
    bad = any(flaw.what == DEPENDENCIES for flaw in tree.flaws)
    if bad:
        yield from _kind(DEPENDENCIES, tree.flaws, "")
    red: list[str] = []
    yellow: list[str] = []
    for key, need in tree.unmade:
        made = names.marker_key(need.path)
        if need.absent:
            yellow.append(f"{key} waits until {need.path} is gone, and nothing here removes it")
        elif made is not None:
            red.append(f"{key} waits for {need.path}, but there is no script {made}")
        else:
            yellow.append(f"{key} waits for {need.path}, which is not there")
    if red:
        yield Finding(
            Level.RED,
            DEPENDENCIES,
            f"{len(red)} that no job will make",
            "correct the name in qsub.dependency.ID, or put that script there",
            tuple(red),
        )
    if yellow:
        yield Finding(
            Level.YELLOW,
            DEPENDENCIES,
            f"{len(yellow)} that no job seems to make",
            "correct the name, or make sure that some script does it",
            tuple(yellow),
        )
    if not (bad or red or yellow):
        count = sum(len(mine or ()) for mine in tree.needs.values())
        yield Finding(Level.GREEN, DEPENDENCIES, f"{count}, each there or made by some job")


def _rings(tree: Tree) -> Iterator[Finding]:
    found = rings(tree.needs, tree.present, names.marker_key)
    if not found:
        yield Finding(Level.GREEN, "rings", "no jobs wait for each other")
        return
    yield Finding(
        Level.RED,
        "rings",
        f"{len(found)} jobs can never start",
        "take one of the lines out of one qsub.dependency.ID of each ring",
        tuple(dict.fromkeys(found.values())),
    )
