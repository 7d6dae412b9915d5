"""``jobmon logs``: a job's output, from here once it has come home, else from the cluster.

While it runs, a link of its own is opened (no lock is taken) and asked for nothing but the names in
the job folder and the ends of the files.
"""

from __future__ import annotations

import codecs
import posixpath
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from jobmon.act.asked import Say
from jobmon.act.opened import link_to, settings_of
from jobmon.cluster.base import ConnectionLost, LookFailed
from jobmon.cluster.files import Files
from jobmon.cluster.links.login import Ask
from jobmon.core.life import Job, step
from jobmon.core.model import JobID, Key
from jobmon.core.text import clean, printable
from jobmon.run import journal, names
from jobmon.run.paths import Paths
from jobmon.show import outputs
from jobmon.show.read import view
from jobmon.show.select import one

PAUSES = (1.0, 10.0)
"""Seconds between two questions for what is new: at least, and at most where nothing comes."""

MOST = 65536
"""Bytes of a file asked for at once."""

Write = Callable[[str], None]


@dataclass(slots=True)
class Reader:
    """The output files of one job on the cluster, and how far each has been read."""

    source: Files
    folder: str
    patterns: Sequence[str]
    _read: dict[str, int] = field(default_factory=dict)
    _decoders: dict[str, codecs.IncrementalDecoder] = field(default_factory=dict)

    def new(self, jobid: JobID | None, lines: int) -> Iterator[tuple[str, str]]:
        """What has come since, file by file; of a file met for the first time its last ``lines``.

        Raises ClusterError.
        """
        for path in self._paths(jobid):
            first = path not in self._read
            piece = self.source.piece(path, self._read.get(path), MOST)
            if piece is None:
                continue
            self._read[path] = piece.start + len(piece.data)
            data = piece.data
            if first:
                end = b"\n" if data.endswith(b"\n") else b""
                data = b"\n".join(data.removesuffix(b"\n").split(b"\n")[-lines:]) + end
                self._decoders[path] = codecs.getincrementaldecoder("utf-8")("replace")
            if data or first:
                yield path, _plain(self._decoders[path].decode(data))

    def _paths(self, jobid: JobID | None) -> list[str]:
        below = outputs.folders(self.patterns)
        asked = [posixpath.normpath(posixpath.join(self.folder, folder)) for folder in below]
        found = self.source.names([folder if folder != "." else "" for folder in asked])
        files = [
            posixpath.join(folder, name)
            for folder, names_ in zip(below, found.values(), strict=False)
            for name in names_
        ]
        return [names.path(self.folder, n) for n in outputs.chosen(files, self.patterns, jobid)]


def logs(
    run: Path, word: str, *, lines: int, follow: bool, ask: Ask, say: Say, write: Write
) -> int:
    """Print the output of the one job that ``word`` means, as ``output`` does."""
    seen = view(run)
    job = seen.jobs[one(seen, word, "logs")]
    return output(run, job, lines=lines, follow=follow, ask=ask, say=say, write=write)


def output(
    run: Path,
    job: Job,
    *,
    lines: int,
    follow: bool,
    ask: Ask,
    say: Say,
    write: Write,
    wait: Callable[[float], object] = time.sleep,
) -> int:
    """Print the last lines of a job's output files; with ``follow`` all that comes, to its end.

    1 if there is no output. ``write`` prints text as it stands, ``say`` a line about it. ``wait``
    lets so many seconds pass, or raises what is to end it.
    """
    key = job.key
    if job.n == 0 and _jobid(job) is None:
        say(f"{printable(key)} has not run yet; 'jobmon explain' says what it waits for")
        return 1
    settings, identity = settings_of(run, {})
    patterns = outputs.patterns_of(run, key, identity.rdir)
    if not job.in_system and _from_here(run, key, patterns, _jobid(job), lines, say, write):
        return 0
    with closing(link_to(settings, ask)) as link:
        files = Files(link, identity.rdir, identity.id)
        reader = Reader(files, names.split(key)[0], patterns)
        if follow and job.in_system:
            return _follow(run, job, reader, lines, say, write, wait)
        shown = False
        for path, text in reader.new(_jobid(job), lines):
            _show(path, text, f" on {link.where}", say, write)
            shown = True
    if not shown:
        say(f"{printable(key)} has no output yet, neither here nor on {link.where}")
    return 0 if shown else 1


def _from_here(
    run: Path,
    key: Key,
    patterns: Sequence[str],
    jobid: JobID | None,
    lines: int,
    say: Say,
    write: Write,
) -> bool:
    """Print what has come home; whether any has."""
    found = outputs.here(run, key, patterns, jobid)
    for path in found:
        last = outputs.last_lines(run / path, lines, MOST)
        _show(path, _plain("".join(f"{line}\n" for line in last)), "", say, write)
    return bool(found)


def _follow(
    run: Path,
    job: Job,
    reader: Reader,
    lines: int,
    say: Say,
    write: Write,
    wait: Callable[[float], object],
) -> int:
    """Print what comes until the journal says that the job has ended."""
    path = Paths(run).journal
    told, offset = journal.follow(path, 0)
    job = journal.jobs_of(path, (e for e in told if e.key == job.key)).get(job.key, job)
    shown, trouble, pause = "", "", PAUSES[0]
    while True:
        events, offset = journal.follow(path, offset)
        for event in events:
            job = step(job, event) if event.key == job.key else job
        ended = not job.in_system
        came = False
        try:
            for name, text in reader.new(_jobid(job), lines):
                if name != shown:
                    _head(name, "", say)
                write(text)
                shown, came = name, True
            trouble = ""
        except (ConnectionLost, LookFailed) as error:
            if str(error) != trouble:
                say(f"{error}; it is tried again")
            trouble = str(error)
        if ended and not came and not trouble:
            why = f": {printable(job.why)}" if job.why else ""
            say(f"{printable(job.key)} {job.life}{why}")
            return 0
        pause = PAUSES[0] if came else min(PAUSES[1], pause * 1.5)
        wait(0 if ended else pause)


def _jobid(job: Job) -> JobID | None:
    """What the last attempt that had a job ID was called."""
    return next((e.jobid for e in reversed(job.history) if e.jobid is not None), None)


def _show(path: str, text: str, where: str, say: Say, write: Write) -> None:
    _head(path, where, say)
    write(text if text.endswith("\n") or not text else f"{text}\n")


def _head(path: str, where: str, say: Say) -> None:
    say(f"==> {printable(path)}{where} <==")


def _plain(text: str) -> str:
    """Fit for a terminal: no control codes but tabs and line ends."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "\t".join(map(clean, lines.split("\t")))
