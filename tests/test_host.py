"""A process that was written down is known again, and never mistaken for another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from jobmon.run import host
from jobmon.run.host import Life


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def written(pid: int) -> host.Process:
    return replace(host.this_process(), pid=pid, birth=host.birth(pid) or "")


def test_this_process_lives_and_has_a_birth() -> None:
    me = host.this_process()
    assert (me.pid, host.state(me)) == (os.getpid(), Life.ALIVE)
    assert me.host
    assert me.birth
    assert host.birth(me.pid) == me.birth


def test_a_process_that_ended_is_gone_even_before_it_is_waited_for(
    child: subprocess.Popen[bytes],
) -> None:
    process = written(child.pid)
    assert host.state(process) is Life.ALIVE
    child.send_signal(signal.SIGSTOP)
    assert host.state(process) is Life.ALIVE  # stopped is not gone
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert host.state(process) is Life.GONE
    child.wait()
    assert host.state(process) is Life.GONE


def test_a_process_id_that_is_used_again_is_another_process(
    child: subprocess.Popen[bytes],
) -> None:
    assert host.state(replace(written(child.pid), birth="1")) is Life.GONE


def test_a_process_without_a_known_birth_counts_as_alive(child: subprocess.Popen[bytes]) -> None:
    assert host.state(replace(written(child.pid), birth="")) is Life.ALIVE


def test_an_earlier_boot_of_this_machine_took_its_processes_along() -> None:
    assert host.state(replace(host.this_process(), boot="another")) is Life.GONE


def test_of_another_machine_nothing_can_be_said() -> None:
    me = replace(host.this_process(), boot="another")
    assert host.state(replace(me, host="another")) is Life.FOREIGN
    assert host.state(replace(me, machine="another")) is Life.FOREIGN


def test_a_host_that_was_renamed_since_it_started_is_still_this_one() -> None:
    me = host.this_process()
    if not me.boot:
        pytest.skip("this system names no boots")
    assert host.state(replace(me, host="before")) is Life.ALIVE


def test_another_table_of_processes_cannot_be_looked_into() -> None:
    assert host.state(replace(host.this_process(), space="pid:[1]")) is Life.FOREIGN
