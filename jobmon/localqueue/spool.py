"""The state folder: every job's record, and what the files there say of its state.

    last                the last ID given out        queue.lock, runner.lock
    tokens              ``ID TOKEN`` a line          log     the runner's and the shepherds' words
    live/ID/            job.json script claim started delete end.json
    ended/ID            one file a job, for thirty days

A job's folder moves from new/ to live/ whole, and out of live/ when its end is on record.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jobmon.localqueue import files
from jobmon.localqueue.place import QueueError
from jobmon.localqueue.process import Identity, alive, myself

LOCK_LIMIT = 30.0
KEEP = 30 * 86400
_LOG_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Job:
    """What was submitted. ``env`` and ``umask`` are the submitter's; paths are absolute."""

    id: int
    token: str
    folder: str
    script: str
    name: str
    cores: int
    command: list[str]
    stdout: str
    stderr: str
    env: dict[str, str]
    umask: int
    submitted: str


@dataclass(frozen=True, slots=True)
class State:
    """``pending``, ``running`` or ``ended``.

    ``how`` a job ended: ``exit N``, ``signal N``, ``deleted``, ``lost``, ``unstarted WHY``.
    """

    phase: str
    how: str = ""
    started: str = ""
    ended: str = ""


PENDING, RUNNING, ENDED = "pending", "running", "ended"


def stamp() -> str:
    """The time, as records say it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


class Spool:
    """One state folder. Methods that say so are called with ``locked()`` held."""

    def __init__(self, root: Path) -> None:
        # One name for one queue, whatever links lead there: it is part of a job's mark.
        self.root = root = root.resolve()
        self.log = root / "log"
        self._live, self._ended, self._new = root / "live", root / "ended", root / "new"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self._live, self._ended, self._new):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise QueueError(
                f"{root}: {error.strerror}: make it a folder you can write to, "
                "or name another in JOBMON_LOCALQUEUE"
            ) from error

    def locked(self) -> contextlib.AbstractContextManager[None]:
        return files.locked(self.root / "queue.lock", LOCK_LIMIT)

    def runner_lock(self) -> int | None:
        """The handle of the one runner's lock, or None if there is a runner. Locked."""
        return files.try_lock(self.root / "runner.lock")

    def mark(self, job: int) -> str:
        """What the processes of a job carry in their environment."""
        return f"{self.root}#{job}"

    # -- jobs come in -----------------------------------------------------------------------

    def add(self, make: Callable[[int], Job], script: bytes) -> Job:
        """Put a job into the queue, whole or not at all. Locked.

        Raises QueueError if it surely is not in the queue, OSError if that is not known.
        """
        try:
            job = self._prepare(make, script)
        except OSError as error:
            raise QueueError(
                f"{error.filename or self.root}: {error.strerror}: the job is not in the queue"
            ) from error
        (self._new / str(job.id)).rename(self._live / str(job.id))
        files.flush_folder(self._live)
        return job

    def _prepare(self, make: Callable[[int], Job], script: bytes) -> Job:
        number = self._last() + 1
        files.replace(self.root / "last", b"%d\n" % number)
        job = make(number)
        folder = self._new / str(number)
        shutil.rmtree(folder, ignore_errors=True)  # of an older count, if `last` was lost
        folder.mkdir(mode=0o700)
        files.write_new(folder / "script", script)
        files.write_new(folder / "job.json", json.dumps(asdict(job)).encode())
        files.flush_folder(folder)
        if job.token:
            self._note_token(job)
        return job

    def _last(self) -> int:
        try:
            return int((self.root / "last").read_bytes())
        except FileNotFoundError:
            return max([*self.live(), *_numbers(self._ended), *self.tokens()], default=0)
        except ValueError as error:
            raise QueueError(
                f"{self.root / 'last'} is no number: write the highest ID ever given out into it"
            ) from error

    def _note_token(self, job: Job) -> None:
        path = self.root / "tokens"
        with path.open("ab") as file:
            torn = file.tell() and not path.read_bytes().endswith(b"\n")
            line = f"{job.id} {job.token}\n".encode("utf-8", "surrogateescape")
            file.write(b"\n" * bool(torn) + line)
            file.flush()
            os.fsync(file.fileno())

    # -- what is known ----------------------------------------------------------------------

    def live(self) -> list[int]:
        """The jobs not yet put away, in the order of submission."""
        return sorted(_numbers(self._live))

    def job(self, number: int) -> Job:
        """The record of a live job. Raises FileNotFoundError."""
        path = self._live / str(number) / "job.json"
        record = _read(path)
        if record is None:
            raise FileNotFoundError(path)
        return Job(**record)

    def script(self, number: int) -> Path:
        return self._live / str(number) / "script"

    def state(self, number: int) -> State | None:
        """A live job's state; None if it is not live."""
        folder = self._live / str(number)
        claim = _read(folder / "claim")
        if claim is None:
            return State(PENDING) if folder.is_dir() else None
        # The end is looked for after the process: it is written before the process goes.
        started = _read(folder / "started")
        lives = alive(_identity(claim)) or (started is not None and alive(_identity(started)))
        end = _read(folder / "end.json")
        since = claim["at"] if claim["by"] == "shepherd" else ""
        if end is not None:
            return State(ENDED, end["how"], since, end["at"])
        if lives:
            return State(RUNNING, "", since)
        if not folder.is_dir():
            return None
        deleted = claim["by"] == "delete" or (folder / "delete").exists()
        return State(ENDED, "deleted" if deleted else "lost", since, stamp())

    def find(self, number: int) -> tuple[Mapping[str, Any], State] | None:
        """Record and state of any job still known. Locked."""
        state = self.state(number)
        if state is not None:
            return asdict(self.job(number)), state
        record = _read(self._ended / str(number))
        if record is None:
            return None
        return record, State(ENDED, record["how"], record["started"], record["ended"])

    def tokens(self) -> dict[int, str]:
        """The tokens of all jobs that had one, known or not."""
        try:
            text = (self.root / "tokens").read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return {}
        pairs = (line.partition(" ") for line in text.split("\n")[:-1])
        return {int(number): token for number, _, token in pairs if number.isdigit() and token}

    def known_tokens(self) -> dict[int, str]:
        """The tokens of the jobs still known. Locked."""
        known = {*self.live(), *_numbers(self._ended)}
        return {number: token for number, token in self.tokens().items() if number in known}

    def shepherd(self, number: int) -> Identity | None:
        """The shepherd of a live job; None if it has none, or was claimed not to be run."""
        claim = _read(self._live / str(number) / "claim")
        return _identity(claim) if claim and claim["by"] == "shepherd" else None

    def script_process(self, number: int) -> Identity | None:
        """The script's own process, which leads its session; None before its start."""
        started = _read(self._live / str(number) / "started")
        return _identity(started) if started else None

    # -- a job's steps ----------------------------------------------------------------------

    def claim(self, number: int, by: str) -> bool:
        """Take a pending job for ever: ``shepherd``, ``delete`` or ``runner``. False: too late."""
        try:
            return files.create_once(self._live / str(number) / "claim", _me(by))
        except FileNotFoundError:
            return False

    def set_started(self, number: int) -> None:
        """Said by the script's own process just before it becomes the script."""
        files.replace(self._live / str(number) / "started", _me("script"))

    def ask_delete(self, number: int) -> None:
        """Say that what is about to end was deleted, and keep it from starting."""
        (self._live / str(number) / "delete").touch()

    def delete_asked(self, number: int) -> bool:
        return (self._live / str(number) / "delete").exists()

    def set_end(self, number: int, how: str) -> None:
        """Record an end; only the claimer does. Raises OSError."""
        data = json.dumps({"how": how, "at": stamp()}).encode()
        files.replace(self._live / str(number) / "end.json", data)

    # -- putting away -----------------------------------------------------------------------

    def tidy(self, number: int, state: State) -> None:
        """Move an ended job out of live/. Locked."""
        record = asdict(replace(self.job(number), env={}))
        record |= {"how": state.how, "started": state.started, "ended": state.ended}
        files.replace(self._ended / str(number), json.dumps(record).encode())
        trash = self._new / f"{number}.gone"
        (self._live / str(number)).rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    def prune(self, now: float) -> None:
        """Forget what ended long ago, at most once a day; shorten the log. Takes the lock."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_LIMIT:
                self.log.replace(self.root / "log.old")
        done = self.root / "pruned"
        if done.exists() and abs(now - done.stat().st_mtime) < 86400:
            return
        for number in list(_numbers(self._ended)):  # may be long; needs no lock
            path = self._ended / str(number)
            if now - path.stat().st_mtime > KEEP:
                path.unlink()
        with self.locked():
            for rest in self._new.iterdir():  # of a submit or a tidy that was killed
                shutil.rmtree(rest, ignore_errors=True)
            lines = [f"{number} {token}\n" for number, token in self.known_tokens().items()]
            text = "".join(lines).encode("utf-8", "surrogateescape")
            files.replace(self.root / "tokens", text)
        done.touch()


def _numbers(folder: Path) -> Iterator[int]:
    return (int(name) for name in os.listdir(folder) if name.isdigit())  # noqa: PTH208


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise QueueError(
            f"{path} is damaged ({error}): move {path.parent} out of the way"
        ) from error
    return found


def _me(by: str) -> bytes:
    return json.dumps({"by": by, "at": stamp(), **asdict(myself())}).encode()


def _identity(record: Mapping[str, Any]) -> Identity:
    return Identity(record["boot"], record["pid"], record["birth"])
