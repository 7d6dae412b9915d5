"""The run's notices: takes note of what happens and sends it from a thread of its own.

The loop only leaves word here, which costs it nothing. At the end the last notice is waited for,
no longer than a limit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType

from jobmon.core.model import Event, Key, Life, Mono
from jobmon.notify import send
from jobmon.notify.gather import Gatherer, Notice
from jobmon.run.notify import Notify

log = logging.getLogger(__name__)

LAST = 10.0
"""Seconds that the last notice may hold up the end of a run."""

HURRIED = 5.0
"""The same, if the run was told to stop: the machine may be going down."""

_POLL = 0.5


class Notifier:
    """For a ``with`` around the loop; does nothing where ``notify`` is empty."""

    def __init__(
        self,
        notify: Notify,
        run: str,
        lives: dict[Key, Life],
        total: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._to = notify.get("to", [])
        self._clock = clock
        now = Mono(clock())
        self._gatherer = Gatherer(run, notify.get("for", []), lives, total, now)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="notices", daemon=True)
        self._begun = False
        self._end: tuple[str, Sequence[str]] = "", []
        self._limit = LAST
        self._mute: set[int] = set()  # who could not be reached; said once

    def __enter__(self) -> Notifier:
        if self._to:
            self._thread.start()
        return self

    def begin(self) -> None:
        """The cluster has answered: from now on nobody need be looking at the terminal."""
        self._begun = True

    def event(self, event: Event) -> None:
        """Something happened to a job."""
        if self._to:
            with self._lock:
                self._gatherer.event(event, Mono(self._clock()))

    def login(self, words: str) -> None:
        """The cluster wants a person to log in; empty: it does no more."""
        if self._to:
            with self._lock:
                self._gatherer.login(words)

    def end(self, headline: str, lines: Sequence[str], *, hurry: bool) -> None:
        """The run is over, or stopped: what the last notice shall say."""
        self._end = headline, lines
        self._limit = HURRIED if hurry else LAST

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._to:
            return
        self._closing.set()
        self._thread.join()
        if error is not None:
            self._end = f"stopped by an error: {error}", []
        if not self._begun:
            return
        notice = self._gatherer.last(*self._end)
        if notice is not None:
            self._send(notice, self._limit, None)

    def _watch(self) -> None:
        while not self._closing.wait(_POLL):
            with self._lock:
                notice = self._gatherer.due(Mono(self._clock()))
            if notice is not None:
                self._send(notice, send.LIMIT, self._closing)

    def _send(self, notice: Notice, limit: float, cancelled: threading.Event | None) -> None:
        results = send.send(self._to, notice, limit, cancelled)
        with self._lock:
            now = Mono(self._clock())
            if any(sent.ok for sent in results):
                self._gatherer.told(notice, now)
            else:
                self._gatherer.not_sent(now)
        for n, sent in enumerate(results):
            if sent.ok:
                self._mute.discard(n)
            elif n not in self._mute and not (cancelled and cancelled.is_set()):
                self._mute.add(n)
                log.warning("a notice to %s was not sent: %s", sent.label, sent.words)
        if any(sent.ok for sent in results):
            log.debug("sent: %s", notice.title)
