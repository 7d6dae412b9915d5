"""The real command line of jobmon, with a line noted for each cycle of its loop.

    python -m benchmarks.counted FILE WORD...     # as: jobmon WORD...

FILE gets a JSON list at the end, a row a cycle: when it began and ended (seconds of the epoch),
what the link had spent at both times, and how long the journal was.
"""

from __future__ import annotations

import atexit
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jobmon import cli
from jobmon.cycle.loop import Loop


def note(rows: list[dict[str, Any]], real: Callable[..., None]) -> Callable[..., None]:
    """The loop's cycle, which adds to ``rows`` what it cost."""

    def cycle(loop: Loop, **kind: Any) -> None:
        row = {"begin": time.time(), "before": _now(loop)}
        try:
            real(loop, **kind)
        finally:
            rows.append(row | {"end": time.time(), "after": _now(loop)})

    return cycle


def _now(loop: Loop) -> dict[str, int]:
    journal = loop.know.paths.journal
    written = journal.stat().st_size if journal.exists() else 0
    return asdict(loop.cluster.link.spent()) | {"journal": written}


def main() -> None:
    target, words = Path(sys.argv[1]), sys.argv[2:]
    rows: list[dict[str, Any]] = []
    atexit.register(lambda: target.write_text(json.dumps(rows)))
    Loop._cycle = note(rows, Loop._cycle)  # type: ignore[method-assign]
    sys.argv = ["jobmon", *words]
    cli.main()


if __name__ == "__main__":
    main()
