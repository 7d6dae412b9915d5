"""Makes a job folder for each POSCAR: ``qsub.relax``, then ``qsub.static`` from its CONTCAR.

KPOINTS is written here, from the lattice, so that relaxation and static calculation have the same
mesh; POTCAR is put together on the cluster, where the licensed files are.
"""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path
from typing import Any

from jobmon.act.layout import one_line, write_job, write_settings
from jobmon.act.poscar import Poscar

RESULTS = ["OUTCAR", "OSZICAR", "CONTCAR", "vasprun.xml", "vasp.out", "DOSCAR", "EIGENVAL"]
INCARS = ("INCAR.relax", "INCAR.static")


def make(here: Path, project: Path, values: dict[str, Any]) -> None:
    poscars: list[Poscar] = values["poscar"]
    variants = read_variants(values["variants"], poscars)
    init = project / "init"
    init.mkdir()
    for name in INCARS:
        (init / name).write_bytes(incar(here, values["incars"], name))
    potcars = there(values["potcars"])
    binpath = one_line("binpath", values["binpath"])
    mpirun = one_line("mpirun", values["mpirun"])
    scripts = {step: (here / f"{step}.sh").read_text() for step in ("relax", "static")}
    for poscar in poscars:
        folder = init / poscar.name
        if folder.exists():
            raise ValueError(f"--poscar: {poscar.name} will not do as a folder's name here")
        folder.mkdir()
        (folder / "POSCAR").write_bytes(poscar.data)
        (folder / "KPOINTS").write_text(kpoints(poscar, values["kspacing"]))
        for step, script in scripts.items():
            filled = script.replace("@LINES@", str(lines(poscar)))
            elements = [variants.get(symbol, symbol) for symbol in poscar.symbols]
            filled = filled.replace("@ELEMENTS@", " ".join(elements)).replace("@POTCARS@", potcars)
            needs = ["qsub.finished.relax"] if step == "static" else []
            write_job(folder, step, filled.replace("@MPIRUN@", mpirun), needs)
    write_settings(here, project, values, {"binpath": binpath, "results": RESULTS})


def read_variants(text: str, poscars: list[Poscar]) -> dict[str, str]:
    """``Ga=Ga_d,Li=Li_sv`` by element; each must be in a POSCAR. Raises ValueError."""
    found = {}
    present = {symbol for poscar in poscars for symbol in poscar.symbols}
    for part in filter(None, text.split(",")):
        element, _, name = part.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9._]+", name) or element in found:
            raise ValueError(f"variants: {part!r}: element=folder is wanted, each element once")
        if element not in present:
            raise ValueError(f"variants: {element!r} is in none of the POSCAR files")
        found[element] = name
    return found


def incar(here: Path, folder: str, name: str) -> bytes:
    path = Path(folder).expanduser() / name if folder else here / name
    try:
        return path.read_bytes()
    except OSError as err:
        raise ValueError(f"incars: {path} cannot be read ({err.strerror})") from err


def lines(poscar: Poscar) -> int:
    """How many lines a whole CONTCAR of it has at least."""
    selective = poscar.data.split(b"\n")[7].lstrip()[:1] in {b"S", b"s"}
    return 8 + selective + sum(poscar.counts)


def there(folder: str) -> str:
    """A folder on the cluster as a shell's word; ``~/`` is the home folder there."""
    one_line("potcars", folder)
    if folder.startswith("~/"):
        return '"$HOME"/' + shlex.quote(folder[2:])
    if not folder.startswith("/"):
        raise ValueError(f"potcars={folder}: an absolute path on the cluster is wanted, or ~/…")
    return shlex.quote(folder)


def kpoints(poscar: Poscar, spacing: float) -> str:
    """A mesh around Gamma: max(1, |b| / spacing), rounded up (VASP wiki, KSPACING)."""
    mesh = [max(1, math.ceil(b / spacing - 1e-9)) for b in reciprocal(lattice(poscar.data))]
    return f"kspacing {spacing:g}\n0\nGamma\n{mesh[0]} {mesh[1]} {mesh[2]}\n0 0 0\n"


def lattice(data: bytes) -> list[list[float]]:
    """The vectors of a POSCAR, in Å. A scale below 0 is the volume; three are for x, y and z."""
    lines = [line.split() for line in data.decode("utf-8", "replace").split("\n")[1:5]]
    scale = numbers(lines[0])
    vectors = [numbers(line) for line in lines[1:]]
    if len(scale) == 3:
        return [[s * x for s, x in zip(scale, v, strict=True)] for v in vectors]
    factor = scale[0]
    if factor < 0:
        factor = (-factor / abs(dot(vectors[0], cross(vectors[1], vectors[2])))) ** (1 / 3)
    return [[factor * x for x in v] for v in vectors]


def numbers(words: list[str]) -> list[float]:
    """Three numbers, or the one that there is; the file was checked when it was read."""
    found = []
    for word in words[:3]:
        try:
            found.append(float(re.sub("[dD]", "e", word)))
        except ValueError:
            break
    return found if len(found) == 3 else found[:1]


def reciprocal(a: list[list[float]]) -> list[float]:
    """The lengths of the reciprocal vectors, with 2π."""
    volume = abs(dot(a[0], cross(a[1], a[2])))
    return [
        2 * math.pi * math.hypot(*cross(a[i], a[j])) / volume for i, j in ((1, 2), (2, 0), (0, 1))
    ]


def cross(a: list[float], b: list[float]) -> list[float]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
