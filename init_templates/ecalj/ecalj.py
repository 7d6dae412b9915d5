"""What the templates ecalj-lda and ecalj-qsgw share: the scripts of a material, put together from
the parts in this folder, its POSCAR in the form that ecalj's vasp2ctrl reads, headers, settings.

Facts about ecalj are those of its manual and sources of October 2025; docs/templates-ecalj.md says
which.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jobmon.act.layout import time_limit, write_headers
from jobmon.act.poscar import Poscar
from jobmon.run.usage import UsageError

FUNCTIONALS = ("vwn", "pbe", "bh")

SETTINGS = """\
# The settings of this project; a flag of jobmon wins over this file.
# remote: alice@login.cluster.example
# rdir: ecalj                # the folder there under which the run takes place
# binpath: /home/alice/bin   # the folder there with ecalj's lmf, gwsc, ctrlgenM1.py, …
qsubheader: headers/{scheduler}.sh
maxqsub: 4                   # jobs in the batch system at once
maxcore: 16                  # MPI processes of a job
placeholders:
  walltime: "{walltime}"       # the longest time of a job

# What comes home: gaps, bands, densities of states, logs and inputs. Densities (rst.*),
# self-energies (sigm) and whatever lies in subfolders stay on the cluster.
results:
{results}"""

RESULTS = (
    *("gap.*", "bnd*.spin*", "bandplot.*", "syml.*", "dos*.tot.*", "tdos.*", "save.*"),
    *("ctrl.*", "efermi.lmf", "l*"),
)
QSGW_RESULTS = ("QPU*", "QPD*", "GWinput")


def make(here: Path, project: Path, values: dict[str, Any], iterations: int = 0) -> None:
    """Write the project. Raises ValueError for a setting, UsageError for a POSCAR that won't do."""
    check(values)
    iterated = [["first", "qsgw"], *[["next", "qsgw"]] * (iterations - 1)]
    jobs = [["lda", "start"], *iterated, ["bands"]] if iterations else [["lda"], ["bands"]]
    for poscar in values["poscar"]:
        folder = project / "init" / poscar.name
        folder.mkdir(parents=True)
        (folder / "POSCAR").write_bytes(for_vasp2ctrl(poscar))
        for id, parts in enumerate(jobs):  # iteration n is qsub.n
            text = "".join(
                (here.parent / "ecalj" / f"{part}.sh").read_text()
                for part in ("head", *parts, "tail")
            )
            words = values | {"name": system_name(poscar.name), "id": id, "n": id}
            words |= {"niter": iterations, "before": id - 1}
            needs = f"qsub.finished.{id - 1}\n" if id else ""
            (folder / f"qsub.{id}").write_text(filled(text, words))
            (folder / f"qsub.dependency.{id}").write_text(needs)
    write_headers(here, project)
    results = RESULTS + (QSGW_RESULTS if iterations else ())
    patterns = "".join(f'  - "/{pattern}"\n' for pattern in results)
    (project / "jobmon.yaml").write_text(
        SETTINGS.format(
            scheduler=values["scheduler"], walltime=values["walltime"], results=patterns
        )
    )


def check(values: dict[str, Any]) -> None:
    if values["xcfun"] not in FUNCTIONALS:
        raise ValueError(f"xcfun: one of {', '.join(FUNCTIONALS)} is wanted")
    if values["nspin"] not in {1, 2}:
        raise ValueError("nspin: 1 or 2 is wanted")
    time_limit(values["walltime"])
    if values.get("nkgw", 0) > values["nk"]:
        raise ValueError(f"nkgw: a mesh no finer than that of lmf is wanted, nk={values['nk']}")


def filled(text: str, words: dict[str, Any]) -> str:
    """``text`` with each @NAME@ replaced by the word of that name."""
    return re.sub(r"@([A-Z]+)@", lambda match: str(words[match[1].lower()]), text)


def system_name(folder: str) -> str:
    """What ecalj calls the material: the folder's name in letters that its scripts can bear.

    They hand it to a shell unquoted, delete ``*.tmp``, take a leading ``ctrl.`` away wherever it
    stands, and Fortran keeps 120 bytes of it.
    """
    name = re.sub(r"[^A-Za-z0-9-]+", "_", folder).strip("_-")[:60]
    return name.replace("ctrl", "ct") if name not in {"", "tmp", "tmp2"} else "crystal"


def for_vasp2ctrl(poscar: Poscar) -> bytes:
    """The POSCAR as vasp2ctrl reads it: plain symbols, and the kind of coordinates in line 8.

    It would take the line ``Selective dynamics`` for that, and a negative scale (a volume) for a
    length. Raises UsageError for what cannot be written so.
    """
    lines = poscar.data.decode("utf-8", "surrogateescape").split("\n")
    scale = lines[1].split()
    if scale[0].startswith("-") or re.match(r"[-+.0-9]", "".join(scale[1:2])):
        raise UsageError(
            f"{poscar.path}, line 2: ecalj's vasp2ctrl takes one positive scale only; write the "
            "vectors with that"
        )
    head = [*lines[:5], " ".join(poscar.symbols), " ".join(map(str, poscar.counts))]
    at = 8 if lines[7].strip()[:1] in {"S", "s"} else 7
    kind = "Direct" if lines[at].strip()[:1] in {"D", "d"} else "Cartesian"
    atoms = lines[at + 1 : at + 1 + sum(poscar.counts)]
    return "\n".join([*head, kind, *atoms, ""]).encode("utf-8", "surrogateescape")
