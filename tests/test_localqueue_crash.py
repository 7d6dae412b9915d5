"""The local queue under kill -9, reboots, races and delete: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from localqueue_lab import Lab, kill, lives, until

from jobmon.localqueue.delete import delete, family
from jobmon.localqueue.place import program
from jobmon.localqueue.process import Identity, Proc, alive, by_proc, by_ps, myself
from jobmon.localqueue.runner import _Runner
from jobmon.localqueue.spool import Spool


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    folder = tmp_path / "job"
    folder.mkdir()
    made = Lab(tmp_path.resolve() / "state", folder)
    yield made
    made.sweep()


def test_kill_of_the_runner_loses_and_doubles_nothing(lab: Lab) -> None:
    text = "echo {i} >> log; while [ ! -e go ]; do sleep 0.02; done\n"
    jobs = [lab.submit(text.format(i=i)) for i in range(5)]
    for _ in range(4):
        until(lambda: len(lab.own("runner")) == 1)
        kill(lab.own("runner")[0])
        until(lambda: not lab.own("runner"))
        states = lab.listed()  # which starts another
        assert sorted(states) == jobs
    until(lambda: list(lab.listed().values()) == ["running"] * 2 + ["pending"] * 3)
    kill(lab.own("runner")[0])
    (lab.folder / "go").touch()
    jobs.append(lab.submit(text.format(i=5)))  # and so does a submit
    lab.wait(*jobs)
    assert sorted((lab.folder / "log").read_text().split()) == list("012345")
    assert {lab.state_of(job) for job in jobs} == {"ended exit 0"}


def test_a_shepherd_killed_with_its_script_is_lost_alone(lab: Lab) -> None:
    job = lab.submit("echo $$ > pid; exec sleep 600\n")
    script = lab.wait_pid("pid")
    kill(lab.own("shepherd")[0])
    until(lambda: not lab.own("shepherd"))
    # The script still runs: nobody may take the job for ended and run it again.
    assert lab.listed() == {job: "running"}
    kill(script)
    until(lambda: not lives(script))
    assert lab.state_of(job) == "ended lost"
    assert lab.listed() == {}
    assert lab.state_of(job) == "ended lost"
    other = lab.submit("exit 0")
    lab.wait(other)
    assert (other, lab.state_of(other)) == (job + 1, "ended exit 0")


def test_a_script_without_its_shepherd_can_be_deleted(lab: Lab) -> None:
    job = lab.submit("echo $$ > pid; sleep 600 & wait\n")
    script = lab.wait_pid("pid")
    kill(lab.own("shepherd")[0])
    assert lab.run("delete", str(job)).code == 0
    assert not lives(script)
    assert lab.state_of(job) == "ended deleted"


def test_after_a_reboot_the_running_are_lost_and_the_pending_start(lab: Lab) -> None:
    first = lab.submit("echo a >> log; exec sleep 600\n")
    second = lab.submit("#SBATCH -n 2\necho b >> log\n")
    lab.wait_file("log")
    for pid in [*lab.own("runner"), *lab.own("shepherd")]:
        kill(pid)
    until(lambda: not lab.own())
    for name in ("claim", "started"):  # as written by another boot
        path = lab.state / "live" / str(first) / name
        me = myself()
        path.write_text(path.read_text().replace(me.boot, "another boot"))
    assert lab.listed() == {second: "pending"}
    lab.wait(second)
    assert lab.state_of(first) == "ended lost"
    assert (lab.folder / "log").read_text() == "a\nb\n"
    for pid in lab.processes():
        kill(pid)


def test_delete_of_a_pending_job(lab: Lab) -> None:
    first = lab.submit("#SBATCH -n 2\nwhile [ ! -e go ]; do sleep 0.02; done\n")
    second = lab.submit("touch never\n")
    until(lambda: lab.listed() == {first: "running", second: "pending"})
    done = lab.run("delete", str(second), "99")
    assert (done.code, done.out.splitlines()) == (
        1,
        [f"job {second} deleted: it was pending", "unknown 99: the local queue knows no such job"],
    )
    assert lab.listed() == {first: "running"}
    (lab.folder / "go").touch()
    lab.wait(first)
    until(lambda: not lab.own())
    assert lab.state_of(second) == "ended deleted"
    assert not (lab.folder / "never").exists()
    again = lab.run("delete", str(second))
    assert (again.code, again.out) == (0, f"job {second} had already ended: deleted\n")


DEEP = f"""
echo $$ > p0
sleep 600 & echo $! > p1
sh -c 'sh -c "echo \\$\\$ > p2; sleep 600; :" & wait' &
{sys.executable} -c '
import os, time
os.setsid()
if os.fork(): os._exit(0)         # an orphan in a session of its own
open("p3", "w").write(f"{{os.getpid()}}\\n")
time.sleep(600)' &
{sys.executable} -c '
import os, time
os.setsid()
open("p4", "w").write(f"{{os.getpid()}}\\n")
time.sleep(600)' &
wait
"""


def test_delete_reaches_every_descendant(lab: Lab) -> None:
    other = lab.submit("echo $$ > other; exec sleep 600\n", name="qsub.1")
    job = lab.submit(DEEP)
    pids = [lab.wait_pid(f"p{i}") for i in range(5)]
    stranger = lab.wait_pid("other")
    os.kill(pids[4], signal.SIGSTOP)
    done = lab.run("delete", str(job))
    assert (done.code, done.out) == (0, f"job {job} deleted: it was running\n")
    assert [pid for pid in pids if lives(pid)] == []
    assert lab.state_of(job) == "ended deleted"
    assert lives(stranger) and lab.listed() == {other: "running"}


def test_delete_of_what_ignores_sigterm(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobmon.localqueue.delete.GRACE", 0.3)
    job = lab.submit('trap "" TERM\necho $$ > pid\nwhile :; do sleep 1; done\n')
    pid = lab.wait_pid("pid")
    said: list[str] = []
    assert delete(Spool(lab.state), [str(job)], said.append) == 0
    assert said == [f"job {job} deleted: it was running"]
    assert not lives(pid)
    assert lab.state_of(job) == "ended deleted"


def test_submits_meet_a_leaving_runner(lab: Lab) -> None:
    """Each submit comes about when the runner leaves; none may be left behind."""
    for i in range(12):
        lab.submit(f"touch done.{i}\n")
        until((lab.folder / f"done.{i}").exists)  # with no list to help


def test_a_runner_that_lives_is_left_to_it(lab: Lab) -> None:
    spool = Spool(lab.state)
    with spool.locked():
        lock = spool.runner_lock()
    assert lock is not None
    job = lab.submit("touch done\n")
    assert lab.listed() == {job: "pending"} and lab.own() == []
    os.close(lock)
    assert lab.listed() == {job: "pending"}
    until((lab.folder / "done").exists)


def test_a_shepherd_that_fails_does_not_hold_up_the_queue(lab: Lab) -> None:
    spool = Spool(lab.state)
    with spool.locked():
        lock = spool.runner_lock()
    assert lock is not None
    job = lab.submit("touch never\n")
    failed = subprocess.Popen(["false"])
    runner = _Runner(spool, 2, {failed.pid: job}, {})
    until(lambda: runner.turn() or not runner.starting)
    failed.wait()
    assert lab.state_of(job) == f"ended unstarted its shepherd failed; {lab.state}/log"
    os.close(lock)
    assert lab.listed() == {} and not (lab.folder / "never").exists()


def test_a_damaged_record_is_named(lab: Lab) -> None:
    lab.run("list")
    broken = lab.state / "live" / "5"
    broken.mkdir()
    (broken / "job.json").write_text("{")
    done = lab.run("list")
    assert (done.code, done.out) == (2, "")
    assert f"{broken}/job.json is damaged" in done.err and "out of the way" in done.err
    broken.rename(lab.folder / "5")
    assert lab.listed() == {}


def test_two_shepherds_for_one_job_run_it_once(lab: Lab) -> None:
    lab.run("list")
    blocker = lab.submit("#SBATCH -n 2\necho $$ > pid; exec sleep 600\n")
    lab.wait_pid("pid")
    job = lab.submit("echo x >> log\n", name="qsub.1")
    words = [*program(), "shepherd", "--state", str(lab.state), str(job)]
    herd = [subprocess.Popen(words) for _ in range(4)]
    assert [process.wait(timeout=60) for process in herd] == [0] * 4
    assert (lab.folder / "log").read_text() == "x\n"
    lab.run("delete", str(blocker))
    until(lambda: not lab.own())
    assert (lab.folder / "log").read_text() == "x\n"


def test_identity() -> None:
    me = myself()
    assert alive(me)
    assert not alive(Identity(me.boot, me.pid, "0"))
    assert not alive(Identity("another", me.pid, me.birth))
    ended = subprocess.Popen(["true"])
    assert ended.wait() == 0
    assert not alive(Identity(me.boot, ended.pid, me.birth))


@pytest.mark.skipif(sys.platform != "linux", reason="compares with /proc")
def test_ps_and_proc_agree() -> None:
    mine = by_proc([os.getpid()])[os.getpid()]
    by_other = by_ps([os.getpid()])[os.getpid()]
    assert (mine.pid, mine.parent, mine.session) == (
        by_other.pid,
        by_other.parent,
        by_other.session,
    )
    assert by_other == by_ps([os.getpid()])[os.getpid()]
    assert os.getpid() in by_ps(None)
    assert by_ps([2**22 + 1]) == {}


def test_family() -> None:
    rows = [(10, 1, 10), (11, 10, 11), (12, 11, 11), (13, 12, 13), (14, 1, 13), (20, 1, 20)]
    processes = {pid: Proc(pid, parent, session, "b") for pid, parent, session in rows}
    assert family(processes, [10], []) == {10, 11, 12, 13}
    assert family(processes, [], [13]) == {13, 14}
    assert family(processes, [99], []) == set()
