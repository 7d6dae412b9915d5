"""Files travel by rsync, through whatever link there is.

Flags are those that rsync 3 and macOS's own rsync both have. What comes home ends in a folder
aside, and what of it may go further is not rsync's to say (``landing.py``).
It is given no path to quote: here it runs in the run folder, and over there its ``sh`` first
enters the twin, whose name travels as octal numbers past any login shell, and prints a mark: what
that shell prints unasked is dropped up to it by the link.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from jobmon.cluster import landing
from jobmon.cluster.base import ClusterError, ConnectionLost, Link, Spent
from jobmon.cluster.links.tally import Tally
from jobmon.cluster.transfer import MAX_SIZE, Wanted, rules
from jobmon.core.site import Site
from jobmon.core.text import printable

LOST = {5, 10, 12, 30, 35, 255}  # rsync's exit codes for a connection that failed or hung
PARTLY = {23, 24}  # some files could not be read, or vanished meanwhile


class Rsync:
    """rsync over a link."""

    def __init__(
        self, link: Link, run: Path, twin: str, ours: Sequence[str], site: Site | None = None
    ) -> None:
        self._link = link
        self._site = site or Site()
        self._run = run
        self._twin = twin
        self._ours = ours
        self._pulling: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._tally = Tally()

    def push_tree(self, ours: Sequence[str]) -> None:
        excludes = [f"--exclude=/{pattern}" for pattern in ours]
        # Nobody reads the tree yet, and a rename for each of its files would cost a fifth more.
        self._push(["-rlpt", "--inplace", *excludes], None)

    def push(self, files: Sequence[str]) -> None:
        self._push(["-lpt", "--from0", "--files-from=-"], _names(files))

    def _push(self, flags: list[str], names: bytes | None) -> None:
        """What did not get there must not count as pushed: a job would run without it."""
        trouble = self._rsync(flags, "./", names, up=True)
        if trouble:
            raise ClusterError(f"not all was pushed to {self._link.where}: {trouble}")

    def pull(self, wanted: Wanted) -> str:
        limit = [] if wanted.results else [f"--max-size={MAX_SIZE}"]
        with tempfile.NamedTemporaryFile(prefix="jobmon") as filters:
            for rule in rules(wanted, self._ours):
                # --from0 holds for the lines of this file too
                filters.write(os.fsencode(f"{'+' if rule.include else '-'} {rule.pattern}\0"))
            filters.flush()
            landing.prepare(self._run)
            return self._rsync(
                [
                    *["-rt", "--from0", "--files-from=-", f"--compare-dest={landing.HOME}", *limit],
                    f"--filter=merge {filters.name}",
                ],
                f"{landing.ASIDE}/",
                _names(f"{folder}/" if folder else "" for folder in wanted.folders),
                up=False,
            )

    def spent(self) -> Spent:
        """As rsync itself counts; of one that failed nothing is known."""
        return self._tally.spent()

    def stop(self) -> None:
        self._stopped.set()
        process = self._pulling
        if process is not None:
            _end(process)

    def _rsync(self, flags: list[str], here: str, names: bytes | None, *, up: bool) -> str:
        mark = "jm" + secrets.token_hex(8)
        shell = self._link.rsync_shell(mark)
        if shell is None:
            raise ValueError("this link has no rsync shell; use Copy")
        words, host = shell
        there = f"exec /bin/sh -c '{_there(self._twin, mark, self._site)}' rsync"
        command = ["rsync", "--timeout=60", "--stats", *flags, f"--rsync-path={there}"]
        command += ["-e", shlex.join(words)]
        command += [here, f"{host}./"] if up else [f"{host}./", here]
        try:
            with subprocess.Popen(  # noqa: S603 (no shell; names travel on stdin)
                command,
                cwd=self._run,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            ) as process:
                if not up:
                    self._pulling = process
                if self._stopped.is_set():
                    _end(process)
                out, err = process.communicate(names)
        except FileNotFoundError:
            raise ClusterError("rsync is not installed on this machine; install it") from None
        finally:
            self._pulling = None
        self._tally.add(_told(out))
        return self._judge(process.returncode, err)

    def _judge(self, code: int, err: bytes) -> str:
        said = printable(err[-600:])
        if code == 0:
            return ""
        if code in PARTLY:
            return said or f"rsync ended with exit code {code} and said nothing"
        if code in LOST or code < 0 or code == 20:
            raise ConnectionLost(f"rsync with {self._link.where} broke off ({code}): {said}")
        raise ClusterError(f"rsync with {self._link.where} failed ({code}): {said}")


def _there(twin: str, mark: str, site: Site) -> str:
    """What /bin/sh does over there, without a quote for the login shell to stumble over."""
    before, call = "", 'exec rsync "$@"'
    if site.prologue:
        before = f'eval "{_octal(site.prologue)}" </dev/null >/dev/null 2>&1; '
    if "rsync" in site.commands:
        call = f'eval "exec {_octal(shlex.join(site.commands["rsync"]))} \\"\\$@\\""'
    return f'{before}cd "{_octal(twin)}" && printf %s {mark} && {call}'


def _octal(text: str) -> str:
    digits = "".join(f"\\{byte:03o}" for byte in os.fsencode(text))
    return f'$(printf "{digits}")'


def _end(process: subprocess.Popen[bytes]) -> None:
    """End rsync with its remote shell, which would hold the pipes open."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)


def _told(stats: bytes) -> Spent:
    """The bytes that ``--stats`` tells, whatever it puts between thousands."""
    total = {
        found[1]: int(re.sub(rb"[^0-9]", b"", found[2]))
        for found in re.finditer(rb"^Total bytes (sent|received): ([0-9][0-9,.]*)", stats, re.M)
    }
    return Spent(sent=total.get(b"sent", 0), received=total.get(b"received", 0))


def _names(files: Iterable[str]) -> bytes:
    """Names for --files-from; without ``./`` one that begins with # or ; would be a comment."""
    return b"".join(b"./" + os.fsencode(name) + b"\0" for name in files)
