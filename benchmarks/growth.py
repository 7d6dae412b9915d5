"""How costs grow with the number of jobs: 10² to 10⁵, drawn log-log.

The same 100 jobs are in the batch system at every size. The figures are those of ``cycle``,
``commands`` and ``start``; the picture needs Matplotlib (the extra ``bench``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

SIZES = (100, 1_000, 10_000, 100_000)
ALIVE = 100

Point = Callable[[Mapping[str, Any]], float]
CURVES: tuple[tuple[str, str, str, Point], ...] = (
    ("quiet cycle", "#0072b2", "o", lambda p: p["cycle"]["quiet_ms"] / 1000),
    ("busy cycle (5 jobs end, 5 go)", "#d55e00", "s", lambda p: p["cycle"]["busy_ms"] / 1000),
    ("jobmon status", "#009e73", "^", lambda p: p["commands"]["status_s"]),
    ("resume", "#cc79a7", "v", lambda p: p["start"]["resume_s"]),
    ("start", "#000000", "D", lambda p: p["start"]["start_s"]),
    ("cp -r and one rsync", "#999999", "x", lambda p: p["start"]["copy_s"]),
)


def draw(points: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Write the picture: seconds over jobs, both axes logarithmic."""
    import matplotlib as mpl  # noqa: PLC0415 (only where a picture is wanted)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    jobs = [point["jobs"] for point in points]
    figure, axes = plt.subplots(figsize=(7.5, 5), layout="constrained")
    for name, colour, mark, value in CURVES:
        known = [(n, value(point)) for n, point in zip(jobs, points, strict=True)]
        style = "--" if mark == "x" else "-"
        axes.loglog(*zip(*known, strict=True), style, marker=mark, color=colour, label=name)
    axes.set_xlabel("jobs in the run (100 of them in the batch system)")
    axes.set_ylabel("seconds (cycles: of this machine's processor)")
    axes.grid(visible=True, which="major", alpha=0.4)
    axes.legend(fontsize="small")
    figure.savefig(target, dpi=120)
    plt.close(figure)
