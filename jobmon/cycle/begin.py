"""How a run begins or goes on: from its journal, an older quelist, or the remote record."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from jobmon.cluster.cluster import Cluster, Gone
from jobmon.cluster.ledger import Entry
from jobmon.core.choose import ADOPTED, GONE
from jobmon.core.model import Accepted, Attempt, Event, JobID, Key, Kind, Unclear
from jobmon.core.settle import uncut
from jobmon.cycle.state import Know
from jobmon.cycle.survey import take_order
from jobmon.run import names, oldlist, views
from jobmon.run.atomic import unused
from jobmon.run.journal import Journal
from jobmon.run.names import BadFile
from jobmon.run.paths import Paths
from jobmon.run.synced import Stamp

log = logging.getLogger(__name__)


def is_afresh(paths: Paths, events: list[Event]) -> bool:
    """Whether a person renamed the quelist (or quelist and qsub.log) away."""
    if not paths.quelist.exists():
        return True
    if events:
        return False
    text = paths.quelist.read_text("utf-8", "surrogateescape")
    return not oldlist.is_old(text) and bool(views.read_quelist(text, paths.quelist))


def set_aside(paths: Paths, journal: Journal, when: str) -> Journal:
    """Put journal and quelist aside for a start afresh; the new, empty journal."""
    journal.close()
    for path in (paths.journal, paths.quelist):
        if path.exists() and path.stat().st_size:
            kept = path.rename(unused(path.with_name(f"{path.name}.before.{when}")))
            log.warning("starting afresh; %s is kept as %s", path.name, kept.name)
    return Journal.open(paths.journal)


def restore_order(know: Know) -> None:
    """Take the order of submission from the quelist, which a person may have reordered."""
    path = know.paths.quelist
    if not path.exists():
        return
    seen = Stamp.of(path.stat())
    text = path.read_text("utf-8", "surrogateescape")
    if text and not oldlist.is_old(text):
        take_order(know, text)
        know.drawn = seen  # what is edited from now on is no less an edit


def trust_folder(know: Know) -> None:
    """Take what stands here as what was last synced, where nobody noted what was.

    What the cluster has since made comes home; of a script that differs, ours is pushed when it
    is submitted.
    """
    for found in know.tree.everything():
        know.synced.put(found.changed.items())


def import_old(know: Know) -> None:
    """Take over the quelist of ecalj's own loop. Raises BadFile for a line that cannot be."""
    path = know.paths.quelist
    text = path.read_text("utf-8", "surrogateescape") if path.exists() else ""
    if not oldlist.is_old(text):
        return
    lines = oldlist.read_old_quelist(
        text, path, know.paths.run, lambda tail: (know.paths.run / tail).exists()
    )
    events: list[Event] = []
    for line in lines:
        there = re.search(rf"/{re.escape(line.key)}(\s|$)", text, re.MULTILINE)
        row = text.count("\n", 0, there.start()) + 1 if there else 1
        events += _imported(know, line, row)
    know.record(events)
    log.info("%d jobs were taken over from the quelist of the older loop", len(lines))


def _imported(know: Know, line: views.Line, row: int) -> Iterable[Event]:
    """The events that a line tells of. ``row`` is its number, for messages.

    That loop compared names by how they begin, so its ``finished`` counts only with the marker.
    """
    notes = {views.IMPORTED: "quelist"}
    at = line.marks[0].at if line.marks else know.clock.wall()
    yield Event(at, Kind.READY, line.key, notes=notes)
    starts = [mark for mark in line.marks if mark.kind == Kind.STARTED]
    ends = [mark for mark in line.marks if mark.kind == Kind.FINISHED]
    ended = ends and (know.paths.run / names.marker(line.key)).exists()
    if starts and starts[-1].jobid is not None:
        last, n = starts[-1], len(starts)
        yield Event(last.at, Kind.SUBMITTING, line.key, n, notes=notes)
        yield Event(last.at, Kind.STARTED, line.key, n, last.jobid, notes)
    elif starts and not ended:
        raise BadFile(
            know.paths.quelist,
            row,
            f"{line.key} was started, but neither its job ID nor its marker is here",
            "add the ID behind the time as @JOBID, or rename quelist away to start afresh",
        )
    if ended:
        yield Event(ends[0].at, Kind.FINISHED, line.key, len(starts), notes=notes)


def adopt_records(know: Know, cluster: Cluster) -> None:
    """Journal anew what the remote record tells of a run whose journal was put aside.

    All that was submitted is adopted. What the batch system denies already is open again once its
    marker, which may be late, is absent a grace later: ``choose.retry``. Raises ClusterError.
    """
    last: dict[Key, Entry] = {}
    for entry in cluster.records():
        key = entry.key
        if key is not None and key in know.jobs and _n(entry) > (_n(last.get(key)) or 0):
            last[key] = entry
    if not last:
        return
    answers = {key: cluster.answer(entry) for key, entry in last.items()}
    ids = {key: a.jobid for key, a in answers.items() if isinstance(a, Accepted)}
    markers = {key: names.marker(key) for key in last}
    seen = uncut(cluster.look(markers.values()), ids.values())
    away = [
        Gone(key, jobid, markers[key], ())
        for key, jobid in ids.items()
        if jobid not in seen.queue and markers[key] not in seen.files
    ]
    verdicts = cluster.confirm(away)
    gone = {key for key, verdict in verdicts.items() if verdict.gone}
    for key, entry in last.items():
        unclear = isinstance(answers[key], Unclear)
        know.record(_adopted(know, Attempt(key, _n(entry)), ids.get(key), unclear, key in gone))
    log.info(
        "afresh: %d jobs of this run were adopted by the remote record, %d of them gone",
        len(ids), len(gone),
    )  # fmt: skip


def _n(entry: Entry | None) -> int:
    return int(entry.name.rpartition(".")[2]) if entry is not None else 0


def _adopted(
    know: Know, attempt: Attempt, jobid: JobID | None, unclear: bool, gone: bool
) -> list[Event]:
    key, n = attempt.key, attempt.n
    at, notes = know.clock.wall(), {ADOPTED: GONE if gone else "record"}
    events = [
        Event(at, Kind.READY, key, notes=notes),
        Event(at, Kind.SUBMITTING, key, n, notes=notes),
    ]
    if jobid is not None:
        events.append(Event(at, Kind.STARTED, key, n, jobid, notes))
    elif not unclear:
        events.append(Event(at, Kind.UNSUBMITTED, key, n, notes=notes))
    return events


def is_older(paths: Paths) -> bool:
    """Whether the run folder was made by the older loop: its quelist and no journal."""
    if paths.journal.exists() and paths.journal.stat().st_size:
        return False
    if not paths.quelist.exists():
        return False
    text = paths.quelist.read_text("utf-8", "surrogateescape")
    return oldlist.is_old(text) or not text.strip()
