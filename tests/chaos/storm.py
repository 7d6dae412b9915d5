"""The storm: fault upon fault while the jobs run, then quiet, then the reckoning.

While faults are left, a round whose jobs have all ended is followed by a new one, of as many
jobs. Whatever ended by itself is started again, as its user would.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from conftest import TestCluster
from session import jobmon, status

from chaos import records, rounds
from chaos.faults import HOST, ChaosError, Faults
from chaos.plan import Fault, What
from chaos.proxy import Proxy
from chaos.records import Submission, Verdict
from chaos.rounds import Round

END_LIMIT = 400.0
"""Seconds in which the last round must end by itself once all is well again."""

FOUND_LIMIT = 75.0
"""Seconds in which a half-open connection must be found: a minute, and a new login."""

STAND_LIMIT = 120.0
"""Seconds in which a daemon whose connection was lost makes a new one, at most: pauses grow."""

MANY = 5
"""After so many daemons that ended as they must not, nothing more can be learned."""

UNFINISHED, NO_ANSWER = 1, 3


@dataclass(slots=True)
class Storm:
    """One storm; ``folder`` holds the projects, ``flags`` are for `jobmon run`."""

    cluster: TestCluster
    scheduler: str
    proxy: Proxy
    faults: Faults
    folder: Path
    flags: tuple[str, ...]
    jobs: int
    say: Callable[[str], None]
    tag: str = field(default_factory=lambda: f"c{uuid.uuid4().hex[:6]}")
    rounds: list[Round] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _undo: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _over: bool = False  # the last round has ended
    _ceasing: bool = False
    _began: float = field(default_factory=time.monotonic)

    @property
    def rdir(self) -> str:
        return f"jobmon-chaos-{self.tag}"

    def go(self, faults: list[Fault]) -> Verdict:
        """All of it; the verdict of the batch system's records."""
        self._next_round()
        for i, fault in enumerate(faults, start=1):
            self._wait(fault.pause)
            words = self._do(fault)
            self._note(
                f"{i:3}/{len(faults)} {fault.what} {fault.how} {fault.where}".rstrip(), words
            )
        self._cease()
        self._end()
        return self._reckon()

    # --- one fault ---------------------------------------------------------------------

    def _do(self, fault: Fault) -> str:
        self.tally[fault.what] += 1
        if fault.what == What.KILL:
            return self._kill(fault)
        if fault.how == "patient":
            return self._patient(fault)
        if fault.what == What.DROP and fault.how != "down":
            return self._drop(fault)
        if fault.what in {What.STOP, What.HANG}:  # one of them at a time
            self._until(lambda: not self._undo, 60)
        end = self.faults.begin(fault)
        self._undo.append((time.monotonic() + fault.hold, end))
        if fault.alone:
            self._wait(fault.hold)
        return f"for {fault.hold:.1f} s"

    def _drop(self, fault: Fault) -> str:
        """A cut in the middle; where nothing flows any more, what stands is reset."""
        self._until(lambda: self.proxy.standing, STAND_LIMIT)
        self.faults.begin(fault)
        if self._until(lambda: not self.proxy.armed, 6):
            return f"behind {int(fault.size)} bytes"
        self.proxy.reset_all()
        return "nothing flowed for 6 s; all that stood was reset"

    def _kill(self, fault: Fault) -> str:
        """Kill -9. A start that is to be hit is made by a kill more, if it must be."""
        words = ""
        if fault.how == "submitting":
            each, seen = self.rounds[-1], self.rounds[-1].submitting()
            came = self._until(lambda: each.submitting() > seen, 6, step=0.004)
            words = f"{fault.size * 1000:.0f} ms behind a 'submitting'" if came else "none came"
            time.sleep(fault.size)
        elif fault.how == "start":
            if time.monotonic() - self.rounds[-1].since > fault.size:
                self.rounds[-1].kill()
                self._tend()
            time.sleep(max(0.0, self.rounds[-1].since + fault.size - time.monotonic()))
            words = f"{fault.size:.2f} s behind a start"
        self._until(self._killed, STAND_LIMIT)
        return words

    def _killed(self) -> bool:
        return self.rounds[-1].kill()

    def _patient(self, fault: Fault) -> str:
        """A half-open connection that nobody ends: jobmon must find it by itself."""
        self._until(lambda: self.proxy.standing, STAND_LIMIT)
        self.faults.begin(fault)
        if not self._until(lambda: not self.proxy.armed, 20):
            self.proxy.reset_all()
            return "nothing flowed for 20 s; all that stood was reset"
        made, since = self.proxy.made, time.monotonic()
        found = self._until(lambda: self.proxy.made > made, FOUND_LIMIT)
        if not found:
            self.proxy.reset_all()
            self.problems.append(f"a half-open connection was not found in {FOUND_LIMIT:g} s")
            return "not found"
        return f"found after {time.monotonic() - since:.0f} s"

    # --- time and the daemon -----------------------------------------------------------

    def _wait(self, seconds: float, step: float = 0.02) -> None:
        self._until(lambda: False, seconds, step)

    def _until(self, true: Callable[[], object], limit: float, step: float = 0.02) -> bool:
        """Whether ``true()`` became so within ``limit`` seconds, minding the daemon meanwhile."""
        end = time.monotonic() + limit
        while not true():
            if time.monotonic() >= end:
                return False
            self._tend()
            time.sleep(min(step, max(0.0, end - time.monotonic())))
        return True

    def _tend(self) -> None:
        """End the faults whose time is over; start again what was killed or has ended."""
        now = time.monotonic()
        due = [undo for undo in self._undo if undo[0] <= now]
        self._undo = [undo for undo in self._undo if undo[0] > now]
        for _, end in due:
            end()
        each = self.rounds[-1]
        code = each.ended()
        if code is None:
            if each.process is None and not self._over:
                each.start()
            return
        self._ended(each, code)

    def _ended(self, each: Round, code: int) -> None:
        if code in {0, UNFINISHED}:
            self._note("round", f"{len(self.rounds)} ended with {code}: {each.said()}")
            self._over = True
        elif code == NO_ANSWER:
            self._note("daemon", f"found no answer at its start: {each.said()}")
            self.tally["unanswered starts"] += 1
            time.sleep(0.3)
        else:
            self.problems.append(f"{each.project.name}: a daemon ended with {code}: {each.said()}")
            self._note("daemon", self.problems[-1])
            if len(self.problems) > MANY:
                raise ChaosError(f"given up: {self.problems[-1]}")
        if self._over and not self._ceasing:
            self._next_round()

    def _next_round(self) -> None:
        number = len(self.rounds) + 1
        each = rounds.make(self.folder, number, self.tag, self.jobs, self.rdir, self.flags)
        self.rounds.append(each)
        self._over = False
        self._note("round", f"{number} begins: {self.jobs} jobs")
        each.start()

    # --- afterwards --------------------------------------------------------------------

    def _cease(self) -> None:
        self._until(lambda: not self._undo, 60)
        self._ceasing = True
        self.proxy.down(False)
        self.proxy.reset_all()
        self.faults.mended()
        self._note("storm", "all faults have ceased; what is left may go on to its end")

    def _end(self) -> None:
        """Let the last round end; let each with an unclear job look again."""
        if not self._until(lambda: self._over, END_LIMIT):
            each = self.rounds[-1]
            self.problems.append(f"{each.project.name} did not end within {END_LIMIT:g} s")
            each.kill()
        for each in self.rounds:
            if "unclear" in status(each.run)["counts"]:
                jobmon("--ldir", each.run, timeout=END_LIMIT)

    def _reckon(self) -> Verdict:
        user = self.cluster.user(HOST)
        end = time.monotonic() + 60
        while True:  # the accounting may be late
            found = records.submissions(self.cluster, self.scheduler, self.tag, user)
            left = records.alive(self.cluster, self.scheduler, self.tag, user)
            left |= {s.jobid for s in found if not s.ended} | self._unrecorded(found)
            if not left:
                break
            if time.monotonic() > end:
                self.problems.append(f"no end on record of {', '.join(sorted(left))}")
                break
            time.sleep(1)
        verdict = records.judge(self.rounds, found, self.cluster.home(HOST))
        verdict.problems[:0] = self.problems
        return verdict

    def _unrecorded(self, found: list[Submission]) -> set[str]:
        """The job IDs of the journals that the records do not have."""
        lines = (
            line.split(" ")
            for each in self.rounds
            for line in (each.run / "qsub.log").read_text("utf-8").splitlines()
        )
        return {words[3] for words in lines if words[1] == "started"} - {s.jobid for s in found}

    def kills(self) -> int:
        return sum(each.kills for each in self.rounds)

    def _note(self, what: str, words: str) -> None:
        self.say(f"{time.monotonic() - self._began:6.1f} s  {what}: {words}".rstrip(": "))
