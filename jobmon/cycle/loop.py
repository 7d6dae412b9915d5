"""The daemon's loop: a cycle every few seconds, until nothing can go on.

What fails in a cycle ends that cycle and nothing else: nothing is concluded from it, it is said
once, and the pauses grow, with jitter, until the cluster answers again.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from jobmon.cluster.base import ClusterError, LoginFailed, Spent, TwinLost
from jobmon.cluster.cluster import Cluster
from jobmon.core.life import IN_SYSTEM
from jobmon.core.model import Event, Life, Mono, Standing
from jobmon.cycle import memory
from jobmon.cycle.hands import Deleter, clear, retry_failed, take_requests
from jobmon.cycle.look import Looker
from jobmon.cycle.pull import Busy, Puller
from jobmon.cycle.record import Recorder
from jobmon.cycle.state import Know
from jobmon.cycle.submit import push, settle_ready, submit
from jobmon.cycle.survey import survey
from jobmon.run import names, owner, spending
from jobmon.run.journal import JournalError

log = logging.getLogger(__name__)

POLL = 0.25
"""Seconds between two looks for a request or a signal, while waiting for the next cycle."""

LONGEST = 300.0
"""Seconds between two tries on a cluster that does not answer, at most."""

PROMPT = 1.0
"""Seconds that a look may take before the batch system counts as slow."""

SPARING = 10.0
"""The pause after a slow look, at least, in multiples of what the look took beyond PROMPT."""

LOGIN_PAUSE = 600.0
"""Seconds before a login that was refused is tried again; sites ban who hammers."""


ACCOUNT = 60.0
"""Seconds after which it is written down again what was asked of the cluster."""


@dataclass(slots=True)
class Loop:
    """The steps of a cycle in their order, and when to stop."""

    know: Know
    cluster: Cluster
    lock: owner.Owner
    stop: threading.Event
    tell: Callable[[Event], None]
    rng: random.Random = field(default_factory=random.Random)
    login: Callable[[str], None] = lambda words: None
    """Called when the cluster begins to refuse the login, with why, and with "" when it ends."""
    busy: Busy = contextlib.nullcontext
    answered: bool = False
    _failures: int = 0
    _refused: bool = False
    _logins: int = 0
    _idle_since: Mono | None = None
    _said: str = ""
    _next_account: float = 0.0
    _look_took: float = 0.0
    _spent_before: Spent | None = None
    _looker: Looker = field(init=False)
    _puller: Puller = field(init=False)
    _deleter: Deleter = field(init=False)
    _recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self._looker = Looker(self.know, self.cluster)
        self._puller = Puller(self.know, self.cluster, self.busy)
        self._deleter = Deleter(self.know, self.cluster)
        self._recorder = Recorder(self.know)

    def run(self, *, once: bool, forever: bool, begun: Callable[[], None]) -> None:
        """Turn until nothing can go on (never, if ``forever``), one turn if ``once``.

        ``begun`` is called when the cluster has answered for the first time. Raises TwinLost,
        and owner.Lost if another process took the run.
        """
        whole = True
        self._puller.mend()
        while not self.stop.is_set():
            self.lock.check()
            began = self.know.clock.now()
            done = self._try(whole=whole, begun=begun)
            if once and self.answered:
                with contextlib.suppress(ClusterError):  # said; it is fetched at the next start
                    self._puller.finish()
                break
            if done and not forever and self._settled():
                break
            whole = whole and not done
            # The interval is from look to look; half of it is a rest, after a failure all of it.
            pause, took = self._pause(), self.know.clock.now() - began
            self._wait(pause if self._failures else max(pause / 2, pause - took))
        self._puller.stop()
        with contextlib.suppress(OSError):
            self._recorder.draw(at_once=True)
        with contextlib.suppress(OSError):
            self._account()

    def _try(self, *, whole: bool, begun: Callable[[], None]) -> bool:
        try:
            self._cycle(whole=whole)
        except TwinLost:
            raise
        except ClusterError as error:
            self._fail(error, whole=whole)
            return False
        except (JournalError, OSError) as error:
            self._fail(error, whole=False)
            return False
        finally:
            self._news()
        if self._failures:
            log.info("%s answers again", self.cluster.link.where)
        logins = self.cluster.link.spent().logins
        if self.answered and logins > self._logins:
            log.info("connected to %s again, login %d", self.cluster.link.where, logins)
        self._logins, self._failures, self._said = logins, 0, ""
        if self._refused:
            self.login("")
        self._refused = False
        if not self.answered:
            self.answered = True
            begun()
        return True

    def _cycle(self, *, whole: bool) -> None:
        know = self.know
        if take_requests(know):
            self.stop.set()
            return
        survey(know)  # the whole of it was read before the first cycle
        asked = know.clock.now()
        seen = self._looker.look(whole=whole)
        self._look_took = know.clock.now() - asked
        retry_failed(know, whole=whole)
        self._deleter.step(seen)
        clear(know, self.cluster)
        settle_ready(know)
        push(know, self.cluster, seen)
        if not self.stop.is_set():
            submit(know, self.cluster)
        self._puller.step()
        self._recorder.draw(seen)
        memory.keep(know)
        if know.clock.now() >= self._next_account:
            self._account()
            self._next_account = know.clock.now() + ACCOUNT

    def _account(self) -> None:
        """Add what this daemon has asked of the cluster to what others before it did."""
        path = self.know.paths.spent
        if self._spent_before is None:
            before = spending.read(path)
            self._spent_before = Spent(*(before.get(each.name, 0) for each in fields(Spent)))
        spending.write(path, asdict(self._spent_before + self.cluster.spent()))

    def _fail(self, error: Exception, *, whole: bool) -> None:
        first = whole and not self.answered
        if self.stop.is_set():
            return
        self._failures += 1
        if first and isinstance(error, ClusterError) and self._failures == 1:
            raise error
        said = str(error)
        if said != self._said:
            log.warning("%s; nothing is concluded from that, it is tried again", said)
            self._said = said
        refused = isinstance(error, LoginFailed)
        if refused and not self._refused:
            self.login(said)
        self._refused = refused

    def _settled(self) -> bool:
        """Whether nothing can go on any more, even after everything was looked at again."""
        if self._busy():
            return False
        try:
            self._puller.finish()  # it may bring new jobs, and takes its time
            survey(self.know, whole=True)
            self._looker.look(whole=True)
            retry_failed(self.know, whole=True)
            settle_ready(self.know)
        except (ClusterError, JournalError, OSError) as error:
            self._fail(error, whole=False)
            return False
        finally:
            self._news()
        return not self._busy() and not self.know.unpulled

    def _busy(self) -> bool:
        """Whether a job is in the batch system or will be, or one that ended is still listed.

        For the latter nobody waits longer than the grace: some are listed for ever.
        """
        know = self.know
        moving = IN_SYSTEM - {Life.UNCLEAR}
        barred = know.conflicted()
        room = know.settings.maxqsub > len(know.in_system)  # unclear jobs keep their places
        if any(know.jobs[key].life in moving for key in know.in_system) or any(
            room and key not in barred and know.standing(key) == Standing.CLEAR
            for key in know.ready_in_order()
        ):
            self._idle_since = None
            return True
        if self._idle_since is None:
            self._idle_since = know.clock.now()
        waited = know.clock.now() - self._idle_since
        return bool(know.leaving) and waited < know.settings.grace

    def _news(self) -> None:
        news, self.know.news = self.know.news, []
        for event in news:
            self.tell(event)

    def _pause(self) -> float:
        if not self._failures:
            slow = max(0.0, self._look_took - PROMPT)
            wanted = max(self.know.settings.interval, min(LONGEST, SPARING * slow))
        elif self._refused:
            wanted = LOGIN_PAUSE
        else:
            wanted = min(LONGEST, self.know.settings.interval * 2 ** min(self._failures, 10))
        sooner = 0.75 if wanted == self.know.settings.interval and self._awaited() else 0.9
        return wanted * self.rng.uniform(sooner, 1.0)  # never later than was promised

    def _awaited(self) -> bool:
        """Whether a job runs whose end another waits for: half the interval is then typical."""
        know = self.know
        running = (key for key in know.in_system if know.jobs[key].life == Life.RUNNING)
        return bool(know.index.asking(set(map(names.marker, running))))

    def _wait(self, seconds: float) -> None:
        until = self.know.clock.now() + seconds
        requests = self.know.paths.hidden / "requests"
        left: set[Path] = set()
        while not self.stop.is_set() and self.know.clock.now() < until:
            asked = set(requests.glob("*.json"))
            if asked - left:
                if take_requests(self.know):
                    self.stop.set()
                left = set(requests.glob("*.json"))  # cannot be done now: in the next cycle
                if asked - left and not self._failures:
                    return  # a cluster that does not answer is not asked sooner for that
            self.stop.wait(min(POLL, max(0.0, until - self.know.clock.now())))
