"""What stands in the run folder, and what a person changed there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from jobmon.core.model import Key, Need
from jobmon.core.needs import Needs
from jobmon.run import tree
from jobmon.run.synced import Stamp, Synced
from jobmon.run.tree import Found, Tree, is_ours, read_needs, scripts

WEIRD = "-a 'b\" $HOME é;*\\"


class Run:
    """A run folder in which tests put, change and delete files."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.synced = Synced(top / ".jobmon" / "synced.db")
        self.tree = Tree(top, self.synced)

    def put(self, name: str, text: str = "") -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def sync(self, *names: str) -> None:
        self.synced.put((name, Stamp.of((self.top / name).stat())) for name in names)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def by_folder(found: Iterable[Found]) -> dict[str, Found]:
    return {one.folder: one for one in found}


def test_one_folder(run: Run) -> None:
    for name in ("qsub.0", "qsub.1", "qsub.10", "qsub.dependency.0", "qsub.finished.0", "in put"):
        run.put(f"{WEIRD}/{name}")
    run.put(f"{WEIRD}/qsub.dependency.1", "qsub.finished.0\nnot ../STOP\n")
    run.put(f"{WEIRD}/deep er/x")
    found = run.tree.read(WEIRD)
    assert found.needs == {
        Key(f"{WEIRD}/qsub.0"): (),
        Key(f"{WEIRD}/qsub.1"): (Need(f"{WEIRD}/qsub.finished.0"), Need("STOP", absent=True)),
        Key(f"{WEIRD}/qsub.10"): None,
    }
    scripts_and_needs = {"qsub.0", "qsub.1", "qsub.10", "qsub.dependency.0", "qsub.dependency.1"}
    assert found.kept == {f"{WEIRD}/{name}" for name in scripts_and_needs}
    assert found.changed.keys() == found.kept | {f"{WEIRD}/in put"}, "but never a marker"
    assert found.subfolders == [f"{WEIRD}/deep er"]
    assert found.complaints == []


def test_what_is_not_as_it_was_synced_is_changed(run: Run) -> None:
    names = ["m/qsub.0", "m/same", "m/longer", "m/newer", "m/gone", "m/qsub.finished.0"]
    for name in names:
        run.put(name, "text")
    run.sync(*names)
    assert run.tree.read("m").changed == {}
    run.put("m/longer", "text and more")
    os.utime(run.top / "m/newer", ns=(0, 1))
    (run.top / "m/gone").unlink()
    run.put("m/qsub.finished.0", "other")
    found = run.tree.read("m")
    assert found.changed.keys() == {"m/longer", "m/newer"}
    assert found.changed["m/newer"] == Stamp(4, 1)
    run.sync("m/longer", "m/newer")
    assert run.tree.read("m").changed == {}


def test_a_script_that_was_deleted_here_stays_deleted(run: Run) -> None:
    names = ["m/qsub.0", "m/qsub.dependency.0", "m/data", "m/qsub.finished.0"]
    for name in names:
        run.put(name)
    run.sync(*names)
    for name in names:
        (run.top / name).unlink()
    found = run.tree.read("m")
    assert found.kept == {"m/qsub.0", "m/qsub.dependency.0"}, "so that no pull brings them back"
    assert found.needs == {}
    assert found.changed == {}
    (run.top / "m").rmdir()
    assert run.tree.read("m").kept == found.kept


def test_a_dependency_file_that_was_deleted_holds_its_job(run: Run) -> None:
    run.put("m/qsub.0")
    run.put("m/qsub.dependency.0")
    assert run.tree.read("m").needs == {Key("m/qsub.0"): ()}
    (run.top / "m/qsub.dependency.0").unlink()
    assert run.tree.read("m").needs == {Key("m/qsub.0"): None}


def test_needs_are_read_anew_only_when_their_file_changed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.put("m/qsub.0")
    run.put("m/qsub.dependency.0", "a\n")
    read = list[Path]()

    def noted(path: Path, folder: str) -> tuple[Needs, str]:
        read.append(path)
        return read_needs(path, folder)

    monkeypatch.setattr(tree, "read_needs", noted)
    for _ in range(3):
        assert run.tree.read("m").needs == {Key("m/qsub.0"): (Need("m/a"),)}
    assert len(read) == 1
    run.put("m/qsub.dependency.0", "b\n")
    os.utime(run.top / "m/qsub.dependency.0", ns=(0, 5))
    assert run.tree.read("m").needs == {Key("m/qsub.0"): (Need("m/b"),)}


def test_what_is_wrong_with_a_dependency_file_is_said_each_time(run: Run) -> None:
    run.put("m/qsub.0")
    run.put("m/qsub.dependency.0", "fine\n../../etc/passwd\n")
    for _ in range(2):
        found = run.tree.read("m")
        assert found.needs == {Key("m/qsub.0"): None}, "it is held"
        (said,) = found.complaints
        assert said.startswith(f"{run.top}/m/qsub.dependency.0, line 2: ")
        assert "outside the run folder" in said


@pytest.mark.fault("Input: a pipe or a folder in place of a script or a dependency file")
def test_what_is_no_plain_file_holds_its_job_and_is_said(run: Run) -> None:
    run.put("m/qsub.0")
    run.put("m/qsub.1")
    (run.top / "m" / "qsub.dependency.0").mkdir()
    os.mkfifo(run.top / "m" / "qsub.dependency.1")
    os.mkfifo(run.top / "m" / "qsub.2")
    found = run.tree.read("m")
    assert found.needs == {Key("m/qsub.0"): None, Key("m/qsub.1"): None}
    assert sorted(said.partition(" is no plain file")[0] for said in found.complaints) == [
        f"{run.top}/m/{name}" for name in ("qsub.2", "qsub.dependency.0", "qsub.dependency.1")
    ]
    for name in ("qsub.dependency.0", "qsub.dependency.1"):
        needs, said = read_needs(run.top / "m" / name, "m")
        assert needs is None and f"{name} is no plain file" in said
    needs, said = read_needs(run.top / "m" / "gone", "m")
    assert needs is None and "cannot be read (No such file or directory)" in said


@pytest.mark.fault("Input: odd entries in a folder")
def test_odd_entries_do_not_spoil_their_folder(run: Run) -> None:
    run.put("m/qsub.0")
    run.put("m/new\nline")
    (run.top / "m" / "new\nfolder").mkdir()
    (run.top / "m" / "loop").symlink_to("loop")
    (run.top / "m" / "dangling").symlink_to("nowhere")
    (run.top / "m" / "up").symlink_to("..")
    (run.top / "m" / "alias").symlink_to("qsub.0")
    os.mkfifo(run.top / "m" / "pipe")
    found = run.tree.read("m")
    assert found.needs == {Key("m/qsub.0"): None}
    assert found.changed.keys() == {"m/qsub.0", "m/alias"}
    assert found.subfolders == []
    said = "\n".join(sorted(found.complaints))
    assert said.count("has a newline in its name and is passed over; rename it") == 2
    assert said.count("\n") == len(found.complaints) - 1, "each on one line"
    assert found.complaints == [] or "loop is passed over" in said


def test_a_file_that_goes_while_its_folder_is_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As jobs on this machine do all the time: the folder is still read as a whole."""
    for i in range(5):
        run.put(f"m/qsub.{i}")
    real = os.scandir

    class Gone:
        name = "temporary"

        def is_dir(self, *, follow_symlinks: bool) -> bool:
            return False

        def is_file(self) -> bool:
            return True

        def stat(self) -> os.stat_result:
            raise FileNotFoundError(2, "No such file or directory")

    class Scan:
        def __init__(self, path: Path) -> None:
            with real(path) as found:
                self.entries = list(found)

        def __enter__(self) -> list[object]:
            return [Gone(), *self.entries, Gone()]

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(tree.os, "scandir", Scan)  # type: ignore[attr-defined]
    assert len(run.tree.read("m").needs) == 5


def test_a_folder_that_cannot_be_read_is_said_and_keeps_its_scripts(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.put("m/qsub.0")
    run.sync("m/qsub.0")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tree.os, "scandir", refuse)  # type: ignore[attr-defined]
    found = run.tree.read("m")
    assert found.complaints == [f"{run.top}/m: Permission denied"]
    assert found.kept == {"m/qsub.0"}


def test_what_is_ours_at_the_top_is_passed_over(run: Run) -> None:
    own = ["jobmon.yaml", "jobmon.log", "jobmon.log.1", "qsub.log", "qsub.now", "quelist", "kill"]
    own += ["quelist.rejected.20261120", "qstat", "qsub.log.before.1"]
    for name in own:
        run.put(name)
        run.put(f"m/{name}")
    run.put("qsub.0")
    run.put("qsub.login")
    run.put("data")
    found = run.tree.read("")
    assert found.changed.keys() == {"qsub.0", "qsub.login", "data"}
    assert found.needs.keys() == {"qsub.0", "qsub.login"}
    assert found.subfolders == ["m"]
    assert all(map(is_ours, own)) and is_ours(".jobmon")
    assert run.tree.read("m").changed.keys() == {f"m/{name}" for name in own}


def test_everything_is_every_folder_once(run: Run) -> None:
    for name in ("a/b/c/qsub.0", "a/qsub.0", "z/x", f"{WEIRD}/qsub.1", "qsub.top"):
        run.put(name)
    (run.top / "a" / "link").symlink_to("b")
    found = by_folder(run.tree.everything())
    assert list(found) == ["", WEIRD, "a", "a/b", "a/b/c", "z"]
    keys = {key for one in found.values() for key in one.needs}
    assert keys == {"a/b/c/qsub.0", "a/qsub.0", f"{WEIRD}/qsub.1", "qsub.top"}
    assert keys == set(scripts(run.top))


def test_a_slice_takes_turns_and_the_hot_ones_always(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "SLICE", 3)
    for i in range(10):
        run.put(f"m{i}/qsub.0")
    long_ago(run)
    list(run.tree.everything())
    seen = set[str]()
    for _ in range(4):
        found = [one.folder for one in run.tree.slice(["m7"])]
        assert found[0] == "m7"
        assert 3 <= len(found) == len(set(found)) <= 4
        seen |= set(found)
    assert seen == {"", *(f"m{i}" for i in range(10))}


def long_ago(run: Run) -> None:
    """Let every folder's time of change be old enough to be trusted."""
    for where, _, _ in os.walk(run.top):
        os.utime(where, (1_700_000_000, 1_700_000_000))


def test_a_name_that_comes_goes_or_is_replaced_shows_at_a_glance(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "SLICE", 0)
    for i in range(4):
        run.put(f"m{i}/qsub.0")
    long_ago(run)
    list(run.tree.everything())
    assert not list(run.tree.slice([]))
    run.put("m1/qsub.dependency.0")
    (run.top / "m2/qsub.0").unlink()
    run.put("m3/new")
    (run.top / "m3/new").replace(run.top / "m3/qsub.0")
    assert by_folder(run.tree.slice([])).keys() == {"m1", "m2", "m3"}
    assert by_folder(run.tree.slice([])).keys() == {"m1", "m2", "m3"}, "more may come just now"
    long_ago(run)
    list(run.tree.slice([]))
    assert not list(run.tree.slice([]))


def test_a_new_folder_is_found_by_the_slice(run: Run) -> None:
    run.put("m/qsub.0")
    list(run.tree.everything())
    run.put("new/er/qsub.0")
    run.put("m/deep/qsub.0")
    found = by_folder(run.tree.slice([]))
    assert found.keys() == {"", "m", "m/deep", "new", "new/er"}
    assert by_folder(run.tree.slice([])).keys() == found.keys()


def test_a_folder_that_is_gone_is_empty_and_soon_forgotten(run: Run) -> None:
    run.put("m/qsub.0")
    list(run.tree.everything())
    (run.top / "m/qsub.0").unlink()
    (run.top / "m").rmdir()
    found = by_folder(run.tree.slice(["m"]))
    assert found["m"] == Found("m")
    assert "m" not in by_folder(run.tree.slice([]))
    run.put("m", "a file now")
    assert run.tree.read("m") == Found("m")
