"""How soon ``jobmon watch`` shows a run of any size in a terminal, and how soon it answers a key.

The run is one in the middle of its life (``bigrun``) that a real daemon has minded. The keys are
typed while the view still reads the run, which is when it has most to do. Wall time.

    python -m benchmarks.watch JOBS ALIVE
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import statistics
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import lab
from .bigrun import Shape, make
from .commands import minded

TIMES = 5
KEYS = 20
DOWN = b"\x1b[B"
LIMIT = 120.0


def measure(jobs: int, alive: int) -> dict[str, float]:
    """Seconds until all counts are on the screen, and until the cursor has moved."""
    with lab.folder("watch") as base:
        big = make(base / "big", Shape(jobs, alive))
        minded(big)
        opened, keys = [], []
        for _ in range(TIMES):
            with _screen(big.run) as screen:
                opened.append(screen.until(f"{jobs} jobs".encode()))
                for row in range(1, KEYS + 1):
                    screen.type(DOWN)
                    keys.append(screen.until(f"mp-{row:05d}/qsub.0 ".encode()))
        return {
            "jobs": jobs,
            "open_s": statistics.median(opened),
            "key_s": statistics.median(keys),
            "key_max_s": max(keys),
        }


@dataclass(slots=True)
class _Screen:
    """A terminal's other end. Times count from the last thing that was done to it."""

    fd: int
    since: float

    def type(self, keys: bytes) -> None:
        self.since = time.monotonic()
        os.write(self.fd, keys)

    def until(self, words: bytes) -> float:
        """Seconds until ``words`` were drawn. Raises ValueError if they are not."""
        drawn = b""
        while words not in drawn:
            if not select.select([self.fd], [], [], LIMIT)[0]:
                raise ValueError(f"{words!r} is never drawn")
            drawn += os.read(self.fd, 1 << 16)
        return time.monotonic() - self.since


@contextmanager
def _screen(run: Path) -> Iterator[_Screen]:
    """``jobmon watch`` in a terminal of 120 by 40."""
    began = time.monotonic()
    child, fd = pty.fork()
    if child == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        os.execv(lab.JOBMON[0], [*lab.JOBMON, "watch", "--run", str(run)])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    try:
        yield _Screen(fd, began)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(fd)


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2])), indent=1))
