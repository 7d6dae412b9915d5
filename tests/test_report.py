"""``jobmon report``: the page, what it keeps to itself, and what it says when it cannot be made."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from report_lab import HARMFUL, TZ, event, made
from session import chain, hurry, jobmon, only_run
from test_notify_run import lacking

from jobmon.core.model import Kind
from jobmon.run.journal import format_event
from jobmon.run.settings import Identity, Settings, write_run_file
from jobmon.show import report
from jobmon.show.read import view

NOW = datetime(2026, 11, 21, 9, tzinfo=TZ)


def page(run: Path) -> str:
    return report.page(run, view(run).rows(), NOW)


def figures(text: str) -> dict[str, Any]:
    found = re.search(r"^const figures = (.*);$", text, re.M)
    assert found
    charts: dict[str, Any] = json.loads(found[1])
    return charts


def visible(text: str) -> str:
    """The page without its scripts."""
    return re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.S)


def test_all_that_was_promised_is_on_the_page(tmp_path: Path) -> None:
    text = page(made(tmp_path / "p" / "20261120_220000", 200))
    charts = figures(text)
    assert set(charts) == {"gantt", "throughput", "queue", "waiting", "running", "failures"}
    for chart in charts.values():
        go.Figure(chart)  # raises for what Plotly does not know
    heads = re.findall("<h2>(.*?)</h2>", text)
    for head in ("Summary", "Jobs by folder", "Failures by reason", "Slowest jobs", "Settings"):
        assert head in heads
    assert "<td>exit code 1</td>" in text
    assert "core hours" in visible(text)


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = page(made(tmp_path / "run", 10))
    assert "default-src 'none'" in text
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", visible(text))


def test_a_chart_is_a_few_traces_however_many_jobs(tmp_path: Path) -> None:
    small, large = (figures(page(made(tmp_path / str(n), n))) for n in (200, 1000))
    for name in large:
        assert len(large[name]["data"]) <= len(small[name]["data"]) + 2 <= 11


def test_it_reads_without_colour(tmp_path: Path) -> None:
    charts = figures(page(made(tmp_path / "run", 300)))
    gantt = charts["gantt"]["data"]
    lines = [t["line"].get("dash", "solid") for t in gantt if t["mode"] == "lines"]
    marks = [t["marker"]["symbol"] for t in gantt if t["mode"] == "markers"]
    bars = [t["marker"]["pattern"]["shape"] for t in charts["throughput"]["data"]]
    for looks in (lines, marks, bars):
        assert len(looks) == len(set(looks)) >= 3


def test_names_cannot_become_mark_up(tmp_path: Path) -> None:
    text = page(made(tmp_path / "<b>run", 5))
    assert text.count("<script>") - text.count("'<script>") >= 2
    assert "<img" not in visible(text) and "onerror=alert" in visible(text)
    label = figures(text)["gantt"]["data"][0]["y"][0]
    assert label.startswith("&lt;img src=x") and "<" not in label
    assert HARMFUL[:4] not in json.dumps(figures(text))
    assert "<b>run" not in text


def test_settings_are_shown_and_secrets_are_not(tmp_path: Path) -> None:
    run = made(tmp_path / "run", 5)
    settings = Settings.model_validate(
        {
            "remote": "alice@hpc",
            "maxqsub": 20,
            "placeholders": {"nk": "6", "api_token": "hidden-1"},
            "notify": {"to": ["json://h/hidden-2", "env:HOOK"], "for": ["end"]},
        }
    )
    write_run_file(run / "jobmon.yaml", settings, Identity("1", "alice@hpc", "slurm", "/home/x"))
    text = visible(page(run))
    assert "hidden" not in text
    for shown in (
        "alice@hpc",
        "nk: 6",
        "api_token: …",
        "to json://…, env:HOOK",
        "/home/x",
        "slurm",
    ):
        assert shown in text


def test_a_run_that_nobody_minds_is_drawn_up_to_its_last_event(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    told = [event(0, Kind.READY, "a/qsub.0", 0), event(1, Kind.SUBMITTING, "a/qsub.0")]
    told += [event(2, Kind.STARTED, "a/qsub.0"), event(3700, Kind.RUNNING, "a/qsub.0")]
    (run / "qsub.log").write_text("".join(format_event(each) + "\n" for each in told))
    text = page(run)
    assert "2026-11-20 22:00 to 2026-11-20 23:01, 62 min" in text
    assert "Nothing to show yet." in text


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    text = page(tmp_path / "run")
    assert "nothing was submitted yet" in text and figures(text) == {}


def test_the_command_of_a_real_run(project: Path, tmp_path: Path) -> None:
    chain(project / "init", "a", 2, "sleep 1.5")
    hurry(project)
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    done = jobmon("report", "--run", project, code=0, cwd=tmp_path)
    assert done.stdout == f"report: report-{run.name}.html\n"
    text = (tmp_path / f"report-{run.name}.html").read_text("utf-8")
    assert f"project/{run.name}" in text and "gantt" in figures(text)
    jobmon("report", "--run", run, "-o", tmp_path / "one.html", "a/qsub.1", code=0)
    one = visible((tmp_path / "one.html").read_text("utf-8"))
    assert "a/qsub.1" in one and "a/qsub.0" not in one


def test_what_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    run = made(tmp_path / "run", 5)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for args, words in {
        ("-o", tmp_path): "is no file; name one",
        ("-o", fifo): "is no file; name one",
        ("-o", tmp_path / "no" / "x.html"): "there is no folder",
        ("nothing/*",): "nothing/*: no job, folder or pattern of",
    }.items():
        done = jobmon("report", "--run", run, *args, code=2)
        assert words in done.stderr and done.stderr.count("\n") == 1
    done = jobmon("report", "--run", tmp_path / "nowhere", code=2)
    assert "this is no run folder" in done.stderr and "name one by --run" in done.stderr


def test_without_plotly_it_says_what_to_install(tmp_path: Path) -> None:
    run = made(tmp_path / "run", 5)
    done = jobmon("report", "--run", run, code=2, env=lacking(tmp_path), cwd=tmp_path)
    assert "in jobmon's checkout, pip install '.[report]'" in done.stderr
    assert not list(tmp_path.glob("*.html"))


def test_a_torn_journal_is_named(tmp_path: Path) -> None:
    run = made(tmp_path / "run", 5)
    log = run / "qsub.log"
    log.write_text("nonsense\n" + log.read_text("utf-8"), "utf-8")
    done = jobmon("report", "--run", run, code=2, cwd=tmp_path)
    assert "qsub.log, line 1" in done.stderr
