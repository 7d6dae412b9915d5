"""Messages of error paths that no other test has a reason to come across, each seen here once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from conftest import TestCluster
from paramiko.ssh_exception import IncompatiblePeer
from session import jobmon, only_run, put

from jobmon.cluster.base import ClusterError, ConnectionLost, Link, LoginFailed, LookFailed
from jobmon.cluster.batch import batch
from jobmon.cluster.copying import Copy
from jobmon.cluster.links import connect, dial
from jobmon.cluster.links.login import nobody
from jobmon.cluster.links.sshconfig import Host, resolve
from jobmon.cluster.rsync import Rsync
from jobmon.cluster.transfer import Wanted
from jobmon.core.address import Remote
from jobmon.run.tree import OURS


def refuse(prompt: str, echo: bool) -> str:
    raise nobody(prompt)


def test_another_name_for_a_run_that_is_there(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, "--initonly", code=0)
    run = only_run(project)
    done = jobmon("--ldir", run, "--datedir", "other", code=2)
    assert done.stderr == f"jobmon: --ldir {run} is a run already; leave --datedir other out\n"


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><job_info/>', "XML with declarations, not read"),
        ("<job_info><job_list><state>r</state></job_list></job_info>", "a job without a number"),
    ],
)
def test_listings_of_grid_engine_that_are_not_read(listing: str, words: str) -> None:
    with pytest.raises(LookFailed, match=words):
        batch("sge").parse(listing)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ProxyUseFdpass yes", "ProxyUseFdpass works with --ssh openssh only"),
        ("NoSuchWord yes", "ssh refuses its configuration for far: .*NoSuchWord|nosuchword"),
    ],
)
def test_ssh_configurations_that_will_not_do(tmp_path: Path, line: str, words: str) -> None:
    config = tmp_path / "config"
    config.write_text(f"Host far\n  {line}\n")
    with pytest.raises(LoginFailed, match=words):
        resolve(Remote("far"), config)


def test_a_host_that_has_no_cipher_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    def incompatible(*_: object) -> NoReturn:
        raise IncompatiblePeer("no acceptable ciphers")

    monkeypatch.setattr(dial, "_socket", incompatible)
    with pytest.raises(LoginFailed, match=r"no common way to encrypt: .*; use --ssh openssh"):
        dial.dial(Host("far", "far.example", 22, "alice"), refuse, None)


def test_a_copying_that_is_stopped(tmp_path: Path) -> None:
    run, twin = tmp_path / "run", tmp_path / "twin"
    run.mkdir()
    put(twin, "m/qsub.0")
    transfer = Copy(run, twin, OURS)
    transfer.stop()
    with pytest.raises(ConnectionLost, match="the copying was stopped"):
        transfer.pull(Wanted(("m",), (), (), ()))


@pytest.fixture
def link(testcluster: TestCluster, request: pytest.FixtureRequest) -> Iterator[Link]:
    """A link to ``narrow``, which opens two channels only, or to ``hpc``."""
    ssh, host = request.param
    made = connect(Remote(host), ssh=ssh, ssh_config=testcluster.ssh_config, ask=refuse)
    yield made
    made.close()


def held(link: Link, channels: int, words: str) -> None:
    """Hold as many channels, and see what one more is told."""
    holders = [link.stream("echo x; sleep 60", b"", 60) for _ in range(channels)]
    assert [next(holder) for holder in holders] == [b"x\n"] * channels
    with pytest.raises(ConnectionLost, match=words):
        list(link.stream("echo y", b"", 1))
    for holder in holders:
        holder.close()  # type: ignore[attr-defined]


@pytest.mark.cluster
@pytest.mark.parametrize("link", [("fabric", "hpc")], indirect=True)
def test_all_channels_in_use(link: Link) -> None:
    held(link, 4, "all 4 channels were in use for 1 s")


@pytest.mark.cluster
@pytest.mark.parametrize("link", [("openssh", "hpc")], indirect=True)
def test_all_commands_running(link: Link) -> None:
    held(link, 2, "2 commands were still running after 1 s")


@pytest.mark.cluster
@pytest.mark.parametrize("link", [("fabric", "hpc")], indirect=True)
def test_a_file_that_cannot_be_pushed(testcluster: TestCluster, tmp_path: Path, link: Link) -> None:
    run = tmp_path / "run"
    put(run, "m/qsub.0")
    twin = b"".join(link.stream("mktemp -d", b"", 30)).decode().strip()
    with pytest.raises(ClusterError, match=r"not all was pushed to .*missing"):
        Rsync(link, run, twin, OURS).push(["m/qsub.0", "m/missing"])
    assert b"".join(link.stream(f"ls {twin}/m; rm -r {twin}", b"", 30)) == b"qsub.0\n"
