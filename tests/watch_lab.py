"""A run folder at a known time, and the live view of it without a terminal, as text."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

from textual.events import Key as Key_
from textual.widgets import Input

from jobmon.core.life import Job
from jobmon.core.model import Event, JobID, Key, Kind
from jobmon.run import names, views
from jobmon.run.journal import Journal
from jobmon.run.options import build
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity, write_run_file
from jobmon.show.watch.app import Watch
from jobmon.show.watch.asking import Line
from jobmon.show.watch.follow import Follower
from jobmon.show.watch.hands import Ask, Closed, Hands, Say

START = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
NOW = START + timedelta(hours=2)

Step = tuple[float, Kind] | tuple[float, Kind, Mapping[str, str]]


def now() -> datetime:
    return NOW


def events(lives: Mapping[str, Sequence[Step]]) -> list[Event]:
    """Minutes after START, what happened to each job then, and the notes of that."""
    found: list[Event] = []
    for i, (key, life) in enumerate(lives.items()):
        n, jobid = 0, None
        for minute, kind, *notes in life:
            at = START + timedelta(minutes=minute)
            if kind == Kind.STARTED:
                n += 1
                found.append(Event(at, Kind.SUBMITTING, Key(key), n))
                jobid = JobID(str(353100 + 10 * i + n))
            told = None if kind in {Kind.READY, Kind.REOPENED} else jobid
            found.append(Event(at, kind, Key(key), n, told, notes[0] if notes else {}))
    return sorted(found, key=lambda event: event.at)


def run_of(
    folder: Path, needs: Mapping[str, str | None], lives: Mapping[str, Sequence[Step]]
) -> Path:
    """A run: the dependency file of each job (None: it has none), and what became of some."""
    run = folder / "materials" / "20261120_210000"
    paths = Paths(run)
    paths.hidden.mkdir(parents=True)
    identity = Identity("r-1", "local", "local", f"/home/you/far/{run.name}")
    write_run_file(paths.settings, build({"remote": "local", "maxqsub": 4}, str), identity)
    for key, text in needs.items():
        path = run / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        if text is not None:
            (run / names.dependency(Key(key))).write_text(text)
    with Journal.open(paths.journal) as journal:
        journal.append(events(lives))
    paths.quelist.write_text(views.print_quelist(views.lines_of(events(lives))), "utf-8")
    paths.now.touch()
    return run


def add(run: Path, *more: Event) -> None:
    """What a daemon would have written to the journal."""
    with Journal.open(Paths(run).journal) as journal:
        journal.append(more)


@dataclass(slots=True)
class Asked:
    """Hands that only note what they are asked, and answer as they are told."""

    done: list[tuple[str, tuple[Key, ...]]] = field(default_factory=list)
    able: bool = True
    code: str | None = None
    closed: list[Key] = field(default_factory=list)

    def hands(self) -> Hands:
        return Hands(self._do, self._output)

    def _do(self, verb: str, keys: Sequence[Key], dry: bool, ask: Ask, say: Say) -> bool:
        if not dry:
            self.done.append((verb, tuple(keys)))
            if self.code is not None:
                say(f"the answer was {ask('one-time code:', False)}")
        say(f"{'would' if dry else 'did'} {verb} {len(keys)} job(s)")
        return self.able

    def _output(
        self, job: Job, ask: Ask, say: Say, write: Say, wait: Callable[[float], None]
    ) -> None:
        say(f"==> {job.key}.o{job.jobid} <==")
        write("iteration 1\n")
        try:
            while True:
                wait(60)
        except Closed:
            self.closed.append(job.key)


def screen(app: Watch) -> list[str]:
    """The screen as text."""
    return text_of(app.export_screenshot())


def text_of(svg: str) -> list[str]:
    """The lines in the picture of a screen, as Textual makes it for people."""
    root = ElementTree.fromstring(svg)  # noqa: S314 (it is our own)
    tag = "{http://www.w3.org/2000/svg}"
    rows: dict[int, list[tuple[float, str]]] = {}
    for text in root.iter(f"{tag}text"):
        number = re.search(r"-line-(\d+)\)", text.get("clip-path") or "")
        if number is not None:
            place = (float(text.get("x") or 0), "".join(text.itertext()))
            rows.setdefault(int(number[1]), []).append(place)
    wide = 12.2  # of a sign, by the picture's own measure
    found = []
    for y in range(max(rows, default=-1) + 1):
        line = ""
        for x, words in sorted(rows.get(y, [])):
            line = line.ljust(round(x / wide)) + words.replace("\N{NO-BREAK SPACE}", " ")
        found.append(line.rstrip())
    return found


@dataclass(frozen=True, slots=True)
class Person:
    """Someone before the screen. Textual's own pilot waits for every widget that is there when a key
    is pressed, for ever for one that goes in that moment; so what a key does is waited for here."""

    app: Watch

    async def press(self, *keys: str) -> None:
        for key in keys:
            sign = " " if key == "space" else key if len(key) == 1 else None
            self.app.post_message(Key_(key, sign))
            await asyncio.sleep(0.01)

    async def heard(self) -> None:
        """Wait until the last key was taken up: an app that is being closed has no screen for it."""
        done = asyncio.Event()
        self.app.call_later(done.set)
        await self.until(lambda: done.is_set() or not self.app.is_running)

    async def line(self, key: str, text: str, end: str = "enter") -> None:
        """Press a key that asks for a line, and type that."""
        await self.press(key)
        await self.until(lambda: isinstance(self.app.focused, Input))
        await self.press(*text, end)
        await self.until(lambda: not isinstance(self.app.screen, Line))

    async def until(self, true: Callable[[], bool], limit: float = 90) -> None:
        end = time.monotonic() + limit
        while not true():
            assert time.monotonic() < end, "\n".join(screen(self.app))
            await asyncio.sleep(0.05)


async def shown(person: Person, *words: str) -> str:
    """Wait until the screen holds these words; the screen then."""

    def text() -> str:
        return "\n".join(screen(person.app))

    await person.until(lambda: all(word in text() for word in words))
    return text()


def driven(
    run: Path,
    drive: Callable[[Person, Watch], Awaitable[None]],
    hands: Hands | None = None,
    size: tuple[int, int] = (100, 30),
    follower: Follower | None = None,
) -> Watch:
    """Run the live view of ``run``, with ``drive`` at the keys."""

    async def go() -> Watch:
        app = Watch(follower or Follower(run, now), hands or Asked().hands(), now)
        async with app.run_test(size=size):
            await drive(person := Person(app), app)
            await person.heard()
        return app

    return asyncio.run(go())
