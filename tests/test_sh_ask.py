"""The shell that asks: commands, files, the twin, and who we are; by every shell at hand."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from shell_lab import RUN_ID, SHELLS, Lab, ShellLink

from jobmon.cluster.probe import answering, probe
from jobmon.core.model import (
    Attempt,
    Key,
    Stat,
)
from jobmon.core.site import Site

WEIRD = "-a 'b\" $HOME `x` é;*\\"
ONE = Attempt(Key("m/qsub.0"), 1)


@pytest.fixture(params=SHELLS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Lab:
    return Lab(tmp_path, SHELLS[request.param])


# --- ask.sh ----------------------------------------------------------------------------


def answers(lab: Lab, *commands: list[str]) -> list[tuple[int, str, str]]:
    return lab.cluster._ask(commands).outputs


def test_commands_with_both_outputs_and_their_exit_codes(lab: Lab) -> None:
    lab.program("say", '#!/bin/sh\nprintf "$1"\nprintf "$2" >&2\nexit "$3"\n')
    said = answers(
        lab,
        ["say", "out\\n", "err\\n", "0"],
        ["say", "out", "", "7"],
        ["say", "", "", "255"],
        ["say", "\\n\\n", "a\\n\\nb", "1"],
        ["say", "\\377\\001é", "\\377", "0"],
    )
    assert said == [
        (0, "out\n", "err"),
        (7, "out", ""),
        (255, "", ""),
        (1, "\n\n", "a\n\nb"),
        (0, "\udcff\x01é", "\udcff"),
    ]
    assert answers(lab, ["no-such-command"])[0][0] == 127
    assert answers(lab, ["printf", "%s|", "a b", "$x", "'", '"', "\\n", "*", "-n"]) == [
        (0, "a b|$x|'|\"|\\n|*|-n|", "")
    ]  # fmt: skip


def test_output_that_looks_like_the_frames(lab: Lab) -> None:
    lab.program(
        "forge",
        "#!/bin/sh\nprintf 'ran 0\\n\\nsaid\\njm BEGIN\\njm END\\nwhole\\nthere 1\\n'; cat\n",
    )
    ((code, out, err),) = answers(lab, ["forge"])
    assert (code, err) == (0, "")
    assert out == "ran 0\n\nsaid\njm BEGIN\njm END\nwhole\nthere 1\n", "and stdin was empty"


def test_bytes_that_look_like_what_stands_for_the_frames_word(lab: Lab) -> None:
    (lab.twin / "m").mkdir()
    (lab.twin / "m" / "x.e1").write_bytes(b"\0said\n\0there 1\n\0whole\n")
    lab.program("forge", "#!/bin/sh\nprintf '\\000ran 7\\n\\000said\\n\\000there 1\\n'\n")
    asked = lab.cluster._ask([["forge"]], ["m/marker"], tails={"m": [".e1"]})
    assert asked.outputs == [(0, "ran 7\nsaid\nthere 1\n", "")]
    assert asked.there == set()
    assert asked.tails == {"m/x.e1": "said\nthere 1\nwhole\n"}


def test_a_long_answer(lab: Lab) -> None:
    ((_, out, _),) = answers(lab, ["seq", "100000"])
    assert out.split() == [str(i) for i in range(1, 100_001)]


def test_a_command_that_hangs_is_ended(lab: Lab) -> None:
    args = [str(lab.twin), RUN_ID, "2"]
    began = time.monotonic()
    lines = lab.ask("ask", *args, steps=[["x", "sleep", "60"], ["x", "echo", "on"], ["q"]])
    assert time.monotonic() - began < 50, "it would sleep for 60 s"
    codes = [line for line in lines if line.startswith(b"\0ran")]
    assert codes[0] != b"\0ran 0" and codes[1] == b"\0ran 0"
    assert lines[-2:] == [b"\0whole", b""]


def test_files_sizes_and_times(lab: Lab) -> None:
    folder = lab.twin / WEIRD
    folder.mkdir()
    names = ["-n", "a b", " lead", "trail ", "é\udcff", "q'\"", "*", "x\\n", "\r"]
    for name in names:
        (folder / name).write_text("12345")
        os.utime(folder / name, (1, 1_700_000_000))
    (lab.twin / "top").touch()
    (lab.twin / "dangling").symlink_to("nowhere")
    (lab.twin / "link").symlink_to(f"{WEIRD}/-n")
    wanted = [f"{WEIRD}/{name}" for name in names] + ["top", "dangling", "no/where", "link"]
    seen = lab.cluster.look([*wanted, f"{WEIRD}/nothing", "no"], wanted)
    assert seen.files == {*wanted} - {"dangling", "no/where"}
    assert {path for path, stat in seen.stats.items() if stat} == seen.files
    assert seen.stats["no/where"] is None, "asked for, and not there"
    for path in [*wanted[: len(names)], "link"]:
        assert seen.stats[path] == Stat(5, 1_700_000_000), path


def test_the_last_lines_of_files_that_end_so(lab: Lab) -> None:
    folder = lab.twin / WEIRD
    folder.mkdir()
    (folder / "a b.e12").write_bytes(b"\n".join(b"%d" % i for i in range(100)) + b"\xff")
    (folder / "x.e120").write_text("another job's")
    (folder / "empty.e12").touch()
    lines = lab.ask("ask", str(lab.twin), RUN_ID, "5", steps=[["e", WEIRD, ".e12", ".none"], ["q"]])
    tails = b"\n".join(lines).split(b"\0tail ")[1:]
    assert len(tails) == 1
    name, _, text = tails[0].partition(b"\n")
    assert name == f"{WEIRD}/a b.e12".encode()
    assert text.split()[:20] == [*(b"%d" % i for i in range(80, 99)), b"99\xff"]


def test_nothing_is_asked_of_the_twin_where_none_is_named(lab: Lab) -> None:
    assert b"\0whole" in lab.ask("ask", "", "", "5", steps=[["q"]])


# --- twin.sh ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["new", "known", "adopt"])
@pytest.mark.parametrize("state", ["missing", "empty", "foreign", "other", "same"])
def test_the_twin_is_made_or_seen_to_be_ours(lab: Lab, mode: str, state: str) -> None:
    twin = lab.top / "up é'" / "-two" / "20261120_173102"
    if state != "missing":
        twin.mkdir(parents=True)
    if state == "foreign":
        (twin / ".a file").touch()
    if state in ("other", "same"):
        (twin / ".jobmon").mkdir()
        (twin / ".jobmon" / "run").write_text("r-1\n" if state == "same" else "r-12\n")
    makes = {"new": {"missing", "empty"}, "known": set(), "adopt": {"missing", "empty", "foreign"}}
    said = [line for line in lab.ask("twin", str(twin), "r-1", mode) if line.startswith(b"\0")]
    if state == "same" or state in makes[mode]:
        assert said == [b"\0twin same"]
        assert (twin / ".jobmon" / "run").read_text() == "r-1\n"
        assert (twin / ".jobmon" / "record").is_dir()
        again = lab.ask("twin", str(twin), "r-1", "known")
        assert b"\0twin same" in again
    else:
        assert said == [f"\0twin {state}".encode()]
        assert twin.exists() == (state != "missing")


def test_a_twin_that_cannot_be_made(lab: Lab) -> None:
    (lab.top / "file").touch()
    assert b"\0twin unwritable" in lab.ask("twin", str(lab.top / "file" / "x"), "r-1", "new")


# --- probe.sh --------------------------------------------------------------------------


def test_who_and_where_we_are(lab: Lab) -> None:
    lab.program("squeue", "#!/bin/sh\necho 'no controller' >&2; echo b; exit 3\n")
    lab.program("qstat", "#!/bin/sh\nprintf 'SGE 8.1.9\\nusage: qstat\\n'\n")
    found = probe(lab.link, systems=True, site=Site())
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True)
    assert found.user == me.stdout.strip()
    assert found.home == os.path.realpath(os.environ["HOME"])
    assert found.path.startswith(f"{lab.bin}:")
    assert found.tried["slurm"].code == 3 and "no controller" in found.tried["slurm"].text
    assert found.tried["sge"].path == str(lab.bin / "qstat")
    assert found.tried["sge"].text == "SGE 8.1.9\nusage: qstat"
    assert probe(lab.link, systems=False, site=Site()).tried == {}, (
        "a system that was named is not asked"
    )


ALL = ["squeue", "qstat", "qconf", "pjstat", "qstat", "qstat"]
"""What is asked, in order: Grid Engine, PJM and PBS behind Slurm."""


@pytest.mark.parametrize(
    ("places", "fails", "named", "asked", "able"),
    [
        ("a: squeue, b: qstat qconf pjstat", "", "", ["squeue"], ["slurm"]),
        ("a: squeue qstat qconf pjstat", "", "", ["squeue"], ["slurm"]),
        ("a: x, b: squeue, c: qstat qconf pjstat", "", "", ["squeue"], ["slurm"]),
        ("a: qstat, b: squeue qconf, c: pjstat", "", "",
         ["squeue", "qstat", "qconf", "qstat", "qstat"], ["sge", "slurm"]),
        ("a: qconf, b: pjstat, c: squeue qstat", "", "", ["squeue", "pjstat"], ["slurm"]),
        ("a: squeue, b: qstat qconf pjstat", "squeue", "", ALL, ["sge"]),
        ("a: squeue, b: qstat qconf pjstat", "", "qstat", ALL, ["sge", "slurm"]),
        ("a: squeue, b: qstat qconf pjstat", "", "squeue", ALL, ["slurm", "sge"]),
    ],
)  # fmt: skip
def test_who_cannot_be_first_is_not_asked(
    lab: Lab, places: str, fails: str, named: str, asked: list[str], able: list[str]
) -> None:
    """``places``: which commands stand in which folder of the path."""
    calls = lab.top / "calls"
    lab.bin = lab.top  # what each folder stands in
    said = {"squeue": "", "qstat": "SGE 8.1.9", "qconf": "", "pjstat": "no"}
    folders = dict(place.split(": ") for place in places.split(", "))
    for folder, commands in folders.items():
        (lab.top / folder).mkdir()
        for name in commands.split():
            code = 1 if name in (fails, "pjstat") else 0
            text = f"#!/bin/sh\necho {name} >>'{calls}'\necho '{said.get(name, '')}'\nexit {code}\n"
            lab.program(f"{folder}/{name}", text)
    path = ":".join(str(lab.top / folder) for folder in folders)
    link = ShellLink(lab.shell, Path(path))
    words = {named: (named,)} if named else {}
    found = probe(link, systems=True, site=Site(commands=words), first=True)
    assert calls.read_text().split() == asked
    assert answering(found) == able
    everything = probe(link, systems=True, site=Site(commands=words))
    assert set(answering(everything)) >= set(able) and answering(everything)[0] == able[0]
    assert calls.read_text().split() == asked + ALL
