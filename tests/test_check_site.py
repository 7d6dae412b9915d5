"""``jobmon check``: what a site's answers mean, and what it tells of its limits."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell_lab import ShellLink

from jobmon.act import check_site
from jobmon.cluster import site
from jobmon.cluster.base import LookFailed
from jobmon.cluster.batch.limits import Limit, commands, limits, version
from jobmon.cluster.site import Room, Trips
from jobmon.core.finding import Finding, Level
from jobmon.run.options import Settings

GREEN, YELLOW, RED = Level.GREEN, Level.YELLOW, Level.RED
LOCAL = Settings(remote="local")


# --- what a site's answers mean ------------------------------------------------------------------


def test_room() -> None:
    def level(found: Room | None, size: int = 10**6) -> tuple[Level, str]:
        one = check_site.room("me@hpc", "/data/me/runs", found, size)
        assert one.way_out or one.level == GREEN or found is None
        return one.level, one.words

    there = "/data/me/runs"
    assert level(Room(there, True, 10**10, "")) == (
        GREEN,
        "me@hpc:/data/me/runs is writable, 10 GB free (your quota may be less)",
    )
    assert level(Room("/data", False, 10**10, ""))[0] == RED
    assert "is not there yet; /data cannot be written" in level(Room("/data", False, 10, ""))[1]
    assert level(Room(there, True, 10**5, ""))[0] == RED
    assert level(Room(there, True, 5 * 10**6, ""))[0] == YELLOW
    assert level(Room(there, True, None, "")) == (
        GREEN,
        "me@hpc:/data/me/runs is writable; df does not tell how much room there is",
    )
    assert level(None)[0] == YELLOW


def test_clocks_and_round_trips() -> None:
    assert check_site.clock(59.0).level == check_site.clock(-59.0).level == GREEN
    assert check_site.clock(75.2).words == "75 s ahead of the one here"
    assert check_site.clock(-7200.0).words == "7200 s behind the one here"
    assert check_site.clock(75.0).level == YELLOW
    assert "never compares" in check_site.clock(75.0).way_out
    assert check_site.round_trip(Trips(0.0123, 0)) == Finding(GREEN, "round trip", "12 ms")
    assert check_site.round_trip(Trips(6.0, 0)).level == YELLOW


def test_a_clock_is_compared_with_the_round_trip_taken_into_account(tmp_path: Path) -> None:
    (tmp_path / "date").write_text("#!/bin/sh\necho $(($(/bin/date +%s) + 500))\n")
    (tmp_path / "date").chmod(0o755)
    found = site.trips(ShellLink(["sh"], tmp_path))
    assert abs(found.ahead - 500) < 60
    assert found.median > 0
    (tmp_path / "date").write_text("#!/bin/sh\n")
    with pytest.raises(LookFailed, match="tells no time"):
        site.trips(ShellLink(["sh"], tmp_path))


def test_logins_and_shells() -> None:
    assert check_site.login("me@hpc", [], 1, 0.31).words == "me@hpc in 0.3 s; nothing was asked"
    two = check_site.login("me@hpc", ["(me@hpc) Password:", "Code\x1b:"], 2, 9)
    assert two.level == GREEN
    assert "2 logins in a row" in two.words
    assert "asked 2 times: '(me@hpc) Password:', 'Code\N{REPLACEMENT CHARACTER}:'" in two.words
    noisy = check_site.shell("me", "/home/me", b"\r\nWelcome\x07!\nmore\n")
    assert noisy.level == YELLOW
    assert "17 bytes are printed unasked, at the beginning: 'Welcome" in noisy.words


def test_rsync_at_both_ends() -> None:
    line = "rsync  version 3.2.7  protocol version 31"
    assert check_site.rsync(line, line, "me@hpc", "").words.startswith("3.2.7 here and 3.2.7 there")
    assert check_site.rsync("", line, "me@hpc", "").words == "missing on this machine"
    both = check_site.rsync("", "", "me@hpc", "")
    assert both.level == RED and both.words == "missing on this machine and on me@hpc"
    assert check_site.rsync(line, line, "me@hpc", "it broke").level == RED


def test_binpath_and_pythonpath() -> None:
    kinds = {"/opt": "folder", "/opt/a": "program", "/opt/b": "other", "/opt/c": "missing"}
    assert check_site.folder("/opt", "/opt", kinds, ["a"]).level == GREEN
    lacking = check_site.folder("/opt", "/opt", kinds, ["a", "b", "c"])
    assert lacking.level == RED and lacking.each == ("b", "c")
    assert check_site.folder("/no", "/no", {"/no": "missing"}, []).level == RED
    assert check_site.interpreter("python3", "/usr/bin/python3", 0, "Python 3.12.1\n") == Finding(
        GREEN, "pythonpath", "python3 runs: Python 3.12.1"
    )
    assert check_site.interpreter("python9", "", 0, "").level == RED
    broken = check_site.interpreter("/p", "/p", 127, "libpython3.so: cannot open")
    assert broken.level == RED and "does not run (127): libpython3.so" in broken.words
    assert check_site.vague("binpath", "bin").level == YELLOW


def test_maxqsub_against_what_the_site_tells() -> None:
    def words(mine: int, *told: Limit) -> tuple[Level, str]:
        [one] = check_site.maxqsub(mine, told)
        return one.level, one.words

    assert words(4) == (GREEN, "4; the site tells no limit")
    assert words(4, Limit(100, "max_u_jobs of each user")) == (
        GREEN,
        "4; max_u_jobs of each user is 100",
    )
    assert words(200, Limit(100, "max_u_jobs of each user")) == (
        YELLOW,
        "200 is more than the site takes: max_u_jobs of each user is 100",
    )
    level, said = words(200, Limit(1, "max_queued of queue debug", everywhere=False))
    assert level == GREEN and "mind where your scripts go: max_queued of queue debug is 1" in said


# Refused by a real Grid Engine 8.1.9: "denied: "12ab" is not a valid object name (cannot start with
# a digit)", "Colon (':') not allowed in objectname", and so on.
@pytest.mark.parametrize("name", ["12ab", "a:b", "a@b", "a*b", "a?b", "a\\b", "a/b", "a b"])
def test_job_names_that_grid_engine_refuses(name: str) -> None:
    [found] = check_site.job_names("sge", [("m/qsub.0", "$", name), ("m/qsub.1", "$", "mp-149")])
    assert found.level == RED and found.each == (f"m/qsub.0: -N {name}",)
    assert list(check_site.job_names("slurm", [("m/qsub.0", "$", name)])) == []


def test_job_names_that_pbs_refuses() -> None:
    given = [("m/qsub.0", "PBS", n) for n in ("a b", "x" * 231, "12ab", "é", "GaAs_x0.5")]
    [found] = check_site.job_names("pbs", given)
    assert len(found.each) == 2


# --- what a site tells of its limits ---------------------------------------------------------------

# Slurm 22.05.8, `scontrol show config`, some lines
SCONTROL = "MaxArraySize            = 5001\nMaxJobCount             = 20000\nMaxJobId = 67043328\n"
# sacctmgr(1): what `-nP` prints for the fields asked for; the names are made up
ACCOUNTS = "physics||100|normal,long\nphysics|gpu|8|normal,long\n"
QUALITIES = "normal|50\nlong|\nothers|3\n"
# Grid Engine 8.1.9, `qconf -sconf`, some lines
SCONF = "max_aj_tasks                 75000\nmax_u_jobs                   {}\nmax_jobs          0\n"
# PBS Professional Reference Guide, formats of 'max_queued'; qstat(1B) folds lines by newline and tab
SERVER = "Server: pbs\n    server_state = Active\n    max_queued = [u:PBS_GENERIC=100],[o:PBS_ALL=5\n\t000],[u:me=7]\n"
QUEUES = "Queue: debug\n    queue_type = Execution\n    max_queued = [u:PBS_GENERIC=1]\nQueue: old\n    max_user_queuable = 30\n    enabled = True\n"


def told(system: str, *texts: str) -> dict[str, tuple[int, bool]]:
    outputs = [(0, text) for text in texts]
    assert len(outputs) == len(commands(system, "me"))
    found = limits(system, "me", outputs)
    assert [one.jobs for one in found] == sorted(one.jobs for one in found)
    return {one.whose: (one.jobs, one.everywhere) for one in found}


def test_slurm_tells_its_limits() -> None:
    assert told("slurm", "slurm 22.05.8", ACCOUNTS, QUALITIES, SCONTROL) == {
        "MaxSubmitJobs of account physics": (100, False),
        "MaxSubmitJobs of account physics in partition gpu": (8, False),
        "MaxSubmitJobsPerUser of QOS normal": (50, False),
        "MaxJobCount of all users together": (20000, True),
    }
    assert told("slurm", "", "physics||100|normal\n", "normal|50\n", "") == {
        "MaxSubmitJobs of account physics": (100, True),
        "MaxSubmitJobsPerUser of QOS normal": (50, True),
    }
    silent = "sacctmgr: error: Slurm accounting storage is disabled\n"
    assert told("slurm", "", silent, silent, "") == {}


def test_grid_engine_tells_its_limits() -> None:
    assert told("sge", "SGE 8.1.9", SCONF.format(0)) == {}
    assert told("sge", "SGE 8.1.9", SCONF.format(40)) == {"max_u_jobs of each user": (40, True)}


def test_pbs_tells_its_limits() -> None:
    assert told("pbs", "pbs_version = 23.06", SERVER, QUEUES) == {
        "max_queued of each user": (7, True),
        "max_queued of all users together": (5000, True),
        "max_queued of each user in queue debug": (1, False),
        "max_user_queuable of each user in queue old": (30, False),
    }
    general = SERVER.replace(",[u:me=7]", "")
    assert told("pbs", "", general, "")["max_queued of each user"] == (100, True)


def test_commands_that_fail_or_hang_tell_no_limit() -> None:
    outputs = [(124, ""), (1, ACCOUNTS), (127, QUALITIES), (1, SCONTROL)]
    assert limits("slurm", "me", outputs) == []
    assert version(outputs) == ""
    assert limits("sge", "me", []) == limits("local", "me", []) == []
    assert commands("local", "me") == []
    assert version([(0, "\n\nSGE 8.1.9\nusage: qstat\n")]) == "SGE 8.1.9"
