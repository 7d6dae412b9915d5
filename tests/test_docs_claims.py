"""What docs/ claims beyond flags and sessions: words that are printed, rooms, counts.

docs/when-things-break.md quotes messages; docs/architecture.md draws the house and its arrows; the
tables of docs/reliability.md are made by scripts. Each is held against what it speaks of.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import reliability
from test_docs import ROOT, blocks, table

# --- messages ------------------------------------------------------------------------------

BROKEN = ROOT / "docs" / "when-things-break.md"


@cache
def said() -> str:
    """All text that the program can print, with a NUL wherever a value is put in."""
    texts = [p.read_text("utf-8") for p in (ROOT / "jobmon").rglob("*.sh")]
    for path in (ROOT / "jobmon").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(_constant(part) or "\0" for part in node.values))
            elif id(node) not in docs:
                texts.append(_constant(node))
    return "\n".join(re.sub(r"%[srda]", "\0", text) for text in texts)


def _constant(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def unsaid(message: str) -> list[str]:
    """The parts of a message, between its ``…``, that the program never prints."""
    parts = [part.strip(" ':;,()") for part in message.split("…")]
    return [part for part in parts if part not in said()]


def test_the_program_prints_what_the_page_of_troubles_quotes() -> None:
    messages = [m for b in blocks(BROKEN) if b.language == "text" for m in b.text.splitlines()]
    assert len(messages) > 30
    assert [m for m in messages if max(map(len, re.findall(r"[\w' ]+", m))) < 10] == []
    assert [(m, missing) for m in messages if (missing := unsaid(m))] == []


def test_what_is_never_printed_is_found() -> None:
    assert unsaid("…: the connection broke during a command") == []
    assert unsaid("…: the connection was bent during … s") == ["the connection was bent during"]


# --- the house --------------------------------------------------------------------------------


def test_the_picture_of_the_house_is_true() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    paths = set(re.findall(r"`((?:jobmon|tests|scripts|init_templates)/[\w./-]*)`", text))
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    rooms = sorted(
        p.name for p in (ROOT / "jobmon").iterdir() if p.is_dir() and p.name != "__pycache__"
    )
    loose = sorted(p.name for p in (ROOT / "jobmon").glob("*.py") if not p.name.startswith("__"))
    assert [room for room in rooms if f"`jobmon/{room}/`" not in text] == []
    assert [file for file in loose if f"`jobmon/{file}`" not in text] == []


IMPORT = re.compile(r"^\s*(?:from|import) jobmon(?:\.(\w+)| import (\w+(?:, \w+)*))", re.M)


def test_the_arrows_between_the_rooms_are_true() -> None:
    for path, arrows, _ in table("docs/architecture.md", "Rooms"):
        place = ROOT / path.strip("`")
        sources = place.rglob("*.py") if place.is_dir() else [place]
        lines = (line for p in sources for line in IMPORT.findall(p.read_text("utf-8")))
        found = {room for one, some in lines for room in (one or some).split(", ")}
        found -= {place.stem, "__version__"}
        assert found == set(arrows.split(", ")) - {"-"}, path


# --- counts ---------------------------------------------------------------------------------


def test_the_page_of_reliability_is_as_its_scripts_make_it() -> None:
    words = [sys.executable, str(ROOT / "tests" / "reliability.py"), "--check"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_of_reliability_asks_for_what_a_storm_counts() -> None:
    counted = (ROOT / "tests" / "chaos" / "__main__.py").read_text("utf-8")
    assert [name for name in reliability.STORM if f'"{name}": ' not in counted] == []


def test_missing_counts_are_named_with_what_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reliability, "COUNTS", tmp_path)
    with pytest.raises(SystemExit, match=r"sge\.json: No such file.*scripts/reliability"):
        reliability.counts("sge")
    (tmp_path / "simulated.json").write_text('{"worlds": 1}')
    with pytest.raises(SystemExit, match=r"simulated\.json: no broken, faults, .*scripts/reliab"):
        reliability.counts("simulated")
