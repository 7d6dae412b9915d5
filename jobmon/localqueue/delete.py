"""Ends jobs: a pending one by claiming it, a running one with all the processes it ever made.

SIGTERM first, SIGKILL to what is left after the grace, until nothing is left. A process counts
to a job by descent, by a session begun within the job, or by the mark in its environment: a
child that changed its session and lost its parent is found as well.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from jobmon.localqueue.process import Identity, Proc, alive, marked, table
from jobmon.localqueue.spool import ENDED, PENDING, Spool

GRACE = 5.0
PATIENCE = 25.0  # seconds until a process that SIGKILL does not end is given up


def family(
    processes: Mapping[int, Proc], roots: Collection[int], sessions: Collection[int]
) -> set[int]:
    """``roots``, the members of ``sessions``, and all their descendants."""
    children: dict[int, list[int]] = {}
    for proc in processes.values():
        children.setdefault(proc.parent, []).append(proc.pid)
    todo = [*roots, *(proc.pid for proc in processes.values() if proc.session in sessions)]
    found: set[int] = set()
    while todo:
        pid = todo.pop()
        if pid in processes and pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def delete(spool: Spool, names: Sequence[str], say: Callable[[str], None]) -> int:
    """Delete the jobs, telling of each what was done; 1 if one is unknown or would not end."""
    code = 0
    hunts = []
    with spool.locked():
        for name in names:
            known = spool.find(int(name)) if name.isascii() and name.isdigit() else None
            if known is None:
                say(f"unknown {name}: the local queue knows no such job")
                code = 1
            elif known[1].phase == ENDED:
                say(f"job {name} had already ended: {known[1].how}")
            elif known[1].phase == PENDING and spool.claim(int(name), "delete"):
                spool.set_end(int(name), "deleted")
                say(f"job {name} deleted: it was pending")
            else:
                spool.ask_delete(int(name))
                hunts.append(_Hunt(spool, int(name), spool.shepherd(int(name))))
    return max(code, _end_all(hunts, say))


def _end_all(hunts: list[_Hunt], say: Callable[[str], None]) -> int:
    begin = time.monotonic()
    pause = 0.02
    while hunts:
        spent = time.monotonic() - begin
        processes = table()
        for hunt in list(hunts):
            left = hunt.strike(processes, hard=spent > GRACE)
            if hunt.over(left):
                say(f"job {hunt.number} deleted: it was running")
                hunts.remove(hunt)
            elif spent > PATIENCE:
                pids = " ".join(map(str, sorted(left))) or "no process, but no end on record"
                say(f"job {hunt.number} is not gone yet: {pids}; try again later")
        if hunts and spent > PATIENCE:
            return 1
        time.sleep(pause if hunts else 0)
        pause = min(pause * 1.5, 0.3)
    return 0


@dataclass(slots=True)
class _Hunt:
    spool: Spool
    number: int
    shepherd: Identity | None
    sessions: set[int] = field(default_factory=set)
    warned: set[tuple[int, str]] = field(default_factory=set)

    def strike(self, processes: Mapping[int, Proc], hard: bool) -> set[int]:
        """Signal what is left of the job, each process SIGTERM once, or SIGKILL; returns it."""
        left = self._victims(processes)
        fresh = [pid for pid in left if hard or (pid, processes[pid].birth) not in self.warned]
        self.warned |= {(pid, processes[pid].birth) for pid in fresh}
        # All are stopped before any is ended: a script whose child dies first would go on, and
        # might write its marker.
        for sign in (signal.SIGSTOP, signal.SIGKILL if hard else signal.SIGTERM, signal.SIGCONT):
            for pid in fresh:
                _send(pid, sign)
        return left

    def over(self, left: Collection[int]) -> bool:
        """Whether all is gone: the processes, and then the shepherd or its doubt."""
        state = self.spool.state(self.number)
        return not left and (state is None or state.phase == ENDED)

    def _victims(self, processes: Mapping[int, Proc]) -> set[int]:
        roots = marked(self.spool.mark(self.number))
        own = {self.shepherd.pid} if self.shepherd and alive(self.shepherd) else set()
        script = self.spool.script_process(self.number)
        if script and alive(script):
            self.sessions.add(script.pid)
        found = family(processes, roots | own, self.sessions) - own - {os.getpid()}
        # A session's number is not given away while it has members; one without is forgotten,
        # and so is the shepherd's own, which a child just made has for a moment.
        self.sessions = {processes[pid].session for pid in found} - own
        return found


def _send(pid: int, name: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, name)
