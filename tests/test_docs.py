"""README and docs/ hold what the program does: flags, tables, links, and sessions really run.

A fenced block ``sh file=PATH`` is a file of its page's example. The ``console`` blocks of a page
are one session: its files are written, its ``$`` lines run in order on the local queue, and what
they print is what stands there. ``python tests/test_docs.py --write`` prints the sessions anew.
"""

from __future__ import annotations

import getpass
import os
import pty
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import pytest
import test_docs_peers

from jobmon.cli import cli
from jobmon.core.rows import STATES
from jobmon.run.options import Settings
from jobmon.run.script import PLACEHOLDERS

ROOT = Path(__file__).resolve().parents[1]
TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")]
PAGES = [*TOP, *sorted((ROOT / "docs").glob("*.md"))]
WITHOUT_COMMANDS = {"architecture", "files", "index", "CONTRIBUTING", "new-batch-system"}
WITH_SESSIONS = (
    *("first-run", "job-folder", "check", "templates", "templates-ecalj", "watch-and-mend"),
)
SESSIONS = [ROOT / "docs" / f"{name}.md" for name in WITH_SESSIONS]

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.M | re.S)
INLINE = re.compile(r"`([^`\n]+)`")
FOREIGN = {
    *("--bulk", "--choose", "--comment", "--err", "--out", "--step", "--write"),
    *("--array", "--dependency", "--wait"),
    *("--jobs", "--latency-wait", "--rerun-incomplete", "--retries", "--unlock"),
}
"""Flags of other programs that the pages name."""

LIMIT = 120


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, the words behind that, its text, where the text begins."""

    language: str
    words: str
    text: str
    at: int

    @property
    def file(self) -> str | None:
        return next((w[5:] for w in self.words.split() if w.startswith("file=")), None)


def blocks(page: Path) -> list[Block]:
    found = FENCE.finditer(page.read_text("utf-8"))
    return [Block(m[1], m[2], m[3], m.start(3)) for m in found]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text("utf-8"))


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- command lines -------------------------------------------------------------------------


def commands(text: str, *, console: bool) -> Iterator[str]:
    """The command lines of a block, continued lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        if not console:
            yield line
        elif line.startswith("$ "):
            yield line[2:]


def calls(line: str) -> Iterator[list[str]]:
    """The words behind each ``jobmon`` of a command line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word and set(word) <= set(";&|<>()"):
            while words and ("=" in words[0] or words[0] in {"nohup", "exec"}):
                words.pop(0)
            if words and words[0] in {"jobmon", ".venv/bin/jobmon"}:
                yield words[1:]
            words = []
        else:
            words.append(word)


def check_call(args: list[str], *, whole: bool = True) -> None:
    """Raise click.UsageError for what the command line does not know."""
    if args and args[0].startswith("-") and args[0] not in {"--help", "-h", "--version"}:
        args = ["run", *args]
    if not args or args[0].startswith("-"):
        return
    context = click.Context(cli)
    command = cli.get_command(context, args[0])
    if command is None:
        raise click.UsageError(f"there is no 'jobmon {args[0]}'")
    try:
        command.make_context(args[0], args[1:], parent=context)
    except click.exceptions.Exit:  # --help
        pass
    except click.MissingParameter:
        if whole:
            raise


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_line_parses(page: Path) -> None:
    checked = 0
    for block in blocks(page):
        if block.language in {"sh", "console"} and block.file is None:
            for line in commands(block.text, console=block.language == "console"):
                for args in calls(line):
                    check_call(args)
                    checked += 1
    for span in INLINE.findall(prose(page)):
        if re.match(r"jobmon( |$)", span):
            for args in calls(span.replace("…", "x")):
                check_call(args, whole=False)
                checked += 1
    assert checked or page.stem in WITHOUT_COMMANDS


def test_what_does_not_exist_is_found() -> None:
    for line in ("jobmon gaze", "jobmon --ldir x --fast", "nohup jobmon kill --now &"):
        with pytest.raises(click.UsageError):
            for args in calls(line):
                check_call(args)


FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def flags_of_jobmon() -> set[str]:
    parameters = (p for command in cli.commands.values() for p in command.params)
    return {flag for p in parameters for flag in p.opts} | {"--help", "--version"} | FOREIGN


@cache
def flags_of_script(script: str) -> frozenset[str]:
    """What one of scripts/ takes; the package of tests/ that it may run prints its own help."""
    text = (ROOT / "scripts" / script).read_text("utf-8")
    run = re.search(r'python"? -m (\w+)', text)
    if run is not None and (ROOT / "tests" / run[1]).is_dir():
        words = [sys.executable, "-m", run[1], "--help"]
        env = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
        text += subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    return frozenset(FLAG.findall(text))


def flags_of_scripts(span: str) -> set[str]:
    found = {s for script in re.findall(r"scripts/(\w+)", span) for s in flags_of_script(script)}
    return found | flags_of_jobmon()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_flag_exists(page: Path) -> None:
    spans = [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose(page))]
    wrong = {
        flag
        for span in spans
        for flag in FLAG.findall(span)
        if flag not in (flags_of_scripts(span) if "scripts/" in span else flags_of_jobmon())
    }
    assert wrong == set()


def test_a_flag_of_a_script_is_known_to_that_script_only() -> None:
    assert {"--seeds", "--seed", "--json"} <= flags_of_script("simulate")
    assert {"--kills", "--drops", "--scheduler"} <= flags_of_script("chaos")
    assert "--kills" not in flags_of_script("simulate")
    assert "--seeds" not in flags_of_jobmon()


# --- tables --------------------------------------------------------------------------------


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    text = (ROOT / page).read_text("utf-8")
    part = text.partition(f"\n## {heading}\n")[2]
    assert part, f"{page} has no heading '{heading}'"
    lines = [line for line in part.partition("\n## ")[0].splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]
    assert rows
    return rows


def default_of(setting: str) -> str:
    field = Settings.model_fields[setting]
    if field.is_required():
        return "must be given"
    value = field.default
    if value in (None, [], {}):
        return "none"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def run_flags() -> dict[str, click.Parameter]:
    shown = (p for p in cli.commands["run"].params if not getattr(p, "hidden", False))
    return {p.opts[-1]: p for p in shown}


def test_the_settings_table_is_the_model() -> None:
    rows = {row[0].strip("`"): row for row in table("docs/settings.md", "Settings")}
    assert list(rows) == list(Settings.model_fields)
    flags = {("results" if p.name == "result" else p.name): f for f, p in run_flags().items()}
    for setting, (_, flag, default, wants, meaning) in rows.items():
        assert flag == (f"`{flags[setting]}`" if setting in flags else "-"), setting
        assert default == default_of(setting), setting
        assert wants == Settings.model_fields[setting].description, setting
        assert meaning, setting


def test_the_other_flags_are_those_of_run() -> None:
    rows = table("docs/settings.md", "Flags of one start")
    named = [row[0].strip("`") for row in rows]
    settings = {f"--{s.replace('_', '-')}" for s in Settings.model_fields} | {"--result"}
    assert named == [flag for flag in run_flags() if flag not in settings]


def test_the_other_commands_are_all_named() -> None:
    named = {row[0].strip("`") for row in table("docs/settings.md", "The other commands")}
    assert named == {f"jobmon {verb}" for verb in cli.commands} - {"jobmon run"}


def test_the_environment_variables_are_read() -> None:
    code = "".join(p.read_text("utf-8") for p in (ROOT / "jobmon").rglob("*.py"))
    for row in table("docs/settings.md", "Environment variables"):
        assert f'"{row[0].strip("`")}"' in code


def test_the_placeholders_are_all_named() -> None:
    rows = table("docs/job-folder.md", "Placeholders")
    assert {row[0].strip("`").strip("_") for row in rows} == PLACEHOLDERS


def test_the_states_are_those_of_the_program() -> None:
    rows = table("docs/watch-and-mend.md", "The states")
    assert [row[0].strip("`") for row in rows] == list(STATES)
    assert all(len(row) == 3 and all(row) for row in rows)


# --- links ---------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", FENCE.sub("", there.read_text("utf-8")), re.M)
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, target


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert "docs/index.md" in readme
    assert len(readme.splitlines()) < 120
    links = re.findall(r"^- \[[^\]]+\]\(([^)]+)\)", index, re.M)  # the site's contents, too
    found = sorted((ROOT / "docs" / link).resolve() for link in links)
    assert found == sorted(page for page in PAGES if page.stem != "index")


# --- sessions ----------------------------------------------------------------------------------


def test_an_example_file_is_the_same_on_every_page() -> None:
    seen: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.file is not None:
                assert seen.setdefault(block.file, block.text) == block.text, block.file


class Session:
    """A home in which the examples of a page are run, and what is printed there."""

    def __init__(self, home: Path) -> None:
        self.home = self._here = home / "you"
        self._here.mkdir()
        (home / "bin").mkdir()
        program = home / "bin" / "jobmon"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m jobmon "$@"\n')
        program.chmod(0o755)
        self._env = {
            **os.environ,
            "HOME": str(self._here),
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "JOBMON_LOCALQUEUE": str(home / "queue"),
            "LC_ALL": "C.UTF-8",
        }

    def write(self, path: str, text: str) -> None:
        target = self.home / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")

    def run(self, command: str) -> str:
        """What a command prints, with the names of this machine put aside."""
        note = self.home.parent / "pwd"
        done = subprocess.run(
            ["/bin/sh", "-c", f"{command}\npwd > {shlex.quote(str(note))}"],
            cwd=self._here,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT,
            check=False,
        )
        self._here = Path(note.read_text().rstrip("\n"))
        # What is said only where the machine is slow would come and go.
        return self._known(re.sub(r"^[^#\n].* …\n", "", done.stdout.decode("utf-8"), flags=re.M))

    def on_terminal(self, command: str, width: int) -> str:
        """What a command prints on a terminal, with its colours, and stderr aside."""
        near, far = pty.openpty()
        more = {"TERM": "xterm-256color", "COLUMNS": str(width), "LINES": "50"}
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=self._here,
            env={name: value for name, value in self._env.items() if name != "NO_COLOR"} | more,
            stdin=subprocess.DEVNULL,
            stdout=far,
            stderr=subprocess.DEVNULL,
        )
        os.close(far)
        text = b""
        with suppress(OSError):  # what Linux says at the end of a terminal; macOS gives nothing
            while piece := os.read(near, 4096):
                text += piece
        os.close(near)
        process.wait(LIMIT)
        return self._known(text.decode("utf-8").replace("\r\n", "\n"))

    def _known(self, text: str) -> str:
        for word, shown in (
            (str(self.home), "/home/you"),
            (f"{getpass.getuser()}@{socket.gethostname()}", "you@laptop"),
            (f" on {socket.gethostname()}", " on laptop"),
        ):
            text = text.replace(word, shown)
        return text


def alike(text: str) -> list[str]:
    """What must be the same in every run: no times, numbers of processes, or order in a cycle."""
    for pattern, shown in (
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d|Z)?", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
        (r"^\d\d:\d\d:\d\d ", "CLOCK "),
        (r"^[\d.,]+ jobs finished an hour.*$", "PACE"),
        (r"\bfor (?:\d+ (?:s|min|h|d)\b ?)+", "for SPAN "),
        (r"\bas \d+$", "as ID"),
        (r"\b\d{8}_\d{6}\b", "DATE"),
        (r" running@TIME", ""),
        (r"@\d+\b", "@ID"),
        (r"(submitted \S+ as) \d+", r"\1 ID"),
        (r"\(\d+ of (\d+)\)$", r"(N of \1)"),
        (r"(\.[oe])\d+\b", r"\1ID"),
        (r"^(TIME \w+ \S+) \d+ ", r"\1 ID "),
        (r"\d+ channels, [\d.]+ \w?B sent, [\d.]+ \w?B received", "N channels, SIZES"),
        (r"[\d.]+ \w?B free", "SIZE free"),
        (r"-?\d+\.\d{3,}", "NUMBER"),
        (r"[ \t]+", " "),
    ):
        text = re.sub(pattern, shown, text, flags=re.M)
    lines = (line.rstrip() for line in text.splitlines())
    return sorted(line for line in lines if not line.startswith("TIME running "))


def played(page: Path, home: Path) -> Iterator[tuple[Block, str]]:
    """Each console block of ``page`` with the text that it should have, by a real session."""
    session = Session(home)
    for block in blocks(page):
        if block.file is not None:
            session.write(block.file, block.text)
    for block in blocks(page):
        if block.language == "console":
            out = ""
            steps = re.findall(r"^\$ (?:.*\\\n)*.*$", block.text, re.M)
            for step in steps:
                out += f"{step}\n{session.run(step[2:])}"
            yield block, out


@pytest.mark.parametrize("page", SESSIONS, ids=name)
def test_a_session_prints_what_its_page_shows(page: Path, tmp_path: Path) -> None:
    count = 0
    for block, out in played(page, tmp_path):
        assert alike(out) == alike(block.text)
        count += 1
    assert count


def write(page: Path) -> None:
    """Print the session of a page anew, all of it if any is no longer what the program prints."""
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as home:
        shown = list(played(page, Path(home).resolve()))
    if all(alike(out) == alike(block.text) for block, out in shown):
        return
    for block, out in reversed(shown):
        text = text[: block.at] + out + text[block.at + len(block.text) :]
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_docs.py --write")
    for one in SESSIONS:
        write(one)
    test_docs_peers.write()
