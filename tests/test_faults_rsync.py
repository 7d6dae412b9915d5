"""An rsync that ends badly is never taken for one that ended well."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from test_transfer import RSH, RshLink, bring

from jobmon.cluster.base import ClusterError, ConnectionLost
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import Wanted
from jobmon.run.tree import OURS

CODES = ("23", "24", "12", "30", "255", "signal")


@pytest.mark.fault("Connections: rsync ended by a signal or with 23, 24, 12, 30, 255")
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("code", CODES)
def test_an_rsync_that_ends_so_is_never_taken_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, done: bool
) -> None:
    """It is silent as well, as one that a signal ends."""
    run, twin, tools = tmp_path / "run", tmp_path / "twin", tmp_path / "tools"
    for folder in (run / "m", twin / "m", tools):
        folder.mkdir(parents=True)
    (run / "m" / "in").write_text("new")
    (twin / "m" / "out").write_text("result")
    end = "kill -9 $$" if code == "signal" else f"exit {code}"
    first = '"$real" "$@"' if done else ":"
    real = subprocess.check_output(["which", "rsync"], text=True).strip()
    (tools / "rsync").write_text(f"#!/bin/sh\n# A stand-in.\nreal={real}\n{first}\n{end}\n")
    (tools / "rsync").chmod(0o755)
    path = os.environ["PATH"]
    shell = tmp_path / "shell"
    shell.write_text(RSH)
    shell.chmod(0o755)
    files = Rsync(RshLink(shell), run, str(twin), OURS)

    monkeypatch.setenv("PATH", f"{tools}:{path}")
    with pytest.raises(ClusterError):
        files.push(["m/in"])
    with pytest.raises(ClusterError):
        files.push_tree(OURS)
    try:
        brought, trouble = bring(files, run, Wanted(("m",), (), (), ()))
    except ConnectionLost:
        assert code not in {"23", "24"}
    else:
        assert code in {"23", "24"} and trouble
        assert brought == ({"m/out"} if done else set())

    monkeypatch.setenv("PATH", path)
    files.push(["m/in"])
    assert (twin / "m" / "in").read_text() == "new"
    bring(files, run, Wanted(("m",), (), (), ()))
    assert (run / "m" / "out").read_text() == "result"
