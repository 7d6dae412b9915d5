"""Making a run folder: the copy of ``init/``, its placeholders filled in, its own files.

All of it is made aside and renamed into place: a start that is cut off leaves no half run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jobmon.act import flaws
from jobmon.core.text import printable
from jobmon.run import names, script, views
from jobmon.run.atomic import unused
from jobmon.run.paths import Paths
from jobmon.run.settings import Identity, Settings, header_text, write_run_file
from jobmon.run.synced import Stamp
from jobmon.run.tree import Parsed, read_plain
from jobmon.run.usage import UsageError

_HALF = ".jobmon-half"
"""How the names of what is being made end; such a name begins with a dot."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a run folder holds: how many jobs, what a person should know of, and its files as
    they are before anybody else can change them."""

    jobs: int
    warnings: tuple[str, ...]
    stamps: dict[str, Stamp]


def check(init: Path) -> dict[str, Parsed]:
    """Refuse a tree that cannot be run as it stands. Raises UsageError, naming file and line.

    What the dependency files ask for, by their paths in it.
    """
    parsed: dict[str, Parsed] = {}
    for found in flaws.refused(init, parsed):
        raise UsageError(found.words)
    return parsed


@dataclass(frozen=True, slots=True)
class Copying:
    """The copy of a project's ``init/`` that ``cp`` is making aside."""

    project: Path
    half: Path
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Raises UsageError if it was not copied whole."""
        _, errors = self.process.communicate()
        shutil.copystat(self.project / "init", self.half)
        if self.process.returncode != 0:
            said = errors.decode("utf-8", "replace").strip().split("\n")[0]
            raise UsageError(f"{printable(said)}; the run was not made")


@contextlib.contextmanager
def copying(project: Path) -> Iterator[Copying]:
    """Copy ``init/`` aside with its links, modes and times, while the caller goes on.

    By ``cp``, twice as quick as Python at it, some folders at a time by two of them. What was not
    made into a run is cleared away at the end. Raises UsageError.
    """
    init, half = project / "init", project / f".{secrets.token_hex(6)}{_HALF}"
    command = ["xargs", "-0", "-n", "200", "-P", "2", "sh", "-c"]
    command += ['[ $# = 0 ] || exec cp -RPp -- "$@" "$0"', str(half.absolute())]
    try:
        with _making(project), tempfile.TemporaryFile() as there:
            there.writelines(os.fsencode(f"{path.absolute()}\0") for path in init.iterdir())
            there.seek(0)
            half.mkdir()
            process = subprocess.Popen(  # noqa: S603 (names travel past the shell)
                command,
                stdin=there,
                stderr=subprocess.PIPE,
                env=os.environ | {"LC_ALL": "C"},
                start_new_session=True,
            )
            try:
                yield Copying(project, half, process)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                shutil.rmtree(half, ignore_errors=True)
    except OSError as error:
        raise UsageError(
            f"{error.filename or project}: {error.strerror}; the run was not made"
        ) from None


def make(
    copied: Copying, date: str, settings: Settings, identity: Identity
) -> tuple[Path, Checked]:
    """Make the run folder ``project/date``. Raises UsageError if it is there already."""
    run, half = copied.project / date, copied.half
    header = header_text(settings)
    copied.wait()
    found = _fill(half, settings, identity, header)
    paths = Paths(half)
    paths.hidden.mkdir(mode=0o700, exist_ok=True)
    write_run_file(paths.settings, settings, identity)
    paths.now.touch()
    paths.journal.touch()
    paths.quelist.write_text(views.print_quelist([]), "utf-8")
    write_kill(paths.kill)
    if run.exists():
        raise UsageError(f"{run} is there already; a run is never made onto another")
    half.rename(run)
    link_latest(copied.project, date)
    return run, found


@contextlib.contextmanager
def _making(project: Path) -> Iterator[None]:
    """Clear away what starts that were killed left behind, if nobody else is making a run."""
    fd = os.open(project / "init", os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # another is making one, or there is no flock here
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in project.glob(f".*{_HALF}"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def link_latest(project: Path, date: str) -> None:
    """Point ``latest`` to a run, whatever it pointed to; a real folder of that name stays.

    Raises UsageError.
    """
    latest = project / "latest"
    if latest.exists() and not latest.is_symlink():
        return
    half = project / f".latest.{secrets.token_hex(4)}{_HALF}"
    try:
        half.symlink_to(date)
        half.replace(latest)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise UsageError(
            f"{latest}: {error.strerror}; the run is made: 'jobmon --ldir "
            f"{shlex.quote(str(project / date))}' goes on with it"
        ) from None


def _fill(half: Path, settings: Settings, identity: Identity, header: str | None) -> Checked:
    """Replace the placeholders in every script; count the jobs, collect what to warn of."""
    jobs = 0
    warnings: list[str] = []
    stamps: dict[str, Stamp] = {}
    for folder, entries in flaws.walk(half):
        cwd = f"{identity.rdir}/{folder}" if folder else identity.rdir
        values = script.values(settings, cwd.rpartition("/")[2], cwd, header)
        for entry in entries:
            key = names.path(folder, entry.name)
            job_id = names.script_id(entry.name)
            if entry.is_dir():
                if entry.is_symlink():
                    warnings.append(flaws.of_link(key).words)
                continue
            if job_id is not None:
                jobs += 1
                filled = _fill_one(entry, values)
                warnings += [found.words for found in flaws.of_script(key, job_id, filled)]
            if names.part(entry.name) != names.Part.MARKER and entry.is_file():
                stamps[key] = Stamp.of(entry.stat())
    return Checked(jobs, tuple(warnings), stamps)


def _fill_one(entry: os.DirEntry[str], values: Mapping[str, str]) -> bytes:
    text = read_plain(entry.path)
    if entry.is_symlink():  # a script shared by folders; each needs its own
        path = Path(entry)
        mode = path.stat().st_mode & 0o777
        path.unlink()
        path.write_bytes(text)
        path.chmod(mode)
    filled = script.fill(text, values)
    if filled != text:
        Path(entry).write_bytes(filled)
    return filled


def aside(path: Path) -> Path:
    """Where a file is kept that must make room."""
    when = f"{datetime.now().astimezone():%Y%m%d_%H%M%S}"
    return unused(path.with_name(f"{path.name}.before.{when}"))


def write_kill(path: Path) -> None:
    """Write the run folder's own ``jobmon kill``."""
    python = shlex.quote(sys.executable)
    path.write_text(
        "#!/bin/sh\n"
        "# Deletes the jobs of this run from the batch system, and no others.\n"
        f'[ -x {python} ] && exec {python} -P -m jobmon kill --run "$(dirname "$0")" "$@"\n'
        'exec jobmon kill --run "$(dirname "$0")" "$@"\n',
        "utf-8",
    )
    path.chmod(0o755)
