"""Step 1: what a person changed in the run folder, and what is new there."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable
from typing import BinaryIO

from jobmon.core.life import IN_SYSTEM, OPEN, Job
from jobmon.core.model import Key
from jobmon.cycle.state import Know
from jobmon.run import names, views
from jobmon.run.atomic import read_at_rest, unused, write_atomically
from jobmon.run.synced import Stamp
from jobmon.run.tree import Found

log = logging.getLogger(__name__)


def survey(know: Know, *, whole: bool = False) -> None:
    """Read the folders where something can have changed (or all) and take note."""
    for found in know.tree.everything() if whole else know.tree.slice(know.unpulled):
        take(know, found)
    reorder(know)


def read_folders(know: Know, folders: Iterable[str]) -> None:
    """Read these folders afresh, as after something came home into them."""
    for folder in folders:
        take(know, know.tree.read(folder))


def take(know: Know, found: Found) -> None:
    """Take over one folder as it stands."""
    for complaint in found.complaints:
        if know.complain(complaint):
            log.warning("%s", complaint)
    for key, needs in found.needs.items():
        if key not in know.jobs:
            know.jobs[key] = Job(key)
        life = know.jobs[key].life
        asks = life in OPEN or life in IN_SYSTEM
        if asks and (key not in know.index or know.index.of(key) != needs):
            know.index.put(key, needs)
            know.renewed.add(key)
    _forget(know, found)
    if know.own_twin():
        return
    if found.changed:
        know.changed[found.folder] = found.changed
    else:
        know.changed.pop(found.folder, None)
    mine = {path for path in know.conflicts if path.rpartition("/")[0] == found.folder}
    know.conflicts -= mine - found.changed.keys()


def _forget(know: Know, found: Found) -> None:
    """A job whose script was deleted before it was ever submitted is no job any more."""
    for name in found.kept:
        if names.script_id(name.rpartition("/")[2]) is None:
            continue
        key = Key(name)
        job = know.jobs.get(key)
        if job is not None and key not in found.needs and job.life in OPEN:
            know.index.drop(key)
            if know.complain(f"gone:{key}"):
                log.warning("%s was deleted here; it is held until it is back", key)


def reorder(know: Know) -> None:
    """Take over, or put aside, what a person edited in the quelist since it was drawn."""
    if know.drawn is None:
        return
    # Some editors put the old one away before they write the new.
    with contextlib.suppress(FileNotFoundError), know.paths.quelist.open("rb") as file:
        if Stamp.of(os.fstat(file.fileno())) != know.drawn:
            take_edit(know, file)


def take_edit(know: Know, file: BinaryIO) -> None:
    """Take over, or put aside, the quelist that a person wrote, or still writes, into ``file``."""
    stat, text = read_at_rest(file, know.clock.sleep)
    know.drawn = Stamp.of(stat)
    take_order(know, text.decode("utf-8", "surrogateescape"))
    know.redraw = True


def take_order(know: Know, text: str) -> None:
    """Take the order of submission from a quelist; any other edit is kept aside, and named."""
    order = views.reorder(know.lines(), text)
    if order is not None:
        know.put_in_order(order)
        return
    when = f"{know.clock.wall():%Y%m%d_%H%M%S}"
    aside = unused(know.paths.quelist.with_name(f"quelist.rejected.{when}"))
    write_atomically(aside, text)
    log.warning(
        "quelist was edited beyond its order; the edit is kept as %s and quelist drawn again",
        aside.name,
    )
