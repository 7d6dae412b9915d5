"""What the batch system's own listing, the file ``qstat``, says of one job."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from jobmon.core.model import JobID
from jobmon.core.text import printable
from jobmon.run.paths import Paths

_HEAD = "# as seen at "


def line_of(run: Path, jobid: JobID) -> tuple[str, str]:
    """When the listing was seen, and the job's own lines in it, joined; empty if it has none."""
    try:
        text = Paths(run).qstat.read_text("utf-8", "replace")
    except OSError:
        return "", ""
    head, _, rest = text.partition("\n")
    return head.removeprefix(_HEAD), " / ".join(_rows(rest, jobid))


def _rows(text: str, jobid: JobID) -> list[str]:
    number = jobid.partition(".")[0]
    first = re.compile(rf"\s*{re.escape(number)}(?!\w)")  # every system's first column
    if "<job_list" in text:  # Grid Engine's XML, an element a job
        rows = re.findall(r"<job_list.*?</job_list>", text, re.DOTALL)
        tag = f"<JB_job_number>{number}<"
        return [printable(unescape(re.sub(r"<[^>]*>", " ", row))) for row in rows if tag in row]
    return [printable(row) for row in text.split("\n") if first.match(row)]
