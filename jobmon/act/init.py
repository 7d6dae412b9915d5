"""Starting a project from a template.

A template is a folder of ``init_templates/``: ``template.yaml`` says what it is and what can be
set, and ``make.py`` holds ``make(here, project, values)``, which writes ``init/`` and
``jobmon.yaml`` into the folder ``project``. One that says ``files: poscar`` is given the files of
``--poscar`` as ``values["poscar"]``, a list of ``jobmon.act.poscar.Poscar``. All or nothing: the
project is made aside and moved into place, so that a wrong value leaves nothing behind.
"""

from __future__ import annotations

import importlib.resources
import math
import re
import runpy
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jobmon.act.poscar import read_poscars
from jobmon.run.names import script_id
from jobmon.run.usage import UsageError

_MISSING = re.compile(r"^# (remote|rdir|binpath):", re.MULTILINE)
"""Settings that a template has left for a person to fill in."""


def init(
    template: str, target: Path, values: Mapping[str, str], poscars: Sequence[Path] = ()
) -> list[str]:
    """Make the project ``target`` from ``template``; returns the lines to print.

    ``values`` are the texts of ``--set``, ``poscars`` the files of ``--poscar``. Raises
    UsageError, with nothing written.
    """
    here = _folders().get(template)
    if here is None:
        raise UsageError(_unknown("template", template, templates()))
    description = _description(here)
    checked = _checked(template, description["set"], values)
    if description["files"] == "poscar":
        if not poscars:
            raise UsageError(f"{template} needs --poscar FILES…: a job folder is made for each")
        checked["poscar"] = read_poscars(poscars)
    elif poscars:
        raise UsageError(f"--poscar: {template} takes no files; leave it out")
    _refuse_taken(target)
    try:
        jobs, folders = _make(here, target, checked)
    except OSError as err:
        at = err.filename or target
        raise UsageError(
            f"{at}: cannot be written ({err.strerror}); choose another folder"
        ) from err
    except ValueError as err:
        raise UsageError(f"--set {err}") from err
    return [
        f"made {target} from the template {template}: {jobs} jobs in {folders} folders",
        *_next(target),
    ]


def _next(target: Path) -> list[str]:
    """What is to be done before the first run: the settings that the template could not know."""
    folder = shlex.quote(str(target))
    settings = target / "jobmon.yaml"
    text = settings.read_text("utf-8") if settings.exists() else ""
    if not (missing := _MISSING.findall(text)):
        return [f"run it by: jobmon --ldir {folder}"]
    return [
        f"fill in {', '.join(missing)} in {settings}, and look through its headers/",
        f"then look by: jobmon check --ldir {folder}",
        f"and run it by: jobmon --ldir {folder}",
    ]


def templates() -> dict[str, str]:
    """The templates there are, by name, with a line on each."""
    return {name: str(_description(here)["description"]) for name, here in _folders().items()}


def parse_sets(words: Iterable[str]) -> dict[str, str]:
    """Read the words of ``--set``, each ``name=value``. Raises UsageError."""
    values: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise UsageError(f"--set {word}: name=value is wanted")
        if name in values:
            raise UsageError(f"--set {name} is given twice; leave one of them out")
        values[name] = value
    return values


def _folders() -> dict[str, Path]:
    """In a wheel the templates travel inside the package; in a checkout they lie beside it."""
    package = Path(str(importlib.resources.files("jobmon")))
    for top in (package / "init_templates", package.parent / "init_templates"):
        if top.is_dir():
            return {p.parent.name: p.parent for p in sorted(top.glob("*/template.yaml"))}
    return {}


def _description(here: Path) -> dict[str, Any]:
    import yaml  # noqa: PLC0415 (15 ms that other commands need not wait for)

    read = yaml.safe_load((here / "template.yaml").read_text(encoding="utf-8"))
    return {
        "description": read["description"],
        "set": read.get("set") or {},
        "files": read.get("files"),
    }


def _checked(
    template: str, known: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]
) -> dict[str, Any]:
    for name in values:
        if name not in known:
            raise UsageError(f"--set {name}: {_unknown('name', name, known)}")
    checked = {}
    for name, rule in known.items():
        if name not in values and "default" not in rule:
            raise UsageError(f"{template} needs --set {name}=…: {rule['help']}")
        text = values.get(name, str(rule.get("default")))
        try:
            checked[name] = _value(rule, text)
        except ValueError as err:
            raise UsageError(f"--set {name}={text}: {err} ({rule['help']})") from err
    return checked


def _value(rule: Mapping[str, Any], text: str) -> Any:
    """``text`` as the rule's kind: ``whole``, ``number``, ``numbers``, ``choice`` or ``text``."""
    match rule["kind"]:
        case "choice":
            if text not in rule["of"]:
                raise ValueError(f"one of {', '.join(rule['of'])} is wanted")
            return text
        case "whole":
            if not text.strip().isdecimal() or int(text) < rule.get("least", 0):
                raise ValueError(f"a whole number, {rule.get('least', 0)} or more, is wanted")
            return int(text)
        case "number":
            return _number(rule, text)
        case "numbers":
            return [_number(rule, part) for part in text.split(",")]
        case _:
            return text


def _number(rule: Mapping[str, Any], text: str) -> float:
    above = rule.get("above", -math.inf)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= above:
        many = "numbers with commas between," if rule["kind"] == "numbers" else "a number"
        bound = f" above {above:g}" if above > -math.inf else ""
        raise ValueError(f"{many}{bound} {'are' if rule['kind'] == 'numbers' else 'is'} wanted")
    return number


def _refuse_taken(target: Path) -> None:
    if target.is_dir():
        if any(target.iterdir()):
            raise UsageError(f"{target}: the folder is not empty; choose another one")
    elif target.exists() or target.is_symlink():
        raise UsageError(f"{target}: is there and is no folder; choose another one")


def _make(here: Path, target: Path, values: dict[str, Any]) -> tuple[int, int]:
    """Make the project beside ``target`` and move it there; returns its jobs and job folders."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".jobmon-init.", dir=target.parent))
    try:
        project = aside / "project"
        project.mkdir()
        # Not imported: an import would leave compiled files among the templates.
        runpy.run_path(str(here / "make.py"))["make"](here, project, values)
        scripts = [p for p in project.rglob("qsub.*") if script_id(p.name) is not None]
        if target.is_dir():  # empty; it may be somebody's current folder, so it stays itself
            for part in project.iterdir():
                part.rename(target / part.name)
        else:
            project.rename(target)
    finally:
        shutil.rmtree(aside)
    return len(scripts), len({p.parent for p in scripts})


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), 1)
    way_out = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    return f"no {what} is called {name!r}; {way_out}"
