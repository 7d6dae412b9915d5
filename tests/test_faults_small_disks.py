"""Real disks that are full or read-only, here and there: a small file system of their own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from session import LOCAL, agree, count, daemon, jobmon, only_run, put, ran_once, status, until


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of its own; what is given changes how it is mounted (``ro``, ``rw``)."""
    at.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "jobmon-test", at],
        check=False,
        capture_output=True,
    )
    if made.returncode != 0:
        pytest.skip("only root may mount a small disk")

    def remount(how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", at], check=True)

    try:
        yield remount
    finally:
        subprocess.run(["umount", "-l", at], check=True)


def fill(disk: Path) -> Path:
    """Leave no room on ``disk``."""
    path = disk / "filler"
    with path.open("ab", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)
    return path


@pytest.mark.fault("Disks and clocks: here full, at each write")
def test_a_real_full_disk_here(tmp_path: Path) -> None:
    """It fills while jobs are in the queue: the daemon lives, ``status`` works, and once there is
    room all ends well."""
    with small_disk(tmp_path / "small", "2m"):
        project = tmp_path / "small" / "project"
        gate = "until [ -e ../go ]; do sleep 0.1; done"
        for name in "ab":
            put(project / "init", f"{name}/qsub.0", f"echo x >> started.0; {gate}; echo y > result")
        put(project / "init", "c/qsub.0", "echo x >> started.0", "../a/qsub.finished.0\n")
        far = tmp_path / "far"
        (project / "jobmon.yaml").write_text(f"{LOCAL}rdir: {far}\n")
        with daemon("--ldir", project, log=tmp_path / "out") as process:
            until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
            run = only_run(project)
            until(lambda: count(run, "started") == 2, what="two submissions")
            until(lambda: (run / "quelist").read_text().count("started@") == 2, what="the quelist")
            filler = fill(tmp_path / "small")
            twin = far / run.name
            (twin / "go").touch()
            until(lambda: len(list(twin.glob("*/qsub.finished.0"))) == 2, what="both jobs' end")
            full = re.compile("No space left|disk is full")
            until(lambda: full.search((tmp_path / "out").read_text()), what="a word of it")
            fill(tmp_path / "small")  # what the daemon has given back since
            assert status(run)["counts"]["waiting"] == 1
            for command, key in (("kill", "a"), ("hold", "c")):  # why they cannot, in a line
                done = jobmon(command, "--run", run, key, code=2)
                assert "No space left" in done.stderr and len(done.stderr.splitlines()) == 1
            assert process.poll() is None, "the daemon lives"
            filler.unlink()
            assert process.wait(60) == 0
        assert status(run)["counts"] == {"finished": 3}
        assert (run / "a" / "result").read_text() == (run / "b" / "result").read_text() == "y\n"
        ran_once(twin)
        agree(run)
        assert "Traceback" not in (tmp_path / "out").read_text()
        fill(tmp_path / "small")
        for args in (("--ldir", run), ("--ldir", project), ("--ldir", run, "--daemon")):
            done = jobmon(*args, code=2)
            assert "No space left" in done.stdout + done.stderr
        assert not [path for path in project.iterdir() if path.name.startswith(".")]


@pytest.mark.fault("Disks and clocks: there full, at each write")
@pytest.mark.fault("Disks and clocks: there read-only, at each write")
def test_a_real_full_or_read_only_disk_there(project: Path, tmp_path: Path) -> None:
    """The record cannot be written: nothing is submitted, and it is said why; then it goes on."""
    with small_disk(tmp_path / "small", "256k") as mount:
        (project / "jobmon.yaml").write_text(f"{LOCAL}rdir: {tmp_path}/small\n")
        put(project / "init", "a/qsub.0", "echo x >> started.0")
        jobmon("--ldir", project, "--initonly", code=0)
        run = only_run(project)
        record = "the record on the cluster cannot be written (quota? disk full?)"
        filler = fill(tmp_path / "small")
        assert record in jobmon("--ldir", run, "--once", code=1).stdout
        filler.unlink()
        mount("ro")
        (run / ".jobmon" / "memory.json").unlink()  # no pause before the next try
        assert record in jobmon("--ldir", run, "--once", code=1).stdout
        (run / "a" / "input").write_text("new\n")  # this cannot be pushed
        assert "Read-only file system" in jobmon("--ldir", run, "--once", code=3).stdout
        assert count(run, "started") == 0
        mount("rw")
        (run / ".jobmon" / "memory.json").unlink()
        jobmon("--ldir", run, code=0)
        twin = tmp_path / "small" / run.name
        assert (twin / "a" / "input").read_text() == "new\n"
        ran_once(twin)
        agree(run)
