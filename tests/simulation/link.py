"""The simulated connection: a ``Link`` whose far end is the twins of ``sh/*.sh``, in steps.

A remote program that nobody listens to any more goes on in the world, as one on a login node
does: at once, much later, or never again.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobmon.cluster import landing
from jobmon.cluster.base import ConnectionLost, Silent, Spent, body
from jobmon.cluster.patterns import kept
from jobmon.cluster.transfer import Wanted, rules
from simulation.dialects import Commands, NodeDied
from simulation.disk import Disk
from simulation.here import Here
from simulation.twins import TWINS
from simulation.world import EPOCH, Faults, World

STEP = 0.01
"""Seconds that a step of a remote program takes."""

_BODIES = {name: body(name).encode() for name in TWINS}

Running = Generator[bytes | None, None, None]


@dataclass(slots=True)
class LoginNode:
    """What the twins run on (``simulation.twins.Host``)."""

    world: World
    disk: Disk
    commands: Commands
    skew: float = 0.0  # seconds that its clock is ahead
    user: str = "u"
    home: str = "/home/u"
    path: str = "/usr/bin:/bin"

    @property
    def now(self) -> float:
        return self.world.now

    def time(self) -> float:
        return EPOCH + self.world.now + self.skew

    def run(
        self, words: list[str], folder: str, limit: float
    ) -> Generator[None, None, tuple[int, bytes, bytes]]:
        return self.commands.run(words, folder, limit)


@dataclass(slots=True)
class SimulatedLink:
    """A ``Link`` (see ``cluster.base``)."""

    node: LoginNode
    faults: Faults
    here: Here
    keeps: bool = False  # whether a shell may be kept
    where: str = "u@simulated"
    _away_until: float = 0.0
    _channels: int = 0
    _loose: list[Running] = field(default_factory=list)

    def open(self) -> None:
        self._connected()

    def _connected(self) -> None:
        world = self.node.world
        if self.faults.strike("no network"):
            self._away_until = world.now + world.chance.choice((5.0, 40.0, 400.0, 3 * 3600.0))
        if world.now < self._away_until or self.faults.strike("connection refused"):
            raise ConnectionLost(f"{self.where}: no connection")

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        self.here.step("before a call")
        self._connected()
        self._channels += 1
        yield from self.answer(*_read(stdin), limit)

    def answer(
        self, name: str, args: list[str], steps: list[list[str]], limit: float
    ) -> Iterator[bytes]:
        """What a shell answers to one of our programs, if it does."""
        world, faults = self.node.world, self.faults
        world.advance(STEP)
        if faults.strike("drop before"):
            raise ConnectionLost(f"{self.where}: broken pipe")
        if faults.strike("a page of text"):
            yield b"Maintenance today\n" * 30
            return
        if faults.strike("cannot fork"):
            yield b"sh: fork: Resource temporarily unavailable\n"
            return
        if faults.strike("drop while asking"):  # half a program does nothing
            raise ConnectionLost(f"{self.where}: connection reset")
        token = args[0].encode()
        yield b"\n%s BEGIN\n" % token
        running = TWINS[name](self.node, args, steps)
        dropped = name == "submit" and faults.strike("drop while submitting")
        yield from self._listen(running, limit, dropped)
        if faults.strike("half an answer"):
            return
        self.here.step("after a call")
        yield b"\n%s END\n" % token

    def _listen(self, running: Running, limit: float, dropped: bool) -> Iterator[bytes]:
        world, faults, commands = self.node.world, self.faults, self.node.commands
        early = world.chance.choice((8, 40))
        drop = world.chance.randrange(early) if dropped or faults.strike("drop after") else -1
        hang = world.chance.randrange(early) if faults.strike("half-open") else -1
        ended = False
        try:
            for step, out in enumerate(running):
                if step == drop:
                    raise ConnectionLost(f"{self.where}: connection reset")
                pause, commands.pause = max(commands.pause, STEP), 0.0
                if step == hang or pause > limit:
                    self._let_go(running, heard=True)
                    ended = True
                    world.advance(limit)
                    raise Silent(f"{self.where}: nothing was heard for {limit:g} s")
                if out is None:
                    world.advance(pause)
                else:
                    yield out
                self.here.step("at a remote step")
            ended = True
        except NodeDied:
            ended = True
            raise ConnectionLost(f"{self.where}: connection reset") from None
        finally:
            if not ended:
                self._let_go(running, heard=world.chance.random() < 0.3)

    def _let_go(self, running: Running, *, heard: bool) -> None:
        """Nobody listens any more: the program goes on, later or never.

        ``heard``: it does not notice, since its words still go somewhere. Else its next word
        ends it (``submit``, too, does no more than the attempt that it is at).
        """
        world = self.node.world
        if self.faults.strike("login node kills the loop"):
            running.close()
            return
        late = (
            world.chance.choice((15.0, 40.0, 70.0, 900.0))
            if self.faults.strike("old loop")
            else STEP
        )
        world.after(late, lambda: self._go_on(running, heard))

    def _go_on(self, running: Running, heard: bool) -> None:
        commands = self.node.commands
        try:
            out = next(running)
        except (StopIteration, NodeDied):
            return
        pause, commands.pause = max(commands.pause, STEP), 0.0
        if out is not None and not heard:
            running.close()
            return
        self.node.world.after(pause, lambda: self._go_on(running, heard))

    def shell(self, limit: float) -> SimulatedShell | None:
        if not self.keeps:
            return None
        self.here.step("before a call")
        self._connected()
        self._channels += 1
        return SimulatedShell(self)

    def rsync_shell(self, mark: str = "") -> tuple[list[str], str] | None:
        return None

    def spent(self) -> Spent:
        return Spent(1, self._channels)

    def close(self) -> None:
        return None


@dataclass(slots=True)
class SimulatedShell:
    """A ``Shell`` (see ``cluster.base``), which first reads ``ask.sh`` and is then asked by it."""

    link: SimulatedLink
    _told: bool = False
    _ended: bool = False

    def alive(self) -> bool:
        return not self._ended

    def say(self, program: bytes, limit: float) -> Iterator[bytes]:
        self.link._connected()
        if self.link.faults.strike("login node kills the loop"):
            self._ended = True  # after it was asked whether it lives
        if self._ended:
            return
        if not self._told:
            self._told = _BODIES["ask"] in program
            token = re.findall(rb"BEGIN.n' (jm[0-9a-f]+)", program)[0]
            yield b"\n%s BEGIN\n%s shell 7 \n\n%s END\n" % (token, token, token)
            return
        args, steps = _asked(program)
        # Its commands run as long as they like.
        yield from self.link.answer("ask", [*args[:3], "1e9"], steps, limit)

    def close(self) -> None:
        self._ended = True


def _read(program: bytes) -> tuple[str, list[str], list[list[str]]]:
    """Which of our programs a framed text is, its arguments (the token first), and its steps."""
    return next(name for name, text in _BODIES.items() if text in program), *_asked(program)


def _asked(program: bytes) -> tuple[list[str], list[list[str]]]:
    text = program[program.index(b"\nif main ") + 9 : program.rindex(b"fi; printf ")]
    call, _, does = text.decode("utf-8", "surrogateescape").partition("; then :\n")
    return _words(call), [_words(line) for line in does.split("\n")[:-1]]


def _words(line: str) -> list[str]:
    return shlex.split(line) if "'" in line else line.split(" ")


@dataclass(slots=True)
class SimulatedTransfer:
    """A ``Transfer`` between the real run folder and the simulated disk."""

    link: SimulatedLink
    run: Path
    twin: str
    ours: Sequence[str]

    def push_tree(self, ours: Sequence[str]) -> None:
        import fnmatch  # noqa: PLC0415

        names = [
            str(path.relative_to(self.run))
            for path in sorted(self.run.rglob("*"))
            if path.is_file()
        ]
        tops = {name: name.split("/")[0] for name in names}
        self.push([n for n in names if not any(fnmatch.fnmatchcase(tops[n], p) for p in ours)])

    def push(self, files: Sequence[str]) -> None:
        here, faults, disk = self.link.here, self.link.faults, self.link.node.disk
        self.link._connected()
        here.step("before a push")
        broken = len(files) if not faults.strike("push breaks off") else 0
        if not broken:
            broken = self.link.node.world.chance.randrange(len(files) + 1)
            files = files[:broken]
            broken = -1
        for name in files:
            path = self.run / name
            there = f"{self.twin}/{name}"
            disk.mkdir(posixpath.dirname(there))
            if not disk.write(there, path.read_bytes(), int(path.stat().st_mtime)):
                raise ConnectionLost(f"{self.link.where}: {name}: No space left on device")
            here.step("while pushing")
        if broken < 0:
            raise ConnectionLost(f"{self.link.where}: rsync broke off (12)")

    def pull(self, wanted: Wanted) -> str:
        here, faults, disk = self.link.here, self.link.faults, self.link.node.disk
        self.link._connected()
        now = self.link.node.world.now
        chosen = rules(wanted, self.ours)
        found: list[tuple[str, bytes, int]] = []
        for folder in wanted.folders:
            there = f"{self.twin}/{folder}" if folder else self.twin
            for base in disk.names(there):
                name = f"{folder}/{base}" if folder else base
                path = f"{self.twin}/{name}"
                if disk.is_dir(path) or not disk.exists(path, now) or not kept(chosen, name):
                    continue
                data, stat = disk.read(path), disk.stat(path)
                if data is None or stat is None:
                    continue
                found.append((name, data, stat[1]))
        if faults.strike("pull breaks off"):
            raise ConnectionLost(f"{self.link.where}: rsync broke off (30)")
        for name, data, at in found:
            here.receive(self.run / name, self.run / landing.ASIDE / name, data, at)
        return ""

    def spent(self) -> Spent:
        return Spent()

    def stop(self) -> None:
        return None
