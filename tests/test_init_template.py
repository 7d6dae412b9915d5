"""jobmon init: a whole project, or one clear line and nothing written."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import jobmon.act.init as module
from jobmon.act.init import init, parse_sets, templates
from jobmon.run.settings import UsageError, load

TEMPLATE = """
description: a test
set:
  n: {kind: whole, least: 1, help: how many}
  x: {kind: number, above: 0, default: 0.5, help: how much}
  word: {kind: text, default: "", help: what}
  size: {kind: choice, of: [s, m], default: s, help: how large}
"""
MAKE = """
def make(here, project, values):
    if values["word"] == "bad":
        (project / "left").write_text("x")
        raise ValueError("word: not this one")
    if values["word"] == "full":
        raise OSError(28, "No space left on device", "somewhere")
    (project / "init").mkdir()
    (project / "init" / "qsub.0").write_text(repr(values["n"] * values["x"]))
    (project / "init" / "qsub.dependency.0").write_text("")
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template of its own, ``small``; returns an empty folder to make projects in."""
    here = tmp_path / "templates" / "small"
    here.mkdir(parents=True)
    (here / "template.yaml").write_text(TEMPLATE)
    (here / "make.py").write_text(MAKE)
    monkeypatch.setattr(module, "_folders", lambda: {"small": here})
    work = tmp_path / "work 'of' mine"
    work.mkdir()
    return work


def test_what_is_to_be_filled_in_is_named(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "on a cluster"
    assert init("chain", here, {})[1:] == [f"run it by: jobmon --ldir {here}"]
    assert init("chain", there, {"scheduler": "slurm"})[1:] == [
        f"fill in remote, rdir in {there}/jobmon.yaml, and look through its headers/",
        f"then look by: jobmon check --ldir '{there}'",
        f"and run it by: jobmon --ldir '{there}'",
    ]


def test_a_project_is_made(small: Path) -> None:
    target = small / "new" / "p q"
    lines = init("small", target, {"n": "3"})
    assert (target / "init" / "qsub.0").read_text() == "1.5"
    assert lines[0] == f"made {target} from the template small: 1 jobs in 1 folders"
    assert "'p q'" not in lines[0]
    assert lines[1].startswith("run it by: jobmon --ldir '")
    assert [p.name for p in target.parent.iterdir()] == ["p q"]
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o777 & ~umask


def test_an_empty_folder_is_filled_and_stays_itself(small: Path) -> None:
    target = small / "p"
    target.mkdir()
    before = target.stat().st_ino
    init("small", target, {"n": "1"})
    assert target.stat().st_ino == before
    assert (target / "init" / "qsub.0").exists()


@pytest.mark.parametrize(
    ("template", "values", "message"),
    [
        ("smal", {}, "no template is called 'smal'; did you mean 'small'?"),
        ("quux", {}, "no template is called 'quux'; there are small"),
        ("small", {}, "small needs --set n=…: how many"),
        (
            "small",
            {"n": "1", "wort": "a"},
            "--set wort: no name is called 'wort'; did you mean 'word'?",
        ),
        ("small", {"n": "0"}, "--set n=0: a whole number, 1 or more, is wanted (how many)"),
        ("small", {"n": "-1"}, "--set n=-1: a whole number, 1 or more, is wanted (how many)"),
        ("small", {"n": "1.5"}, "--set n=1.5: a whole number, 1 or more, is wanted (how many)"),
        ("small", {"n": "1", "x": "0"}, "--set x=0: a number above 0 is wanted (how much)"),
        ("small", {"n": "1", "x": "nan"}, "--set x=nan: a number above 0 is wanted (how much)"),
        ("small", {"n": "1", "size": "l"}, "--set size=l: one of s, m is wanted (how large)"),
        ("small", {"n": "1", "word": "bad"}, "--set word: not this one"),
        (
            "small",
            {"n": "1", "word": "full"},
            "somewhere: cannot be written (No space left on device); choose another folder",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    small: Path, template: str, values: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        init(template, small / "p", values)
    assert str(caught.value) == message
    assert list(small.iterdir()) == []


def test_a_folder_with_something_in_it_is_refused(small: Path) -> None:
    (small / "mine").write_text("x")
    with pytest.raises(UsageError, match="the folder is not empty; choose another one"):
        init("small", small, {"n": "1"})
    with pytest.raises(UsageError, match="mine: is there and is no folder"):
        init("small", small / "mine", {"n": "1"})
    with pytest.raises(UsageError, match=r"cannot be written \(Not a directory\)|File exists"):
        init("small", small / "mine" / "p", {"n": "1"})
    assert (small / "mine").read_text() == "x"
    assert [p.name for p in small.iterdir()] == ["mine"]


def test_set_words() -> None:
    assert parse_sets(["a=1", "b=", "c=x=y"]) == {"a": "1", "b": "", "c": "x=y"}
    with pytest.raises(UsageError, match="--set a: name=value is wanted"):
        parse_sets(["a"])
    with pytest.raises(UsageError, match="--set =1: name=value is wanted"):
        parse_sets(["=1"])
    with pytest.raises(UsageError, match="--set a is given twice"):
        parse_sets(["a=1", "a=2"])


def test_the_ising_project(tmp_path: Path) -> None:
    assert "ising" in templates()
    target = tmp_path / "p"
    lines = init("ising", target, {"temperatures": "1.5,2.125"})
    assert "7 jobs in 3 folders" in lines[0]
    top = {str(p.relative_to(target)) for p in target.rglob("*") if p.is_dir()}
    assert top == {"init", "init/T1.50", "init/T2.125", "init/table", "init/program"}
    assert (target / "init/T1.50/qsub.dependency.0").read_text() == ""
    assert (target / "init/T1.50/qsub.dependency.2").read_text() == "qsub.finished.1\n"
    assert (target / "init/table/qsub.dependency.0").read_text().split() == [
        "../T1.50/magnetisation.json",
        "../T2.125/magnetisation.json",
        "../T1.50/qsub.finished.2",
        "../T2.125/qsub.finished.2",
    ]
    assert load(target / "jobmon.yaml")["remote"] == "local"
    assert not list(module._folders()["ising"].rglob("__pycache__"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2,2.0", "--set temperatures: the same one twice"),
        ("2,", "numbers with commas between, above 0 are wanted"),
        ("0", "numbers with commas between, above 0 are wanted"),
    ],
)
def test_temperatures_that_will_not_do(tmp_path: Path, value: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        init("ising", tmp_path / "p", {"temperatures": value})
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def demo(tmp_path: Path, python: str) -> str:
    """What ``scripts/demo`` says, in a project with a space in its path, as ``python3`` is so."""
    script = tmp_path / "a b/scripts/demo"
    script.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).parent.parent / "scripts/demo", script)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "find", "tail", "mv"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tools / "python3").write_text(f"#!/bin/sh\n{python}\n")
    (tools / "python3").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", str(script)],
        capture_output=True,
        text=True,
        env={"PATH": str(tools)},
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert not (tmp_path / "a b/.venv").exists()
    return done.stderr


def test_the_demo_without_a_python(tmp_path: Path) -> None:
    assert demo(tmp_path, "exit 1") == (
        "demo: no Python 3.11 or later was found; install one, or set PYTHON to its path\n"
    )


def test_the_demo_without_venv(tmp_path: Path) -> None:
    python = f'case "$2" in *ensurepip*) exit 1;; esac; exec "{sys.executable}" "$@"'
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert demo(tmp_path, python) == (
        "demo: python3 has no venv module; on Debian and Ubuntu: "
        f"apt install python{version}-venv\n"
    )
