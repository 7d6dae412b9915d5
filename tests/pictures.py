"""The pictures of docs/: what the real command line prints on a terminal, drawn by Rich as SVG.

A run that has come to a standstill with jobs in most states is looked at. ``scripts/docs-pictures``
draws anew those that are no longer what the program prints.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from rich.console import Console
from rich.text import Text
from session import until
from test_docs import ROOT, Session, alike

FOLDER = ROOT / "docs" / "pictures"
WIDTH = 100

SHOWN = {
    "check": "jobmon check --ldir oxides --binpath /opt/bin",
    "status": "jobmon status --run oxides",
    "explain": "jobmon explain --run oxides Cr2O3/qsub.2",
}
"""The command that each picture shows."""

WAITS = "until [ -e /nowhere ] || [ ! -e qsub.0 ]; do sleep 0.2; done"
SETTINGS = "remote: local\nscheduler: local\ninterval: 0.3\ngrace: 0.5\nmaxqsub: 3\n"


def script(job_id: str, work: str) -> str:
    return f"#!/bin/sh\nset -e\n{work}\ntouch qsub.finished.{job_id}\n"


def put(session: Session) -> None:
    """Folders of three jobs each: finished, failed, running, and waiting behind them."""
    session.write("oxides/jobmon.yaml", SETTINGS)
    fails = 'echo "no convergence after 60 iterations" >&2; exit 1'
    first = {"Al2O3": "true", "Cr2O3": fails, "Fe2O3": WAITS, "MgO": WAITS, "NiO": "true"}
    for folder, work in first.items():
        for job_id in "012":
            path = f"oxides/init/{folder}/qsub"
            session.write(f"{path}.{job_id}", script(job_id, work if job_id == "0" else "true"))
            needs = "" if job_id == "0" else f"qsub.finished.{int(job_id) - 1}\n"
            session.write(f"{path}.dependency.{job_id}", needs)
    session.write("oxides/init/TiO2/qsub.0", script("0", "__binpath__/lmf"))


def screens(home: Path) -> Iterator[tuple[str, str]]:
    """The name of each picture, and what its command prints on a terminal."""
    session = Session(home)
    put(session)
    yield "check", session.on_terminal(SHOWN["check"], WIDTH)
    session.run(
        "JOBMON_LOCALQUEUE_CORES=8 jobmon --ldir oxides --daemon --forever --binpath /opt/bin"
    )
    log = session.home / "oxides" / "latest" / "qsub.log"
    try:
        until(lambda: standstill(log.read_text("utf-8")), what="a standstill of the run")
        for name, command in SHOWN.items():
            if name != "check":
                yield name, session.on_terminal(command, WIDTH)
    finally:
        session.run("jobmon kill --run oxides")


def standstill(log: str) -> bool:
    """Whether two folders have finished, one job has failed, and two are running."""
    count = {kind: log.count(f" {kind} ") for kind in ("finished", "failed", "running")}
    return count["finished"] == 6 and count["failed"] == 1 and count["running"] >= 2


def drawn(name: str, text: str) -> str:
    """The picture: no font is fetched from anywhere, and nothing in it changes by itself."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi(text.rstrip("\n") + "\n"), soft_wrap=True)  # Rich cuts the lowest
    svg = console.export_svg(title=SHOWN[name], unique_id=name)
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.S)


def words(svg: str) -> list[str]:
    """What a picture shows, as ``alike`` compares it, without numbers."""
    lines: dict[str, str] = {}
    for line, text in re.findall(r'clip-path="url\(#\w+-line-(\d+)\)">([^<]*)</text>', svg):
        lines[line] = lines.get(line, "") + unescape(text).replace("\xa0", " ")
    shown = filter(None, alike("\n".join(lines.values())))
    return sorted(re.sub(r"[\d.,]+", "N", line) for line in shown)


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        for name, text in screens(Path(home).resolve()):
            path, svg = FOLDER / f"{name}.svg", drawn(name, text)
            if not path.exists() or words(path.read_text("utf-8")) != words(svg):
                path.write_text(svg, "utf-8")
                print(f"drawn: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
