"""What a cluster says reaches no terminal as control codes; what a person says stays secret."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import TestCluster
from session import FAST, chain, daemon, environment, jobmon, only_run, put, status, twin_of, until
from test_links_login import Kind, Server, keygen, over_ssh, serve  # noqa: F401 (a fixture)
from test_transfer import Lab

from jobmon.cluster.base import ClusterError
from jobmon.cluster.transfer import Wanted

GiveDir = Callable[[str], str]
fault = pytest.mark.fault
WORDS = "Security: text from the cluster cannot reach a terminal"

ODD = "\x1b]0;title\x07\x1b[2J\x9b31m\x85\N{RIGHT-TO-LEFT OVERRIDE}\N{LINE SEPARATOR}<b>\r&"
"""Escapes, an 8-bit one, C1 codes, a turned line, markup."""
BYTES = "".join(f"\\{byte:03o}" for byte in ODD.encode())
"""The same, for printf."""


def harmless(text: str) -> str:
    """``text``, of which every line can be shown as it is."""
    assert [line for line in text.split("\n") if not line.isprintable()] == []
    return text


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def all_that_is_shown(run: Path) -> str:
    """What status says and what the run's own files hold; all of it harmless."""
    text = harmless(jobmon("status", "--run", run).stdout)
    raw = jobmon("status", "--run", run, "--json").stdout
    assert raw.isascii()
    json.loads(raw)
    for name in ("quelist", "qsub.now", "qsub.log", "qstat", "jobmon.log"):
        text += harmless((run / name).read_text("utf-8"))
    return text


@fault(f"{WORDS} as control codes (output of jobs, names)")
def test_what_jobs_write_and_name_is_shown_harmless(project: Path) -> None:
    put(project / "init", "m/qsub.0", f"printf 'last words {BYTES}' >&2; exit 3")
    new = f'mkdir "$(printf "x{BYTES}")"; cp qsub.0 "$(printf "x{BYTES}")/qsub.7"'
    put(project / "init", "n/qsub.0", new)
    done = jobmon("--ldir", project, code=1)
    run = only_run(project)
    harmless(done.stdout + done.stderr)
    assert "last words" in all_that_is_shown(run)
    states = status(run)["state"]
    assert states == {"m/qsub.0": "failed", "n/qsub.0": "finished", f"n/x{ODD}/qsub.7": "held"}


@fault(f"{WORDS} as control codes (listings and refusals of a batch system)")
def test_what_a_batch_system_says_is_shown_harmless(project: Path, tmp_path: Path) -> None:
    put(project / "init", "m/qsub.0")
    tools = tmp_path / "tools"
    program(tools / "squeue", f"printf '4711|RUNNING|{BYTES}|end\\n'")
    refusal = f"sbatch: error: Batch job submission failed: Invalid partition {BYTES}"
    program(tools / "sbatch", f"printf '%b\\n' '{refusal}' >&2; exit 1")
    env = environment(PATH=f"{tools}:{os.environ['PATH']}")
    done = jobmon("--ldir", project, "--scheduler", "slurm", "--once", env=env)
    harmless(done.stdout + done.stderr)
    run = only_run(project)
    shown = all_that_is_shown(run)
    assert "4711|RUNNING|" in shown and "Invalid partition" in shown
    program(tools / "squeue", f"printf 'nonsense {BYTES}\\n'")
    done = jobmon("--ldir", run, "--once", env=env, code=3)
    assert "nonsense" in harmless(done.stdout + done.stderr)


@fault(f"{WORDS} as control codes (rsync's errors)")
def test_what_rsync_says_is_shown_harmless(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "rsync")
    lab.put(lab.rsh, f"#!/bin/sh\nprintf 'so {BYTES} it is' >&2\nexit 9\n")
    with pytest.raises(ClusterError, match=r"so .* it is") as caught:
        lab.transfer.pull(Wanted(("m",), (), (), ()))
    harmless(str(caught.value))


@over_ssh
@pytest.mark.cluster
@fault(f"{WORDS} as control codes (banner of sshd, login shell)")
def test_what_a_login_node_says_is_shown_harmless(
    serve: Callable[..., Server],  # noqa: F811
    kind: Kind,
    project: Path,
    tmp_path: Path,
) -> None:
    banner = tmp_path / "banner"
    banner.write_bytes(b"welcome " + ODD.encode() + b"\n")
    program(tmp_path / "force", f"printf 'no service {BYTES}\\n'; exit 1")
    server = serve(f"Banner {banner}", f"ForceCommand {tmp_path}/force")
    put(project / "init", "m/qsub.0")
    flags = ("--remote", "here", "--scheduler", "slurm", "--rdir", "x")
    config = ("--ssh-config", server.config(), "--ssh", kind)
    done = jobmon("--ldir", project, *flags, *config, code=3)
    assert "no service" in harmless(done.stdout + done.stderr)
    server.config("IdentityFile none")
    (server.folder / "key").unlink()
    done = jobmon("--ldir", project, *flags, *config, code=2)
    harmless(done.stdout + done.stderr)


# --- who may read ----------------------------------------------------------------------


@fault("Security: sockets and files with settings are for this user only")
@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
def test_sockets_and_settings_are_for_this_user_only(
    testcluster: TestCluster,
    remote_dir: GiveDir,
    tmp_path: Path,
    ssh: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = tmp_path / "project"
    folders = Path(os.environ["XDG_RUNTIME_DIR"]) / "t"  # where a socket's path is short enough
    folders.mkdir()
    monkeypatch.setenv("TMPDIR", str(folders))
    chain(project / "init", "m", 1, "sleep 10")
    (project / "jobmon.yaml").write_text(FAST)
    before = os.umask(0)
    try:
        args = ("--ldir", project, "--rdir", remote_dir("hpc"), "--remote", "hpc", "--ssh", ssh)
        with daemon(*args, "--ssh-config", testcluster.ssh_config, log=tmp_path / "out"):
            until(lambda: list(project.glob("2*/qsub.now")), what="a run folder")
            run = only_run(project)
            until(lambda: "started" in (run / "qsub.log").read_text(), what="its start")
            sockets = sockets_in(folders.parent)
            assert sockets, "the connection's socket"
            for path in sockets:
                assert private(path) and private(path.parent), path
            assert private(run / ".jobmon") and private(run / "jobmon.yaml")
            assert all(private(path.parent) for path in (run / ".jobmon").rglob("*"))
    finally:
        os.umask(before)


@fault("Security: sockets and files with settings are for this user only (local queue)")
def test_the_local_queue_is_for_this_user_only(project: Path, own_home: Path) -> None:
    put(project / "init", "m/qsub.0")
    before = os.umask(0)
    try:
        jobmon("--ldir", project, code=0)
    finally:
        os.umask(before)
    roots = {path.parent for path in own_home.rglob("queue.lock")}
    assert roots and all(private(root) for root in roots)
    run = only_run(project)
    assert private(run / ".jobmon") and private(run / "jobmon.yaml")
    assert (twin_of(project) / "m" / "qsub.finished.0").exists()


def sockets_in(top: Path) -> list[Path]:
    return [path for path in top.rglob("*") if path.is_socket()]


def private(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


# --- secrets ---------------------------------------------------------------------------


def processes() -> Iterator[bytes]:
    """The words and the environments of all that runs here now."""
    for path in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                yield (path / name).read_bytes()


@fault("Security: no secret is written or logged (one-time password, passphrase)")
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
@pytest.mark.xdist_group("one-time codes")  # each code is taken once, in their order
def test_no_secret_is_written_or_logged(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, own_home: Path, ssh: str
) -> None:
    project, key = tmp_path / "project", tmp_path / "key"
    passphrase = "no-such-word-anywhere-" + "else"
    chain(project / "init", "m", 1)
    (project / "jobmon.yaml").write_text(FAST)
    config = testcluster.ssh_config.read_text()
    old = next(line.split()[1] for line in config.splitlines() if "IdentityFile" in line)
    key.write_bytes(Path(old).read_bytes())
    key.chmod(0o600)
    keygen("-p", "-P", "", "-N", passphrase, "-f", str(key))
    (tmp_path / "config").write_text(config.replace(old, str(key)))
    args = ["--ldir", project, "--rdir", remote_dir("otp"), "--remote", "otp", "--ssh", ssh, "-v"]
    args += ["--ssh-config", tmp_path / "config"]
    codes: list[str] = []

    def answer(asked: str) -> str | None:
        if "passphrase" in asked.lower():
            return passphrase
        if "One-time password" in asked:
            codes.append(testcluster.otp())
            return codes[-1]
        return None

    text, seen = on_a_terminal([str(word) for word in args], answer, passphrase.encode())
    run = only_run(project)
    assert status(run)["counts"] == {"finished": 1}, text
    assert len(codes) == 1 and not seen
    for secret in (passphrase, codes[0]):
        assert secret not in text
        for top in (run, own_home, Path(os.environ["XDG_RUNTIME_DIR"])):
            done = subprocess.run(["grep", "-rlF", secret, top], capture_output=True, check=False)
            assert done.stdout == b"", done.stdout


def on_a_terminal(
    args: list[str], answer: Callable[[str], str | None], secret: bytes, limit: float = 90
) -> tuple[str, bool]:
    """``jobmon ARGS`` with a person who answers: what was shown, and whether a process had
    ``secret`` in its words or environment."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "jobmon", *args], environment())
    text, asked, seen, found = "", 0, False, False
    end = time.monotonic() + limit
    while time.monotonic() < end:
        running = list(processes())
        found = found or any(args[-1].encode() in words for words in running)
        seen = seen or any(secret in words for words in running)
        if not select.select([fd], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(fd, 4096).decode("utf-8", "replace")
        except OSError:
            piece = ""
        if not piece:
            os.close(fd)
            os.waitpid(pid, 0)
            assert found, "this finds what is there"
            return text, seen
        text += piece
        if (word := answer(text[asked:])) is not None:
            asked = len(text)
            os.write(fd, f"{word}\n".encode())
    os.kill(pid, signal.SIGKILL)
    raise AssertionError(f"not within {limit} s: {text}")
