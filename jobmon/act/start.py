"""``jobmon run``: make a run or take one up, and turn its loop to the end."""

from __future__ import annotations

import contextlib
import gc
import logging
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from jobmon import notices, progress
from jobmon.act import make
from jobmon.act.identify import identify
from jobmon.act.opened import Opened, link_to, opened, project_settings, settings_of
from jobmon.act.place import Place, find
from jobmon.cluster.base import ClusterError, Link, LoginFailed, TwinLost, call
from jobmon.cluster.cluster import twin_trouble
from jobmon.cluster.links.login import Ask
from jobmon.core.choose import ADOPTED
from jobmon.core.model import Event, Kind, Life
from jobmon.cycle import begin
from jobmon.cycle.loop import Loop
from jobmon.cycle.survey import survey, take
from jobmon.notify.notifier import Notifier
from jobmon.notify.send import require
from jobmon.run import views
from jobmon.run.options import Settings
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity, write_run_file
from jobmon.run.synced import Stamp
from jobmon.run.tree import OURS, Parsed
from jobmon.run.usage import UsageError
from jobmon.show.read import View
from jobmon.show.summary import conflicts, summary

log = logging.getLogger(__name__)

OK, UNFINISHED, USAGE, NO_ANSWER = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for, beside the settings in ``flags``."""

    ldir: Path
    datedir: str | None
    flags: Mapping[str, Any]
    initonly: bool = False
    once: bool = False
    forever: bool = False
    take_over: bool = False


def start(
    wish: Wish,
    ask: Ask,
    say: Callable[[str], None],
    ready: Callable[[int], None] = lambda code: None,
) -> int:
    """Run to the end; the exit code. ``ready`` is called once the cluster has answered.

    Raises UsageError and the errors of a set-up that cannot be used.
    """
    place = find(wish.ldir, wish.datedir)
    stop = threading.Event()
    try:
        return _start(place, wish, stop, ask, say, ready)
    except TwinLost as error:
        say(f"jobmon: {error}")
        return USAGE
    except ClusterError as error:
        if stop.is_set():
            return UNFINISHED
        say(f"jobmon: {error}")
        return USAGE if isinstance(error, LoginFailed) else NO_ANSWER


def _start(
    place: Place,
    wish: Wish,
    stop: threading.Event,
    ask: Ask,
    say: Callable[[str], None],
    ready: Callable[[int], None],
) -> int:
    made = _new if place.run is None else _again
    with _uncollected():
        it = made(place, wish, ask, say)
    run = it.run
    with (
        opened(run, it.link, it.settings, it.identity, take_over=wish.take_over) as work,
        notices.logged(work.know.paths.log),
        _stopped_by_signals(stop, it.link),
    ):
        work.know.tree.remember(it.parsed)
        if place.run is not None:
            say(f"resuming {run} with {work.know.paths.settings}")
        if work.lock.took_over is not None:
            say("the lock of a process that is gone was taken over")
        with _uncollected():
            _begin(work, place, it.stamps, say)
        if wish.initonly:
            say(f"made and pushed: {run}")
            say(f"start it by: jobmon --ldir {shlex.quote(str(run))}")
            return OK
        know = work.know
        lives = {key: job.life for key, job in know.jobs.items()}
        name = f"{place.project.name}/{run.name}"
        with Notifier(it.settings.notify, name, lives, lambda: len(know.jobs)) as notifier:
            return _turn(work, wish, stop, notifier, say, ready)


@dataclass(frozen=True, slots=True)
class _Made:
    """A run folder that is there, and what it takes to work on it."""

    run: Path
    link: Link
    settings: Settings
    identity: Identity
    parsed: dict[str, Parsed] = field(default_factory=dict)
    stamps: dict[str, Stamp] = field(default_factory=dict)


def _new(place: Place, wish: Wish, ask: Ask, say: Callable[[str], None]) -> _Made:
    """Look at the cluster first, and make the run folder only when all is well."""
    settings = _project_settings(place, wish, say)
    require(settings.notify)
    date = wish.datedir or f"{datetime.now().astimezone():%Y%m%d_%H%M%S}"
    with make.copying(place.project) as copied:
        with progress.step(f"reading {place.project / 'init'}"):
            parsed = make.check(place.project / "init")
        link = link_to(settings, ask)
        try:
            with progress.step(f"asking {link.where}"):
                identity = identify(place, date, settings, link, say)
            with progress.step(f"copying init to {date}"):
                run, found = make.make(copied, date, settings, identity)
        except BaseException:
            link.close()
            raise
    say(f"run {run}: {found.jobs} jobs")
    for warning in found.warnings[:20]:
        say(f"warning: {warning}")
    if len(found.warnings) > 20:
        say(f"warning: and {len(found.warnings) - 20} more of this kind")
    return _Made(run, link, settings, identity, parsed, found.stamps)


def _again(place: Place, wish: Wish, ask: Ask, say: Callable[[str], None]) -> _Made:
    run = place.run
    if run is None:
        raise ValueError("there is no run to take up")
    paths = Paths(run)
    if paths.settings.exists():
        settings, identity = settings_of(run, wish.flags)
        require(settings.notify)
        return _Made(run, link_to(settings, ask), settings, identity)
    if paths.pushed.exists():  # it is no older loop's
        raise UsageError(
            f"{paths.settings} is gone, and with it which run this is; put it back from a copy"
        )
    settings = _project_settings(place, wish, say)
    require(settings.notify)
    link = link_to(settings, ask)
    try:
        with progress.step(f"asking {link.where}"):
            identity = identify(place, run.name, settings, link, say)
    except BaseException:
        link.close()
        raise
    paths.hidden.mkdir(mode=0o700, exist_ok=True)
    if paths.journal.exists():  # of another loop: not a journal of ours
        paths.journal.rename(make.aside(paths.journal))
    write_run_file(paths.settings, settings, identity)
    make.write_kill(paths.kill)
    make.link_latest(place.project, run.name)
    return _Made(run, link, settings, identity)


def _project_settings(place: Place, wish: Wish, say: Callable[[str], None]) -> Settings:
    settings, origin = project_settings(place.project, wish.flags)
    say(f"settings: {origin}")
    return settings


def _begin(
    work: Opened, place: Place, stamps: Mapping[str, Stamp], say: Callable[[str], None]
) -> None:
    """Bring the run to where its loop can start. Raises ClusterError."""
    know, cluster = work.know, work.cluster
    paths = know.paths
    if know.journal.cut is not None:
        log.warning("a torn last line of %s was cut off: %r", paths.journal, know.journal.cut)
    pushed = paths.pushed.exists()
    older = not pushed and place.run is not None and begin.is_older(paths)
    used = pushed or _make_twin(work, adopt=older or know.identity.rdir == str(paths.run))
    if not pushed and (older or used):
        begin.trust_folder(know)
    afresh = used and not older and begin.is_afresh(paths, know.journal.events)
    if afresh:
        know.journal = begin.set_aside(paths, know.journal, f"{know.clock.wall():%Y%m%d_%H%M%S}")
    first = not (pushed or older or used)
    with progress.step(f"reading {paths.run}"):
        know.load(know.journal.events)
        begin.restore_order(know)
        if older:
            begin.import_old(know)
        if not first:
            survey(know, whole=True)
    if first:
        _first_push(work, stamps)
    paths.pushed.touch()
    if afresh:
        with progress.step(f"asking {know.identity.where} for its record of this run"):
            begin.adopt_records(know, cluster)
    say(
        f"{know.identity.where}:{know.identity.rdir} on {know.identity.scheduler}, "
        f"maxqsub {know.settings.maxqsub}, maxcore {know.settings.maxcore}, "
        f"every {know.settings.interval:g} s"
    )


def _make_twin(work: Opened, *, adopt: bool) -> bool:
    """Make the twin, or see that it is ours; whether jobs were ever submitted from it."""
    identity = work.know.identity
    state = "unwritable"
    args = [identity.rdir, identity.id, "adopt" if adopt else "new"]
    for line in call(work.cluster.link, "twin", args):
        if line.startswith(b"\0twin "):
            state = line[6:].decode()
    if state not in {"same", "used"}:
        raise TwinLost(twin_trouble(identity.where, identity.rdir, state))
    return state == "used"


def _first_push(work: Opened, stamps: Mapping[str, Stamp]) -> None:
    """Push the whole tree, and take note of it meanwhile.

    What counts as pushed is each file as it was before the push began, and that only once
    ``.jobmon/pushed`` is there. ``stamps`` is empty for a run whose push was cut off.
    """
    know = work.know
    before = stamps or {
        path: stamp for found in know.tree.everything() for path, stamp in found.changed.items()
    }
    words = f"pushing {len(before):,} files to {know.identity.where}"
    with progress.step(words), ThreadPoolExecutor(1) as aside:
        pushed = aside.submit(work.cluster.transfer.push_tree, OURS)
        know.synced.put(before.items())
        for found in know.tree.everything():
            take(know, found)
        pushed.result()
    know.fresh = True


def _turn(
    work: Opened,
    wish: Wish,
    stop: threading.Event,
    notifier: Notifier,
    say: Callable[[str], None],
    ready: Callable[[int], None],
) -> int:
    know = work.know
    first = contextlib.ExitStack()

    def begun() -> None:
        first.close()
        marked = sum(1 for job in know.jobs.values() if job.life == Life.FINISHED and not job.n)
        if marked:
            say(f"{marked} jobs have their marker already and count as finished")
        notifier.begin()
        ready(OK)

    finished = sum(1 for job in know.jobs.values() if job.life == Life.FINISHED)

    def tell(event: Event) -> None:
        nonlocal finished
        words = _words(event)
        if event.kind == Kind.FINISHED:
            finished += 1
            words += f" ({finished} of {len(know.jobs)})"
        if words:
            log.info("%s", words)
        notifier.event(event)

    loop = Loop(know, work.cluster, work.lock, stop, tell, login=notifier.login, busy=_fetching)
    with first:
        first.enter_context(progress.step(f"the first look at {know.identity.where}"))
        loop.run(once=wish.once, forever=wish.forever, begun=begun)
    stopped = f"stopped; {len(know.listed())} jobs go on in the batch system"
    if stop.is_set():
        say(stopped)
    run = know.paths.run
    table = View(run, know.jobs, know.index, know.present, know.stuck, list(know.conflicts)).rows()
    total, *problems = summary(table, run)
    say(total)
    if not wish.once:  # which may come every few minutes
        headline = stopped if stop.is_set() else f"ended: {total.rpartition(': ')[2]}"
        notifier.end(headline, [total, *problems], hurry=stop.is_set())
    for line in problems:
        log.warning("%s", line)
    unclear = sum(know.jobs[key].life == Life.UNCLEAR for key in know.in_system)
    if unclear >= know.settings.maxqsub and not stop.is_set():
        log.warning("  unclear jobs keep all places of maxqsub, so that nothing else can go")
    for line in conflicts(list(know.conflicts)):
        log.warning("%s", line)
    return OK if all(row.state == "finished" for row in table) else UNFINISHED


def _fetching(words: str) -> contextlib.AbstractContextManager[None]:
    return progress.step(words, after=10.0)  # in a file, no line a minute for what is quick


def _words(event: Event) -> str:
    reason = event.notes.get("reason", "")
    behind = f": {reason}" if reason else ""
    match event.kind:
        case Kind.STARTED:
            old = views.IMPORTED in event.notes or ADOPTED in event.notes
            return f"{'taken up' if old else 'submitted'} {event.key} as {event.jobid}"
        case Kind.FINISHED | Kind.FAILED | Kind.KILLED | Kind.UNCLEAR:
            return f"{event.kind} {event.key}{behind}"
    return ""


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """What is made meanwhile stays: to go through all of it for garbage takes seconds each time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _stopped_by_signals(stop: threading.Event, link: Link) -> Iterator[None]:
    """SIGTERM and SIGINT end the loop; a call that hangs is cut off after a few seconds."""

    def handler(number: int, frame: object) -> None:
        if not stop.is_set():
            stop.set()
            timer = threading.Timer(3.0, link.close)
            timer.daemon = True
            timer.start()

    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
