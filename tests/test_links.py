"""The contract of ``Link``, for each of its kinds, over real servers: bytes, silence, rsync, death."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
from conftest import TestCluster

from jobmon.cluster.base import ConnectionLost, Link, LookFailed, Spent, call
from jobmon.cluster.links import connect
from jobmon.cluster.links.login import nobody
from jobmon.core.address import Remote

Kind = Literal["fabric", "openssh"]
Connect = Callable[..., Link]
KINDS: tuple[Kind, ...] = ("fabric", "openssh")
BIG = os.urandom(1 << 20) * 10


def refuse(prompt: str, echo: bool) -> str:
    raise nobody(prompt)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the links of this test put their private folders."""
    place = Path("/tmp") / f"jt{os.getpid()}{os.urandom(3).hex()}"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return place


@pytest.fixture
def links(folders: Path, request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes links that are closed at the end; nothing of theirs may be left then."""
    made: list[Link] = []
    before = set(threading.enumerate())

    def make(kind: str, host: str, ask: Any = refuse, config: Path | None = None) -> Link:
        if kind == "local":
            made.append(connect(None, ssh="fabric", ssh_config=None, ask=ask))
        else:
            path = config or request.getfixturevalue("testcluster").ssh_config
            ssh: Kind = "fabric" if kind == "fabric" else "openssh"
            made.append(connect(Remote(host), ssh=ssh, ssh_config=path, ask=ask))
        return made[-1]

    yield make
    for link in made:
        link.close()
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(5)
    assert list(folders.iterdir()) == []
    folders.rmdir()
    assert not [thread for thread in left if thread.is_alive()]


def run(link: Link, command: str, stdin: bytes = b"", limit: float = 30) -> bytes:
    return b"".join(link.stream(command, stdin, limit))


def rsync(link: Link, *words: str) -> int:
    shell = link.rsync_shell()
    assert shell is not None
    argv = ["rsync", "-a", "-e", shlex.join(shell[0])]
    argv += [word.replace("cluster:", shell[1]) for word in words]
    return subprocess.run(argv, check=False, capture_output=True, timeout=60).returncode


anywhere = pytest.mark.parametrize(
    "kind", ["local", *(pytest.param(k, marks=pytest.mark.cluster) for k in KINDS)]
)
over_ssh = pytest.mark.parametrize("kind", KINDS)


@anywhere
def test_a_command_hears_its_input_and_is_heard(kind: str, links: Connect) -> None:
    link = links(kind, "hpc")
    assert run(link, "exec /bin/sh -c 'cat; echo end; echo no >&2; exit 3'", b"a\0\xff\n") == (
        b"a\0\xff\nend\n"
    )
    assert run(link, "exit 255") == b""
    asked = "exec /bin/sh -c 'cat; echo end; echo no >&2; exit 3'", "exit 255"
    sent = sum(map(len, asked)) + len(b"a\0\xff\n")
    assert link.spent() == Spent(0 if kind == "local" else 1, 2, sent, len(b"a\0\xff\nend\n"))


@anywhere
def test_much_goes_both_ways_at_once(kind: str, links: Connect) -> None:
    assert run(links(kind, "hpc"), "cat", BIG) == BIG


@anywhere
def test_input_nobody_reads_and_much_stderr_do_not_block(kind: str, links: Connect) -> None:
    noisy = "exec /bin/sh -c 'head -c 40000000 /dev/zero >&2; echo done'"
    assert run(links(kind, "hpc"), noisy, BIG) == b"done\n"


@pytest.mark.fault("Connections: slow")
@anywhere
def test_silence_has_a_limit_and_the_link_goes_on(kind: str, links: Connect) -> None:
    link = links(kind, "hpc")
    began = time.monotonic()
    with pytest.raises(ConnectionLost, match=r"nothing was heard for 0\.6 s"):
        run(link, "echo a; sleep 100", limit=0.6)
    assert time.monotonic() - began < 90
    assert run(link, "echo b") == b"b\n"
    assert link.spent().logins == (0 if kind == "local" else 1)


@pytest.mark.fault("Connections: slow")
@anywhere
def test_a_command_that_speaks_now_and_then_is_not_silent(kind: str, links: Connect) -> None:
    slow = "exec /bin/sh -c 'for i in 1 2 3 4 5 6 7; do echo $i; sleep 0.6; done'"
    assert run(links(kind, "hpc"), slow, limit=4) == b"1\n2\n3\n4\n5\n6\n7\n"


@anywhere
def test_closing_early_ends_the_channel(kind: str, links: Connect) -> None:
    link = links(kind, "hpc")
    for _ in range(6):  # more than may be open at once
        stream = link.stream("exec /bin/sh -c 'echo go; yes'", BIG, 30)
        assert next(stream).startswith(b"go\n")
        stream.close()  # type: ignore[attr-defined]
    assert run(link, "echo still") == b"still\n"


@anywhere
def test_many_threads_share_one_connection(kind: str, links: Connect) -> None:
    link = links(kind, "hpc")
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda n: run(link, f"echo {n}; sleep 0.05; cat", BIG[:n]), range(16)))
    assert said == [f"{n}\n".encode() + BIG[:n] for n in range(16)]
    assert link.spent().logins <= 1


@anywhere
def test_the_frame_of_a_call(kind: str, links: Connect) -> None:
    lines = list(call(links(kind, "hpc"), "probe", []))
    assert any(line.startswith(b"\0") for line in lines)


@pytest.mark.cluster
@over_ssh
@pytest.mark.parametrize("host", ["bashnoise", "csh", "fish"])
def test_noisy_shells(kind: str, host: str, links: Connect) -> None:
    link = links(kind, host)
    said = run(link, "exec /bin/sh -c 'echo \"A $0\"; cat'", b"in")
    assert said.endswith(b"A /bin/sh\nin")
    assert any(line.startswith(b"\0") for line in call(link, "probe", []))


@pytest.mark.fault("Connections: an answer that is a page of text")
@pytest.mark.cluster
@over_ssh
def test_an_answer_without_an_end_is_none(kind: str, links: Connect) -> None:
    class Deaf:
        """A link whose commands never begin."""

        where = "nowhere"

        def __init__(self, link: Link) -> None:
            self.link = link

        def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
            return self.link.stream("echo Go away", stdin, limit)

    with pytest.raises(LookFailed, match="Go away"):
        list(call(Deaf(links(kind, "hpc")), "probe", []))  # type: ignore[arg-type]


@pytest.mark.fault("Connections: MaxSessions 2")
@pytest.mark.cluster
@over_ssh
def test_a_server_that_opens_two_channels_only(kind: str, links: Connect) -> None:
    link = links(kind, "narrow")
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda n: run(link, f"sleep 0.2; echo {n}"), range(6)))
    assert said == [f"{n}\n".encode() for n in range(6)]
    assert link.spent().logins == 1


@pytest.mark.fault("Connections: MaxSessions 2")
@pytest.mark.cluster
def test_a_refused_channel_is_waited_for_and_then_given_up(links: Connect) -> None:
    link = links("fabric", "narrow")
    holders = [link.stream("echo x; sleep 200", b"", 200) for _ in range(2)]
    assert [next(h) for h in holders] == [b"x\n"] * 2
    with pytest.raises(ConnectionLost, match="MaxSessions"):
        run(link, "echo y", limit=1)
    for holder in holders:
        holder.close()  # type: ignore[attr-defined]


@pytest.mark.fault("Connections: lost")
@pytest.mark.cluster
@over_ssh
def test_a_connection_that_dies_is_lost_at_once_and_made_anew(kind: str, links: Connect) -> None:
    link = links(kind, "hpc")
    waiting = link.stream("echo $PPID; sleep 200", b"", 200)
    server = int(next(waiting))
    began = time.monotonic()
    with pytest.raises(ConnectionLost):
        run(link, f"kill -9 {server}; sleep 200", limit=200)
    with pytest.raises(ConnectionLost):
        list(waiting)
    assert time.monotonic() - began < 150
    assert run(link, "echo back") == b"back\n"
    assert link.spent().logins == 2


@pytest.mark.fault("Connections: half-open (found within a minute)")
@pytest.mark.cluster
def test_a_server_that_hangs_is_given_up(links: Connect) -> None:
    link, other = links("fabric", "hpc"), links("fabric", "hpc")
    server = int(run(link, "echo $PPID"))
    run(other, f"kill -STOP {server}")
    try:
        with pytest.raises(ConnectionLost):
            run(link, "echo unheard", limit=1)
        assert run(link, "echo back") == b"back\n"
        assert link.spent().logins == 2
    finally:
        run(other, f"kill -9 {server}")


@pytest.mark.fault("Connections: lost")
@pytest.mark.cluster
@over_ssh
def test_threads_that_find_it_dead_log_in_once(kind: str, links: Connect) -> None:
    link = links(kind, "hpc")
    with pytest.raises(ConnectionLost):
        run(link, "kill -9 $PPID; sleep 60", limit=60)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: run(link, f"echo {n}"), range(4))) == [
            b"0\n",
            b"1\n",
            b"2\n",
            b"3\n",
        ]
    assert link.spent().logins == 2


@pytest.mark.cluster
@over_ssh
def test_over_a_jump_host(kind: str, links: Connect) -> None:
    link = links(kind, "hpc-jump")
    assert run(link, "cat", BIG) == BIG


@pytest.mark.cluster
@over_ssh
def test_rsync_both_ways(
    kind: str, links: Connect, tmp_path: Path, remote_dir: Callable[[str], str]
) -> None:
    link = links(kind, "hpc")
    there = f"{remote_dir('hpc')} 'é日"
    here = tmp_path / "it's $HOME; ü"
    (here / "deep er").mkdir(parents=True)
    (here / "deep er" / '日本 "q" *').write_bytes(BIG)
    (here / "empty").touch()
    try:
        assert rsync(link, "-s", f"{here}/", f"cluster:{there}/") == 0
        assert rsync(link, "-s", f"cluster:{there}/", f"{tmp_path}/back") == 0
    finally:
        run(link, f"rm -rf {shlex.quote(there)}")
    names = sorted(str(p.relative_to(here)) for p in here.rglob("*"))
    back = tmp_path / "back"
    assert sorted(str(p.relative_to(back)) for p in back.rglob("*")) == names
    assert (back / "deep er" / '日本 "q" *').read_bytes() == BIG


@pytest.mark.cluster
@over_ssh
def test_rsync_says_what_went_wrong(kind: str, links: Connect, tmp_path: Path) -> None:
    link = links(kind, "hpc")
    assert rsync(link, "cluster:/no/such/place", f"{tmp_path}/x") == 23
    assert rsync(link, "--rsync-path=/no/rsync", "cluster:/etc/hosts", f"{tmp_path}/x") in (12, 127)
    assert run(link, "echo on") == b"on\n"


@pytest.mark.fault("Connections: lost")
@pytest.mark.cluster
@over_ssh
def test_an_rsync_whose_connection_breaks_fails(
    kind: str, links: Connect, tmp_path: Path, remote_dir: Callable[[str], str]
) -> None:
    link = links(kind, "hpc")
    server = int(run(link, "echo $PPID"))
    shell = link.rsync_shell()
    assert shell is not None
    argv = [*shell[0], "cluster", "exec /bin/sh -c 'echo up; cat; exit 7'"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lent:
        assert lent.stdin and lent.stdout
        assert lent.stdout.readline() == b"up\n"
        with pytest.raises(ConnectionLost):
            run(link, f"kill -9 {server}; sleep 60", limit=60)
        assert lent.wait(60) == 255
        lent.stdin.close()
    assert run(link, "echo on") == b"on\n"


@pytest.mark.cluster
@over_ssh
def test_the_lent_shell_passes_ends_and_exit_codes(kind: str, links: Connect) -> None:
    shell = links(kind, "hpc").rsync_shell()
    assert shell is not None
    for command, code in (("cat", 0), ("cat; exit 7", 7), ("wc -c >/dev/null; exit 23", 23)):
        argv = [*shell[0], "-l", "somebody", "cluster", *command.split()]
        if kind == "openssh":
            argv = [*shell[0], "cluster", *command.split()]
        done = subprocess.run(argv, input=BIG, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (code, b"")
        assert done.stdout == (BIG if command.startswith("cat") else b"")


@pytest.mark.cluster
def test_a_killed_rsync_frees_its_channel(links: Connect) -> None:
    link = links("fabric", "hpc")
    shell = link.rsync_shell()
    assert shell is not None
    for _ in range(6):
        argv = [*shell[0], "cluster", "echo up; exec cat"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lent:
            assert lent.stdout
            assert lent.stdout.readline() == b"up\n"
            lent.kill()
    assert run(link, "echo on", limit=30) == b"on\n"


@pytest.mark.cluster
@over_ssh
def test_close_ends_a_transfer_and_later_use(kind: str, links: Connect) -> None:
    link = links(kind, "hpc")
    shell = link.rsync_shell()
    assert shell is not None
    argv = [*shell[0], "cluster", "echo up; exec sleep 60"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lent:
        assert lent.stdout
        assert lent.stdout.readline() == b"up\n"
        link.close()
        assert lent.wait(60) == 255
    with pytest.raises(ConnectionLost, match="closed here"):
        run(link, "echo no")
    link.open()
    assert run(link, "echo again") == b"again\n"


@pytest.mark.cluster
@pytest.mark.xdist_group("one-time codes")  # each code is taken once, in their order
@over_ssh
def test_a_one_time_code_is_asked_for_once(
    kind: str, links: Connect, testcluster: Any, tmp_path: Path
) -> None:
    asked: list[str] = []

    def ask(prompt: str, echo: bool) -> str:
        asked.append(prompt)
        assert not echo
        assert threading.current_thread() is threading.main_thread()
        return str(testcluster.otp())

    def refused() -> int:
        log: Path = testcluster.log("otp")
        return log.read_bytes().count(b"Failed keyboard-interactive/pam")

    before = refused()
    link = links(kind, "otp", ask)
    link.open()
    assert len(asked) == 1 + refused() - before  # a code that the server refuses is asked again
    del asked[1:]
    with ThreadPoolExecutor(1) as pool:
        pulls = [
            pool.submit(rsync, link, "cluster:/etc/services", f"{tmp_path}/{n}") for n in range(3)
        ]
        for n in range(20):
            assert run(link, f"echo {n}") == f"{n}\n".encode()
        assert [pull.result() for pull in pulls] == [0, 0, 0]
    assert len(asked) == 1
    assert "One-time password" in asked[0]
    assert link.spent().logins == 1


def test_the_links_cost_nothing_to_import() -> None:
    code = (
        "import sys, jobmon.cluster.links, jobmon.daemon; "
        "print([m for m in ('paramiko', 'fabric', 'cryptography', 'daemon') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_kill_9_of_whoever_opened_it_ends_the_master(testcluster: TestCluster) -> None:
    code = (
        "import sys, time; from pathlib import Path\n"
        "from jobmon.cluster.links.login import ask_terminal\n"
        "from jobmon.cluster.links import connect; from jobmon.core.address import Remote\n"
        "link = connect(Remote('hpc'), ssh='openssh', ssh_config=Path(sys.argv[1]),"
        " ask=ask_terminal)\n"
        "print(link.rsync_shell()[0][-1], *link.rsync_shell()[0], flush=True); time.sleep(200)\n"
    )
    args = [sys.executable, "-c", code, str(testcluster.ssh_config)]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as opener:
        assert opener.stdout is not None
        words = opener.stdout.readline().split()
        path = Path(words[words.index("-S") + 1])
        assert path.exists()
        opener.kill()
    end = time.monotonic() + 90
    while subprocess.run(["pgrep", "-f", str(path)], capture_output=True, check=False).stdout:
        assert time.monotonic() < end, "the master outlived whoever opened it"
        time.sleep(0.1)
    shutil.rmtree(path.parent, ignore_errors=True)
