"""One history, gone through by the shell programs on a real folder, and by their twins on a Disk.

Both give an ``Outcome``; ``test_conformance.py`` holds them against each other. The commands of the
batch system are stand-ins that say what the history has preset; all else is the real tools.
"""

from __future__ import annotations

import itertools
import math
import os
import posixpath
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from simulation.disk import Disk
from simulation.twins import TWINS, Command

from jobmon.cluster.base import LookFailed, Spent, Step, call
from jobmon.cluster.links import child

RUN_ID = "r-1"
TWIN = "-t 'w\" é$x\\"
SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"]}
TOOLS = [
    "cat",
    "cksum",
    "date",
    "dd",
    "env",
    "head",
    "ln",
    "ls",
    "mkdir",
    "ps",
    "rm",
    "sleep",
    "stat",
    "tail",
    "wc",
]

Tree = Mapping[str, bytes | None]
"""Path below the home folder -> content; None is a folder."""


@dataclass(frozen=True, slots=True)
class Fake:
    """What a command says, and what it does: make a file where it runs, or kill its caller."""

    out: bytes = b""
    err: bytes = b""
    code: int = 0
    makes: str = ""
    dies: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call of ``sh/<proc>.sh``; in ``args`` stands {twin} for the twin's path."""

    proc: str
    args: tuple[str, ...]
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """``clock``: what the cluster's ``date`` says, "" for nothing; empty for the real one.

    ``late``: commands that stand in the second folder of the path, not in the first.
    ``full``: no file can grow. ``limited``: "by timeout", "not" (there is no such command), or
    "logged" (a stand-in tells the limit).
    """

    calls: Sequence[Call]
    tree: Tree = field(default_factory=dict)
    fakes: Mapping[str, Fake] = field(default_factory=dict)
    late: Sequence[str] = ()
    clock: tuple[str, ...] = ()
    full: bool = False
    limited: str = "by timeout"

    def folder(self, name: str) -> str:
        """Where a command stands, below the history's top."""
        return "tools" if name in self.late else "bin"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``calls``: folder and words of each command; ``answers`` carry the token ``jmT``."""

    answers: list[bytes]
    tree: dict[str, bytes | None]
    calls: list[tuple[str, list[str]]]


class _Died(Exception):
    """The command took the shell that called it down with it."""


# --- by the shell -------------------------------------------------------------------------

TIMEOUT = """#!/bin/sh
printf '%s\\0' limit "$PWD" 1 "$3" >>LOG
shift 3
exec "$@"
"""

DATE = """#!/bin/sh
read -r n <COUNT
echo $((n + 1)) >COUNT
i=0
while [ $i -lt $n ]; do read -r time; i=$((i + 1)); done <CLOCK
printf '%s\\n' "$time"
"""


class _Link:
    """A ``Link`` to a shell of this machine that keeps what went over it."""

    where = "me@lab"

    def __init__(self, top: Path, shell: Sequence[str], *, full: bool) -> None:
        path, *words = shell
        self._shell = shlex.join([shutil.which(path) or path, *words])
        self._env = [f"PATH={top}/bin:{top}/tools", f"HOME={top}/home"]
        # What a full disk does to a growing file, a limit on its size does as well.
        limit = "trap '' XFSZ; ulimit -f 0; " if full else ""
        self._first = f"LEADER=$$; export LEADER; cd; {limit}"
        self.heard = self.sent = b""

    def open(self) -> None: ...

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        command = self._first + command.replace("/bin/sh", self._shell, 1)
        self.sent, self.heard = stdin, b""
        argv = ["env", *self._env, "/bin/sh", "-c", command]
        for data in child.stream(argv, stdin, limit, self.where):
            self.heard += data
            yield data

    def shell(self, limit: float) -> None:
        return None

    def rsync_shell(self, mark: str = "") -> None:
        return None

    def spent(self) -> Spent:
        return Spent()

    def close(self) -> None: ...


def by_shell(history: History, top: Path, shell: Sequence[str]) -> Outcome:
    """Go through a history in the empty folder ``top``."""
    _furnish(history, top)
    link = _Link(top, shell, full=history.full)
    answers = []
    for one in history.calls:
        args = [arg.format(twin=f"{top}/home/{TWIN}") for arg in one.args]
        with suppress(LookFailed):  # its answer has no end; then the twins' has none either
            list(call(link, one.proc, args, one.steps, limit=30))
        found = re.search(rb"main (jm[0-9a-f]{16})", link.sent)
        assert found is not None
        _, begun, said = link.heard.partition(b"\n%s BEGIN\n" % found[1])
        assert begun, link.heard
        answers.append(said.replace(found[1], b"jmT"))
    return Outcome(answers, _walk(top / "home"), list(_logged(top)))


def _furnish(history: History, top: Path) -> None:
    for name in ("bin", "tools", "home"):
        (top / name).mkdir()
    for name in TOOLS:
        if place := shutil.which(name):
            (top / "tools" / name).symlink_to(place)
    if history.limited == "by timeout" and (place := shutil.which("timeout")):
        (top / "tools" / "timeout").symlink_to(place)
    log = shlex.quote(str(top / "log"))
    _program(top / "tools" / "id", "#!/bin/sh\necho me\n")
    if history.limited == "logged":
        _program(top / "bin" / "timeout", TIMEOUT.replace("LOG", log))
    if history.clock:
        (top / "clock").write_text("\n".join(history.clock) + "\n")
        (top / "count").write_text("1\n")
        text = DATE.replace("COUNT", shlex.quote(str(top / "count")))
        _program(top / "bin" / "date", text.replace("CLOCK", shlex.quote(str(top / "clock"))))
    for name, fake in history.fakes.items():
        _program(top / history.folder(name) / name, _fake(top / f"said.{name}", fake, name, log))
    for path, data in history.tree.items():
        place_there = top / "home" / path
        if data is None:
            place_there.mkdir(parents=True, exist_ok=True)
        else:
            place_there.parent.mkdir(parents=True, exist_ok=True)
            place_there.write_bytes(data)
            os.utime(place_there, (1_700_000_000, 1_700_000_000))


def _program(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", "surrogateescape")
    path.chmod(0o755)


def _fake(said: Path, fake: Fake, name: str, log: str) -> str:
    lines = [
        "#!/bin/sh",
        f'printf \'%s\\0\' {shlex.quote(name)} "$PWD" "$#" "$@" >>{log}',
    ]
    for data, where in ((fake.out, ""), (fake.err, " >&2")):
        if data:
            file = said.with_name(said.name + (".err" if where else ".out"))
            file.write_bytes(data)
            lines.append(f"cat {shlex.quote(str(file))}{where}")
    if fake.makes:
        lines.append(f": >>./{shlex.quote(fake.makes)}")
    lines.append('kill -9 "-$LEADER" $$' if fake.dies else f"exit {fake.code}")
    return "\n".join([*lines, ""])


def _walk(home: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(home)): None if path.is_dir() else path.read_bytes()
        for path in home.rglob("*")
    }


def _logged(top: Path) -> Iterator[tuple[str, list[str]]]:
    path = top / "log"
    words = iter(os.fsdecode(path.read_bytes()).split("\0")[:-1] if path.exists() else [])
    for name in words:
        folder, count = next(words), int(next(words))
        yield os.path.normpath(folder), [name, *itertools.islice(words, count)]


# --- by the twins -------------------------------------------------------------------------


@dataclass(slots=True)
class _Node:
    """A ``simulation.twins.Host``."""

    disk: Disk
    history: History
    home: str
    path: str
    clock: list[str]
    user: str = "me"
    now: float = 0.0
    calls: list[tuple[str, list[str]]] = field(default_factory=list)

    def time(self) -> float:
        if not self.history.clock:
            return 1000.0
        return float(self.clock.pop(0) or math.nan)

    def run(self, words: list[str], folder: str, limit: float) -> Command:
        yield None
        if self.history.limited == "logged" and limit < math.inf:
            self.calls.append((folder, ["limit", f"{limit:g}"]))
        fake = self.history.fakes.get(words[0])
        if fake is None:
            return 127, b"", b""
        self.calls.append((folder, words))
        if fake.makes:
            self.disk.append(f"{folder}/{fake.makes}", b"", 0)
        if fake.dies:
            raise _Died
        return fake.code, fake.out, fake.err


def by_twins(history: History, top: Path) -> Outcome:
    """Go through a history on a ``Disk`` where ``top`` is the same path as for ``by_shell``."""
    disk, home = Disk(), f"{top}/home"
    disk.mkdir(home)
    for name in history.fakes:
        disk.mkdir(f"{top}/{history.folder(name)}")
        disk.create(f"{top}/{history.folder(name)}/{name}", 0)
    for path, data in history.tree.items():
        if data is None:
            disk.mkdir(f"{home}/{path}")
        else:
            disk.mkdir(posixpath.dirname(f"{home}/{path}"))
            disk.write(f"{home}/{path}", data, 1_700_000_000)
    disk.full = history.full
    node = _Node(disk, history, home, f"{top}/bin:{top}/tools", list(history.clock))
    answers = []
    for one in history.calls:
        args = ["jmT", *(arg.format(twin=f"{home}/{TWIN}") for arg in one.args)]
        said = b""
        try:
            for piece in TWINS[one.proc](node, args, one.steps):
                said += piece or b""
            said += b"\njmT END\n"
        except _Died:
            if one.proc == "ask":  # its output goes straight to the reader
                said += history.fakes[node.calls[-1][1][0]].out
        answers.append(said)
    return Outcome(answers, dict(_below(disk, home, "")), node.calls)


def _below(disk: Disk, top: str, folder: str) -> Iterator[tuple[str, bytes | None]]:
    for name in disk.names(f"{top}/{folder}".rstrip("/")):
        path = f"{folder}/{name}" if folder else name
        yield path, disk.read(f"{top}/{path}")
        yield from _below(disk, top, path)
