"""Reading POSCAR files for ``jobmon init --poscar``: what a job folder is called, and whether
the file can be a structure at all.

The name is what stands behind ``POSCAR.``, ``POSCAR_`` or ``POSCAR-`` (or CONTCAR), whole, dots
and all; of a plain POSCAR the folder that it lies in; of any other file its name without
``.vasp`` or ``.poscar``. What is wrong is said with file and line, as a UsageError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobmon.run.tree import is_ours
from jobmon.run.usage import UsageError

_PREFIXED = re.compile(r"(?:POSCAR|CONTCAR)[._-](.*)", re.DOTALL)
_SUFFIX = re.compile(r"\.(?:vasp|poscar)\Z", re.IGNORECASE)
_SYMBOL = re.compile(r"([A-Z][a-z]?)(?:[_/]\S*)?\Z")  # VASP writes Fe_pv, and Fe/1c8d… since 6
_COUNTS = re.compile(r"\s*[0-9]+(\s+[0-9]+)*\s*(?:[!#].*)?")


@dataclass(frozen=True, slots=True)
class Poscar:
    """A structure: its file, the job folder's name, the file's bytes, and what is in it.

    ``symbols`` are chemical symbols in the file's order (one element may stand twice), ``counts``
    how many atoms there are of each.
    """

    path: Path
    name: str
    data: bytes
    symbols: tuple[str, ...]
    counts: tuple[int, ...]


def read_poscars(paths: Sequence[Path]) -> list[Poscar]:
    """Read ``paths``, in their order. Raises UsageError, also where two have the same name."""
    read: list[Poscar] = []
    by_name: dict[str, Path] = {}
    for path in paths:
        poscar = _read(path)
        if poscar.name in by_name:
            raise UsageError(
                f"{path}: its job folder would be called {poscar.name!r}, as that of "
                f"{by_name[poscar.name]}; rename one of the files"
            )
        by_name[poscar.name] = path
        read.append(poscar)
    return read


def folder_name(path: Path) -> str:
    """What the job folder of the POSCAR file ``path`` is called. Raises UsageError."""
    prefixed = _PREFIXED.fullmatch(path.name)
    if path.name in {"POSCAR", "CONTCAR"}:
        name = path.absolute().parent.resolve().name
    else:
        name = _SUFFIX.sub("", prefixed[1] if prefixed else path.name)
    refused = name.startswith((".", "-", "qsub.")) or is_ours(name) or not name.isprintable()
    if not name or refused:
        raise UsageError(
            f"{path}: {name!r} will not do as the name of a job folder; rename the file to "
            "POSCAR.NAME"
        )
    return name


def _read(path: Path) -> Poscar:
    try:
        data = path.read_bytes().replace(b"\r\n", b"\n")
    except OSError as err:
        raise UsageError(
            f"{path}: cannot be read ({err.strerror}); name POSCAR files behind --poscar"
        ) from err
    name = folder_name(path)
    lines = data.decode("utf-8", "replace").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    try:
        symbols, counts = _structure(lines)
    except _Wrong as err:
        raise UsageError(
            f"{path}, line {err.line}: {err}; it is no POSCAR with symbols of the elements"
        ) from err
    return Poscar(path, name, data, symbols, counts)


class _Wrong(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


def _structure(lines: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The symbols and counts of a POSCAR as VASP 5 and 6 read it: a comment, a scale (or three),
    three vectors, symbols, counts, perhaps ``Selective dynamics``, the kind of coordinates, and
    a line for each atom. What follows (velocities) is not looked at.
    """
    scale = _numbers(lines, 2, 1, "a scale")
    if len(scale) not in {1, 3} or 0 in scale:
        raise _Wrong(2, "a scale, or three of them, is wanted, and not 0")
    vectors = [_numbers(lines, n, 3, "a vector of three numbers") for n in (3, 4, 5)]
    if abs(_volume(vectors)) < 1e-12:
        raise _Wrong(5, "the three vectors span no volume")
    if _COUNTS.fullmatch(_line(lines, 6)):
        raise _Wrong(6, "the symbols of the elements are wanted (VASP 4 left them out)")
    symbols = [_SYMBOL.match(word) for word in _words(lines, 6)]
    found = tuple(match[1] for match in symbols if match)
    if not found or len(found) < len(symbols):
        raise _Wrong(6, "the symbols of the elements are wanted")
    if not _COUNTS.fullmatch(_line(lines, 7)):
        raise _Wrong(7, "how many atoms there are of each element is wanted")
    counts = tuple(int(word) for word in _words(lines, 7))
    if len(counts) != len(found) or 0 in counts:
        raise _Wrong(7, f"a number of atoms, 1 or more, for each of {' '.join(found)} is wanted")
    kind = 9 if _line(lines, 8).strip()[:1] in {"S", "s"} else 8
    if _line(lines, kind).strip()[:1].lower() not in {"d", "c", "k"}:
        raise _Wrong(kind, "Direct or Cartesian is wanted")
    for n in range(kind + 1, kind + 1 + sum(counts)):
        _numbers(lines, n, 3, f"a position is wanted, of {sum(counts)} in all: three numbers")
    return found, counts


def _line(lines: Sequence[str], n: int) -> str:
    """Line ``n``, from 1 on. The last one there is, is named where the file ends before."""
    if n > len(lines):
        raise _Wrong(max(1, len(lines)), f"the file ends here, before line {n}")
    return lines[n - 1]


def _words(lines: Sequence[str], n: int) -> list[str]:
    return re.split(r"[!#]", _line(lines, n))[0].split()


def _numbers(lines: Sequence[str], n: int, least: int, what: str) -> list[float]:
    """The numbers that line ``n`` begins with: ``least`` of them or more."""
    found: list[float] = []
    for word in _line(lines, n).split()[:3]:
        try:
            found.append(float(re.sub("[dD]", "e", word)))  # Fortran's exponents
        except ValueError:
            break
    if len(found) < least or not all(map(math.isfinite, found)):
        raise _Wrong(n, what if "wanted" in what else f"{what} is wanted")
    return found


def _volume(v: Sequence[Sequence[float]]) -> float:
    (a, b, c), (d, e, f), (g, h, i) = (row[:3] for row in v)
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
