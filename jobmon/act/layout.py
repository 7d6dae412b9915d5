"""What the ``make.py`` of several templates share: a job's two files, headers, ``jobmon.yaml``.

A project gets a header for each batch system (``init_templates/headers/``) in ``headers/``, and
``jobmon.yaml`` names the one that ``__HEADER__`` of the scripts stands for.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jobmon.run.tree import is_ours

LONGEST = 200
"""Characters of a job folder's name; file systems take 255 bytes."""


def write_job(folder: Path, id: str, script: str, needs: Iterable[str] = ()) -> None:
    """Put ``qsub.{id}`` and its dependency file, a need a line, into ``folder``."""
    (folder / f"qsub.{id}").write_text(script, encoding="utf-8")
    (folder / f"qsub.dependency.{id}").write_text(
        "".join(f"{need}\n" for need in needs), encoding="utf-8"
    )


def write_settings(
    here: Path, project: Path, values: Mapping[str, object], more: Mapping[str, object]
) -> None:
    """Put ``headers/`` and ``jobmon.yaml`` into ``project``.

    ``values`` are the template's: ``scheduler`` (``local``, or the name of a header), ``cores``
    and ``walltime`` (hours:minutes:seconds). ``more`` are further settings. Raises ValueError.
    """
    scheduler = str(values["scheduler"])
    walltime = time_limit(values["walltime"])
    write_headers(here, project)
    header = "slurm" if scheduler == "local" else scheduler
    lines = ["# The settings of this project; a flag of jobmon wins over this file."]
    if scheduler == "local":
        lines += [
            "remote: local      # or [user@]host[:port], with an rdir: the folder for runs there",
            "scheduler: local   # this machine's own queue; elsewhere take this line out",
            "interval: 1        # s; this one, too",
        ]
    else:
        lines += [
            "# remote: you@login.cluster.example",
            "# rdir: runs        # the folder for runs there",
        ]
    lines.append(f"qsubheader: headers/{header}.sh   # what __HEADER__ stands for: edit it")
    settings = {"maxcore": values["cores"], **more, "placeholders": {"walltime": walltime}}
    # JSON is YAML, so that any text is quoted as it must be.
    lines += [f"{name}: {json.dumps(it, ensure_ascii=False)}" for name, it in settings.items()]
    (project / "jobmon.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_headers(here: Path, project: Path) -> None:
    """Put a header for each batch system into ``headers/`` of ``project``."""
    shutil.copytree(here.parent / "headers", project / "headers")


def time_limit(text: object) -> str:
    """``text``, if it is hours:minutes:seconds, which all batch systems know. Raises ValueError."""
    if not re.fullmatch(r"[0-9]+:[0-5][0-9]:[0-5][0-9]", str(text)):
        raise ValueError(f"walltime: hours:minutes:seconds is wanted, as in 1:00:00, not {text}")
    return str(text)


def folder_names(setting: str, names: Sequence[str]) -> Sequence[str]:
    """``names``, if all of them will do for job folders. Raises ValueError."""
    seen: set[str] = set()
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
            raise ValueError(
                f"{setting}: {name!r} will not do as a folder's name; "
                "letters, digits and . _ + - are wanted, a letter or digit first"
            )
        if len(name) > LONGEST:
            raise ValueError(f"{setting}: {name[:20]}… is longer than {LONGEST} characters")
        if is_ours(name) or name.startswith("qsub."):
            raise ValueError(f"{setting}: {name!r} is a name that jobmon uses; choose another one")
        if name in seen:
            raise ValueError(f"{setting}: {name!r} is there twice")
        seen.add(name)
    return names


def one_line(setting: str, text: str) -> str:
    """``text``, if it is one line and not empty. Raises ValueError."""
    if not text or re.search("[\0-\x1f\x7f\x85\u2028\u2029]", text):
        raise ValueError(f"{setting}: one line is wanted, and not an empty one")
    return text
