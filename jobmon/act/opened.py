"""A run, opened for work: its lock held, its journal read, its cluster at hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobmon import progress
from jobmon.cluster.base import Link
from jobmon.cluster.batch import batch
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.copying import Copy
from jobmon.cluster.links import connect
from jobmon.cluster.links.login import Ask
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import Same, Transfer
from jobmon.cluster.wrapped import at_site, called
from jobmon.cycle.state import Clock, Know
from jobmon.run import owner
from jobmon.run.journal import Journal
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity, Settings, load, merge, read_run_file, resume
from jobmon.run.synced import Synced
from jobmon.run.tree import OURS, Tree


@dataclass(slots=True)
class Opened:
    """All that work on a run needs; closed by ``opened``."""

    know: Know
    cluster: Cluster
    lock: owner.Owner


def link_to(settings: Settings, ask: Ask) -> Link:
    """The connection that the settings name, not opened yet. Raises LoginFailed."""

    def asked(prompt: str, echo: bool) -> str:
        with progress.aside():
            return ask(prompt, echo)

    link = connect(
        settings.target,
        ssh=settings.ssh,
        ssh_config=settings.ssh_config,
        ask=asked,
    )
    return at_site(link, settings.at_site)


def transfer_for(settings: Settings, link: Link, run: Path, twin: str) -> Transfer:
    """How files travel between the run folder and its twin."""
    if settings.target is not None:
        return Rsync(link, run, twin, OURS, settings.at_site)
    return Same() if Path(twin) == run else Copy(run, Path(twin), OURS)


@contextlib.contextmanager
def opened(
    run: Path,
    link: Link,
    settings: Settings,
    identity: Identity,
    *,
    take_over: bool = False,
    what: str = "run",
) -> Iterator[Opened]:
    """Hold the run's lock and know what its journal knows; the link is closed at the end.

    Raises owner.Held, JournalError, BadFile.
    """
    paths = Paths(run)
    with contextlib.ExitStack() as stack:
        stack.callback(link.close)
        lock = stack.enter_context(owner.acquire(run, take_over, what))
        with progress.step(f"reading {paths.journal}"):
            journal = Journal.open(paths.journal)
        synced = Synced(paths.synced)
        know = Know(
            paths, settings, identity, journal, synced, Tree(run, synced), Clock()
        )  # fmt: skip
        stack.callback(lambda: know.journal.close())  # noqa: PLW0108 (a start afresh opens another)
        stack.callback(synced.close)
        user = identity.where.rpartition("@")[0]
        cluster = Cluster(
            link,
            called(batch(identity.scheduler), settings.at_site),
            transfer_for(settings, link, run, identity.rdir),
            identity.rdir,
            identity.id,
            user,
        )
        yield Opened(know, cluster, lock)


def settings_of(run: Path, flags: Mapping[str, Any]) -> tuple[Settings, Identity]:
    """What an existing run was started with, under the flags of today. Raises UsageError."""
    settings, identity = read_run_file(Paths(run).settings)
    return resume(settings, identity, flags), identity


def project_settings(project: Path, flags: Mapping[str, Any]) -> tuple[Settings, str]:
    """What a new run of the project is started with, and where that stands. Raises UsageError."""
    path = project / "jobmon.yaml"
    there = path.exists()
    settings = merge(load(path) if there else {}, flags)
    return settings, f"{path if there else 'no jobmon.yaml'}, and the command line"
