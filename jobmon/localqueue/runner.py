"""The queue's own process: starts pending jobs in their order, within the cores; then leaves.

First in, first out, strictly: a big job at the head is not overtaken, so it can't starve. The
runner keeps nothing but what the state folder says, and may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobmon.localqueue.place import program
from jobmon.localqueue.process import detach
from jobmon.localqueue.spool import ENDED, PENDING, Spool, State, stamp

_QUICK, _SLOW = 0.02, 0.5  # seconds between two turns, while things happen and while not


def ensure(spool: Spool, cores: int) -> None:
    """Start a runner if there is none. Locked. Raises OSError if no process can be made."""
    lock = spool.runner_lock()
    if lock is not None:
        os.close(lock)
        state = ["--state", str(spool.root), "--cores", str(cores)]
        detach([*program(), "runner", *state], spool.log)


def fitting(pending: Sequence[tuple[int, int]], used: int, cores: int) -> list[int]:
    """Which of the pending (ID, cores asked) start now, beside ``used`` cores.

    What asks for more than there is (the machine had more when it was accepted) runs alone.
    """
    chosen = []
    for number, asked in pending:
        if used and used + asked > cores:
            break
        chosen.append(number)
        used += asked
    return chosen


def run(spool: Spool, cores: int) -> None:
    """Be the runner until nothing is pending; returns at once if there is another."""
    os.umask(0o077)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with spool.locked():
        lock = spool.runner_lock()
        if lock is None:
            return
    spool.prune(time.time())
    runner = _Runner(spool, cores, {}, {})
    pause = _QUICK
    while True:
        pause = _QUICK if runner.turn() else min(pause * 1.5, _SLOW)
        if runner.idle():
            with spool.locked():
                if not any(spool.state(n) == State(PENDING) for n in spool.live()):
                    os.close(lock)  # before queue.lock, so that the next submit finds it free
                    return
        time.sleep(pause)


@dataclass(slots=True)
class _Runner:
    spool: Spool
    cores: int
    starting: dict[int, int]  # shepherd's pid -> job: begun, its claim not seen yet
    asked: dict[int, int]  # job -> cores; never changes once known
    waiting: int = 0

    def idle(self) -> bool:
        return not self.waiting and not self.starting

    def turn(self) -> bool:
        """One look at the jobs; starts what fits. Whether anything happened."""
        happened = self._reap()
        begun = set(self.starting.values())
        pending, ended, used = [], [], 0
        for number in self.spool.live():
            state = self.spool.state(number)
            if state is None:
                continue
            if state.phase == ENDED:
                ended.append(number)
            elif state.phase == PENDING and number not in begun:
                pending.append((number, self._cores_of(number)))
            else:
                used += self._cores_of(number)
        chosen = fitting(pending, used, self.cores)
        begun_now = sum(self._start(number) for number in chosen)
        self._put_away(ended)
        self.waiting = len(pending) - begun_now
        return bool(happened or begun_now or ended)

    def _start(self, number: int) -> bool:
        words = [*program(), "shepherd", "--state", str(self.spool.root), str(number)]
        try:
            self.starting[detach(words, self.spool.log)] = number
        except OSError as error:  # no more processes: try again at the next turn
            _say(f"job {number} can't be started now: {error}")
            return False
        return True

    def _reap(self) -> bool:
        """Take note of shepherds that ended, and of claims that were made."""
        with contextlib.suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                number = self.starting.pop(pid, None)
                if number is not None and self.spool.claim(number, "runner"):
                    self.spool.set_end(number, f"unstarted its shepherd failed; {self.spool.log}")
        claimed = [pid for pid, n in self.starting.items() if self.spool.state(n) != State(PENDING)]
        for pid in claimed:
            del self.starting[pid]
        return bool(claimed)

    def _put_away(self, ended: Sequence[int]) -> None:
        if ended:
            with self.spool.locked():
                for number in ended:
                    state = self.spool.state(number)
                    if state is not None:
                        self.spool.tidy(number, state)
                        self.asked.pop(number, None)

    def _cores_of(self, number: int) -> int:
        if number not in self.asked:
            try:
                self.asked[number] = self.spool.job(number).cores
            except FileNotFoundError:  # put away by a list just now
                return 0
        return self.asked[number]


def _say(text: str) -> None:
    os.write(2, f"{stamp()} runner {os.getpid()}: {text}\n".encode("utf-8", "surrogateescape"))
