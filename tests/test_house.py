"""The house as it is drawn: which room may know which, what is heavy, what runs elsewhere."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jobmon

HOUSE = Path(jobmon.__file__).parent
SCRIPTS = sorted((HOUSE / "cluster" / "sh").glob("*.sh"))
MODULES = sorted(HOUSE.rglob("*.py"))

# Room -> the rooms that it may import, itself aside. A room is a folder or a file of jobmon/.
ARROWS: dict[str, set[str]] = {
    "core": set(),
    "localqueue": set(),
    "progress": set(),
    "notices": {"core", "progress"},
    "run": {"core"},
    "cluster": {"core"},
    "cycle": {"cluster", "run", "core"},
    "show": {"run", "core", "progress"},
    "notify": {"run", "core"},
    "act": {"cycle", "cluster", "run", "core", "show", "notices", "notify", "progress"},
    "daemon": {"cluster.links.login", "progress"},
    "cli": {"act", "show", "daemon", "notices", "progress", "run_commands"},
    "run_commands": {"act", "show", "notices"},
    "__main__": {"cli"},
}

# Arrows that are not drawn, each for a reason that is written here and nowhere else.
BESIDE = {
    ("act", "daemon"): "act.detached puts a start into a daemon",
    ("cluster", "localqueue"): "its batch system is called by its program and its folder",
    ("show", "localqueue.directives"): "what a script asks for is read in one place",
    ("cli", "cluster.links.login"): "the terminal is who is asked",
    ("cli", "run"): "a wrong word on the command line is a UsageError",
    ("run_commands", "cluster.links.login"): "the terminal is who is asked",
    ("run_commands", "run"): "a wrong word on the command line is a UsageError",
    ("run_commands", "core.rows"): "the states are words of the command line",
}


def imports(path: Path) -> set[str]:
    """The modules of ours that a file imports, without ``jobmon.``."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written out"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("jobmon.") for name in found if name.startswith("jobmon.")}


def room(path: Path) -> str:
    return path.relative_to(HOUSE).with_suffix("").parts[0]


def within(module: str, allowed: str) -> bool:
    return module == allowed or module.startswith(f"{allowed}.")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_no_arrow_but_those_that_are_drawn(path: Path) -> None:
    here = room(path)
    if here == "__init__":
        assert imports(path) == set()
        return
    allowed = {here} | ARROWS[here] | {to for (of, to) in BESIDE if of == here}
    allowed.add("__version__")
    astray = {m for m in imports(path) if not any(within(m, room) for room in allowed)}
    assert not astray, f"{here} must not know {', '.join(sorted(astray))}"


def test_every_room_is_drawn() -> None:
    assert {room(path) for path in MODULES} - {"__init__"} == ARROWS.keys()


def test_every_arrow_beside_the_drawing_is_used() -> None:
    used = {
        beside
        for path in MODULES
        for beside in BESIDE
        if beside[0] == room(path) and any(within(m, beside[1]) for m in imports(path))
    }
    assert used == BESIDE.keys()


@pytest.mark.parametrize("path", sorted((HOUSE / "core").glob("*.py")), ids=lambda p: p.name)
def test_the_core_has_no_clock_file_or_network(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert name.split(".")[0] not in {
                *("os", "time", "pathlib", "socket", "subprocess", "random", "threading", "sys"),
                *("logging", "io", "shutil", "tempfile", "secrets"),
            }
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"open", "print", "input"} and not called.endswith(".now")


def test_help_is_light() -> None:
    """What is heavy is imported where it is used."""
    program = (
        "import sys\n"
        "from jobmon.cli import main\n"
        "sys.argv = ['jobmon', '--help']\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = 'paramiko fabric invoke pydantic rich textual psutil yaml daemon plotly apprise'\n"
        "print([name for name in heavy.split() if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(HOUSE)))
def test_a_file_says_its_rule_and_stays_short(path: Path) -> None:
    text = path.read_text("utf-8")
    if not text:
        return
    assert ast.get_docstring(ast.parse(text)), "the rule of a file stands at its head"
    assert text.count("\n") < 400


def test_there_are_scripts() -> None:
    assert {path.stem for path in SCRIPTS} >= {"ask", "submit", "recover", "twin", "probe"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_a_script_says_what_it_does_and_how_it_is_called(path: Path) -> None:
    lines = path.read_text("ascii").splitlines()
    head = [line for line in lines[:12] if line.startswith("# ")]
    assert lines[0].startswith("# ")
    main = (
        "limited SECONDS" if path.stem == "limit" else "main TOKEN"
    )  # it stands before all others
    assert any(line.startswith(f"# {main}") for line in head)
    assert f"{main.split(maxsplit=1)[0]}() {{" in lines
    assert max(map(len, lines)) <= 110


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_a_script_is_posix(path: Path) -> None:
    # SC2154, SC2317, SC2329: main is called by the frame that goes before and behind the file
    command = ["shellcheck", "-s", "sh", "-e", "SC2317,SC2329", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
