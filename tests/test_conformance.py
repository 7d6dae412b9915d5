"""The shell that runs on a cluster and its Python twins do the same, byte for byte.

A history is a folder, the answers of the commands there, and calls of our programs. It is gone
through by each ``sh/*.sh``, framed as ``cluster.base.call`` does it, in dash, bash and busybox sh,
and by its twin on a ``Disk``: answers, files and calls of commands must be equal. What the
simulation shows of the twins is then true of the scripts.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from conformance_histories import (
    HISTORIES,
    SCRIPT,
    ask,
    attempt,
    claim,
    name_of,
    recover,
    submit,
    tree,
)
from conformance_lab import SHELLS, Call, Fake, History, by_shell, by_twins
from conftest import cluster_is_demanded
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.twins import TWINS

from jobmon.cluster.base import Step
from jobmon.core.model import Need


@pytest.fixture(scope="session", params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words = SHELLS[request.param]
    if shutil.which(words[0]) is None:
        reason = f"{words[0]} is not installed; get it by: scripts/testcluster install"
        if cluster_is_demanded():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return words


def both(history: History, shell: list[str]) -> None:
    """Go through a history in both ways and hold them against each other."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder).resolve()
        real, twins = by_shell(history, top, shell), by_twins(history, top)
    assert twins.answers == real.answers
    assert twins.tree == real.tree
    assert twins.calls == real.calls


@pytest.mark.parametrize("name", HISTORIES)
def test_a_script_and_its_twin_do_the_same(name: str, shell: list[str]) -> None:
    both(HISTORIES[name], shell)


# --- histories by chance ------------------------------------------------------------------

PIECES = [
    *(b"a", b"e1", b" ", b"'", b'"', b"$x", b"`", b"\\", b"\\n", b"*", b"?", b"[a]", b"{a}", b";"),
    *(b"&", b"|", b"<", b">", b"(", b"!", b"#", b"~", b"-", b"-n", b"=", b"%s", b".", b"\t", b"\r"),
    *("é".encode(), "Á".encode(), "日".encode(), b"\x01", b"\x1b", b"\x7f", b"\x80", b"\x81"),
    *(b"\x82", b"\x83", b"\x84", b"\x85", b"\x86", b"\x87", b"\x88", b"\xff"),
]
words = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map(
    lambda pieces: os.fsdecode(b"".join(pieces))
)
entries = words.filter(lambda name: name not in (".", ".."))
outputs = st.lists(st.sampled_from([*PIECES, b"\n", b"\0", b"jm said\n"]), max_size=8).map(b"".join)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A few jobs and files with any names, and some calls that know of them."""
    folders = draw(st.lists(entries, min_size=1, max_size=2, unique=True))
    keys = [f"{folder}/qsub.{i}" for folder in folders for i in range(2)]
    others = [f"{draw(st.sampled_from(folders))}/{draw(entries)}" for _ in range(3)]
    markers = draw(st.sets(st.sampled_from([key.replace(".", ".finished.") for key in keys])))
    paths = [*folders, *keys, *others, *markers, "nowhere", f"{folders[0]}/no {draw(entries)}"]
    files: dict[str, bytes | None] = dict.fromkeys(keys, SCRIPT)
    files |= {path: draw(outputs) for path in [*others[:2], *markers] if path not in keys}
    attempts = draw(
        st.lists(st.tuples(st.sampled_from(keys), st.integers(1, 2)), min_size=1, max_size=4)
    )
    for key, n in draw(st.sets(st.sampled_from(attempts), max_size=1)):
        files[name_of(key, n)] = draw(
            st.sampled_from([b"", f"key {key}".encode("utf-8", "surrogateescape")]) | outputs
        )

    def submission() -> Call:
        blocks = []
        for key, n in attempts:
            needs = draw(
                st.lists(st.builds(Need, st.sampled_from(paths), st.booleans()), max_size=2)
            )
            text = draw(st.sampled_from([SCRIPT, SCRIPT, SCRIPT, b"another"]))
            command = (draw(st.sampled_from(["qsub", "odd"])), *draw(st.lists(words, max_size=2)))
            blocks.append(attempt(key, n, needs, draw(st.booleans()), text, command))
        return submit(*blocks)

    def question() -> Call:
        steps: list[list[str]] = []
        for kind in draw(st.lists(st.sampled_from("xdgse"), max_size=8)):
            folder, _, name = draw(st.sampled_from(paths)).rpartition("/")
            match kind:
                case "x":
                    steps.append(["x", "odd", *draw(st.lists(words, max_size=2))])
                case "d":
                    steps.append(["d", folder or ".", name, draw(entries)])
                case "g":
                    steps.append(["g", draw(st.sampled_from(paths)), draw(st.sampled_from(paths))])
                case "s":
                    some = draw(st.lists(st.sampled_from([*keys, *others]), min_size=1, max_size=2))
                    steps.append(["s", *(f"./{path}" for path in some)])
                case _:
                    steps.append(["e", folder or ".", name[-draw(st.integers(1, 3)) :]])
        return ask(*steps, "q")

    def recovery() -> Call:
        claims: list[Step | str] = [claim(key, n) for key, n in attempts[::-1]]
        some: list[list[Step | str]] = [claims, ["l"], [claims[0], "l", *claims]]
        return recover(*draw(st.sampled_from(some)), "q")

    calls = [draw(st.sampled_from([submission, submission, question, recovery]))() for _ in "12"]
    fakes = {
        name: Fake(draw(outputs), draw(outputs), draw(st.sampled_from([0, 1, 124, 255])), makes)
        for name, makes in [("qsub", ""), ("odd", f"made {draw(entries)}")]
    }
    return History([*calls, question()], tree(files), fakes)


@pytest.mark.skipif(sys.platform == "darwin", reason="names are no plain bytes there")
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_by_chance(data: st.DataObject, shell: list[str]) -> None:
    both(data.draw(histories()), shell)


def test_every_script_has_its_twin() -> None:
    folder = Path(__file__).parent.parent / "jobmon" / "cluster" / "sh"
    part_of_all = "limit"  # how a command is ended in time: for a twin, its host's business
    no_part_of_a_run = "check"
    scripts = {path.stem for path in folder.glob("*.sh")}
    assert scripts - {part_of_all, no_part_of_a_run} == TWINS.keys()
