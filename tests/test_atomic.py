"""A replaced file is the old one or the new one, whole, and keeps its mode."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from jobmon.run import atomic
from jobmon.run.atomic import write_atomically


def test_it_writes_replaces_and_leaves_nothing_beside(weird_path: Path) -> None:
    path = weird_path / "quelist"
    write_atomically(path, "one é\n")
    write_atomically(path, "two\n")
    assert path.read_text("utf-8") == "two\n"
    assert [p.name for p in weird_path.iterdir()] == ["quelist"]


def test_a_mode_is_kept_and_a_new_one_is_less_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "kill"
    before = os.umask(0o027)
    try:
        write_atomically(path, "x")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o755)
        write_atomically(path, "y")
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        write_atomically(tmp_path / "secret", "z", 0o600)
        assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    finally:
        os.umask(before)


@pytest.mark.fault("Disks and clocks: here full, at each write")
@pytest.mark.parametrize("step", ["write_all", "flush"])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "quelist"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(atomic, step, full)
    with pytest.raises(OSError, match="full") as caught:
        write_atomically(path, "new")
    assert caught.value.filename == str(path), "a person is told which file"
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["quelist"]


def test_the_data_is_flushed_before_the_name_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "quelist"
    path.write_text("old")
    seen: list[str] = []
    monkeypatch.setattr(atomic, "flush", lambda _fd: seen.append(path.read_text()))
    monkeypatch.setattr(atomic, "flush_folder", lambda _path: seen.append(path.read_text()))
    write_atomically(path, "new")
    assert seen == ["old", "new"]
