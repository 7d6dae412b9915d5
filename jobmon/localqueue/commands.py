"""What each command does and prints. All that is read or changed is so under queue.lock."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from jobmon.localqueue import directives
from jobmon.localqueue.directives import DirectiveError, Target, Wish
from jobmon.localqueue.place import QueueError
from jobmon.localqueue.spool import ENDED, Job, Spool, stamp

LIST_HEAD = "jobmon local queue: jobs (ID|STATE|CORES|SUBMITTED|NAME|FOLDER)"
SHOW_HEAD = "jobmon local queue: show"
FIND_HEAD = "jobmon local queue: tokens (ID|TOKEN)"
ACCEPTED = 'Your job {} ("{}") has been accepted by the local queue of jobmon'


class _RefusedError(Exception):
    """This script will never be taken as it is."""


def submit(spool: Spool, cores: int, script: str, token: str) -> int:
    """Put a script into the queue and see to it that there is a runner."""
    if not token.isprintable():
        raise QueueError("--token may hold no line breaks and no control characters")
    try:
        folder = _folder()
    except OSError as error:
        raise QueueError(f"the current folder: {error.strerror}: go to the job's folder") from error
    try:
        text = _script(script)
        wish = _wish(script, text, cores)
    except _RefusedError as refusal:
        sys.stderr.write(f"jobmon localqueue: refused: {plain(str(refusal))}\n")
        return 1
    umask = os.umask(0o077)
    with spool.locked():
        job = spool.add(
            lambda number: _job(number, wish, text, Path(folder, script), folder, token, umask),
            text,
        )
        _say(ACCEPTED.format(job.id, plain(job.name)))
        sys.stdout.flush()
        _ensure(spool, cores)
    return 0


def list_(spool: Spool, cores: int) -> int:
    """Every job that waits or runs; puts away what ended, starts a runner that is missing."""
    rows = []
    pending = False
    os.umask(0o077)
    with spool.locked():
        for number in spool.live():
            known = spool.find(number)
            if known is None:
                continue
            record, state = known
            if state.phase == ENDED:
                spool.tidy(number, state)
                continue
            pending = pending or state.phase == "pending"
            cells = [str(number), state.phase, str(record["cores"])]
            cells += [record["submitted"], record["name"], record["folder"]]
            rows.append(plain("|".join(cells)))
        if pending:
            _ensure(spool, cores)
    _say("\n".join([LIST_HEAD, *rows, f"end {len(rows)}"]))
    return 0


def show(spool: Spool, _: int, names: Sequence[str]) -> int:
    """What is known of each job; 1 if one is unknown."""
    lines = []
    code = 0
    with spool.locked():
        for name in names:
            known = spool.find(int(name)) if name.isascii() and name.isdigit() else None
            if known is None:
                lines.append(f"unknown {plain(name)}")
                code = 1
                continue
            record, state = known
            lines.append(plain(f"job {name} {state.phase} {state.how}".rstrip()))
            told = {key: record[key] for key in ("token", "folder", "script", "name", "cores")}
            told |= {key: record[key] for key in ("stdout", "stderr", "submitted")}
            told |= {"started": state.started, "ended": state.ended}
            lines += [plain(f"    {key}: {value}") for key, value in told.items() if value]
    _say("\n".join([SHOW_HEAD, *lines, f"end {len(names)}"]))
    return code


def find(spool: Spool, _: int) -> int:
    """The tokens of all jobs still known."""
    with spool.locked():
        tokens = spool.known_tokens()
    rows = [f"{number}|{token}" for number, token in sorted(tokens.items())]
    _say("\n".join([FIND_HEAD, *rows, f"end {len(rows)}"]))
    return 0


def delete(spool: Spool, _: int, names: Sequence[str]) -> int:
    """End the jobs; says of each what it did."""
    from jobmon.localqueue import delete as deleting  # noqa: PLC0415  (seldom needed)

    os.umask(0o077)
    return deleting.delete(spool, names, lambda text: _say(plain(text)))


def runner(spool: Spool, cores: int) -> int:
    """Be the queue's own process."""
    from jobmon.localqueue import runner as running  # noqa: PLC0415

    running.run(spool, cores)
    return 0


def shepherd(spool: Spool, number: int) -> int:
    """Be the process of one job."""
    from jobmon.localqueue import shepherd as shepherding  # noqa: PLC0415

    shepherding.run(spool, number)
    return 0


def plain(text: str) -> str:
    """``text`` on one line: control characters and line breaks are escaped."""
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda match: f"\\x{ord(match[0]):02x}", text)


def _script(script: str) -> bytes:
    try:
        if not stat.S_ISREG(Path(script).stat().st_mode):
            raise _RefusedError(f"{script} is no file: name the batch script")
        return Path(script).read_bytes()
    except OSError as error:
        raise _RefusedError(f"{script}: {error.strerror}: name a script you can read") from error


def _wish(script: str, text: bytes, cores: int) -> Wish:
    try:
        wish = directives.read(text.decode("utf-8", "surrogateescape"))
    except DirectiveError as error:
        raise _RefusedError(f"{script} {error}") from error
    if wish.cores > cores:
        raise _RefusedError(
            f"{script} asks for {wish.cores} cores, this machine has {cores}: lower it, or set "
            f"JOBMON_LOCALQUEUE_CORES={wish.cores} if the cores may be shared"
        )
    return wish


def _folder() -> str:
    """The current folder by the name the submitter uses, which may go through links."""
    named = os.environ.get("PWD", "")
    here = Path.cwd()
    if named.startswith("/") and Path(named).exists() and Path(named).samefile(here):
        return named
    return str(here)


def _job(
    number: int, wish: Wish, text: bytes, script: Path, folder: str, token: str, umask: int
) -> Job:
    name = (wish.name or script.name).replace("/", "_")
    default = "/bin/bash" if os.access("/bin/bash", os.X_OK) else "/bin/sh"

    def path(target: Target | None, letter: str) -> str:
        usual = f"{name}.{letter}{number}"
        if target is None or not target.text:
            return str(Path(folder, usual))
        host, user = os.uname().nodename, os.environ.get("USER", "")
        told = directives.expand(target, job=number, name=name, user=user, host=host)
        chosen = Path(folder, told)
        return str(chosen / usual if told.endswith("/") or chosen.is_dir() else chosen)

    out, err = path(wish.stdout, "o"), path(wish.stderr, "e")
    return Job(
        id=number,
        token=token,
        folder=folder,
        script=str(script),
        name=name,
        cores=wish.cores,
        command=directives.interpreter(text, wish.shell, default),
        stdout=err if wish.join == "eo" else out,
        stderr=out if wish.join == "oe" else err,
        env=dict(os.environ),
        umask=umask,
        submitted=stamp(),
    )


def _ensure(spool: Spool, cores: int) -> None:
    from jobmon.localqueue import runner as running  # noqa: PLC0415

    try:
        running.ensure(spool, cores)
    except OSError as error:
        sys.stderr.write(f"jobmon localqueue: no runner yet ({error}); the next list tries again\n")


def _say(text: str) -> None:
    sys.stdout.buffer.write((text + "\n").encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
