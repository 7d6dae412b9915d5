"""docs/files.md names every file: held against the code that names them, and what a run leaves."""

from __future__ import annotations

import os
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from session import environment, jobmon, only_run, put
from test_docs import table

from jobmon.cluster import landing
from jobmon.run.paths import Paths

PAGE = "docs/files.md"


def named(heading: str) -> list[str]:
    """The patterns that the first column of the tables under a heading names."""
    cells = [row[0] for row in _rows(heading)]
    spans = [span for cell in cells for span in re.findall(r"`([^`]+)`", cell)]
    assert spans
    return [re.sub(r"\{\w+\}", "*", span) for span in spans]


def _rows(heading: str) -> list[list[str]]:
    page = (Path(__file__).resolve().parents[1] / PAGE).read_text("utf-8")
    part = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def fits(path: str, patterns: list[str]) -> bool:
    return any(
        fnmatchcase(path, pattern)
        or (pattern.endswith("/") and fnmatchcase(f"{path}/", f"{pattern}*"))
        for pattern in patterns
    )


def strange(top: Path, patterns: list[str]) -> list[str]:
    """The files below ``top``, those of its job folder aside, that no pattern fits."""
    found = (
        str(Path(where, name).relative_to(top))
        for where, _, names in os.walk(top)
        for name in names
    )
    return sorted(path for path in found if not path.startswith("a/") and not fits(path, patterns))


def odd(folder: Path, patterns: list[str]) -> list[str]:
    return [path.name for path in folder.iterdir() if not fits(path.name, patterns)]


def test_every_name_that_the_run_folder_has_in_the_code_is_named() -> None:
    paths = {str(path) for path in vars(Paths(Path("/"))).values()} - {"/", "/.jobmon"}
    patterns = named("In the run folder")
    assert paths
    assert [path for path in paths if not fits(path[1:], patterns)] == []
    assert fits(landing.ASIDE, patterns)


@pytest.mark.parametrize("heading", ["In the run folder", "On the cluster", "The local queue"])
def test_what_is_named_is_in_the_code(heading: str) -> None:
    house = Path(__file__).resolve().parents[1] / "jobmon"
    code = "".join(p.read_text("utf-8") for kind in ("py", "sh") for p in house.rglob(f"*.{kind}"))
    for pattern in named(heading):
        words = [word for word in re.split(r"[/*.]+", pattern) if len(word) > 2]
        assert [word for word in words if word not in code] == [], pattern


def test_a_run_leaves_no_file_that_is_not_named(tmp_path: Path) -> None:
    project, far, queue = (tmp_path / name for name in ("project", "far", "queue"))
    put(project / "init", "a/qsub.0", "echo 1 > result")
    flags = ("--remote", "local", "--scheduler", "local", "--rdir", far, "--interval", "0.5")
    env = environment(JOBMON_LOCALQUEUE=str(queue))
    jobmon("--ldir", project, *flags, code=0, env=env)
    run = only_run(project)
    (run / "quelist").rename(tmp_path / "aside")
    jobmon("--ldir", run, code=0, env=env)
    assert strange(run, named("In the run folder")) == []
    assert strange(far / run.name, named("On the cluster")) == []
    assert strange(queue, named("The local queue")) == []
    assert odd(project, named("In the project folder")) == []
    assert odd(run / "a", [*named("In a job folder"), "result"]) == []


def test_the_table_of_the_run_folder_is_that_of_the_page_that_explains_it() -> None:
    rows = table("docs/watch-and-mend.md", "The files of a run")
    assert [row[0] for row in rows if not fits(row[0].strip("`"), named("In the run folder"))] == [
        "`.jobmon/`"
    ]
