"""Makes the job folders of python-sweep: one for each point of the grid, and ``gather``."""

from __future__ import annotations

import itertools
import json
import keyword
import math
import re
from pathlib import Path
from typing import Any

from jobmon.act.layout import folder_names, one_line, write_job, write_settings
from jobmon.run.tree import LARGEST

MOST = 10_000
"""Points that one job can gather."""


def make(here: Path, project: Path, values: dict[str, Any]) -> None:
    grid = read_grid(values["grid"])
    count = math.prod(len(words) for words in grid.values())
    if count > MOST:
        raise ValueError(f"grid: {count} points, more than {MOST}; make several projects of them")
    python = one_line("python", values["python"])
    init = project / "init"
    init.mkdir()
    program = (here / "sweep.py").read_text().replace("a, b", ", ".join(grid))
    (init / "sweep.py").write_text(program)
    script = (here / "script.sh").read_text()

    points = [dict(zip(grid, words, strict=True)) for words in itertools.product(*grid.values())]
    folders = ["_".join(name + word for name, word in point.items()) for point in points]
    folder_names("grid", [*folders, "gather", "sweep.py"])
    needs = [f"../{name}/qsub.finished.0" for name in folders]
    if sum(len(need) + 1 for need in needs) > LARGEST:
        raise ValueError(
            "grid: gather would wait for more than 1 MB of names; make several projects"
        )
    for name, point in zip(folders, points, strict=True):
        folder = init / name
        folder.mkdir()
        parameters = {name: value(word) for name, word in point.items()}
        (folder / "parameters.json").write_text(json.dumps(parameters, indent=1) + "\n")
        write_job(folder, "0", script.replace("@STEP@", "point"))

    gather = init / "gather"
    gather.mkdir()
    (gather / "folders.txt").write_text("".join(f"{name}\n" for name in folders))
    write_job(gather, "0", script.replace("@STEP@", "gather"), needs)
    write_settings(here, project, values, {"pythonpath": python})


def read_grid(text: str) -> dict[str, list[str]]:
    """The values of each parameter, as words. Raises ValueError."""
    grid: dict[str, list[str]] = {}
    for part in text.split(";"):
        name, _, words = (x.strip() for x in part.partition("="))
        if not name.isidentifier() or keyword.iskeyword(name) or not name.isascii():
            raise ValueError(
                f"grid: {name!r} is no name of a parameter; name=value,value;… is wanted"
            )
        if name in grid:
            raise ValueError(f"grid: {name} is named twice")
        grid[name] = [word.strip() for word in words.split(",")]
        if "" in grid[name]:
            raise ValueError(f"grid: {name} has an empty value; {name}=value,value is wanted")
    return grid


def value(word: str) -> int | float | str:
    """A whole number, a number, or the word itself."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", word):
        return int(word)
    if re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", word):
        number = float(word)
        return number if math.isfinite(number) else word
    return word
