"""What makes a new run that run: where it is, on which batch system, in which folder there."""

from __future__ import annotations

import getpass
import secrets
import shutil
import socket
from collections.abc import Callable

from jobmon.act.place import Place
from jobmon.cluster.base import Link
from jobmon.cluster.batch import batch
from jobmon.cluster.probe import Probe, answering, probe, silence
from jobmon.cluster.wrapped import unused
from jobmon.run.options import Settings
from jobmon.run.settings import Identity
from jobmon.run.usage import UsageError


def identify(
    place: Place,
    date: str,
    settings: Settings,
    link: Link,
    say: Callable[[str], None],
) -> Identity:
    """What makes this run this run, as the cluster tells it. Raises UsageError, ClusterError."""
    local = settings.target is None
    link.open()
    auto = settings.scheduler == "auto"
    found = probe(link, systems=auto, site=settings.at_site, first=True)
    if not local and settings.rdir is None:
        raise UsageError("--rdir is missing: the folder on the cluster under which runs are made")
    if not local and shutil.which("rsync") is None:
        raise UsageError("rsync is missing on this machine; install it")
    if not local and not found.rsync:
        raise UsageError(f"rsync is missing on {link.where}; ask for it to be installed there")
    scheduler = scheduler_of(settings, link, found, say)
    for name in unused(batch(scheduler), settings.at_site):
        say(f"warning: site: {name} is no command that jobmon calls on {scheduler}")
    twin = twin_of(place, date, settings, found.home)
    where = f"{getpass.getuser()}@{socket.gethostname()}" if local else link.where
    if "@" not in where:
        where = f"{found.user}@{where}"
    _same_user(settings, where.partition("@")[0], found.user)
    return Identity(secrets.token_hex(6), where, scheduler, twin)


def twin_of(place: Place, date: str, settings: Settings, home: str) -> str:
    """The run's folder over there, whose account's home is ``home``."""
    if settings.rdir is None:
        return str(place.project / date)
    above = settings.rdir.removeprefix("~/")
    if not above.startswith("/"):
        above = f"{home}/{above}"
    return "/".join(part for part in (above.rstrip("/"), place.below, date) if part)


def _same_user(settings: Settings, account: str, shell: str) -> None:
    """Whose jobs are listed must be said where the site's shell is somebody else's."""
    site = settings.at_site
    if site.shell and not site.user and shell != account:
        raise UsageError(
            f"shell: under site: is {shell}'s, not {account}'s; so are the jobs: say "
            f"'user: {shell}' there, too"
        )


def scheduler_of(settings: Settings, link: Link, found: Probe, say: Callable[[str], None]) -> str:
    """The batch system that is meant. Raises UsageError where none answers."""
    local = settings.target is None
    if settings.scheduler == "local" and not local:
        raise UsageError(
            "--scheduler local is this machine's own queue; it goes with --remote local"
        )
    if settings.scheduler != "auto":
        return settings.scheduler
    able = answering(found)
    if len(able) > 1:
        say(f"{', '.join(able)} answer; {able[0]} is taken, --scheduler chooses another")
    if able:
        return able[0]
    if local:
        return "local"
    raise UsageError(f"no batch system answers on {link.where}: {silence(found)}; see --scheduler")
