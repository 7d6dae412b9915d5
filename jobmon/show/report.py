"""``jobmon report``: a run as one HTML page that needs nothing else, no network either.

``report_data.py`` says what is told, ``report_figures.py`` draws it, ``report.html`` is the page;
here it is read and put together. All that came from names or a cluster is escaped.
"""

from __future__ import annotations

import html
import importlib.util
import json
import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path

from jobmon.core.life import Job
from jobmon.core.model import Key
from jobmon.core.rows import Row
from jobmon.core.text import printable
from jobmon.localqueue.directives import cores_asked
from jobmon.run import names, notify
from jobmon.run.atomic import write_atomically
from jobmon.run.owner import holder
from jobmon.run.paths import Paths
from jobmon.run.settings import read_run_file
from jobmon.run.usage import UsageError
from jobmon.show import report_data as data
from jobmon.show import report_figures as draw
from jobmon.show.read import view
from jobmon.show.select import meant
from jobmon.show.summary import counts

SLOWEST = 20
"""Jobs in the table of the slowest."""

NAMED = 5
"""Jobs named for each reason of failure."""

_SECRET = re.compile(r"pass|secret|token|key|pw|credential", re.I)
_ONE_LOOK = "Times are those at which jobmon saw things happen, at most one look later."


def write(
    run: Path, output: Path | None, keys: Sequence[str] = (), states: Sequence[str] = ()
) -> Path:
    """Write the page about ``run``, or about those of its jobs that are meant; where it is.

    Raises UsageError where Plotly is missing or ``keys`` mean no job, OSError, BadFile.
    """
    if importlib.util.find_spec("plotly") is None:
        raise UsageError(
            "jobmon report draws with Plotly, which is not installed: "
            "in jobmon's checkout, pip install '.[report]'"
        )
    path = output or Path(f"report-{run.name}.html")
    if path.exists() and not path.is_file():  # /dev/null, say, which a rename would take away
        raise UsageError(f"-o {path} is no file; name one, as in -o report.html")
    if not path.parent.is_dir():
        raise UsageError(f"-o {path}: there is no folder {path.parent}; make it, or name another")
    seen = view(run)
    rows = seen.rows()
    if keys or states:
        wanted = set(meant(seen, keys, states))
        rows = [row for row in rows if row.job.key in wanted]
    write_atomically(path, page(run, rows, datetime.now().astimezone()))
    return path


def page(run: Path, rows: Sequence[Row], now: datetime) -> str:
    """The page as text. A job that was in the batch system when jobmon last looked is drawn up to
    ``now``, or, where no daemon has the run, up to the journal's last event."""
    from plotly.offline import get_plotlyjs  # noqa: PLC0415

    jobs = [row.job for row in rows]
    last = max((job.history[-1].at for job in jobs if job.history), default=now)
    until = now if holder(run) else last
    attempts = [span for job in jobs for span in data.spans(job, until)]
    figures = _figures(jobs, attempts, now)
    cores = cache(lambda key: _cores(run, key))
    body = [
        *_summary(rows, attempts, data.core_hours(attempts, cores)),
        *_charts(figures, data.failures(jobs)),
        *_slowest(attempts, cores),
        *_settings(Paths(run).settings),
    ]
    text = resources.files("jobmon.show").joinpath("report.html").read_text("utf-8")
    return string.Template(text).substitute(
        title=_text(f"{run.parent.name}/{run.name}"),
        subtitle=_text(_when(attempts, until, now)),
        body="\n".join(body),
        plotly=get_plotlyjs(),
        figures=_script(figures),
    )


def _figures(
    jobs: Sequence[Job], attempts: list[data.Span], now: datetime
) -> dict[str, draw.Figure]:
    """The charts that there is something to show in."""

    def folder(key: Key) -> str:
        return names.split(key)[0]

    def id_of(key: Key) -> str:
        return names.split(key)[1]

    zone = now.tzinfo
    if zone is None:
        raise ValueError("a report is made at a time with a zone")
    attempts.sort(key=lambda span: (names.order(span.key), span.n))
    waited = data.by_id(attempts, id_of, lambda span: span.waited)
    ran = data.by_id(attempts, id_of, lambda span: span.ran)
    first = min((span.submitted for span in attempts), default=now)
    last = max((span.end for span in attempts), default=now)
    series = {
        "in the batch system": data.steps(
            ((s.submitted, s.end if s.over else None) for s in attempts), last
        ),
        "running": data.steps(
            ((s.running, s.end if s.over else None) for s in attempts if s.running), last
        ),
    }
    period = first, last
    made = {
        "gantt": draw.gantt(data.lanes(attempts, folder), zone, period),
        "throughput": draw.throughput(data.throughput(attempts), zone, period),
        "queue": draw.queue(series, zone, period),
        "waiting": draw.boxes(waited, "in the queue"),
        "running": draw.boxes(ran, "running"),
        "failures": draw.reasons(data.failures(jobs)),
    }
    return {
        name: figure for name, figure in made.items() if any(trace["x"] for trace in figure["data"])
    }


# --- the parts of the page ---------------------------------------------------------------------


def _when(attempts: Sequence[data.Span], until: datetime, now: datetime) -> str:
    zone = f"times in UTC{now:%z}"
    if not attempts:
        return f"nothing was submitted yet; made {now:%Y-%m-%d %H:%M}, {zone}"
    first = min(span.submitted for span in attempts).astimezone(now.tzinfo)
    last = (
        until if any(not s.over for s in attempts) else max(s.end for s in attempts)
    ).astimezone(now.tzinfo)
    took = draw.lasted((last - first).total_seconds())
    return (
        f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}, {took}; "
        f"made {now:%Y-%m-%d %H:%M}, {zone}. {_ONE_LOOK}"
    )


def _summary(
    rows: Sequence[Row], attempts: Sequence[data.Span], hours: data.CoreHours
) -> list[str]:
    ended = sum(span.over for span in attempts)
    retried = len(attempts) - len({span.key for span in attempts})
    states = [[state, _number(many)] for state, many in counts([*rows]).items()]
    facts = [
        ["jobs", _number(len(rows))],
        ["submissions", f"{_number(len(attempts))}, {_number(retried)} of them again"],
        ["ended", _number(ended)],
        ["core hours", _number(hours.used)],
        ["of these without a finished job", _number(hours.wasted)],
        ["at most, by attempts never seen running", _number(hours.at_most)],
    ]
    note = (
        "Core hours are the cores that a job's script asks for in its #PBS, #$ or #SBATCH lines, "
        "as it stands now, times the time it ran. An array counts as one of its tasks."
    )
    if hours.unasked:
        note += (
            f" {hours.unasked} attempts' scripts do not say how many cores: counted as one each."
        )
    return [
        "<h2>Summary</h2>",
        '<div class="side">',
        _table(["state", "jobs"], states, numbers=(1,)),
        _table(["", ""], facts, numbers=(1,)),
        f'</div>\n<p class="note">{_text(note)}</p>',
    ]


def _charts(figures: Mapping[str, draw.Figure], groups: Sequence[data.Failures]) -> list[str]:
    zoom = (
        "Drag to zoom, double-click to see all again; the three charts of time go together. "
        "Point at the end of a line for its job."
    )
    parts = [
        "<h2>Jobs by folder</h2>",
        f'<p class="note screen">{zoom}</p>',
        _chart("gantt", figures),
        "<h2>Throughput</h2>",
        _chart("throughput", figures),
        "<h2>Jobs in the batch system</h2>",
        _chart("queue", figures),
        "<h2>Waiting and running time by id</h2>",
        '<p class="note">Of the attempts that finished and were seen running. The box holds the '
        "middle half, the line in it is the median.</p>",
        '<div class="side">',
        _chart("waiting", figures),
        _chart("running", figures),
        "</div>",
        "<h2>Failures by reason</h2>",
        _chart("failures", figures, "No attempt failed."),
    ]
    if groups:
        rows = [[group.reason, _number(group.attempts), _some(group.keys)] for group in groups[:50]]
        parts.append(_table(["reason", "attempts", "jobs"], rows, numbers=(1,)))
    return parts


def _slowest(attempts: Iterable[data.Span], cores: Callable[[Key], int | None]) -> list[str]:
    found = data.slowest(attempts, SLOWEST)
    rows = [
        [
            *(span.key, str(span.n), draw.lasted(span.ran or 0.0), draw.lasted(span.waited or 0.0)),
            *(str(cores(span.key) or "?"), span.state),
        ]
        for span in found
    ]
    head = ["job", "attempt", "ran", "queued", "cores", "state"]
    if not rows:
        return ["<h2>Slowest jobs</h2>", "<p>No job was seen running.</p>"]
    return ["<h2>Slowest jobs</h2>", _table(head, rows, numbers=(1, 2, 3, 4))]


def _settings(path: Path) -> list[str]:
    """The run's settings; what may be a secret is left out."""
    if not path.exists():
        return ["<h2>Settings</h2>", "<p>jobmon.yaml is not there.</p>"]
    settings, identity = read_run_file(path)
    values = {
        **settings.model_dump(exclude_none=True),
        "scheduler": identity.scheduler,
        "remote": identity.where,
        "rdir": identity.rdir,
    }
    values.pop("user", None)
    if settings.placeholders:
        values["placeholders"] = [
            f"{name}: {'…' if _SECRET.search(name) else text}"
            for name, text in settings.placeholders.items()
        ]
    if settings.notify:
        values["notify"] = notify.shown(settings.notify)
    rows = [[name, _value(value)] for name, value in values.items() if value not in ([], {})]
    return ["<h2>Settings</h2>", _table(["setting", "value"], rows)]


def _value(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _cores(run: Path, key: Key) -> int | None:
    try:
        return cores_asked((run / key).read_text("utf-8", "replace"))
    except OSError:
        return None


# --- HTML --------------------------------------------------------------------------------------


def _chart(
    name: str, figures: Mapping[str, draw.Figure], none: str = "Nothing to show yet."
) -> str:
    return f'<div class="chart" id="{name}"></div>' if name in figures else f"<p>{none}</p>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        made = (
            f"<{tag}{' class=number' if i in numbers else ''}>{_text(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    top = line("th", head) + "\n" if any(head) else ""
    return f"<table>\n{top}{chr(10).join(line('td', row) for row in rows)}\n</table>"


def _some(keys: Sequence[Key]) -> str:
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more


def _number(value: float) -> str:
    return f"{value:,.1f}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"


def _text(text: str) -> str:
    return html.escape(printable(text))


def _script(value: object) -> str:
    """JSON that may stand in a ``<script>``."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
