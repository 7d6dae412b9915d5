"""Connections that break, lie or hang under a whole run: nothing is marked wrongly, nothing doubled."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pytest
from conftest import TestCluster, shared
from faults_lab import Lab
from gate_lab import SSHD, Gate, Proxy, behind, gate, running
from receivers import webhook
from session import agree, chain, count, events, jobmon, only_run, program, ran_once, status, until
from story_lab import PULLS, QUICK, Story, tree
from test_faults_rsync import CODES
from test_login import Terminal

from jobmon.cluster.base import ClusterError, ConnectionLost, Link, call
from jobmon.cluster.batch import batch
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.ledger import Order
from jobmon.cluster.links import connect
from jobmon.cluster.links.sshconfig import KEEPALIVE, UNANSWERED
from jobmon.cluster.transfer import Same
from jobmon.core.address import Remote
from jobmon.core.model import Accepted, Attempt, Key, NotRun, Unclear
from jobmon.cycle import loop

Test = TypeVar("Test", bound=Callable[..., None])
needs_sshd = pytest.mark.skipif(SSHD is None, reason="no sshd")


def on_the_gate(test: Test) -> Test:
    """Of the tests of the one long run."""
    marked: Test = pytest.mark.cluster(needs_sshd(test))
    return marked


PAGE = "\n".join(
    f"<p>{n}: This login node is closed. See https://example.org/{n}</p>" for n in range(99)
)
FOLDERS = ["lost", "refused", "slow", "half", "startups", "page", "fork", "few"]


@pytest.fixture(scope="module", params=map(shared, ["fabric", "openssh"]))
def story(
    testcluster: TestCluster,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Story]:
    """One run on a login node that opens one channel and takes two strangers at a time."""
    project = tmp_path_factory.mktemp("storm") / "project"
    tree(project, [*FOLDERS, *(f"rsync{code}" for code in CODES)])
    with (
        gate(testcluster, "hpc", "MaxSessions 1", "MaxStartups 2:100:2") as node,
        running(node, project, "--ssh", request.param, constants=PULLS) as daemon,
    ):
        tale = Story(daemon)
        tale.begun()
        _play(tale, node)
        tale.end()
        yield tale


def _play(tale: Story, node: Gate) -> None:
    with tale.stage("lost"):
        asked = node.root / "asked"
        node.lie("squeue", f"touch {asked}; sleep 2")
        tale.go("lost")
        until(asked.exists, what="a listing")
        node.proxy.cut()
        tale.gave_up()
        node.truth()
    with tale.stage("refused"):
        node.proxy.become("refuse")
        node.proxy.cut()
        tale.go("refused")
        tale.gave_up()
        time.sleep(3)  # more tries
        node.proxy.become("pass")
    with tale.stage("slow"):
        node.proxy.become("slow")
        tale.go("slow")
        until(lambda: tale.count("finished", "slow/qsub.1"), what="both jobs")
        node.proxy.become("pass")
    with tale.stage("half") as stage:
        began = time.monotonic()
        node.proxy.become("swallow")
        tale.go("half")
        tale.gave_up()
        stage.facts["seconds"] = time.monotonic() - began
        node.proxy.become("pass")
    with tale.stage("startups") as stage, ExitStack() as strangers:
        for _ in range(2):
            strangers.enter_context(socket.create_connection(("127.0.0.1", node.port)))
        before = len(node.proxy.accepted)
        node.proxy.cut()
        tale.go("startups")
        tale.gave_up()
        until(lambda: len(node.proxy.accepted) >= before + 3, what="more tries")
        stage.facts["throttled"] = "MaxStartups" in node.log()
    with tale.stage("page"):
        node.lie("shell", f"cat <<'PAGE'\n{PAGE}\nPAGE\nexit 0")
        tale.go("page")
        tale.gave_up()
        node.truth()
    with tale.stage("fork"):
        node.lie("shell", "ulimit -S -u 1")
        tale.go("fork")
        tale.gave_up()
        node.truth()
    with tale.stage("few"):
        for room in range(5):
            node.lie(
                "shell", f'ulimit -S -u $(( $(ps -L -u "$(id -u)" -o lwp= | wc -l) + {room} ))'
            )
            time.sleep(1.2)
        node.truth()
        tale.go("few")
    for code in CODES:
        _rsync(tale, node, code)


def _room(number: int) -> str:
    """So many more processes than there are now may be started, one in all at least."""
    now = f'$(( $(ps -L -u "$(id -u)" -o lwp= | wc -l) + {number} ))'
    return f"room={now}\nulimit -S -u $((room > 0 ? room : 1))"


def _rsync(tale: Story, node: Gate, code: str) -> None:
    """The next rsync each way ends so; one way before it does anything, the other after."""
    name = f"rsync{code}"
    used = node.folder / "control"
    end = "kill -9 $$" if code == "signal" else f"exit {code}"
    with tale.stage(name):
        node.lie(
            "rsync",
            'case "$*" in *" cluster:./") way=push ;; *) way=pull ;; esac\n'
            f'if mkdir "{used}/{name}.$way" 2>/dev/null; then\n'
            f'[ $way = push ] || "$real" "$@"\n{end}\nfi',
        )
        (tale.daemon.run / name / "in").write_text("new\n")
        until((used / f"{name}.push").exists, what="a push that broke off")
        tale.go(name)
        until((used / f"{name}.pull").exists, what="a pull that broke off")
        until(lambda: tale.count("finished", f"{name}/qsub.1"), what="the job behind the push")
        assert (tale.daemon.twin / name / "copy").read_text() == "new\n"
    node.truth()


@on_the_gate
@pytest.mark.fault("Connections: lost")
def test_a_connection_that_is_lost(story: Story) -> None:
    story.stages["lost"].holds()
    assert story.stages["lost"].times("nothing is concluded") == 1


@on_the_gate
@pytest.mark.fault("Connections: refused")
def test_a_connection_that_is_refused_again_and_again_is_said_once(story: Story) -> None:
    stage = story.stages["refused"]
    stage.holds()
    assert stage.times("no connection") == 1
    assert stage.times("answers again") == 1


@on_the_gate
@pytest.mark.fault("Connections: slow")
def test_a_connection_that_is_slow(story: Story) -> None:
    story.stages["slow"].holds()
    assert story.stages["slow"].times("nothing is concluded") == 0


@on_the_gate
@pytest.mark.fault("Connections: half-open (found within a minute)")
def test_a_connection_that_is_half_open_is_found_in_four_intervals(story: Story) -> None:
    stage = story.stages["half"]
    stage.holds()
    # ServerAliveInterval is 1 there; more on a machine that is busy
    assert isinstance(seconds := stage.facts["seconds"], float) and seconds < 60


@on_the_gate
@pytest.mark.fault("Connections: MaxStartups reached")
def test_max_startups_reached(story: Story) -> None:
    stage = story.stages["startups"]
    stage.holds()
    assert stage.facts["throttled"]
    assert stage.times("no connection") == 1


@on_the_gate
@pytest.mark.fault("Connections: MaxSessions 1")
def test_a_server_that_opens_one_channel_only(story: Story) -> None:
    # The whole story is lived with it; whether a pull and a look met is chance.
    story.stages["end"].holds()
    counts = status(story.daemon.run)["counts"]
    assert counts == {"finished": 2 * (len(FOLDERS) + len(CODES))}


@on_the_gate
@pytest.mark.fault("Connections: an answer that is a page of text")
def test_an_answer_that_is_a_page_of_text(story: Story) -> None:
    stage = story.stages["page"]
    stage.holds()
    assert "This login node is closed" in stage.said
    assert max(map(len, stage.said.splitlines())) < 2000


@on_the_gate
@pytest.mark.fault("Connections: a remote shell that cannot fork")
def test_a_remote_shell_that_cannot_fork(story: Story) -> None:
    story.stages["fork"].holds()


@on_the_gate
@pytest.mark.fault("Connections: a remote shell that cannot fork (in the middle of a program)")
def test_a_remote_shell_that_cannot_fork_in_the_middle(story: Story) -> None:
    story.stages["few"].holds()


@on_the_gate
@pytest.mark.fault("Connections: rsync ended by a signal or with 23, 24, 12, 30, 255")
@pytest.mark.parametrize("code", CODES)
def test_an_rsync_that_ends_so_in_a_run(story: Story, code: str) -> None:
    story.stages[f"rsync{code}"].holds()


# --- a second factor ---------------------------------------------------------------------------


class Hasty(Terminal):
    """A terminal whose ``jobmon`` tries a refused login again after two seconds."""

    def command(self, args: list[str | Path]) -> list[str]:
        return [*program({"jobmon.cycle.loop.LOGIN_PAUSE": 2}), *map(str, args)]


@pytest.mark.fault(
    "Connections: a second factor wanted while nobody is there (said once; never hammered)"
)
@pytest.mark.parametrize("ssh", ["fabric", "openssh"])
@pytest.mark.xdist_group("one-time codes")  # each code is taken once, in their order
def test_a_second_factor_that_nobody_is_there_to_give(
    testcluster: TestCluster, remote_dir: Callable[[str], str], tmp_path: Path, ssh: str
) -> None:
    project, rdir = tmp_path / "project", remote_dir("otp")
    chain(project / "init", "m", 3, "sleep 2")
    node = testcluster.nodes["otp"]
    with closing(Proxy(node.port)) as proxy, webhook() as hook:
        wanted = f"notify:\n  to: {hook.address}\n  for: login needed\n"
        (project / "jobmon.yaml").write_text(QUICK + wanted)
        config = behind(proxy, testcluster, "otp", tmp_path)
        flags: list[str | Path] = ["--ldir", project, "--rdir", rdir, "--remote", "otp"]
        flags += ["--ssh", ssh, "--ssh-config", config, "--daemon"]
        first = Hasty(flags, testcluster.otp)
        assert first.play() == 0, first.text
        run = only_run(project)
        until(lambda: count(run, "running"), what="a job that runs")
        before = len(proxy.accepted)
        proxy.cut()
        until(lambda: len(proxy.accepted) >= before + 4, what="several tries")
        jobmon("stop", "--run", run, code=0)
        tries = proxy.accepted[before:]
        assert min(b - a for a, b in pairwise(tries)) > 1.5
        assert loop.LOGIN_PAUSE >= 600
        said = (run / "jobmon.log").read_text()
        assert said.count("nobody is there to answer; start jobmon again from a terminal") == 1
        assert not {"failed", "unclear", "killed"} & set(status(run)["counts"])
        (notice,) = hook.got
        assert ": login needed at " in notice["title"]
        assert "nobody is there to answer" in notice["message"]
        again = Terminal(["--ldir", run], testcluster.otp)
        assert again.play() == 0, again.text
        assert (first.asked, again.asked) == (1, 1)
    assert status(run)["counts"] == {"finished": 3}
    ran_once(testcluster.home("otp") / rdir / run.name)
    agree(run)


# --- without a network -------------------------------------------------------------------------


@pytest.mark.fault("Connections: three hours without a network mark nothing")
def test_three_hours_without_a_network_mark_nothing(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.put("m/qsub.0")
    lab.put("m/qsub.1", "qsub.finished.0\n")
    gone, back = lab.time.mono + 12, lab.time.mono + 12 + 3 * 3600
    tries: list[float] = []

    def network() -> None:
        if gone <= lab.time.mono < back:
            tries.append(lab.time.mono)
            assert events(lab.run)[-1].split(" ")[1] == "running"
            raise ConnectionLost("me@here: no route to host")

    lab.farm.length = 60.0
    lab.farm.at_look = network
    lab.session()
    assert lab.states() == {"m/qsub.0": "finished", "m/qsub.1": "finished"}
    assert set(lab.farm.submissions.values()) == {1}
    pauses = [b - a for a, b in pairwise(tries)]
    assert pauses[0] < 30 and pauses[len(pauses) // 2] > 200, "they grow"
    assert max(pauses) < 360, "to a few minutes"
    assert len(set(pauses)) > len(pauses) // 2, "with jitter"
    assert (lab.run / "jobmon.log").read_text().count("no route to host") == 1
    agree(lab.run)


@pytest.mark.fault("Connections: a marker that only the question about an ended job shows")
def test_what_waits_for_a_marker_goes_on_whoever_saw_it(tmp_path: Path) -> None:
    """A finished job that no look showed as such let nothing go that waited for it."""
    lab = Lab(tmp_path)
    lab.put("m/qsub.0")
    lab.put("m/qsub.1", "qsub.finished.0\n")
    sees = lab.farm.sees
    lab.farm.sees = lambda path: (  # type: ignore[method-assign]
        sees(path) and (path != "m/qsub.finished.0" or lab.farm.asked[Key("m/qsub.0")] > 0)
    )
    lab.session()
    assert lab.states() == {"m/qsub.0": "finished", "m/qsub.1": "finished"}


def test_a_connection_that_is_half_open_is_found_within_a_minute() -> None:
    """Asked every KEEPALIVE seconds and dead after UNANSWERED of them; story: it is so."""
    assert KEEPALIVE * (UNANSWERED + 1) < 60


# --- no processes left -------------------------------------------------------------------------


@pytest.mark.cluster
@needs_sshd
@pytest.mark.fault("Connections: a remote shell that cannot fork (at each step of a submission)")
def test_a_shell_that_cannot_fork_submits_once_or_not_at_all(testcluster: TestCluster) -> None:
    with gate(testcluster, "hpc") as node:
        link = connect(Remote("gate"), ssh="fabric", ssh_config=node.config, ask=lambda p, e: "")
        try:
            seen = [_submit_with(node, link, room) for room in (-500, *range(7), 500)]
        finally:
            link.close()
    assert seen[-1] == "accepted" and seen[0] != "accepted", seen


def _submit_with(node: Gate, link: Link, room: int) -> str:
    """Submit one job where only so many processes may be started; what became of it."""
    twin = node.root / f"twin{room}"
    calls = node.root / f"calls{room}"
    assert any(b"twin same" in line for line in call(link, "twin", [str(twin), "r-1", "new"]))
    (twin / "qsub.0").write_text("#!/bin/sh\n")
    node.lie("sbatch", f'echo x >>{calls}; echo "Submitted batch job 9$$"; exit 0')
    cluster = Cluster(link, batch("slurm"), Same(), str(twin), "r-1", node.user)
    attempt = Attempt(Key("qsub.0"), 1)
    order = Order(attempt, "", "qsub.0", b"#!/bin/sh\n", "qsub.finished.0", (), False)
    node.lie("shell", _room(room))
    answers = []
    with suppress(ClusterError):  # half an answer: the record tells
        answers = [answer for _, answer in cluster.submit([order])]
    node.truth("shell")
    answer = answers[0] if answers and answers[0] else cluster.recover([attempt])[attempt]
    if isinstance(answer, Unclear):
        answer = cluster.recover([attempt])[attempt]
    called = calls.read_text().count("x") if calls.exists() else 0
    assert called == (1 if isinstance(answer, Accepted) else 0)
    assert isinstance(answer, Accepted | NotRun | Unclear), answer
    return type(answer).__name__.lower()
