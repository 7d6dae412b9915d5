"""rsync by both links: past a login shell that talks, whole, and counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from conftest import TestCluster

from jobmon.cluster.links import connect
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import Wanted
from jobmon.core.address import Remote

SIZE = 3_000_000  # more than any pipe or buffer on the way holds


@pytest.mark.cluster
@pytest.mark.parametrize("host", ["hpc", "bashnoise", "csh", "fish"])
@pytest.mark.parametrize("kind", ["fabric", "openssh"])
def test_files_go_up_and_come_home(
    kind: Literal["fabric", "openssh"],
    host: str,
    testcluster: TestCluster,
    remote_dir: Callable[[str], str],
    tmp_path: Path,
) -> None:
    data = random.Random(host).randbytes(SIZE)
    up, home = tmp_path / "up", tmp_path / "home"
    for run in (up, home):
        (run / "m").mkdir(parents=True)
    (up / "m" / "result").write_bytes(data)
    there = remote_dir(host)
    link = connect(
        Remote(host), ssh=kind, ssh_config=testcluster.ssh_config, ask=lambda prompt, echo: ""
    )
    with closing(link):
        list(link.stream(f"exec /bin/sh -c 'mkdir -p {there}/m'", b"", 30))
        pushed, pulled = Rsync(link, up, there, []), Rsync(link, home, there, [".jobmon"])
        pushed.push(["m/result"])
        assert pushed.spent().sent > SIZE > pushed.spent().received > 0
        assert pulled.pull(Wanted(("m",), ("*",), (), ())) == ""
        assert pulled.spent().received > SIZE > pulled.spent().sent > 0
        assert (home / ".jobmon" / "landing" / "m" / "result").read_bytes() == data
        assert link.spent().channels == 3
