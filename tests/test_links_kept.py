"""A shell that a link by Fabric keeps open: whose channel it is, and how long it lives."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_links import Connect, folders, links, run  # noqa: F401 (fixtures)

from jobmon.cluster.base import ConnectionLost, Shell


def said_by(shell: Shell, words: str) -> bytes:
    """What a kept shell says to this, up to its last word."""
    heard = b""
    for data in shell.say(f"{words}; echo END\n".encode(), 60):
        heard += data
        if heard.endswith(b"END\n"):
            break
    return heard


@pytest.mark.fault("Connections: MaxSessions 2")
@pytest.mark.cluster
def test_a_kept_shell_gives_its_channel_to_whoever_needs_it(links: Connect) -> None:  # noqa: F811
    link = links("fabric", "narrow")
    kept = link.shell(60)
    assert kept is not None
    assert said_by(kept, "n=1; echo one") == b"one\nEND\n"
    assert said_by(kept, "echo $n") == b"1\nEND\n", "it is the same"
    other = link.stream("echo x; sleep 60", b"", 60)
    assert next(other) == b"x\n" and kept.alive()
    assert run(link, "echo y") == b"y\n", "the third"
    assert not kept.alive() and list(kept.say(b"echo z\n", 60)) == []
    assert link.shell(60) is None, "nor is one held any more"
    other.close()  # type: ignore[attr-defined]


@pytest.mark.fault("Connections: MaxSessions 2")
@pytest.mark.cluster
def test_a_kept_shell_at_work_gives_its_channel_after_its_answer(links: Connect) -> None:  # noqa: F811
    link = links("fabric", "narrow")
    kept = link.shell(60)
    assert kept is not None
    working = kept.say(b"echo begun; read -r word; echo $word\n", 60)
    assert next(working) == b"begun\n"
    other = link.stream("echo x; sleep 60", b"", 60)
    assert next(other) == b"x\n"
    with ThreadPoolExecutor(1) as pool:
        third = pool.submit(run, link, "echo y")
        until = time.monotonic() + 60
        while not link._crowded:  # type: ignore[attr-defined]
            assert time.monotonic() < until
            time.sleep(0.05)
        assert kept.alive() and not third.done()
        working.close()  # type: ignore[attr-defined]
        assert third.result(60) == b"y\n"
    assert not kept.alive()
    other.close()  # type: ignore[attr-defined]


@pytest.mark.fault("Connections: lost")
@pytest.mark.cluster
def test_a_kept_shell_is_lost_with_its_connection(links: Connect) -> None:  # noqa: F811
    link = links("fabric", "hpc")
    kept = link.shell(60)
    assert kept is not None and said_by(kept, "echo one") == b"one\nEND\n"
    with pytest.raises(ConnectionLost):
        said_by(kept, "kill -9 $PPID; sleep 60")
    assert not kept.alive()
    kept = link.shell(60)
    assert kept is not None and said_by(kept, "echo two") == b"two\nEND\n"
    assert link.spent().logins == 2 and link.spent().channels == 2
