"""The command line: ``python -m jobmon.localqueue submit|list|show|find|delete``.

Answers that a program reads have a first line that names them and a last line ``end N``, N the
number of entries between, so that half an answer can be told. Exit 1: refused, or unknown;
2: nothing was done; 3: it can't be said whether it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

if not __package__:  # called by its path, under -I: put this copy of the package in reach
    _ROOT = str(Path(__file__).resolve().parents[2])
    sys.path.insert(0, _ROOT)
    import jobmon.localqueue  # noqa: F401

    sys.path.remove(_ROOT)  # its neighbours shall not shadow the standard library

from jobmon.localqueue import commands
from jobmon.localqueue.place import QueueError, core_limit, program, state_folder
from jobmon.localqueue.spool import Spool

USAGE = """\
usage: python -m jobmon.localqueue [--state DIR] [--cores N] COMMAND
  submit [--token T] SCRIPT   put a batch script of this folder into the queue
  list                        the jobs that wait or run
  show ID...                  what is known of these jobs
  find                        the tokens and IDs of all jobs still known
  delete ID...                end these jobs, and all their processes
The state is in $JOBMON_LOCALQUEUE, else ~/.local/state/jobmon/localqueue/HOST; the cores are
this machine's, or $JOBMON_LOCALQUEUE_CORES.
"""


class _UsageError(QueueError):
    pass


def main(argv: Sequence[str]) -> int:
    """Run one command; its exit code."""
    words = list(argv)
    try:
        return _dispatch(words)
    except QueueError as error:
        tail = f"\n{USAGE}" if isinstance(error, _UsageError) else ""
        return _fail(f"not done: {error}{tail}", 2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"unclear: {where}{error.strerror or error}: see whether it was done", 3)
    except KeyboardInterrupt:
        return _fail("unclear: interrupted", 3)


def _dispatch(words: list[str]) -> int:
    state, cores = _take(words, "--state"), _take(words, "--cores")
    if words[:1] in (["--help"], ["-h"]):
        sys.stdout.write(USAGE)
        return 0
    verb = words.pop(0) if words else ""
    if state is None:
        state, cores = _take(words, "--state"), cores or _take(words, "--cores")
    environ = dict(os.environ)
    if state:
        environ["JOBMON_LOCALQUEUE"] = state
    if cores:
        environ["JOBMON_LOCALQUEUE_CORES"] = cores
    token = _take(words, "--token") if verb == "submit" else None
    if words[:1] == ["--"]:
        del words[0]
    run = _command(verb, words, token or "")
    return run(Spool(state_folder(environ)), core_limit(environ))


def _command(verb: str, words: list[str], token: str) -> Callable[[Spool, int], int]:
    """What to do; Raises _UsageError."""
    if verb == "submit" and len(words) == 1:
        return lambda spool, cores: commands.submit(spool, cores, words[0], token)
    if verb in ("list", "find") and not words:
        return {"list": commands.list_, "find": commands.find}[verb]
    if verb in ("show", "delete") and words:
        ask = {"show": commands.show, "delete": commands.delete}[verb]
        return lambda spool, cores: ask(spool, cores, words)
    if verb == "runner" and not words:
        return commands.runner
    if verb == "shepherd" and len(words) == 1 and words[0].isdigit():
        return lambda spool, _: commands.shepherd(spool, int(words[0]))
    raise _UsageError(f"'{' '.join([verb, *words])}' is no command of the local queue")


def _take(words: list[str], option: str) -> str | None:
    """Take ``option VALUE`` off the front of ``words``."""
    if words[:1] == [option] and len(words) > 1:
        value = words[1]
        del words[:2]
        return value
    return None


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"jobmon localqueue: {text}\n")
    return code


if __name__ == "__main__":
    if sys.getfilesystemencoding() != "utf-8":  # file names are kept in one encoding
        os.execv(sys.executable, [*program(), *sys.argv[1:]])  # noqa: S606 (itself)
    code = main(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:
        code = code or 3
    os._exit(code)
