"""The charts of a report, as Plotly's figures in plain JSON values. Pure.

Every state has its own dash, symbol or pattern besides its colour, so that a chart reads on a grey
print. A chart has few traces however many jobs there are: lines of many jobs are one trace, broken
by None. Names come from users: whatever Plotly would take for mark-up is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from jobmon.core.text import printable
from jobmon.run import names
from jobmon.show.report_data import Bars, Failures, Lane, Span

Figure = dict[str, Any]
Period = tuple[datetime, datetime]

IDS = 40
"""Ids that a box plot shows, the commonest."""

DENSE = 150
"""Rows of the Gantt chart from which on its lines are thin."""

REASONS = 12
"""Reasons that have a bar."""

_GREY, _BLUE, _SKY, _RED, _GREEN, _PURPLE, _BLACK = (
    *("#777777", "#0072b2", "#56b4e9", "#d55e00", "#009e73", "#aa4499", "#222222"),
)
_LINES: Mapping[str, Mapping[str, Any]] = {
    "in the queue": {"color": _GREY, "width": 2, "dash": "dot"},
    "running": {"color": _BLUE, "width": 6},
    "not seen running": {"color": _SKY, "width": 4, "dash": "dash"},
}
_MARKS = {
    "finished": ("line-ns-open", _BLACK),
    "failed": ("x", _RED),
    "killed": ("square", _PURPLE),
    "unclear": ("diamond-open", _RED),
    "running": ("triangle-right", _BLUE),
    "submitted": ("triangle-right-open", _GREY),
}
_PATTERNS = {"finished": ("", _GREEN), "failed": ("x", _RED), "killed": ("/", _PURPLE)}
_FONT = {"family": "system-ui, sans-serif", "size": 13}


def safe(text: str, width: int = 60) -> str:
    """``text`` as Plotly shall print it: one line, no mark-up, not too long."""
    line = printable(text)
    line = line if len(line) <= width else f"{line[: width - 1]}…"
    return html.escape(line, quote=False)


def lasted(seconds: float) -> str:
    """A time as people say it: ``42 s``, ``3 min``, ``2.5 h``, ``3.1 d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            number = seconds / length
            digits = f"{number:.0f}" if number >= 10 else f"{number:.1f}".removesuffix(".0")
            return f"{digits} {unit}"
    return f"{seconds:.0f} s"


def gantt(lanes: Sequence[Lane], zone: tzinfo, period: Period) -> Figure:
    """A row for each folder, more where its jobs overlap; a mark at an end tells of its job."""
    labels = _labels(lanes)
    dense = len(labels) > DENSE
    lines: dict[str, tuple[list[Any], list[Any]]] = {name: ([], []) for name in _LINES}
    ends: dict[str, list[tuple[str, str, str]]] = {state: [] for state in _MARKS}
    for lane, label in zip(lanes, labels, strict=True):
        for span in lane.spans:
            for name, begin, end in _pieces(span):
                lines[name][0].extend((_time(begin, zone), _time(end, zone), None))
                lines[name][1].extend((label, label, None))
            ends[span.state].append((_time(span.end, zone), label, _story(span)))
    traces: list[Figure] = [
        {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y}
        | {"line": _line(name, dense), "hoverinfo": "skip"}
        for name, (x, y) in lines.items()
        if x
    ]
    traces += [
        {"type": "scatter", "mode": "markers", "name": _ending(state)}
        | {"x": [m[0] for m in marks], "y": [m[1] for m in marks], "text": [m[2] for m in marks]}
        | {"hoverinfo": "text", "marker": _mark(state, dense)}
        for state, marks in ends.items()
        if marks
    ]
    rows = {"type": "category", "categoryorder": "array", "categoryarray": labels}
    return _figure(
        traces,
        height=min(1400, max(320, 150 + 16 * len(labels))),
        yaxis=rows | {"autorange": "reversed", "automargin": True},
        xaxis=_dates(zone, period),
        hovermode="closest",
    )


def throughput(bars: Bars, zone: tzinfo, period: Period) -> Figure:
    """Attempts that ended, in each interval."""
    middle = [_time(at, zone) for at in bars.starts]
    traces: list[Figure] = [
        {"type": "bar", "name": state, "x": middle, "y": counts, "offset": 0}
        | {"width": bars.width * 1000}
        | {"marker": {"color": _PATTERNS[state][1], "pattern": {"shape": _PATTERNS[state][0]}}}
        for state, counts in bars.counts.items()
    ]
    most = max((sum(column) for column in zip(*bars.counts.values(), strict=True)), default=0)
    return _figure(
        traces,
        barmode="stack",
        xaxis=_dates(zone, period),
        yaxis=_whole(f"ended in {lasted(bars.width)}", most),
    )


def queue(
    series: Mapping[str, tuple[list[datetime], list[int]]], zone: tzinfo, period: Period
) -> Figure:
    """How many jobs were in the batch system, and how many of them ran."""
    looks = ({"color": _BLACK, "width": 1.5}, {"color": _BLUE, "width": 2, "dash": "dot"})
    traces: list[Figure] = [
        {"type": "scatter", "mode": "lines", "name": name, "line": look | {"shape": "hv"}}
        | {"x": [_time(at, zone) for at in times], "y": numbers}
        for look, (name, (times, numbers)) in zip(looks, series.items(), strict=True)
    ]
    most = max((max(numbers, default=0) for _, numbers in series.values()), default=0)
    return _figure(traces, xaxis=_dates(zone, period), yaxis=_whole("jobs", most))


def boxes(values: Mapping[str, Sequence[float]], what: str) -> Figure:
    """A box for each id; what lies beyond its whiskers is drawn singly."""
    commonest = sorted(values, key=lambda id_: -len(values[id_]))[:IDS]
    shown = sorted(commonest, key=names.natural)
    everything = sorted(took for id_ in shown for took in values[id_])
    typical = everything[len(everything) // 2] if everything else 0.0
    unit, length = next(
        (u for u in (("h", 3600), ("min", 60)) if typical >= 1.5 * u[1]), ("s", 1)
    )  # fmt: skip
    x, y = [], []
    for id_ in shown:
        x += [f"qsub.{id_}"] * len(values[id_])
        y += [round(max(1.0, took) / length, 4) for took in values[id_]]  # no zero on a log axis
    trace = {"type": "box", "x": x, "y": y, "boxpoints": "outliers", "name": what}
    look = {"line": {"color": _BLACK, "width": 1.2}, "fillcolor": "#dddddd", "marker": {"size": 3}}
    return _figure(
        [trace | look] if x else [],
        showlegend=False,
        xaxis={"type": "category", "automargin": True},
        yaxis={"type": "log", "title": {"text": f"{what}, {unit}"}},
    )


def reasons(groups: Sequence[Failures]) -> Figure:
    """Failed attempts by reason."""
    shown = groups[:REASONS]
    labels = _unique(safe(group.reason) for group in shown)
    trace: Figure = {"type": "bar", "orientation": "h", "x": [group.attempts for group in shown]}
    trace |= {"y": labels, "marker": {"color": _RED, "pattern": {"shape": "x"}}}
    return _figure(
        [trace] if shown else [],
        height=130 + 30 * len(shown),
        showlegend=False,
        xaxis=_whole("failed attempts", max((group.attempts for group in shown), default=0)),
        yaxis={"type": "category", "autorange": "reversed", "automargin": True},
    )


def _pieces(span: Span) -> list[tuple[str, datetime, datetime]]:
    if span.running is not None:
        return [("in the queue", span.submitted, span.running), ("running", span.running, span.end)]
    if span.over:
        return [("not seen running", span.submitted, span.end)]
    return [("in the queue", span.submitted, span.end)]


def _story(span: Span) -> str:
    """What the mark at an attempt's end says."""
    words = [f"{safe(span.key)} · attempt {span.n}", _ending(span.state)]
    if span.waited is not None and span.ran is not None:
        words.append(f"queued {lasted(span.waited)}, ran {lasted(span.ran)}")
    else:
        words.append(f"{lasted(span.stayed)} in the batch system")
    if span.reason:
        words.append(safe(span.reason, 100))
    return "<br>".join(words)


def _ending(state: str) -> str:
    return {"running": "still running", "submitted": "still queued"}.get(state, state)


def _line(name: str, dense: bool) -> dict[str, Any]:
    line = dict(_LINES[name])
    return line | {"width": line["width"] / 3} if dense else line


def _mark(state: str, dense: bool) -> dict[str, Any]:
    symbol, colour = _MARKS[state]
    line = {"color": colour, "width": 1 if dense else 2}
    return {"symbol": symbol, "size": 5 if dense else 8, "color": colour, "line": line}


def _labels(lanes: Sequence[Lane]) -> list[str]:
    return _unique(safe(lane.folder or ".", 40) for lane in lanes)


def _unique(labels: Iterable[str]) -> list[str]:
    """The labels; those that come again with a number behind, as a category stands for itself."""
    made: dict[str, None] = {}
    times: dict[str, int] = {}
    for label in labels:
        text = label
        while text in made:
            times[label] = times.get(label, 1) + 1
            text = f"{label} ({times[label]})"
        made[text] = None
    return list(made)


def _time(at: datetime, zone: tzinfo) -> str:
    """As Plotly takes it: without a zone, so all in one."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def _dates(zone: tzinfo, period: Period) -> dict[str, Any]:
    """An axis of time; alike in all charts of time."""
    begin, end = period
    margin = max((end - begin) / 60, timedelta(seconds=10))
    return {"type": "date", "range": [_time(begin - margin, zone), _time(end + margin, zone)]}


def _whole(title: str, most: int) -> dict[str, Any]:
    """An axis of numbers of jobs, ``most`` of them at most."""
    few = {"dtick": 1} if most < 6 else {}
    return {"title": {"text": title}, "rangemode": "tozero"} | few


def _figure(traces: list[Figure], *, height: int = 380, **layout: Any) -> Figure:
    base: Figure = {
        "height": height,
        "font": _FONT,
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "legend": {"orientation": "h", "y": 1, "yanchor": "bottom"},
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "showlegend": True,
    }
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {"gridcolor": "#dddddd", "linecolor": "#999999", **layout.get(axis, {})}
    return {"data": traces, "layout": base | layout}
