"""Where the local queue keeps its state, how many cores it may use, and how it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MARK = "JOBMON_LOCALQUEUE_JOB"
"""In the environment of every process of a job: state folder and ID, so that delete finds all."""


class QueueError(Exception):
    """Something the local queue can't do; the message says what, where and what next."""


def state_folder(environ: Mapping[str, str]) -> Path:
    """``$JOBMON_LOCALQUEUE``, else a folder of this host below the user's state folder.

    The host's short name: a laptop's domain changes with its network.
    """
    if given := environ.get("JOBMON_LOCALQUEUE"):
        return Path(given).absolute()
    base = environ.get("XDG_STATE_HOME", "")
    # The specification of XDG says to pass over a relative path.
    state = Path(base) if base.startswith("/") else Path("~/.local/state").expanduser()
    return state / "jobmon" / "localqueue" / os.uname().nodename.split(".")[0]


def core_limit(environ: Mapping[str, str]) -> int:
    """The cores of this machine that may be used. Raises QueueError for a bad setting."""
    if given := environ.get("JOBMON_LOCALQUEUE_CORES"):
        if not given.isascii() or not given.isdigit() or int(given) == 0:
            raise QueueError(
                f"JOBMON_LOCALQUEUE_CORES is '{given}': give a whole number from 1 on, or unset it"
            )
        return int(given)
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def program() -> list[str]:
    """The words that call this very copy of the local queue from any folder, however installed.

    ``-I -S``: neither the current folder, nor PYTHONPATH, nor an installed package can shadow a
    module. The command line itself puts this copy of the package in reach.
    """
    main = Path(__file__).with_name("__main__.py")
    return [sys.executable, "-I", "-S", "-X", "utf8", str(main)]
