"""The cluster is not trusted with this machine: what it sends, and what it says.

A hostile cluster is a stand-in: an ``rsync`` of its own, first in PATH behind a real sshd, that
tells lies about names; and batch commands that answer with control codes.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_links_login import Kind, Server, over_ssh, serve  # noqa: F401 (a fixture)
from test_transfer import Lab, bring

from jobmon.cluster import landing
from jobmon.cluster.base import ClusterError, Link
from jobmon.cluster.landing import ASIDE, Gate, Way
from jobmon.cluster.patterns import kept
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import MAX_SIZE, Wanted, rules
from jobmon.run.tree import OURS

PULL = "Security: what is pulled cannot land outside its job folder"

# --- what is pulled --------------------------------------------------------------------

RSYNC = shutil.which("rsync")
LANDED = {
    "another folder of the run",
    "the lock",
    "the settings",
    "the program kill",
    "the journal",
}
"""Lies that an rsync which believes them brings as far as the folder aside."""

LIAR = """#!{python}
# The real rsync, with some names of its file list exchanged for others as long, and with flags
# that nobody asked for.
import subprocess, sys, threading
flags, lies = {flags!r}, {lies!r}
words = [w.replace("-", "-" + flags, 1) if "e." in w and w[1] != "-" else w for w in sys.argv[1:]]
child = subprocess.Popen(["{rsync}", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def feed():
    try:
        while piece := sys.stdin.buffer.raw.read(65536):
            child.stdin.write(piece)
            child.stdin.flush()
        child.stdin.close()
    except OSError:
        pass
threading.Thread(target=feed, daemon=True).start()
limit = threading.Timer(1, child.kill)  # two who misunderstand each other wait for ever
limit.start()
while piece := child.stdout.raw.read(65536):
    for truth, lie in lies:
        piece = piece.replace(truth, lie)
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()
limit.cancel()
sys.exit(child.wait())
"""


@dataclass(frozen=True)
class Lie:
    """What is asked for, what is in the twin, and by which names it is sent instead."""

    folders: tuple[str, ...]
    there: tuple[str, ...]
    lies: Mapping[str, str]
    flags: str = ""
    protected: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


def lies(outside: Path) -> dict[str, Lie]:
    """``outside`` is a folder of this machine that nobody has to write to."""
    absolute = "A" * len(str(outside))
    one, asked = "folder-one", ("folder-one",)
    return {
        "another folder of the run": Lie(asked, (f"{one}/qsub.0",), {one: "folder-two"}),
        "the parent": Lie(asked, (f"{one}/XX_XX_secret",), {"XX_XX_secret": "../../secret"}),
        "an absolute name": Lie((absolute,), (f"{absolute}/secret",), {absolute: str(outside)}),
        "the lock": Lie(("",), (".jobm0n/lock",), {"jobm0n": "jobmon"}),
        "the settings": Lie(("",), ("jobmon.yam1",), {"jobmon.yam1": "jobmon.yaml"}),
        "the program kill": Lie(("",), ("kil1",), {"kil1": "kill"}),
        "the journal": Lie(("",), ("qsub.1og",), {"qsub.1og": "qsub.log"}),
        "a script that counts here": Lie(
            asked, (f"{one}/qsub.9",), {"qsub.9": "qsub.0"}, protected=(f"{one}/qsub.0",)
        ),
        "links": Lie(asked, (f"{one}/x",), {}, "l", links={f"{one}/link": str(outside)}),
        "devices, owners and modes": Lie(asked, (f"{one}/x",), {}, "Dpog"),
    }


def plant(folder: Path, *names: str, text: str = "theirs") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def program(path: Path, text: str) -> None:
    plant(path.parent, path.name, text=text)
    path.chmod(0o755)


def standing(*tops: Path) -> dict[str, tuple[int, str]]:
    """All below ``tops`` but the folder where pulls end: mode and content."""
    found = {}
    for path in (path for top in tops for path in top.rglob("*")):
        if ASIDE not in str(path):
            is_file = path.is_file() and not path.is_symlink()
            found[str(path)] = (path.lstat().st_mode, path.read_text() if is_file else "")
    return found


class Victim:
    """A run folder, its twin on a cluster whose rsync tells ``lie``, and the way between them."""

    def __init__(self, top: Path, outside: Path, lie: Lie) -> None:
        self.top, self.outside, self.lie = top, outside, lie
        self.run, self.twin = top / "project" / "run", top / "twin"
        plant(self.run, "qsub.log", "jobmon.yaml", "kill", ".jobmon/lock", "secret", text="mine")
        plant(self.run, "folder-one/qsub.0", "folder-two/qsub.0", "../secret", text="mine")
        plant(self.twin, *lie.there)
        for name, target in lie.links.items():
            (self.twin / name).symlink_to(target)

    def pull(self, link: Link, theirs: Path) -> str:
        """Pull, and see that only what was asked for changed; what was left out."""
        lied = [(os.fsencode(a), os.fsencode(b)) for a, b in self.lie.lies.items()]
        words = {"python": sys.executable, "rsync": RSYNC, "flags": self.lie.flags, "lies": lied}
        program(theirs / "rsync", LIAR.format(**words))
        before = standing(self.top / "project", self.outside)
        try:
            wanted = Wanted(self.lie.folders, (), (), self.lie.protected)
            said = bring(Rsync(link, self.run, str(self.twin), OURS), self.run, wanted)[1]
        except ClusterError as error:
            said = str(error)
        after = standing(self.top / "project", self.outside)
        changed = {name for name in after if before.get(name) != after[name]}
        asked = str(self.run / "folder-one" / "x")
        assert changed <= {asked} and before.keys() <= after.keys(), said
        if asked in changed:
            assert stat.S_ISREG(after[asked][0]) and not after[asked][0] & 0o7000
        assert said.isprintable()
        return said


@over_ssh
@pytest.mark.cluster
@pytest.mark.fault(f"{PULL} (a hostile rsync sender)")
def test_a_hostile_sender_cannot_write_outside_the_job_folder(
    serve: Callable[..., Server],  # noqa: F811
    kind: Kind,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs, outside, ours = (tmp_path / name for name in ("theirs", "outside", "ours"))
    program(ours / "rsync", f'#!/bin/sh\nexec {RSYNC} --trust-sender "$@"\n')
    plant(outside, "secret", text="mine")
    link = serve(f"SetEnv PATH={theirs}:/usr/local/bin:/usr/bin:/bin").link(kind)
    try:
        for name, lie in lies(outside).items():
            Victim(tmp_path / name, outside, lie).pull(link, theirs)
        # And with an rsync here that believes what it is sent, as those before 3.2.5 did.
        monkeypatch.setenv("PATH", f"{ours}:{os.environ['PATH']}")
        for name, lie in lies(outside).items():
            if not lie.flags:
                said = Victim(tmp_path / f"{name} believed", outside, lie).pull(link, theirs)
            if name in LANDED:
                assert "was not asked for" in said, name
    finally:
        link.close()


@pytest.mark.fault(f"{PULL} (links, devices, set-uid bits, jobmon's own names, size)")
def test_only_what_was_asked_for_lands(tmp_path: Path) -> None:
    """The folder aside may hold anything: what an rsync that checks nothing would have made."""
    run, outside = tmp_path / "run", tmp_path / "outside"
    plant(outside, "secret", text="mine")
    plant(run, "qsub.log", "jobmon.yaml", "kill", "m/qsub.0", "n/qsub.0", text="mine")
    (run / "m" / "away").symlink_to(outside)
    (run / "m" / "mine").symlink_to(outside / "secret")
    (run / "m" / "is a folder").mkdir()
    aside = run / ASIDE
    plant(aside, "kill", "jobmon.yaml", "qsub.log", ".jobmon/lock", ".jobmon/requests/0.json")
    plant(aside, "n/qsub.0", "top", "m/qsub.0", "m/away/secret", "m/is a folder")
    plant(aside, "m/good", "m/closed/good", "m/mine", "m/tool")
    (aside / "m" / "tool").chmod(0o6755)
    (aside / "m" / "closed").chmod(0o500)
    (aside / "m" / "link").symlink_to(outside / "secret")
    (aside / "m" / "linked").symlink_to(outside)
    os.mkfifo(aside / "m" / "pipe")
    with (aside / "m" / "huge").open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    before = standing(tmp_path)
    cargo = landing.ready(run, Wanted(("m",), (), (), ("m/qsub.0",)), OURS)
    landed = landing.land(run, cargo.files)
    assert set(landed.files) == {"m/good", "m/closed/good", "m/mine", "m/tool"}
    assert not aside.exists()
    trouble = landing.said([*cargo.left, *landed.left])
    assert "(and " in trouble and trouble.isprintable()
    after = standing(tmp_path)
    made = {str(run / "m" / name) for name in ("good", "closed", "closed/good", "mine", "tool")}
    assert {name for name in after if before.get(name) != after[name]} == made
    assert (run / "m" / "tool").stat().st_mode & 0o7777 == 0o755
    assert not (run / "m" / "mine").is_symlink(), "the link is replaced, not what it points to"


@pytest.mark.parametrize("name", ["Kill", ".JOBMON/lock", "M/QSUB.0", "m/qsub.0"])
@pytest.mark.fault(f"{PULL} (names that this machine takes for another)")
def test_a_name_that_turns_into_another_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A stand-in for a file system that does not tell capitals apart, as on macOS."""
    plant(tmp_path, "kill", ".jobmon/lock", "m/qsub.0")

    def lexists(path: Path) -> bool:
        small = str(path.relative_to(tmp_path)).lower()
        return small == "." or (tmp_path / small) in tmp_path.rglob("*")

    monkeypatch.setattr("jobmon.cluster.landing.os.path.lexists", lexists)
    assert bool(Way(tmp_path).barred(name)) == (name != "m/qsub.0")


@pytest.mark.fault(f"{PULL} (a folder here replaced by a link)")
@pytest.mark.parametrize("way", ["copy", "rsync"])
def test_a_folder_here_that_became_a_link_leads_nothing_out(tmp_path: Path, way: str) -> None:
    lab = Lab(tmp_path, way)
    lab.put(lab.twin / "m" / "deep" / "x", "theirs")
    outside = tmp_path / "outside"
    lab.put(outside / "x", "mine")
    (lab.run / "m").mkdir()
    (lab.run / "m" / "deep").symlink_to(outside)
    brought, trouble = lab.bring(Wanted(("m",), (), (), ()))
    assert brought == set() and "m/deep is a link here" in trouble
    assert (outside / "x").read_text() == "mine"
    (lab.run / "m" / "deep").unlink()
    assert lab.pull("m") == {"m/deep/x"}


@pytest.mark.fault(f"{PULL} (cut off in the middle)")
def test_a_pull_that_was_cut_off_goes_on_from_where_it_was(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "rsync")
    for name in ("x", "y", "old"):
        lab.put(lab.twin / "m" / name, "theirs")
    lab.put(lab.run / ASIDE / "m" / "x", "theirs")  # what a pull before had fetched already
    inode = (lab.run / ASIDE / "m" / "x").stat().st_ino
    lab.put(lab.run / "m" / "old", "theirs")
    assert lab.pull("m") == {"m/x", "m/y"}
    assert (lab.run / "m" / "x").stat().st_ino == inode, "it was not fetched again"
    assert not (lab.run / ASIDE).exists()


@given(
    st.lists(st.sampled_from(["", "a", "a/b", "c d", "a/b/c"]), min_size=1, unique=True),
    st.lists(st.sampled_from(["*", "/*", "x*", "/b/**", "qsub.*", "b/", "/x y"]), unique=True),
    st.lists(st.sampled_from(["a/x", "a/b", "qsub.0", "c d/qsub.1"]), unique=True),
    st.sampled_from(
        ["x", "kill", "qsub.0", "a/x", "a/b/x", "a/b/c/qsub.1", "a/kill", "c d/x y", "e/x"]
    ),
)
def test_the_gate_lets_in_what_the_rules_say(
    folders: list[str], results: list[str], protected: list[str], name: str
) -> None:
    """It looks at the rules of the folders above a name only; the answer must be the same."""
    wanted = Wanted(tuple(folders), tuple(results), ("*.o1",), tuple(protected))
    asked = any(not folder or name.startswith(f"{folder}/") for folder in folders)
    assert Gate(wanted, OURS).lets(name) == (asked and kept(rules(wanted, OURS), name))
