"""``--daemon``: the same start, detached first; its questions come to this terminal."""

from __future__ import annotations

from collections.abc import Callable

from jobmon.act.errors import EXPECTED, explain
from jobmon.act.place import find
from jobmon.act.start import USAGE, Wish, start
from jobmon.cluster.links.login import Ask
from jobmon.daemon import detach


def start_detached(wish: Wish) -> int:
    """Start in the background; returns once the cluster has answered, or what went wrong."""
    place = find(wish.ldir, wish.datedir)

    def work(ask: Ask, say: Callable[[str], None], ready: Callable[[int], None]) -> int:
        try:
            return start(wish, ask, say, ready)
        except EXPECTED as error:
            say(f"jobmon: {explain(error)}")
            return USAGE

    return detach(work, place.project / "jobmon.daemon.log")
