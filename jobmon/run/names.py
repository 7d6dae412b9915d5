"""What jobs, their files and their times are called, and how names stand in a line of text.

A name is written as it is, in any script, except for white space, ``%``, control and other
invisible characters (Unicode Z* and C*, bytes that are no UTF-8 among them) and a leading
``#``: those are percent-encoded, byte by byte. A written name therefore never holds a space.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from jobmon.core.model import JobID, Key

ID = re.compile(r"[A-Za-z0-9_-]+")
RESERVED = frozenset({"dependency", "finished", "now", "log"})


class Part(StrEnum):
    """The files that a job is made of, as their names begin."""

    SCRIPT = "qsub."
    DEPENDENCY = "qsub.dependency."
    MARKER = "qsub.finished."


_HEX = re.compile(rb"%([0-9A-Fa-f]{2})?")
_ASTRAY = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|\0")  # a step that is empty, "." or ".."
_NUMBER = re.compile(r"([0-9]+)")


class BadFile(Exception):
    """A file of the run folder holds a line that cannot be read.

    ``what`` says what is wrong, ``way_out`` what the person can do.
    """

    def __init__(self, path: Path, line_no: int, what: str, way_out: str) -> None:
        super().__init__(f"{path}, line {line_no}: {what}; {way_out}")
        self.path = path
        self.line_no = line_no
        self.what = what
        self.way_out = way_out


# --- quoting -------------------------------------------------------------------------------


def encode(text: str) -> str:
    """``text`` as one word of a line. Raises ValueError for what no file name can hold."""
    if text.isprintable() and not text.startswith("#") and " " not in text and "%" not in text:
        return text
    out = [c if c.isprintable() and c not in " %" else _percent(c) for c in text]
    if out[0] == "#":
        out[0] = "%23"
    return "".join(out)


def decode(text: str) -> str:
    """What was written as ``text``. Raises ValueError for what ``encode`` never writes."""
    if text.isprintable() and " " not in text:
        if "%" not in text:
            return text
    elif any(c.isspace() or c < " " or c == "\x7f" for c in text):
        raise ValueError(f"{text!r} holds white space or control characters")
    raw = text.encode("utf-8")  # strict: raw bytes that are no UTF-8 end here, as a ValueError
    return _HEX.sub(_byte, raw).decode("utf-8", "surrogateescape")


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


def _byte(match: re.Match[bytes]) -> bytes:
    if not match[1]:
        raise ValueError(f"{match.string.decode()!r}: '%' is not followed by two hex digits")
    return bytes([int(match[1], 16)])


def encode_jobid(jobid: JobID | None) -> str:
    """A job ID as one word, ``-`` for none. Raises ValueError for an empty one."""
    if jobid is None:
        return "-"
    if not jobid:
        raise ValueError("a job ID cannot be empty")
    return "%2D" if jobid == "-" else encode(jobid)


def decode_jobid(text: str) -> JobID | None:
    """The job ID of a word, None for ``-``. Raises ValueError."""
    if text == "-":
        return None
    if not text:
        raise ValueError("the job ID is missing")
    return JobID(decode(text))


def check_name(name: str) -> None:
    """Raise ValueError, in words for the person, for a file name that jobmon cannot take."""
    if "\n" in name:
        raise ValueError(f"the name {name!r} holds a newline; rename it")


# --- jobs and their files ------------------------------------------------------------------


def is_id(text: str) -> bool:
    return ID.fullmatch(text) is not None and text not in RESERVED


def part(name: str) -> Part | None:
    """Which part of a job a file is, by its name; None for any other file."""
    return _read(name)[0]


def script_id(name: str) -> str | None:
    """The id of a script by its file name: ``qsub.0`` -> ``0``; None for any other file."""
    what, job_id = _read(name)
    return job_id if what is Part.SCRIPT else None


def dependency_id(name: str) -> str | None:
    """The id of a dependency file by its file name: ``qsub.dependency.0`` -> ``0``, else None."""
    what, job_id = _read(name)
    return job_id if what is Part.DEPENDENCY else None


def marker_id(name: str) -> str | None:
    """The id of a marker by its file name: ``qsub.finished.0`` -> ``0``, else None."""
    what, job_id = _read(name)
    return job_id if what is Part.MARKER else None


def script_name(job_id: str) -> str:
    return Part.SCRIPT + job_id


def dependency_name(job_id: str) -> str:
    return Part.DEPENDENCY + job_id


def marker_name(job_id: str) -> str:
    return Part.MARKER + job_id


def key(folder: str, job_id: str) -> Key:
    """The key of a job; ``folder`` is relative to the run folder, ``""`` the run folder itself."""
    return Key(path(folder, script_name(job_id)))


def split(of: Key) -> tuple[str, str]:
    """(folder, id) of a key. Raises ValueError for what is no key."""
    folder, _, name = of.rpartition("/")
    job_id = script_id(name)
    if job_id is None:
        raise ValueError(f"{of!r} names no script qsub.ID")
    return folder, job_id


def marker(of: Key) -> str:
    """The path of a job's marker, relative to the run folder."""
    folder, job_id = split(of)
    return path(folder, marker_name(job_id))


def dependency(of: Key) -> str:
    """The path of a job's dependency file, relative to the run folder."""
    folder, job_id = split(of)
    return path(folder, dependency_name(job_id))


def marker_key(path: str) -> Key | None:
    """The job that makes the marker ``path`` (relative to the run folder); None for no marker."""
    folder, _, name = path.rpartition("/")
    job_id = marker_id(name)
    return None if job_id is None else key(folder, job_id)


def check_key(of: Key) -> None:
    """Raise ValueError for what could not name a job of the run."""
    split(of)
    check_name(of)
    if _ASTRAY.search(of):
        raise ValueError(f"{of!r} is no path inside the run folder")


def read_key(text: str) -> Key:
    """The key written as the word ``text``; ValueError for one that could not name a job here."""
    of = Key(sys.intern(decode(text)))  # a key comes many times; keep it once
    check_key(of)
    return of


@lru_cache(maxsize=4096)  # folders are many, the names in them few
def natural(text: str) -> tuple[tuple[object, ...], str]:
    """Sorts ids as people count: 1, 2, 10, a1, a2, a10."""
    parts: list[object] = []
    for i, part in enumerate(_NUMBER.split(text)):  # text and digits take turns: like meets like
        bare = part.lstrip("0") if i % 2 else ""
        parts.append((len(bare), bare) if i % 2 else part)
    return tuple(parts), text


@lru_cache(maxsize=4096)  # of those in the batch system, which are sorted again and again
def order(of: Key) -> tuple[object, ...]:
    """Sorts keys folder by folder, each as people count."""
    return tuple(natural(part) for part in of.split("/"))


@lru_cache(maxsize=4096)  # folders are many, the names in them few
def _read(name: str) -> tuple[Part | None, str]:
    for what in (Part.MARKER, Part.DEPENDENCY, Part.SCRIPT):
        rest = name.removeprefix(what)
        if rest != name and is_id(rest):
            return what, rest
    return None, ""


def path(folder: str, name: str) -> str:
    """The path of a file, relative to the run folder as ``folder`` is."""
    return f"{folder}/{name}" if folder else name


# --- times ---------------------------------------------------------------------------------


def stamp(at: datetime) -> str:
    """``2026-11-20T17:31:02+09:00``: whole seconds with the offset. Raises ValueError without."""
    if at.tzinfo is None:
        raise ValueError("a time without an offset cannot be written down")
    return at.isoformat(timespec="seconds")


@lru_cache(maxsize=1024)  # the events of one cycle share their time
def parse_stamp(text: str) -> datetime:
    """The time written as ``text``. Raises ValueError for any other form."""
    try:
        at = datetime.fromisoformat(text)
        if stamp(at) == text:
            return at
    except ValueError:
        pass
    raise ValueError(f"{text!r} is no time like 2026-11-20T17:31:02+09:00")
