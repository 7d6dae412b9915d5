"""Draw docs/pictures/watch.svg, the live view of a run: ``python tests/watch_picture.py``.

The view is the real one, over a run folder that is made here, at a time that stands still.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from watch_lab import Person, Step, driven, run_of, shown

from jobmon.core.model import Kind
from jobmon.show.watch.app import Watch

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "watch.svg"

STEPS = 7
READY, STARTED, RUNNING, FINISHED = Kind.READY, Kind.STARTED, Kind.RUNNING, Kind.FINISHED
TIME = {"reason": "out of time (limit 1:00:00)", "cause": "time"}

DONE = {
    "mp-149": 7,
    "mp-390": 7,
    "mp-406": 5,
    "mp-661": 4,
    "mp-804": 6,
    "mp-1143": 3,
    "mp-2133": 2,
    "mp-2172": 7,
    "mp-2490": 1,
    "mp-10695": 3,
    "mp-20351": 0,
    "mp-22862": 0,
}
"""How many jobs of each chain have finished."""

NEXT: dict[str, tuple[Step, ...]] = {
    "mp-406": ((92, READY), (93, STARTED), (95, RUNNING)),
    "mp-661": ((70, READY), (71, STARTED), (72, RUNNING), (112, Kind.FAILED, TIME)),
    "mp-804": ((101, READY), (102, STARTED), (104, RUNNING)),
    "mp-1143": ((88, READY), (89, STARTED), (90, RUNNING)),
    "mp-2133": ((97, READY), (98, STARTED)),
    "mp-10695": ((112, READY),),
    "mp-20351": ((0, READY),),
}
"""What the next job of a chain has come to, in minutes."""


def materials(folder: Path) -> Path:
    """Twelve materials, a chain of seven steps each."""
    needs: dict[str, str | None] = {}
    lives: dict[str, tuple[Step, ...]] = {}
    for row, (name, done) in enumerate(DONE.items()):
        for step in range(STEPS):
            key = f"{name}/qsub.{step}"
            needs[key] = f"qsub.finished.{step - 1}\n" if step else ""
            begin = 2 + 13 * step + row % 4
            if step < done:
                times = (begin, begin + 1, begin + 2, begin + 11 + (row * step) % 3)
                lives[key] = tuple(zip(times, (READY, STARTED, RUNNING, FINISHED), strict=True))
            elif step == done and name in NEXT:
                lives[key] = NEXT[name]
    needs["mp-22862/qsub.0"] = None
    run = run_of(folder, needs, lives)
    words = {"host": "laptop", "machine": "-", "boot": "-", "space": "-", "birth": "-"}
    more = {"pid": 4711, "since": "2026-11-20T21:00:00+00:00", "token": "-", "what": "run"}
    (run / ".jobmon" / "lock").write_text(json.dumps(words | more))
    return run


def picture() -> str:
    """The SVG, as Textual draws the screen."""
    drawn: list[str] = []

    async def drive(person: Person, app: Watch) -> None:
        await shown(person, "blocked")
        await person.press("e", "down", "down", "down", *["right"] * 5)
        await shown(person, "mp-661/qsub.5 is blocked", "jobmon retry mp-661/qsub.4")
        drawn.append(app.export_screenshot(title="jobmon watch"))

    with tempfile.TemporaryDirectory() as folder:
        driven(materials(Path(folder)), drive, size=(120, 28))
    return re.sub(r"\s*@font-face \{.*?\}", "", drawn[0], flags=re.S)  # nothing is fetched


if __name__ == "__main__":
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(picture(), "utf-8")
