"""Quelists of ecalj's own loop: every form that it wrote, here and from another machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobmon.core.model import Kind
from jobmon.run import views
from jobmon.run.names import BadFile
from jobmon.run.oldlist import is_old, read_old_quelist
from jobmon.run.views import Line

RUN = Path("/home/me/proj/20251120_173000")
PATH = RUN / "quelist"
GOLDEN = """\
/home/me/proj/20251120_173000/mp-149/qsub.0 spre@20251120_173102@353143 started@20251120_173102@353143 finished@20251120_175210
/home/me/proj/20251120_173000/mp-149/qsub.1 spre@20251120_173102@1 spre@20251120_180000@2 started@20251121_090000@3
/home/me/proj/20251120_173000/mp-2/qsub.0 started@20251120_173105
/home/me/proj/20251120_173000/a b/qsub.10 finished@20251120_173200
/home/me/proj/20251120_173000/mp-10/qsub.0 started@20251120_173105 failed 20251120_173300
/home/me/proj/20251120_173000/mp-11/qsub.0
"""


@pytest.fixture(autouse=True)
def japan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def never(_path: str) -> bool:
    return False


def only(*there: str) -> Callable[[str], bool]:
    return set(there).__contains__


def read(text: str, run: Path = RUN, exists: Callable[[str], bool] = never) -> list[Line]:
    return read_old_quelist(text, PATH, run, exists)


def test_golden() -> None:
    assert views.print_quelist(read(GOLDEN)) == (
        "# jobmon quelist 1\n"
        "mp-149/qsub.0 started@2025-11-20T17:31:02+09:00@353143 finished@2025-11-20T17:52:10+09:00\n"
        "mp-149/qsub.1 started@2025-11-20T17:31:02+09:00@1 started@2025-11-20T18:00:00+09:00@2"
        " started@2025-11-21T09:00:00+09:00@3\n"
        "mp-2/qsub.0 started@2025-11-20T17:31:05+09:00\n"
        "a%20b/qsub.10 finished@2025-11-20T17:32:00+09:00\n"
        "mp-10/qsub.0 started@2025-11-20T17:31:05+09:00 failed@2025-11-20T17:33:00+09:00\n"
        "mp-11/qsub.0\n"
    )


def test_a_spre_alone_is_a_submission() -> None:
    (line,) = read(f"{RUN}/m/qsub.0 spre@20251120_173102@353143\n")
    assert [(mark.kind, mark.jobid) for mark in line.marks] == [(Kind.STARTED, "353143")]


def test_a_list_from_another_machine_is_placed_by_the_run_folders_name() -> None:
    text = "/Users/takao/x y/20251120_173000/mp-149/sub/qsub.0 started@20251120_173102@7\n"
    assert [line.key for line in read(text)] == ["mp-149/sub/qsub.0"]


def test_in_a_moved_folder_the_longest_tail_that_is_there_counts() -> None:
    text = "/old/proj/20251120_173000/mp-149/qsub.0\n"
    moved = Path("/new/kept-run")
    there = only("mp-149/qsub.0", "qsub.0")
    assert [line.key for line in read(text, moved, there)] == ["mp-149/qsub.0"]
    assert [line.key for line in read(text, moved, only("qsub.0"))] == ["qsub.0"]


def test_a_name_that_is_in_the_path_twice_is_decided_by_what_is_there() -> None:
    text = "/home/run/proj/run/mp/qsub.0\n"
    run = Path("/elsewhere/run")
    assert [line.key for line in read(text, run, only("mp/qsub.0"))] == ["mp/qsub.0"]
    assert [line.key for line in read(text, run, only("proj/run/mp/qsub.0"))] == [
        "proj/run/mp/qsub.0"
    ]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("/some/where/else/mp-1/qsub.0", "is of another folder"),
        (f"{RUN}/mp-1/out.txt", "no path of a script"),
        (f"{RUN}/mp-1/qsub.0 begun@20251120_173102", "no path of a script"),
        (f"{RUN}/mp-1/qsub.0 started@20251120_173102@7 begun", "are not kind@DATE@JOBID"),
        (f"{RUN}/mp-1/qsub.0 started@20251320_173102@7", "no date like"),
        (f"{RUN}/../mp-1/qsub.0", "no path of a script"),
        ("mp-1/qsub.0 started@20251120_173102", "absolute path"),
        ("/", "no path of a script"),
        (f"{RUN}/mp-0/qsub.0", "stands there twice"),
    ],
)
def test_an_entry_that_cannot_be_placed_is_named(row: str, what: str) -> None:
    with pytest.raises(BadFile, match=what) as caught:
        read(f"{RUN}/mp-0/qsub.0\n\n{row}\n")
    assert str(caught.value).startswith(f"{PATH}, line 3: ")
    assert "rename quelist away" in str(caught.value)


def test_old_and_new_are_told_apart() -> None:
    assert is_old(GOLDEN)
    assert is_old("\n" + GOLDEN)
    assert not is_old("")
    assert not is_old(views.print_quelist(read(GOLDEN)))
    assert not is_old("mp-149/qsub.0 ready@2026-11-20T17:31:02+09:00\n")
