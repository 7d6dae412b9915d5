"""What is to be told, and when: events in, notices out. Pure: the time is handed in.

A failure is told a minute after it came, with all that came in that minute; the next such notice
comes ten minutes later at the soonest, and the pause doubles up to six hours while failures go on.
A job that is tried again, or finished after all, before it was told is left out. A notice holds
all that is untold, so that what comes together is one message. What is untold is kept until
``told`` says that somebody has it, but not on disk: it is lost with the process.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jobmon.core.life import TABLE
from jobmon.core.model import Event, Key, Kind, Life, Mono
from jobmon.core.text import printable
from jobmon.run import notify

GATHER = 60.0
"""Seconds that further failures are waited for."""

PAUSE = 600.0
"""Seconds between two notices of failures at least, and before one that failed is tried again."""

LONGEST = 6 * 3600.0
"""Seconds up to which that pause grows."""

NAMED = 20
"""Jobs that a notice names."""

_WIDTH = 200
_TELLING = (
    *(Life.FINISHED, Life.RUNNING, Life.STARTED, Life.READY, Life.FAILED, Life.KILLED),
    Life.UNCLEAR,
)
_NAMES = {Life.STARTED: "queued"}


@dataclass(frozen=True, slots=True)
class Notice:
    """A message: its subject and its text. ``failed`` and ``login`` are what it tells of."""

    title: str
    body: str
    failed: Mapping[Key, Event] = field(default_factory=dict)
    login: str = ""


@dataclass(slots=True)
class Gatherer:
    """``run``: what the run is called. ``lives``: where its jobs stand; ``total``: how many are
    there by now. ``begun``: when it began to listen."""

    run: str
    occasions: Sequence[str]
    lives: dict[Key, Life]
    total: Callable[[], int]
    begun: Mono
    _failed: dict[Key, Event] = field(default_factory=dict)
    _since: float = 0.0
    _login: str = ""
    _pause: float = PAUSE
    _told_at: Mono | None = None
    _not_before: float = 0.0
    _next_every: float | None = None

    def __post_init__(self) -> None:
        every = notify.every(self.occasions)
        self._next_every = None if every is None else self.begun + every

    def event(self, event: Event, now: Mono) -> None:
        """Take note of what happened to a job."""
        life = TABLE[self.lives.get(event.key, Life.NEW)].get(event.kind)
        if life is not None:
            self.lives[event.key] = life
        if event.kind not in {Kind.FAILED, Kind.UNCLEAR}:
            self._failed.pop(event.key, None)
        elif notify.FAILURE in self.occasions:
            if not self._failed:
                self._since = now
                self._relent(now)
            self._failed[event.key] = event

    def login(self, words: str) -> None:
        """Take note of why the cluster lets nobody in; empty once it does again."""
        if notify.LOGIN in self.occasions:
            self._login = words

    def due(self, now: Mono) -> Notice | None:
        """What is to be sent now. Until ``told`` or ``not_sent`` it is given again."""
        if now < self._not_before:
            return None
        pause_over = self._told_at is None or now >= self._told_at + self._pause
        failures = bool(self._failed) and now >= self._since + GATHER and pause_over
        regular = self._next_every is not None and now >= self._next_every
        return self._notice([]) if failures or regular or self._login else None

    def last(self, headline: str, lines: Sequence[str]) -> Notice | None:
        """What is to be sent when the run is over: ``headline`` and ``lines``, if its end is to be
        told, and whatever is untold."""
        if headline and notify.END in self.occasions:
            return self._notice([headline, *lines])
        return self._notice([]) if self._failed or self._login else None

    def told(self, notice: Notice, now: Mono) -> None:
        """Somebody has ``notice``."""
        for key, event in notice.failed.items():
            if self._failed.get(key) is event:  # and did not fail once more meanwhile
                del self._failed[key]
        if notice.failed:
            self._pause = PAUSE if self._told_at is None else min(LONGEST, 2 * self._pause)
            self._told_at = now
        if notice.login == self._login:
            self._login = ""
        every = notify.every(self.occasions)
        while every is not None and self._next_every is not None and self._next_every <= now:
            self._next_every += every

    def not_sent(self, now: Mono) -> None:
        """Nobody could be reached; later, then."""
        self._not_before = now + PAUSE

    def _relent(self, now: Mono) -> None:
        """After a long quiet time the next failure is news again."""
        if self._told_at is not None and now > self._told_at + 2 * self._pause:
            self._told_at, self._pause = None, PAUSE

    def _notice(self, end: Sequence[str]) -> Notice:
        """All that is untold. The text begins with what is most pressing."""
        unclear = any(event.kind == Kind.UNCLEAR for event in self._failed.values())
        many = f"{_jobs(len(self._failed))} failed{' or unclear' if unclear else ''}"
        titles = [
            *([f"login needed at {self._login.partition(':')[0]}"] if self._login else []),
            *([printable(end[0])] if end else []),
            *([many] if self._failed and not end else []),
        ]
        parts = []
        if self._login:
            parts.append([printable(self._login)])
        if self._failed and len(end) < 2:  # else its lines name them all
            named = list(self._failed.items())[:NAMED]
            more = len(self._failed) - len(named)
            parts.append(
                [f"{many} since the last notice:"]
                + [_cut(f"  {key}: {_why(event)}") for key, event in named]
                + ([f"  and {more} more: jobmon status --run {self.run}"] if more else [])
            )
        parts.append([_cut(line) for line in end[1:]] if end else [self._counts()])
        body = "\n\n".join("\n".join(lines) for lines in parts if lines)
        title = "; ".join(titles) or self._counts()
        title = f"jobmon {printable(self.run)}: {title}"
        return Notice(title, body or title, dict(self._failed), self._login)

    def _counts(self) -> str:
        """``12 finished, 3 running, 1 failed, 284 others, of 300 jobs``."""
        return counted(self.lives.values(), self.total())


def counted(lives: Iterable[Life], total: int) -> str:
    """How many jobs stand where, in words."""
    found = Counter(lives)
    told = [f"{found[life]} {_NAMES.get(life, life)}" for life in _TELLING if found[life]]
    others = total - sum(found[life] for life in _TELLING)
    told += [f"{others} others"] if others > 0 else []
    return f"{', '.join(told)}, of {_jobs(total)}" if told else _jobs(total)


def _why(event: Event) -> str:
    reason = event.notes.get("reason", "")
    return reason if event.kind == Kind.FAILED and reason else f"{event.kind} {reason}".strip()


def _jobs(number: int) -> str:
    return f"{number} job" if number == 1 else f"{number} jobs"


def _cut(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    text = printable(line)
    return indent + (text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…")
