"""The Python twins of ``jobmon/cluster/sh/*.sh``: the same, in steps that a world can come between.

Each is a generator of what the script writes to stdout (bytes) and of None wherever others may act
meanwhile: between any two touches of the disk or the clock, and around each command. What makes up
the end of one attempt of ``submit`` is one piece. ``tests/test_conformance.py`` runs script and
twin on the same histories; change both or none.

A reader that has left: its world closes the generator at the next bytes, as a script ends there
(by SIGPIPE; ``submit``, which ignores that, by its failed write, with its record written).
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from jobmon.cluster.base import Step
from jobmon.cluster.ledger import cksum
from simulation.disk import Disk

Steps = Generator[bytes | None, None, None]
Command = Generator[None, None, tuple[int, bytes, bytes]]
"""A running command; its value is exit code, stdout and stderr."""

PROBE_LIMIT = 20.0
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")


class Host(Protocol):
    """The login node on which a twin runs."""

    disk: Disk
    user: str
    home: str
    path: str  # its $PATH; a command is there if the disk has a file of its name in one of these

    @property
    def now(self) -> float:
        """The world's time, by which files are hidden (``Disk.hide``); no clock tells it."""

    def time(self) -> float:
        """What ``date +%s`` tells, before it is cut to whole seconds; nan if it is silent."""

    def run(self, words: list[str], folder: str, limit: float) -> Command:
        """Run a command in ``folder`` and end it after ``limit`` seconds, with code 124."""


@lru_cache(maxsize=1 << 16)
def _at(*parts: str) -> str:
    return posixpath.normpath("/".join(parts))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _captured(output: bytes) -> bytes:
    """What ``$(...)`` makes of an output."""
    return output.replace(b"\0", b"").rstrip(b"\n")


def _first_line(data: bytes | None) -> tuple[str, bool]:
    """What ``read -r`` makes of a file's first line, and whether it was whole."""
    line, newline, _ = (data or b"").partition(b"\n")
    return line.replace(b"\0", b"").strip(b" \t").decode("utf-8", "surrogateescape"), bool(newline)


def _astray(host: Host, twin: str, run: str) -> Generator[None, None, str]:
    """Enter the twin; "" or what is wrong with it."""
    yield None
    if not host.disk.is_dir(_at(twin)):
        return "missing"
    yield None
    found, whole = _first_line(host.disk.read(_at(twin, ".jobmon/run")))
    return "" if (found if whole else "") == run else "other"


def _record(twin: str, name: str) -> str:
    return _at(twin, ".jobmon/record", name)


def ask(host: Host, args: Sequence[str], steps: Sequence[Step]) -> Steps:
    """As ``ask.sh``: what is seen of files is what a lagging file system shows."""
    token, twin, run, limit = args
    mark, cwd = _bytes(token), twin or host.home
    if twin and (wrong := (yield from _astray(host, twin, run))):
        yield _bytes(f"{token} twin {wrong}\n")
        return
    number, there = 0, ""
    for kind, *words in steps:
        match kind:
            case "x":
                yield mark + b" runs\n"
                yield None
                code, out, err = yield from host.run(words, cwd, float(limit))
                yield None
                yield b"%s\n%s ran %d\n%s\n%s said\n" % (out, mark, code, _captured(err), mark)
            case "d" | "g":
                for path in words if kind == "g" else [f"{words[0]}/{name}" for name in words[1:]]:
                    number += 1
                    yield None
                    if host.disk.exists(_at(cwd, path), host.now):
                        there += f" {number}"
                if len(there) >= 1000:
                    yield _bytes(f"{token} there{there}\n")
                    there = ""
            case "s":
                for path in words:
                    yield None
                    if found := host.disk.stat(_at(cwd, path), host.now):
                        yield _bytes(f"{token} stat {found[0]} {found[1]} {path}\n")
            case "e":
                for end in words[1:]:
                    yield from _last_lines(host, token, cwd, words[0], end)
            case "k":  # what hung is not in this world any more when it is asked for
                yield None
            case "q":
                yield (_bytes(f"{token} there{there}\n") if there else b"") + mark + b" whole\n"
                there = ""


def _last_lines(host: Host, token: str, cwd: str, folder: str, end: str) -> Steps:
    yield None
    names = [
        name
        for name in host.disk.names(_at(cwd, folder), host.now)
        if name.endswith(end) and not name.startswith(".")
    ]
    for name in sorted(names, key=_bytes):
        yield None
        data = host.disk.read(_at(cwd, folder, name), host.now)
        if data:
            last = b"".join(_LINE.findall(data[-4000:])[-20:])
            head, end_ = f"{token} tail {folder}/{name}\n", f"\n{token} said\n"
            yield _bytes(head) + last + _bytes(end_)


@dataclass(slots=True)
class _Loop:
    """What the submitting shell holds in its variables."""

    host: Host
    token: str
    twin: str
    began: float
    deadline: float
    limit: float
    sums: dict[str, str] = field(default_factory=dict)
    name: str = ""
    folder: str = ""
    script: str = ""
    marker: str = ""
    again: bool = False
    ours: bool = False

    def late(self) -> bool:
        return not self.began <= self.host.time() // 1 <= self.deadline

    def record(self, text: bytes) -> bool:
        at = int(self.host.now)
        return self.host.disk.append(_record(self.twin, self.name), text, at)

    def did(self, what: str) -> bytes:
        return _bytes(f"{self.token} did {self.name} {what}\n")

    def close(self, what: str) -> Steps:
        self.ours = False
        yield None
        self.record(_bytes(f"{what}\nend\n"))
        yield None
        yield self.did(what)


def submit(host: Host, args: Sequence[str], steps: Sequence[Step]) -> Steps:
    """As ``submit.sh``."""
    token, twin, run, seconds, limit, _ = args
    began = host.time() // 1
    if wrong := (yield from _astray(host, twin, run)):
        yield _bytes(f"{token} twin {wrong}\n")
        return
    loop = _Loop(host, token, twin, began, began + int(seconds), float(limit))
    for kind, *words in steps:
        match kind:
            case "v":
                loop.sums = {}
                for path in words:
                    yield None
                    if (script := host.disk.read(_at(twin, path))) is not None:
                        loop.sums[path] = cksum(script)
            case "r":
                yield from _claimed(loop, words)
            case "n" | "z" if loop.ours:
                yield from _demands(loop, words, absent=kind == "z")
            case "g" if loop.ours:
                yield from _go(loop, words)


def _claimed(loop: _Loop, words: list[str]) -> Steps:
    loop.name, key, loop.folder, loop.script, total, loop.marker, order = words
    loop.again, loop.ours = order == "again", False
    host, disk = loop.host, loop.host.disk
    yield None
    if not disk.create(_record(loop.twin, loop.name), int(host.now)):
        yield None
        lost = disk.exists(_record(loop.twin, loop.name))
        yield loop.did("lost" if lost else "unwritable")
        return
    yield None
    if not loop.record(_bytes(f"key {key}\n")):
        yield from loop.close("unwritable")
        return
    yield None
    if loop.late():
        yield from loop.close("late")
        return
    yield None
    path = f"{loop.folder}/{loop.script}"
    script = disk.read(_at(loop.twin, path))
    if script is None or total not in (loop.sums.get(path), cksum(script)):
        yield from loop.close("differs")
        return
    loop.ours = True


def _demands(loop: _Loop, paths: Sequence[str], *, absent: bool) -> Steps:
    for path in paths:
        yield None
        if loop.host.disk.exists(_at(loop.twin, path), loop.host.now) == absent:
            yield from loop.close(f"unmet not {path}" if absent else f"unmet {path}")
            return


def _go(loop: _Loop, words: Sequence[str]) -> Steps:
    """Go: what it says at its end is one piece."""
    disk = loop.host.disk
    folder = _at(loop.twin, loop.folder)
    yield None
    marker = _at(folder, loop.marker)
    if disk.exists(marker, loop.host.now):
        if not loop.again:
            yield from loop.close("marked")
            return
        yield None
        if not disk.remove(marker) and disk.exists(marker):
            yield from loop.close("unwritable")
            return
    yield None
    if loop.late():
        yield from loop.close("late")
        return
    yield from _submission(loop, folder, words)


def _submission(loop: _Loop, folder: str, words: Sequence[str]) -> Steps:
    yield None
    code, said = 1, b""  # where the folder has gone meanwhile
    if loop.host.disk.is_dir(folder):
        command = [*words, loop.script]
        code, out, err = yield from loop.host.run(command, folder, loop.limit)
        said = _captured(out + err)
    yield None
    loop.record(b"ran %d\n%s\nend\n" % (code, said))
    yield None
    yield loop.did(f"ran {code}") + b"%s\n%s said\n" % (said, _bytes(loop.token))


def recover(host: Host, args: Sequence[str], steps: Sequence[Step]) -> Steps:
    """As ``recover.sh``."""
    token, twin, run = args
    if wrong := (yield from _astray(host, twin, run)):
        yield _bytes(f"{token} twin {wrong}\n")
        return
    for kind, *words in steps:
        match kind:
            case "r":
                yield from _claim(host, token, twin, words[0], words[1])
            case "l":
                yield None
                names = host.disk.names(_at(twin, ".jobmon/record"))
                for name in sorted(names, key=_bytes):
                    yield None
                    if not name.startswith(".") and host.disk.exists(_record(twin, name)):
                        yield from _show(host, token, twin, name)
            case "q":
                yield _bytes(f"{token} whole\n")


def _claim(host: Host, token: str, twin: str, name: str, key: str) -> Steps:
    path, at = _record(twin, name), int(host.now)
    yield None
    if host.disk.create(path, at):
        yield None
        host.disk.append(path, _bytes(f"key {key}\nrecovered\nend\n"), at)
        yield None
        yield _bytes(f"{token} won {name}\n")
        return
    yield None
    if host.disk.exists(path):
        yield from _show(host, token, twin, name)
    else:
        yield _bytes(f"{token} unwritable {name}\n")


def _show(host: Host, token: str, twin: str, name: str) -> Steps:
    yield _bytes(f"{token} record {name}\n")
    yield None
    yield (host.disk.read(_record(twin, name)) or b"") + _bytes(f"\n{token} said\n")


def twin(host: Host, args: Sequence[str], steps: Sequence[Step]) -> Steps:
    """As ``twin.sh``."""
    token, place, run, mode = args
    disk, at = host.disk, int(host.now)
    state = yield from _twin_state(disk, place, run)
    match mode, state:
        case _, "same":
            pass
        case "new" | "adopt", "missing":
            yield None
            made = disk.mkdir(_at(posixpath.dirname(place)))
            yield None
            if not made or disk.exists(_at(place)) or not disk.mkdir(_at(place)):
                state = "unwritable"
        case ("new" | "adopt", "empty") | ("adopt", "foreign"):
            pass
        case _:
            yield _bytes(f"{token} twin {state}\n")
            return
    yield None
    if not disk.mkdir(_at(place, ".jobmon/record")):
        state = "unwritable"
    if state != "same":
        held, beside = _at(place, ".jobmon/run"), _at(place, f".jobmon/run.{token}")
        yield None
        made = disk.append(beside, _bytes(f"{run}\n"), at)
        yield None
        if not made or disk.exists(held) or not disk.write(held, _bytes(f"{run}\n"), at):
            state = "unwritable"
        yield None
        disk.remove(beside)
    yield None
    if state != "unwritable":
        state = "used" if disk.names(_at(place, ".jobmon/record")) else "same"
    yield _bytes(f"{token} twin {state}\n")


def _twin_state(disk: Disk, place: str, run: str) -> Generator[None, None, str]:
    yield None
    held = disk.read(_at(place, ".jobmon/run"))
    if held is not None:
        return "same" if _first_line(held)[0] == run else "other"
    yield None
    if not disk.exists(_at(place)):
        return "missing"
    yield None
    left = disk.names(_at(place))
    return "empty" if disk.is_dir(_at(place)) and left in ([], [".jobmon"]) else "foreign"


def probe(host: Host, args: Sequence[str], steps: Sequence[Step]) -> Steps:
    """As ``probe.sh``."""
    token, *rsync = args
    yield _bytes(f"{token} user {host.user}\n{token} home {host.home}\n{token} path {host.path}\n")
    yield None
    _, out, _ = yield from host.run([*rsync, "--version"], host.home, math.inf)
    yield None
    yield _bytes(f"{token} rsync ") + _captured(out.partition(b"\n")[0]) + b"\n"
    folders = host.path.split(":")
    before = folders
    for kind, *words in steps:
        if kind == "c" and before is not folders:
            yield None
            if _which(host, words[0]).rpartition("/")[0] not in before:
                continue
        name, *command = words[kind == "c" :]
        path = yield from _answers(host, token, name, command)
        if kind == "b" and path:
            before = folders[: folders.index(path.rpartition("/")[0])]


def _which(host: Host, command: str) -> str:
    places = [f"{folder}/{command}" for folder in host.path.split(":")]
    return next((place for place in places if host.disk.exists(_at(place))), "")


def _answers(
    host: Host, token: str, name: str, words: list[str]
) -> Generator[bytes | None, None, str]:
    """Ask; where the command is, if it ended well."""
    yield None
    path = _which(host, words[0])
    if not path:
        return ""
    yield None
    code, out, err = yield from host.run(words, host.home, PROBE_LIMIT)
    yield None
    said = _captured(out + err)
    yield _bytes(f"{token} batch {name} {code} {path}\n") + said + _bytes(f"\n{token} said\n")
    return "" if code else path


def files(host: Host, args: Sequence[str], steps: Sequence[Step]) -> Steps:
    """As ``files.sh``: there are no links here, and what is seen of files may lag."""
    token, twin, run = args
    if wrong := (yield from _astray(host, twin, run)):
        yield _bytes(f"{token} twin {wrong}\n")
        return
    for kind, *words in steps:
        match kind:
            case "l":
                yield from _names(host, token, _at(twin, words[0]))
            case "t":
                yield from _piece(host, token, twin, words)
            case "c":
                yield from _clear(host, token, twin, words)
            case "q":
                yield _bytes(f"{token} whole\n")


def _names(host: Host, token: str, folder: str) -> Steps:
    yield None
    found = sorted(host.disk.names(folder, host.now), key=lambda n: (n.startswith("."), _bytes(n)))
    for name in found:
        yield None
        if host.disk.read(_at(folder, name), host.now) is not None:
            yield _bytes(f"{token} name {name}\n")
    yield _bytes(f"{token} listed\n")


def _piece(host: Host, token: str, twin: str, words: Sequence[str]) -> Steps:
    path, start, most = words
    yield None
    data = host.disk.read(_at(twin, path), host.now)
    if data is None:
        return
    first = int(start) if start else len(data) - int(most)
    if not 0 <= first <= len(data):
        first = 0
    yield None
    yield _bytes(f"{token} piece {first} {len(data)}\n")
    yield data[first : first + int(most)] + _bytes(f"\n{token} said\n")


def _clear(host: Host, token: str, twin: str, words: Sequence[str]) -> Steps:
    record, folder, *names = words
    for name in names:
        yield None
        if host.disk.exists(_record(twin, record)):
            yield _bytes(f"{token} claimed {record}\n")
            return
        path = _at(twin, folder, name)
        host.disk.remove(path)
        yield None
        if host.disk.exists(path):
            yield _bytes(f"{token} left {record} {name}\n")


TWINS: Mapping[str, Callable[[Host, Sequence[str], Sequence[Step]], Steps]] = MappingProxyType(
    {
        "ask": ask,
        "submit": submit,
        "recover": recover,
        "twin": twin,
        "probe": probe,
        "files": files,
    }
)
