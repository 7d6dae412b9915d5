"""The report in a real Chromium: its charts are drawn, and the console has nothing to say."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from report_lab import made
from test_report import page

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: scripts/testcluster install browser (as root)"
)

ZOOM = """<script>
const wait = setInterval(() => {
  if (!document.body.dataset.drawn) return;
  clearInterval(wait);
  Plotly.relayout("gantt", {"xaxis.range[0]": "2026-11-20 22:10:00",
                            "xaxis.range[1]": "2026-11-20 22:20:00"});
  setInterval(() => {
    document.body.dataset.zoomed = document.getElementById("queue").layout.xaxis.range.join();
  }, 100);
}, 100);
</script>"""


@dataclass(frozen=True, slots=True)
class Opened:
    """A page after it was opened: what became of it, and the lines of its console."""

    dom: str
    console: list[str]


def opened(text: str, folder: Path) -> Opened:
    """Open a page as a person would, without a window."""
    assert CHROMIUM is not None
    path = folder / "report.html"
    path.write_text(text, "utf-8")
    command = [
        *(CHROMIUM, "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-sandbox"),
        *("--no-first-run", f"--user-data-dir={folder}/profile", "--enable-logging=stderr"),
        *("--virtual-time-budget=30000", "--window-size=1250,900", "--dump-dom", path.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, timeout=280, check=False)
    said = done.stderr.decode("utf-8", "replace")
    assert done.returncode == 0, said
    return Opened(done.stdout.decode("utf-8"), re.findall(r".*CONSOLE.*", said))


@needs_chromium
@pytest.mark.parametrize("jobs", [10, pytest.param(10_000, marks=pytest.mark.long)])
def test_the_charts_are_drawn(tmp_path: Path, jobs: int) -> None:
    text = page(made(tmp_path / "20261120_220000", jobs, scripts=jobs < 1000))
    found = opened(text.replace("</body>", f"{ZOOM}</body>"), tmp_path)
    assert found.console == []
    charts = re.findall(r'<div class="chart[^"]*" id="(\w+)"', found.dom)
    assert {"gantt", "throughput", "queue", "waiting", "running"} <= set(charts)
    assert f'data-drawn="{len(charts)}"' in found.dom
    assert found.dom.count('class="main-svg"') == 3 * len(charts)
    assert found.dom.count('class="point"') >= jobs  # a mark at every end
    assert "&lt;img src=x" in found.dom and "<img src=x" not in found.dom
    # Zooming one chart of time zooms the others.
    assert 'data-zoomed="2026-11-20 22:10:00,2026-11-20 22:20:00"' in found.dom


@needs_chromium
def test_an_error_or_a_look_elsewhere_would_be_seen(tmp_path: Path) -> None:
    for n, bad in enumerate(("throw new Error('seen')", "fetch('https://example.org/x')")):
        text = page(made(tmp_path / f"run{n}", 5)).replace(
            "</body>", f"<script>{bad}</script></body>"
        )
        (tmp_path / f"p{n}").mkdir()
        (line, *_) = opened(text, tmp_path / f"p{n}").console
        assert "seen" in line or "Content Security Policy" in line
