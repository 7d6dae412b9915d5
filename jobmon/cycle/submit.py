"""Steps 5 and 6: what is ready is submitted, after what it needs was pushed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobmon.cluster.cluster import Cluster
from jobmon.cluster.ledger import Order
from jobmon.core.choose import choose, resolve
from jobmon.core.model import Attempt, Differs, Event, Key, Kind, Seen, Stat, Unclear
from jobmon.cycle.answers import take_answer
from jobmon.cycle.state import Know, job_folder
from jobmon.run import names
from jobmon.run.synced import Stamp

log = logging.getLogger(__name__)


def settle_ready(know: Know) -> None:
    """Journal which jobs became ready: of those whose needs or whose files changed."""
    jobs = [know.jobs[key] for key in sorted(know.renewed, key=names.order) if key in know.jobs]
    know.record(resolve(jobs, know.standing, know.clock.wall()))
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
    barred = know.conflicted() | know.unpushed()
    attempts = choose(
        know.order, know.jobs, know.standing, know.refusals, barred, room, know.clock.now()
    )
    orders = [order for order in (_order(know, attempt) for attempt in attempts) if order]
    if not orders:
        return 0
    at = know.clock.wall()
    know.record([Event(at, Kind.SUBMITTING, o.attempt.key, o.attempt.n) for o in orders])
    waiting = {order.attempt for order in orders}
    differing: list[Key] = []
    try:
        for attempt, answer in cluster.submit(orders):
            waiting.discard(attempt)
            take_answer(know, attempt, answer or Unclear("somebody else has the claim"))
            if isinstance(answer, Differs):
                differing.append(attempt.key)
    finally:
        for attempt in waiting:
            know.unheard.setdefault(attempt.key, know.clock.now())
    if differing:
        _restore(know, cluster, differing)
    return len(orders)


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
        text = (know.paths.run / attempt.key).read_bytes()
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
