"""The storm of `scripts/chaos`, small; and that its tools see and do what they are trusted to."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from chaos import records, rounds
from chaos.__main__ import alone, ssh_config
from chaos.faults import HOST, Faults
from chaos.plan import LIES, Fault, What, plan
from chaos.proxy import DOWN, HALF_OPEN, RESET, UP, Proxy
from chaos.records import Submission, Verdict
from conftest import FAR, TestCluster
from hypothesis import given
from hypothesis import strategies as st
from session import environment, jobmon

from jobmon.cluster.base import ConnectionLost
from jobmon.cluster.links import connect
from jobmon.cluster.links.login import nobody
from jobmon.core.address import Remote

TESTS = Path(__file__).parent

# --- the storm -------------------------------------------------------------------------


@pytest.mark.fault("Connections: lost")
@pytest.mark.fault("Batch systems: down")
@pytest.mark.fault("Batch systems: empty with exit code 0")
@pytest.mark.fault("Batch systems: half a listing")
@pytest.mark.fault("Batch systems: garbage")
@pytest.mark.cluster
@pytest.mark.alone
@pytest.mark.timeout(600)
def test_nothing_is_lost_or_doubled_in_a_storm(tmp_path: Path) -> None:
    """One on each batch system, both at once: they have nothing in common but the machine."""
    counts = {"kills": 5, "drops": 5, "stops": 1, "hangs": 1, "empties": 2, "jobs": 24}
    counts["seed"] = 1929  # empty answers on both, half ones on one, garbage on the other
    words = [word for name, n in counts.items() for word in (f"--{name}", str(n))]
    storms = {
        scheduler: subprocess.Popen(
            [
                *(sys.executable, "-m", "chaos", *words, "--scheduler", scheduler, "--ssh", ssh),
                *("--json", str(tmp_path / scheduler)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(PYTHONPATH=str(TESTS)),
        )
        for scheduler, ssh in (("slurm", "fabric"), ("sge", "openssh"))
    }
    try:
        for scheduler, storm in storms.items():
            said, _ = storm.communicate(timeout=400)
            assert storm.returncode == 0, said
            found = json.loads((tmp_path / scheduler).read_text())
            assert (found["double"], found["lost"], found["problems"]) == (0, 0, 0)
            assert found["kills"] >= 5
            for name in ("drops", "stops", "hangs", "empties", "seed"):
                assert found[name] == counts[name]
            assert found["jobs"] == 24 * found["rounds"]
            assert 0 < found["submissions"] < found["jobs"]  # those behind a failure never are
    finally:
        for storm in storms.values():
            storm.terminate()  # it mends what it broke
            storm.wait(60)


@given(
    st.sampled_from(sorted(LIES)),
    st.integers(0, 1 << 40),
    st.fixed_dictionaries({what: st.integers(0, 40) for what in What}),
)
def test_a_seed_is_a_plan(scheduler: str, seed: int, counts: dict[What, int]) -> None:
    faults = plan(scheduler, seed, counts)
    assert faults == plan(scheduler, seed, counts)
    assert {what: sum(f.what == what for f in faults) for what in What} == counts
    assert all(isinstance(fault, Fault) and 0 < fault.pause < 3 for fault in faults)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scheduler", "pbs"], "invalid choice"),
        (["--scheduler", "sge", "--kills", "-1"], "no whole number"),
        (["--scheduler", "sge", "--jobs", "0"], "give 1 or more"),
        ([], "--scheduler"),
    ],
)
def test_a_wrong_word_is_one_line(words: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chaos", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(PYTHONPATH=str(TESTS)),
    )
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_the_commands_of_chaos_lie_as_they_are_told(testcluster: TestCluster) -> None:
    def says(how: str, command: str, size: int = 5) -> tuple[int, str]:
        faults.begin(Fault(What.LIE, how, 0, size, 60, command.partition(" ")[0]))
        done = testcluster.run(HOST, command)
        faults.honest()
        return done.returncode, done.stdout + done.stderr

    with alone("slurm"), Proxy(testcluster.nodes[HOST].port) as proxy:
        faults = Faults(testcluster, "slurm", proxy)
        try:
            assert says("empty", "squeue") == (0, "")
            assert says("half", "squeue") == (0, testcluster.run(HOST, "squeue").stdout[:5])
            assert "504 Gateway" in says("garbage", "squeue")[1]
            submit = "sbatch -o /dev/null --parsable --wrap true"
            last = int(testcluster.run(HOST, submit).stdout)
            code, text = says("error", submit)
            assert (code, "timed out" in text) == (1, True)
            assert says("silent", submit) == (0, "")
            assert int(testcluster.run(HOST, submit).stdout) >= last + 3  # accepted all the same
            assert faults.lies() == 5
        finally:
            faults.honest()


# --- the records -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[rounds.Round, Path]:
    """A round of eight jobs that has ended on this machine's own queue, and where its twin is."""
    folder = tmp_path_factory.mktemp("records")
    flags = ("--remote", "local", "--scheduler", "local", "--rdir", str(folder / FAR))
    each = rounds.make(folder, 1, "t", 8, FAR, flags, lengths=(0.1,))
    (each.project / "jobmon.yaml").write_text("interval: 0.3\ngrace: 1\n")
    env = environment(HOME=str(folder), XDG_RUNTIME_DIR=str(folder))
    args = ("--ldir", each.project, "--datedir", each.date, *flags)
    each.out.write_text(jobmon(*args, env=env, code=1).stdout)
    return each, folder


def as_recorded(each: rounds.Round, home: Path) -> list[Submission]:
    """What a batch system would have on record of it: each start, a second after the last."""
    found = []
    for i, job in enumerate(each.jobs.values()):
        path = home / each.rdir / each.date / job.key.replace("qsub.", "started.")
        if path.exists():
            jobid = path.read_text().split(" ")[1]
            found.append(Submission(jobid, job.name, i, i + 1, job.end == "failed"))
    return found


def judged(ended: tuple[rounds.Round, Path], found: list[Submission]) -> Verdict:
    return records.judge([ended[0]], found, ended[1])


def test_a_good_round_is_good(ended: tuple[rounds.Round, Path]) -> None:
    verdict = judged(ended, as_recorded(*ended))
    assert verdict == Verdict(jobs=8, submissions=6)


def test_a_second_submission_is_seen(ended: tuple[rounds.Round, Path]) -> None:
    found = as_recorded(*ended)
    for after in (found[0].ended - 0.5, found[0].ended + 5):  # while it lived, after it finished
        verdict = judged(ended, [*found, replace(found[0], jobid="99", submitted=after)])
        assert (verdict.double, verdict.submissions) == (1, 7)
        assert "on record 2 times" in verdict.problems[0]


def test_a_death_that_is_not_on_record_is_seen(ended: tuple[rounds.Round, Path]) -> None:
    found = [replace(s, died=False) for s in as_recorded(*ended)]
    assert "without so many deaths on record" in "".join(judged(ended, found).problems)


@contextmanager
def changed(path: Path, text: str | None) -> Iterator[None]:
    """A file with another text, or gone, for a while."""
    before = path.read_text() if path.exists() else None
    path.unlink() if text is None else path.write_text(text)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_text(before)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c000/qsub.finished.0", None, "without a marker"),
        ("c001/started.2", "start 77 1\n", "blocked, but it ran"),
        ("c000/started.1", "start 88 1\nunmet 88 1\n", "before what it waits for"),
        ("c000/started.3", "start 99 1\n", "99 of it is not in the journal"),
    ],
)
def test_what_the_twin_tells_against_jobmon_is_seen(
    ended: tuple[rounds.Round, Path], name: str, text: str | None, said: str
) -> None:
    each, home = ended
    found = as_recorded(each, home)
    with changed(home / each.rdir / each.date / name, text):
        assert said in "".join(judged(ended, found).problems)


def test_a_forgotten_job_and_a_wrong_view_are_seen(ended: tuple[rounds.Round, Path]) -> None:
    each, home = ended
    found = as_recorded(each, home)
    journal = each.run / "qsub.log"
    kept = [x for x in journal.read_text().splitlines(True) if " finished c000/qsub.3 " not in x]
    with changed(journal, "".join(kept)):
        verdict = judged(ended, found)
    assert verdict.lost == 1
    assert "quelist" in verdict.problems[0]


# --- the proxy -------------------------------------------------------------------------


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that gives back what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = server.accept()
                    threading.Thread(target=answer, args=(sock,), daemon=True).start()

        def answer(sock: socket.socket) -> None:
            with sock, suppress(OSError):
                while data := sock.recv(1 << 16):
                    sock.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def call(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def heard(sock: socket.socket, size: int) -> bytes:
    """Up to ``size`` bytes; fewer if the connection ends or is reset."""
    data = b""
    with suppress(ConnectionResetError):
        while len(data) < size and (more := sock.recv(size - len(data))):
            data += more
    return data


def test_the_proxy_passes_everything_on(echo: int) -> None:
    text = os.urandom(1 << 20)
    with Proxy(echo) as proxy, call(proxy.port) as sock:
        threading.Thread(target=sock.sendall, args=(text,), daemon=True).start()
        assert heard(sock, len(text)) == text
        assert proxy.standing == 1


@pytest.mark.parametrize("way", [UP, DOWN])
def test_the_proxy_cuts_behind_a_byte_and_stays_silent(echo: int, way: str) -> None:
    with Proxy(echo) as proxy, call(proxy.port) as sock, call(proxy.port) as other:
        proxy.arm(way, HALF_OPEN, 700)
        sock.sendall(bytes(500))
        assert len(heard(sock, 500)) == 500
        assert proxy.armed
        sock.sendall(bytes(500))
        if way == DOWN:  # the other way, what is cut off is never answered
            assert len(heard(sock, 200)) == 200
        sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        assert not proxy.armed
        sock.sendall(b"into the void")
        other.sendall(b"still here")  # only that one is cut
        assert heard(other, 10) == b"still here"


@pytest.mark.parametrize("way", [UP, DOWN])
def test_the_proxy_resets(echo: int, way: str) -> None:
    with Proxy(echo) as proxy, call(proxy.port) as sock:
        proxy.arm(way, RESET, 100)
        sock.sendall(bytes(1000))
        assert len(heard(sock, 1000)) <= 100
        with closing(call(proxy.port)) as again:
            again.sendall(b"x")
            assert heard(again, 1) == b"x"
        assert proxy.cuts == 1


def test_the_proxy_is_down_and_up_again(echo: int) -> None:
    with Proxy(echo) as proxy, call(proxy.port) as sock:
        sock.sendall(b"x")
        assert heard(sock, 1) == b"x"
        proxy.down(True)
        assert heard(sock, 1) == b""
        with suppress(ConnectionResetError), call(proxy.port) as refused:
            assert heard(refused, 1) == b""
        proxy.down(False)
        with call(proxy.port) as again:
            again.sendall(b"y")
            assert heard(again, 1) == b"y"


# --- a connection that is cut at any byte ----------------------------------------------


def refuse(prompt: str, echo: bool) -> str:
    raise nobody(prompt)


@pytest.mark.fault("Connections: lost")
@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_cut_at_any_byte_is_a_connection_lost_and_nothing_else(
    testcluster: TestCluster,
    tmp_path: Path,
    ssh: Literal["fabric", "openssh"],
    way: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    rng = random.Random(ssh + way)
    cuts = 60 if ssh == "fabric" else 12  # a login of the system's ssh takes longer
    with Proxy(testcluster.nodes[HOST].port) as proxy:
        config = ssh_config(testcluster, proxy.port, tmp_path / "ssh")
        link = connect(Remote(HOST), ssh=ssh, ssh_config=config, ask=refuse)
        try:
            assert b"".join(link.stream("echo in", b"", 20)) == b"in\n"
            for _ in range(cuts):
                proxy.arm(way, RESET, int(10 ** rng.uniform(0, 4.5)))
                end = time.monotonic() + 60
                while proxy.armed:  # what is lost while it is armed, the cut before took
                    assert time.monotonic() < end
                    with suppress(ConnectionLost):
                        list(link.stream("exec cat", os.urandom(8000), 20))
            assert proxy.cuts == cuts
            until_answered(lambda: b"".join(link.stream("echo in", b"", 20)))
        finally:
            link.close()
    assert "Traceback" not in "".join(capfd.readouterr())


def until_answered(ask: Callable[[], bytes]) -> None:
    """The link finds its way back by itself; one error more is allowed, of the last cut."""
    end = time.monotonic() + 90
    while True:
        try:
            assert ask() == b"in\n"
            return
        except ConnectionLost:
            assert time.monotonic() < end
