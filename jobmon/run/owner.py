"""One writer: the lock of a run, and the requests of those who do not hold it.

The lock is the file ``.jobmon/lock``: who holds it, as JSON, whole from its first moment, since
it is linked or renamed into place. It is free where the file is missing. It is stale where this
machine knows that the holder's process is gone; of a holder on another machine nothing can be
known, so a person must say ``--take-over``.

Whoever takes, takes over or gives back the lock holds ``flock`` on ``.jobmon/lock.guard`` while
doing so: between judging a lock and replacing it no one else on this machine (or any that shares
the disk and its locks) comes in. Making a new lock is exclusive even without that, by ``link``.

Requests are files of ``.jobmon/requests/``, renamed into place, done oldest first, and removed
only when they were done: a holder that is killed in between leaves them to the next one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from jobmon.run import host, names
from jobmon.run.atomic import flush, write_all, write_atomically

GUARD_LIMIT = 10.0
"""Seconds to wait for another process that is about to take or give back the lock."""

_NO_FLOCK = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_NO_LINK = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class OwnerError(Exception):
    """The run's lock or its requests cannot be used; the message says why and what next."""


class Held(OwnerError):
    """Another process holds the run's lock."""

    def __init__(self, run: Path, holder: Holder) -> None:
        self.run, self.holder = run, holder
        self.pid, self.host, self.since = holder.process.pid, holder.process.host, holder.since
        words = f"run {run} is held by process {self.pid} on host {self.host} since {self.since}; "
        if holder.what == "run":
            words += f"'jobmon stop --run {shlex.quote(str(run))}' ends it"
        else:
            words += f"'jobmon {holder.what}' is at work there and ends by itself"
        if host.state(holder.process) is host.Life.FOREIGN:
            words += " there; if it surely runs no more, --take-over takes the run"
        super().__init__(words)


class Lost(OwnerError):
    """This process no longer holds the lock that it took: another took over."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the run's lock.

    ``since`` is a stamp, ``token`` names this taking of the lock, ``what`` the command it is for.
    """

    process: host.Process
    since: str
    token: str
    what: str = "run"


@dataclass(frozen=True, slots=True)
class Owner:
    """The lock, held by this process until ``release``; also a context manager.

    ``took_over`` is whose lock was left behind, None if it was free.
    """

    run: Path
    holder: Holder
    took_over: Holder | None = None

    def check(self) -> None:
        """Raise Lost if another has taken the lock since, or it was removed or cannot be read."""
        try:
            there = _read(self.run)
        except OSError:
            there = None
        if there != self.holder:
            raise Lost(
                f"run {self.run}: the lock was taken by another or removed while in use; "
                "this process must stop, and what it began goes on to the new holder"
            )

    def release(self) -> None:
        """Give the lock back; does nothing where it is not ours any more, or in a child."""
        if os.getpid() != self.holder.process.pid:
            return
        # Where that fails the lock is stale as soon as this process ends.
        with contextlib.suppress(OSError, OwnerError), _guard(self.run):
            if _read(self.run) == self.holder:
                _lock(self.run).unlink(missing_ok=True)

    def __enter__(self) -> Owner:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def acquire(run: Path, take_over: bool = False, what: str = "run") -> Owner:
    """Take the lock of the run folder ``run`` for this process.

    ``take_over`` also takes it from a process on another machine, of which nothing can be known,
    and where the lock cannot be read; never from a process that lives here.
    Raises Held, or OwnerError if the folder cannot be used.
    """
    mine = Holder(
        host.this_process(), names.stamp(datetime.now().astimezone()), secrets.token_hex(8), what
    )
    try:
        _folder(run)
        with _guard(run) as guarded:
            for _ in range(1000):  # it changes between two steps only where there is no flock
                there = _read(run)
                if there is None and _create(run, mine):
                    return Owner(run, mine)
                if there is not None and _may_replace(run, there, take_over, guarded):
                    write_atomically(_lock(run), _print(mine), 0o600)
                    return Owner(run, mine, there if isinstance(there, Holder) else None)
            raise OwnerError(f"{_lock(run)} is never the same twice; see what it is, or remove it")
    except OSError as error:
        raise OwnerError(f"run {run}: its lock cannot be taken: {error}") from error


def holder(run: Path) -> Holder | None:
    """Who holds the run's lock; None where it is free, stale or cannot be read."""
    try:
        there = _read(run)
    except OSError:
        return None
    if isinstance(there, Holder) and host.state(there.process) is not host.Life.GONE:
        return there
    return None


def _may_replace(run: Path, there: Holder | str, take_over: bool, guarded: bool) -> bool:
    """Whether the lock ``there`` may be replaced; False: it changed since, so look again."""
    if isinstance(there, Holder):
        state = host.state(there.process)
        if state is host.Life.ALIVE or (state is host.Life.FOREIGN and not take_over):
            raise Held(run, there)
    elif not take_over:
        raise OwnerError(
            f"{_lock(run)} cannot be read, so who holds the run is not known; "
            "if no jobmon runs there, --take-over takes the run"
        )
    if not guarded and there == _read(run):
        raise OwnerError(
            f"{_lock(run)} was left behind, and this file system has no locks (flock) to "
            "take it over safely; see that no jobmon runs there and delete the file"
        )
    return guarded


def _lock(run: Path) -> Path:
    return run / ".jobmon" / "lock"


def _folder(run: Path, *more: str) -> Path:
    folder = Path(run, ".jobmon", *more)
    if not run.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "no such folder", str(run))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _guard(run: Path) -> Iterator[bool]:
    """Be the only one who changes the lock; False where the file system has no flock.

    The guard's file is never removed: another could wait on the one that is no longer there.
    """
    fd = os.open(run / ".jobmon" / "lock.guard", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _flock(fd, run)
    finally:
        os.close(fd)


def _flock(fd: int, run: Path) -> bool:
    end = time.monotonic() + GUARD_LIMIT
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                raise OwnerError(
                    f"run {run}: another process has been taking or giving back its lock for "
                    f"{GUARD_LIMIT:.0f} s; try again, or look for a stopped jobmon"
                ) from None
            time.sleep(0.005)
        except OSError as error:
            if error.errno in _NO_FLOCK:
                return False
            raise


def _create(run: Path, mine: Holder) -> bool:
    """Make the lock where there is none; False if another was first."""
    lock = _lock(run)
    beside = lock.with_name(f"lock.{mine.token}")
    write_atomically(beside, _print(mine), 0o600)
    try:
        try:
            os.link(beside, lock)
        except FileExistsError:
            return _links(beside) == 2  # NFS may answer so to its own repetition
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return _create_by_open(lock, mine)
        return True
    finally:
        beside.unlink(missing_ok=True)


def _create_by_open(lock: Path, mine: Holder) -> bool:
    """For file systems without hard links; a reader may find the lock empty for a moment."""
    try:
        fd = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    try:
        write_all(fd, _print(mine).encode())
        flush(fd)
    finally:
        os.close(fd)
    return True


def _links(path: Path) -> int:
    return path.stat().st_nlink


def _print(mine: Holder) -> str:
    rest = {"since": mine.since, "token": mine.token, "what": mine.what}
    return json.dumps({**asdict(mine.process), **rest}) + "\n"


def _read(run: Path) -> Holder | str | None:
    """The holder by the lock; None where there is no lock, "" where it cannot be understood."""
    try:
        data = json.loads(_lock(run).read_bytes())
        words = {name: str(data[name]) for name in ("host", "machine", "boot", "space", "birth")}
        process = host.Process(pid=int(data["pid"]), **words)
        rest = (str(data[name]) for name in ("since", "token", "what"))
        return Holder(process, *rest)
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError):
        return ""


# --- requests ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What someone who does not hold the lock asks of the one who does; ``do`` is the verb."""

    id: str
    do: str
    body: Mapping[str, object]


def request(run: Path, body: Mapping[str, object]) -> str:
    """Leave a request for the holder of the run's lock; returns its id.

    ``body["do"]`` is the verb; all values must be fit for JSON. Raises OwnerError.
    """
    text = json.dumps(dict(body))
    try:
        folder = _folder(run, "requests")
        pending = [int(p.name[:20]) for p in folder.glob("[0-9]*.json") if p.name[:20].isdigit()]
        number = max(time.time_ns(), *(n + 1 for n in pending), 0)  # also after a clock's step back
        name = f"{number:020d}-{os.getpid()}-{secrets.token_hex(4)}"
        write_atomically(folder / f"{name}.json", text, 0o600)
    except OSError as error:
        raise OwnerError(f"run {run}: the request cannot be left there: {error}") from error
    return name


def request_path(run: Path, request_id: str) -> Path:
    """The file of a request; it is gone once the holder of the lock has done it."""
    return run / ".jobmon" / "requests" / f"{request_id}.json"


def waiting(run: Path) -> list[Request]:
    """The requests that wait, oldest first. They stay until ``done`` is said of them.

    One that cannot be understood is renamed to ``*.bad`` and left out. Raises OwnerError.
    """
    folder = run / ".jobmon" / "requests"
    found: list[Request] = []
    try:
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                one = _read_request(path)
                if one is None:
                    path.rename(path.with_suffix(".bad"))
                else:
                    found.append(one)
    except OSError as error:
        raise OwnerError(f"run {run}: its requests cannot be read: {error}") from error
    return found


def done(run: Path, request_id: str) -> None:
    """Take a request away, after what it asks was done and journalled. Raises OwnerError.

    A crash before this has it done twice, which must do no harm; a crash after it loses nothing.
    """
    try:
        request_path(run, request_id).unlink(missing_ok=True)
    except OSError as error:
        raise OwnerError(f"run {run}: a request cannot be taken away: {error}") from error


def _read_request(path: Path) -> Request | None:
    try:
        body = json.loads(path.read_bytes())
        return Request(path.stem, body["do"], body) if isinstance(body["do"], str) else None
    except (ValueError, LookupError, TypeError):
        return None
