"""Completion in bash, zsh and fish, and a reference of the commands that is up to date."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands_page import PAGE, page
from session import environment

from jobmon.cli import cli

JOBS = ("a/qsub.0", "a/qsub.10", "a/qsub.2", "b c/qsub.0", "deep/er/qsub.x", "qsub.top")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "project" / "20261121_120000"
    for key in JOBS:
        path = run / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        (path.parent / "qsub.dependency.0").touch()
    for name in ("qsub.log", "quelist", "kill"):
        (run / name).touch()
    (run / ".jobmon").mkdir()
    (tmp_path / "project" / "latest").symlink_to(run.name)
    return run


def program(folder: Path) -> Path:
    """A folder with ``jobmon`` in it, for a shell's PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / "jobmon"
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m jobmon "$@"\n')
    path.chmod(0o755)
    return folder


def completed(where: Path, *words: str) -> list[str]:
    """What the shells are told that the last of ``words`` may become."""
    env = environment(
        _JOBMON_COMPLETE="zsh_complete",
        COMP_WORDS=shlex.join(["jobmon", *words]),
        COMP_CWORD=str(len(words)),
    )
    argv = [sys.executable, "-m", "jobmon"]
    done = subprocess.run(
        argv, env=env, cwd=where, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout.splitlines()[1::3]  # its type, the text, a help


def test_commands_flags_states_and_templates(run: Path) -> None:
    assert completed(run, "re") == ["release", "report", "resolve", "retry"]
    assert set(completed(run, "retry", "--")) >= {
        "--set",
        "--clean",
        "--state",
        "--dry-run",
        "--run",
    }
    assert completed(run, "retry", "--state", "f") == ["finished", "failed"]
    assert completed(run, "run", "--scheduler", "s") == ["slurm", "sge"]
    assert completed(run, "check", "--ssh", "o") == ["openssh"]
    assert "ising" in completed(run, "init", "")
    assert {"--ldir", "--remote", "--help"} <= set(completed(run, "--"))
    assert completed(run, "--ldir", "x", "--maxq") == ["--maxqsub"], "'run' may be left out"


def test_keys_are_those_of_the_run(run: Path, tmp_path: Path) -> None:
    everything = completed(run, "retry", "")
    assert everything == [
        "a", "b c", "deep",
        "qsub.top", "a/qsub.0", "a/qsub.2", "a/qsub.10", "b c/qsub.0", "deep/er",
    ]  # fmt: skip
    assert completed(run, "explain", "a/qsub.1") == ["a/qsub.10"]
    assert completed(run, "logs", "deep/") == ["deep/er", "deep/er/qsub.x"]
    assert completed(run / "a", "kill", "") == [], "no run is meant there"
    assert completed(tmp_path, "hold", "--run", str(run.parent), "a/") == [
        "a/qsub.0", "a/qsub.2", "a/qsub.10",
    ]  # fmt: skip
    assert completed(run, "kill", "nothing") == [] == completed(run, "kill", "no/thing")


def test_many_folders_are_offered_without_their_jobs(run: Path) -> None:
    for i in range(30):
        (run / f"mp-{i}").mkdir()
        (run / f"mp-{i}" / "qsub.0").touch()
    assert completed(run, "status", "mp-") == [f"mp-{i}" for i in range(30)]
    assert completed(run, "status", "mp-29") == ["mp-29", "mp-29/qsub.0"]


def test_a_real_bash(run: Path, tmp_path: Path) -> None:
    script = (
        'eval "$(_JOBMON_COMPLETE=bash_source jobmon)"; '
        "COMP_WORDS=(jobmon retry a/q); COMP_CWORD=2; _jobmon_completion jobmon a/q retry; "
        "printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    env = environment(PATH=f"{program(tmp_path / 'bin')}:{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "-c", script], env=env, cwd=run, capture_output=True, text=True, check=True
    )
    if "Shell completion is not supported" in done.stderr:
        pytest.skip("this bash is older than 4.4")
    assert done.stdout.split() == ["a/qsub.0", "a/qsub.2", "a/qsub.10"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_a_real_fish(run: Path, tmp_path: Path) -> None:
    script = "_JOBMON_COMPLETE=fish_source jobmon | source; complete -C 'jobmon retry a/qsub.1'"
    env = environment(PATH=f"{program(tmp_path / 'bin')}:{os.environ['PATH']}")
    done = subprocess.run(
        ["fish", "-c", script], env=env, cwd=run, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["a/qsub.10"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_script(tmp_path: Path) -> None:
    script = (
        "autoload -Uz compinit; compinit -u -D; "
        'eval "$(_JOBMON_COMPLETE=zsh_source jobmon)"; whence -w _jobmon_completion'
    )
    env = environment(PATH=f"{program(tmp_path / 'bin')}:{os.environ['PATH']}")
    done = subprocess.run(
        ["zsh", "-f", "-c", script], env=env, capture_output=True, text=True, check=True
    )
    assert "function" in done.stdout


def test_the_zsh_script_is_made(run: Path) -> None:
    env = environment(_JOBMON_COMPLETE="zsh_source")
    argv = [sys.executable, "-m", "jobmon"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("#compdef jobmon\n")


# --- the reference ----------------------------------------------------------------------------


def test_the_page_of_commands_is_made_from_the_help() -> None:
    assert PAGE.read_text("utf-8") == page(), "python tests/commands_page.py writes it anew"


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_an_example_and_what_changes_something_a_dry_run(name: str) -> None:
    command = cli.commands[name]
    assert "Example" in (command.help or "") or command.hidden
    flags = {flag for parameter in command.params for flag in parameter.opts}
    if name in {"kill", "hold", "release", "retry", "resolve", "stop"}:
        assert "--dry-run" in flags
    if name in {"status", "kill", "hold", "release", "retry", "report"}:
        assert {"--run", "--state", "keys"} <= flags
