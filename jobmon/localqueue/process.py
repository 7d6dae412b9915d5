"""Who lives: processes named by boot, pid and birth, the process table, and detaching.

A pid alone proves nothing, since it is used again. Linux: /proc. Elsewhere: ps and sysctl.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobmon.localqueue.place import MARK

_LINUX = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Proc:
    """One living process; ``birth`` is its start time in the kernel's own words."""

    pid: int
    parent: int
    session: int
    birth: str


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for ever: no other one on this machine has had or will have all three."""

    boot: str
    pid: int
    birth: str


def myself() -> Identity:
    found = _look_up([os.getpid()])
    return Identity(boot_id(), os.getpid(), found[os.getpid()].birth)


def alive(who: Identity) -> bool:
    """Whether that very process lives; a zombie does not."""
    if who.boot != boot_id():
        return False
    found = _look_up([who.pid]).get(who.pid)
    return found is not None and found.birth == who.birth


def table() -> dict[int, Proc]:
    """Every living process, by pid; zombies are left out."""
    return _look_up(None)


def marked(mark: str) -> set[int]:
    """The processes that carry ``mark`` in their environment (Linux; elsewhere none is found)."""
    if not _LINUX:
        return set()
    want = f"{MARK}={mark}".encode("utf-8", "surrogateescape")
    found = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # another user's, or gone
                if want in Path(entry.path, "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
    return found


@cache
def boot_id() -> str:
    """A word that changes when the machine starts anew."""
    if _LINUX:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return _output(["sysctl", "-n", "kern.bootsessionuuid"]) or _output(
        ["sysctl", "-n", "kern.boottime"]
    )


def detach(argv: Sequence[str], log: Path) -> int:
    """Start ``argv`` in a session of its own, in ``/``, its output to ``log``; returns its pid.

    Raises OSError if no process can be made.
    """
    # The queue's own processes are of no job, even if a job's script started them.
    environ = {key: value for key, value in os.environ.items() if key != MARK}
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDONLY)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for source, target in ((null, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        # What this process itself inherited; what Python opened closes by itself.
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), 65536))
        os.execve(argv[0], list(argv), environ)  # noqa: S606 (no shell is the point)
    finally:
        os._exit(127)


def _look_up(pids: Sequence[int] | None) -> dict[int, Proc]:
    return by_proc(pids) if _LINUX else by_ps(pids)


def by_proc(pids: Sequence[int] | None) -> dict[int, Proc]:
    """The living among ``pids`` (None: all), from Linux's /proc."""
    if pids is None:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    found = {}
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            continue
        # The second field is the program's name in brackets and may hold anything.
        fields = text[text.rindex(b")") + 2 :].split()
        if fields[0] not in (b"Z", b"X", b"x"):
            found[pid] = Proc(pid, int(fields[1]), int(fields[3]), fields[19].decode())
    return found


def by_ps(pids: Sequence[int] | None) -> dict[int, Proc]:
    """The same from ps, which macOS and the BSDs have."""
    which = ["-A"] if pids is None else ["-p", ",".join(map(str, pids))]
    found = {}
    for line in _output(["ps", *which, "-o", "pid=,ppid=,stat=,lstart="]).splitlines():
        pid, parent, state, birth = line.split(None, 3)
        if not state.startswith("Z"):
            with contextlib.suppress(OSError):
                found[int(pid)] = Proc(int(pid), int(parent), os.getsid(int(pid)), birth.strip())
    return found


def _output(argv: Sequence[str]) -> str:
    import subprocess  # noqa: PLC0415  (slow to import, and not needed on Linux)

    environ = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(  # noqa: S603 (no shell; fixed words and numbers)
        argv, env=environ, stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()
