"""Steps 5 and 6: what is ready is submitted, after what it needs was pushed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence

from jobmon.cluster.cluster import Cluster
from jobmon.cluster.ledger import Order
from jobmon.core.choose import choose, resolve
from jobmon.core.model import Answer, Attempt, Differs, Event, Key, Kind, Seen, Stat, Unclear
from jobmon.cycle.answers import take_answers
from jobmon.cycle.state import Know, job_folder
from jobmon.cycle.survey import read_folders
from jobmon.run import names
from jobmon.run.synced import Stamp
from jobmon.run.tree import read_plain

log = logging.getLogger(__name__)

MOMENT = 0.2
"""Seconds in which answers of a submission are gathered before they are journalled."""


def settle_ready(know: Know) -> None:
    """Journal which jobs became ready: of those whose needs or whose files changed."""
    jobs = (know.jobs[key] for key in know.renewed if key in know.jobs)
    ready = resolve(jobs, know.standing, know.clock.wall())
    know.record(sorted(ready, key=lambda event: names.order(event.key)))
    know.renewed.clear()  # not before: a journal that cannot be written must not lose them


def push(know: Know, cluster: Cluster, seen: Seen) -> None:
    """Bring up what changed here and only here. Raises ClusterError.

    What changed on both sides is left alone on both, and said once.
    """
    goes: dict[str, Stamp] = {}
    same: dict[str, Stamp] = {}
    for files in know.changed.values():
        for path, stamp in files.items():
            if path not in seen.stats:
                continue  # changed since the look, or too many for one: next time
            match _whose(know, path, stamp, seen.stats[path]):
                case "same":
                    same[path] = stamp
                case "ours":
                    goes[path] = stamp
                case "both":
                    _conflict(know, path)
    if goes:
        log.info("pushing %d changed file(s): %s", len(goes), ", ".join(sorted(goes)[:5]))
        know.synced.sending(goes.items())
        cluster.transfer.push(sorted(goes))
    know.synced.put([*goes.items(), *same.items()])
    know.synced.arrived(goes)
    for path in [*goes, *same]:
        know.conflicts.discard(path)
        folder = path.rpartition("/")[0]
        del know.changed[folder][path]
        if not know.changed[folder]:
            del know.changed[folder]


def _whose(know: Know, path: str, here: Stamp, there: Stat | None) -> str:
    """Whose change it is: ``ours``, ``both`` or, as both are alike, ``same``."""
    if there is None:
        return "ours"
    if there == _stat(here):
        return "same"
    before = know.synced.get(path)
    mine = [before, *know.synced.sent(path)]
    return "ours" if there in [_stat(stamp) for stamp in mine if stamp is not None] else "both"


def _stat(stamp: Stamp) -> Stat:
    return Stat(stamp.size, stamp.mtime_ns // 10**9)


def _conflict(know: Know, path: str) -> None:
    know.conflicts.add(path)
    if know.complain(f"conflict:{path}"):
        log.warning(
            "%s was changed here and on the cluster; neither is touched and the jobs of its "
            "folder wait: make both alike, or delete one of them",
            path,
        )


def submit(know: Know, cluster: Cluster) -> int:
    """Submit what is ready, as far as there is room; how many were tried.

    Raises ClusterError; what was not answered by then is recovered at the next look.
    """
    room = know.settings.maxqsub - len(know.in_system) - len(know.leaving)
    chosen = _choose(know, room)
    # What a person changed a moment ago must count, and no cycle reads all folders.
    read_folders(know, {job_folder(attempt.key) for attempt in chosen})
    still = set(_choose(know, room))
    orders = [order for a in chosen if a in still and (order := _order(know, a)) is not None]
    if not orders:
        return 0
    at = know.clock.wall()
    know.record([Event(at, Kind.SUBMITTING, o.attempt.key, o.attempt.n) for o in orders])
    differing = _hear(know, orders, cluster.submit(orders))
    if differing:
        _restore(know, cluster, differing)
    return len(orders)


def _hear(
    know: Know, orders: Sequence[Order], answers: Iterable[tuple[Attempt, Answer | None]]
) -> list[Key]:
    """Journal answers as they come, all of a moment by one write; whose script was not ours.

    What is lost of a moment is recovered like any answer that was not heard.
    """
    waiting = {order.attempt: None for order in orders}
    differing: list[Key] = []
    group: dict[Attempt, Answer] = {}
    since = know.clock.now()
    try:
        for attempt, answer in answers:
            group[attempt] = answer or Unclear("somebody else has the claim")
            if know.clock.now() - since >= MOMENT:
                done, group = group, {}
                differing += _take(know, done, waiting)
                since = know.clock.now()
    finally:
        try:
            differing += _take(know, group, waiting)
        finally:
            for attempt in waiting:
                know.unheard.setdefault(attempt.key, know.clock.now())
    return differing


def _take(
    know: Know, answers: Mapping[Attempt, Answer], waiting: dict[Attempt, None]
) -> Iterator[Key]:
    take_answers(know, answers)
    for attempt, answer in answers.items():
        waiting.pop(attempt, None)
        if isinstance(answer, Differs):
            yield attempt.key


def _choose(know: Know, room: int) -> list[Attempt]:
    return choose(
        know.ready_in_order(),
        know.jobs,
        know.standing,
        know.refusals,
        know.barred(),
        room,
        know.clock.now(),
    )


def _restore(know: Know, cluster: Cluster, differing: Sequence[Key]) -> None:
    """Push scripts that are not ours over there, and what of their folders is gone there.

    What is there is left alone: a job may have made it. Raises ClusterError.
    """
    here = [path for key in differing for path in know.tree.files(job_folder(key))]
    there = cluster.look((), here).stats
    gone = [path for path in here if there[path] is None and path not in differing]
    log.warning("changed on the cluster, pushed again as here: %s", ", ".join(differing))
    if gone:
        log.warning(
            "gone on the cluster, pushed again: %d file(s), %s", len(gone), ", ".join(gone[:5])
        )
    cluster.transfer.push(sorted({*differing, *gone}))


def _order(know: Know, attempt: Attempt) -> Order | None:
    folder, job_id = names.split(attempt.key)
    try:
        text = read_plain(know.paths.run / attempt.key)
    except OSError as error:
        if know.complain(f"{attempt.key}: {error.strerror}"):
            log.warning("%s cannot be read: %s", attempt.key, error.strerror)
        return None
    return Order(
        attempt,
        folder,
        names.script_name(job_id),
        text,
        names.marker_name(job_id),
        know.index.of(attempt.key) or (),
        know.jobs[attempt.key].ran,
    )
