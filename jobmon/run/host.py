"""Which machine this is, and whether a process of it that was written down still lives.

A process id alone says nothing: it is used again. With the machine's boot and the process's
birth it names one process for ever. The wall clock takes no part.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import psutil


class Life(Enum):
    """What can be said from here of a process that was written down."""

    ALIVE = "alive"
    GONE = "gone"
    FOREIGN = "foreign"  # on another machine: nothing can be said


@dataclass(frozen=True, slots=True)
class Process:
    """One process, for ever. Texts that could not be found out are empty.

    ``machine`` lasts over boots, ``boot`` names one boot, ``space`` the table that ``pid`` is of
    (containers on one machine have their own), ``birth`` the start of the process in it.
    """

    host: str
    machine: str
    boot: str
    space: str
    pid: int
    birth: str


def this_process() -> Process:
    pid = os.getpid()
    return Process(socket.gethostname(), _machine(), _boot(), _space(), pid, birth(pid) or "")


def state(process: Process) -> Life:
    """Whether the process lives, as far as it can be known from here."""
    here = this_process()
    if process.boot and process.boot == here.boot:
        if process.space != here.space:
            return Life.FOREIGN
    elif (process.host, process.machine) != (here.host, here.machine):
        return Life.FOREIGN
    elif process.boot and here.boot:
        return Life.GONE  # this machine, an earlier boot
    born = birth(process.pid)
    if born is None:
        return Life.GONE
    return Life.ALIVE if born in ("", process.birth) or not process.birth else Life.GONE


def birth(pid: int) -> str | None:
    """When a process of this machine started, in a form that only compares.

    Empty if it lives but does not show it; None if there is no such process or only its remains.
    """
    if sys.platform == "linux":
        # Ticks since the boot; the name before it may hold spaces and brackets.
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2]
            words = fields.split()
            return None if words[0] in "ZXx" else words[19]
        return "" if psutil.pid_exists(pid) else None
    try:
        process = psutil.Process(pid)
        dead = process.status() == psutil.STATUS_ZOMBIE
        return None if dead else f"{process.create_time():.3f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return ""


@cache
def _machine() -> str:
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            return Path(path).read_text("ascii", "replace").strip()
    return ""


@cache
def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii", "replace").strip()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        done = subprocess.run(  # noqa: S603 (fixed words)
            command, capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()
    return ""


@cache
def _space() -> str:
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""
