"""``jobmon check``: all that a first run rests on, looked at before it. It changes nothing.

Asking happens here, in the order in which one thing rests on the other; check_tree.py and
check_site.py say what the answers mean. Whether ``rdir`` is writable is asked of the nearest folder
that is there, by ``test -w``: no file is made to find out.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobmon.act import check_notify, check_site, check_tree
from jobmon.act.identify import scheduler_of, twin_of
from jobmon.act.opened import link_to, project_settings, settings_of
from jobmon.act.place import Place, find
from jobmon.cluster import site
from jobmon.cluster.base import ClusterError, ConnectionLost, HostKeyRefused, Link, LoginFailed
from jobmon.cluster.batch import limits
from jobmon.cluster.cluster import twin_trouble
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.reach import Reach, reach
from jobmon.cluster.probe import Probe, answering, probe, silence
from jobmon.core.finding import Finding, Level
from jobmon.core.text import printable
from jobmon.run.options import Settings
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity
from jobmon.run.usage import UsageError


@dataclass(slots=True)
class _Asked:
    """What is to be checked, and the prompts that the login put so far."""

    place: Place
    settings: Settings
    identity: Identity | None  # of a run that is there already
    tree: check_tree.Tree
    prompts: list[str] = field(default_factory=list)

    @property
    def local(self) -> bool:
        return self.settings.target is None


def check(
    ldir: Path, datedir: str | None, flags: Mapping[str, Any], ask: Ask, *, notify: bool = False
) -> Iterator[Finding]:
    """A finding for each thing, as soon as it is known. ``notify``: send a test message.

    Raises UsageError for settings that ``jobmon run`` would refuse.
    """
    place = find(ldir, datedir)
    identity = None
    file = place.project / "jobmon.yaml"
    if place.run is not None and Paths(place.run).settings.exists():
        settings, identity = settings_of(place.run, flags)
        file = Paths(place.run).settings
        origin = str(file)
    else:
        settings, origin = project_settings(place.project, flags)
    yield Finding(Level.GREEN, "settings", origin)
    run = place.run is not None
    tree = check_tree.look(place.run or place.project / "init", settings, run=run)
    yield from check_tree.findings(tree, run=run)
    yield from check_notify.findings(settings.notify, file, test=notify)
    yield from _cluster(_Asked(place, settings, identity, tree), ask)


def _cluster(it: _Asked, ask: Ask) -> Iterator[Finding]:
    """What the cluster says, as far as it can be reached."""

    def listening(prompt: str, echo: bool) -> str:
        it.prompts.append(prompt)
        return ask(prompt, echo)

    target = it.settings.target
    try:
        there = reach(target, it.settings.ssh_config) if target is not None else None
        link = link_to(it.settings, listening)
    except LoginFailed as error:
        yield _red("host name", str(error), "mend the SSH configuration")
        return
    try:
        if there is not None:
            named = check_site.host_name(there)
            yield named
            if named.level == Level.RED:
                return
            yield from _login(it, there, link)
        yield from _account(it, link)
    except _Ended:
        return
    except ClusterError as error:
        yield _red("connection", str(error), _by_hand(link))
    finally:
        link.close()


class _Ended(Exception):
    """Without what was just looked for, nothing further can be asked."""


def _by_hand(link: Link) -> str:
    host = link.where.rpartition("@")[2]
    return f"see whether 'ssh {host}' gets in: is it up, and reached from this network (VPN)?"


def _red(what: str, words: str, way_out: str = "") -> Finding:
    return Finding(Level.RED, what, words, way_out)


def _login(it: _Asked, there: Reach, link: Link) -> Iterator[Finding]:
    """Log in once. Raises _Ended if that failed."""
    refused, failed = "", None
    began = time.monotonic()
    try:
        link.open()
    except HostKeyRefused as error:
        refused = str(error)
    except (LoginFailed, ConnectionLost) as error:
        failed = error
    took = time.monotonic() - began
    entered = not refused and failed is None
    yield check_site.host_key(there, refused, entered=entered)
    if failed is not None:
        yield _red("login", str(failed), _by_hand(link))
    if not entered:
        raise _Ended
    yield check_site.login(link.where, it.prompts, link.spent().logins, took)


def _account(it: _Asked, link: Link) -> Iterator[Finding]:
    """What is there once one is in. Raises ClusterError."""
    noise = b"" if it.local else site.unasked(link)
    found = probe(link, systems=True, site=it.settings.at_site)
    if not it.local:
        yield check_site.shell(found.user, found.home, noise)
        yield _rsync(it, link, found)
    yield from _batch(it, link, found)
    yield _room(it, link, found)
    yield from _programs(it, link, found)
    if not it.local:
        trips = site.trips(link)
        yield check_site.clock(trips.ahead)
        yield check_site.round_trip(trips)


def _rsync(it: _Asked, link: Link, found: Probe) -> Finding:
    """rsync at both ends, and whether they understand each other over this connection."""
    here, trouble = "", ""
    if shutil.which("rsync") is not None:
        words = ["rsync", "--version"]
        done = subprocess.run(words, capture_output=True, check=False)  # noqa: S603 (fixed words)
        here = printable(done.stdout.partition(b"\n")[0]) or "rsync"
    if here and found.rsync:
        try:
            site.rsync_goes(link, found.home, it.settings.at_site)
        except ClusterError as error:
            trouble = str(error)
    return check_site.rsync(here, found.rsync, link.where, trouble)


def _batch(it: _Asked, link: Link, found: Probe) -> Iterator[Finding]:
    """The batch system that is meant, and what it tells of itself."""
    said: list[str] = []
    try:
        system = (
            it.identity.scheduler
            if it.identity
            else scheduler_of(it.settings, link, found, said.append)
        )
    except UsageError as error:
        auto = it.settings.scheduler == "auto"
        yield _red("batch system", str(error), _IN_PATH if auto else "give another --scheduler")
        return
    if system != "local" and system not in answering(found):
        yield _red("batch system", f"{system} does not answer: {silence(found)}", _IN_PATH)
        return
    ways = it.settings.at_site
    user = ways.user or found.user
    outputs = _outputs(link, [ways.words(words) for words in limits.commands(system, user)])
    words = "this machine's own queue" if system == "local" else system
    words += f", {version}" if (version := limits.version(outputs)) else ""
    if said:
        yield Finding(Level.YELLOW, "batch system", f"{words}: {said[0]}", "say which: --scheduler")
    else:
        yield Finding(Level.GREEN, "batch system", words)
    yield from check_site.job_names(system, it.tree.job_names)
    told = limits.limits(system, user, outputs)
    yield from check_site.maxqsub(it.settings.maxqsub, told)


_IN_PATH = (
    "its commands must be in the path of a login that is not interactive: see that "
    "'ssh HOST squeue' (or qstat) finds them, or name them under site: in jobmon.yaml"
)


def _outputs(link: Link, commands: Sequence[Sequence[str]]) -> list[tuple[int, str]]:
    """What commands say over there; one that hangs is ended, and says nothing more."""
    steps = [["says", str(site.LIMIT), *command] for command in commands]
    return site.tell(link, steps).outputs if steps else []


def _room(it: _Asked, link: Link, found: Probe) -> Finding:
    """Where the run folders are to be, or where the run's own is."""
    if it.identity is not None and it.place.run is not None:
        twin = it.identity.rdir
        room = site.tell(link, [["room", twin]]).room
        there = room is not None and room.there == twin
        if there and room is not None and room.run not in {"", it.identity.id}:
            return _red("rdir", *_halves(twin_trouble(link.where, twin, "other")))
        if not there and Paths(it.place.run).pushed.exists():
            return _red("rdir", *_halves(twin_trouble(link.where, twin, "missing")))
        return check_site.room(link.where, twin, room, 0)
    if it.settings.rdir is None and not it.local:
        words = "not given: the folder on the cluster under which runs are made"
        return _red("rdir", words, "give --rdir, or 'rdir:' in jobmon.yaml")
    above = posixpath.dirname(twin_of(it.place, "DATE", it.settings, found.home))
    room = site.tell(link, [["room", above]]).room
    return check_site.room(link.where, above, room, it.tree.size)


def _halves(line: str) -> tuple[str, str]:
    """What is wrong, and the way out, of a line that says both."""
    words, _, way_out = line.rpartition("; ")
    return words, way_out


def _programs(it: _Asked, link: Link, found: Probe) -> Iterator[Finding]:
    """Whether ``binpath`` and ``pythonpath`` are there, if they are given."""
    binpath, python = it.settings.binpath, it.settings.pythonpath
    if binpath is not None:
        place = _whole(binpath, found.home)
        if place.startswith("/") and not _VARIABLE.search(place):
            programs = sorted(it.tree.programs)[:_PROGRAMS]
            kinds = site.tell(link, [["file", place, *(f"{place}/{name}" for name in programs)]])
            yield check_site.folder(binpath, place, kinds.files, programs)
        else:
            yield check_site.vague("binpath", binpath)
    if python is not None:
        word = _whole((python.split() or [python])[0], found.home)
        if _VARIABLE.search(word) or ("/" in word and not word.startswith("/")):
            yield check_site.vague("pythonpath", python)
            return
        [place] = site.tell(link, [["command_of", word]]).commands
        [(code, said)] = _outputs(link, [[place, "--version"]]) if place else [(0, "")]
        yield check_site.interpreter(python, place, code, said)


_PROGRAMS = 200
"""How many programs of ``binpath`` are looked for: as many as fit into one command."""

_VARIABLE = re.compile(r"[$`]")


def _whole(given: str, home: str) -> str:
    """A path that a person gave, with its ``~``; a variable, which only a job knows, stays."""
    return re.sub(r"^~(?=/|$)", lambda _: home, given.rstrip("/") or "/")
