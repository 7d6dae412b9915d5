"""The rules of a run, tried by the command line on this machine's own queue: no cluster needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from session import (
    FAST,
    WEIRD,
    agree,
    chain,
    count,
    daemon,
    environment,
    events,
    jobmon,
    only_run,
    put,
    ran_once,
    script,
    status,
    until,
)

LOCAL = FAST + "remote: local\nscheduler: local\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project for the local queue, its twin elsewhere on this machine."""
    made = tmp_path / "project"
    (made / "init").mkdir(parents=True)
    (made / "jobmon.yaml").write_text(LOCAL + f"rdir: {tmp_path}/far 'away' ü\n")
    return made


def twin_of(project: Path) -> Path:
    return project.parent / "far 'away' ü" / only_run(project).name


def test_a_tree_to_its_end_without_ssh_or_rsync(project: Path) -> None:
    for folder in ("m1", WEIRD, "-leading;$HOME `x` %20"):
        chain(project / "init", folder)
    tools = project.parent / "bin"
    tools.mkdir()
    for name in ("bash", "sh", "cat", "touch", "sleep", "id", "ls", "mkdir", "date", "dd", "head"):
        (tools / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    for name in ("cksum", "rm", "tail", "stat", "timeout", "uname"):
        (tools / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    jobmon("--ldir", project, code=0, env=environment(PATH=str(tools)))
    run = only_run(project)
    assert status(run)["counts"] == {"finished": 9}
    assert (run / WEIRD / "result.2").read_text() == "2\n"
    ran_once(twin_of(project))
    agree(run)


def test_without_rdir_the_run_folder_is_its_own_twin(tmp_path: Path) -> None:
    chain(tmp_path / "p" / "init", WEIRD)
    (tmp_path / "p" / "jobmon.yaml").write_text(LOCAL)
    jobmon("--ldir", tmp_path / "p", code=0)
    run = only_run(tmp_path / "p")
    assert status(run)["counts"] == {"finished": 3}
    assert "changed here and on the cluster" not in (run / "jobmon.log").read_text()
    ran_once(run)


def test_states_of_a_run_at_its_end_each_with_its_reason(project: Path) -> None:
    init = project / "init"
    put(init, "held/qsub.0", needs=None)
    put(init, "behind/qsub.0", needs="../held/qsub.finished.0\n")
    put(init, "ring/qsub.a", needs="qsub.finished.b\n")
    put(init, "ring/qsub.b", needs="qsub.finished.a\n")
    put(init, "lacks/qsub.0", needs="nowhere.dat\n")
    put(init, "stands/qsub.0", needs="not STOP\n")
    (init / "stands" / "STOP").touch()
    put(init, "fails/qsub.0", "echo 'last words' >&2; exit 7")
    put(init, "fine/qsub.0")
    done = jobmon("--ldir", project, code=1)
    seen = status(only_run(project))
    assert seen["state"] == {
        "behind/qsub.0": "blocked",
        "fails/qsub.0": "failed",
        "fine/qsub.0": "finished",
        "held/qsub.0": "held",
        "lacks/qsub.0": "blocked",
        "ring/qsub.a": "blocked",
        "ring/qsub.b": "blocked",
        "stands/qsub.0": "blocked",
    }
    reason = {key: job["reason"] for key, job in seen["job"].items()}
    assert reason["held/qsub.0"] == "held: touch held/qsub.dependency.0 to let it go"
    assert "held/qsub.0, which is held" in reason["behind/qsub.0"]
    assert reason["ring/qsub.a"].startswith("ring: ")
    assert "lacks/nowhere.dat is missing" in reason["lacks/qsub.0"]
    assert seen["job"]["lacks/qsub.0"]["missing"] == ["lacks/nowhere.dat"]
    assert seen["job"]["stands/qsub.0"]["missing"] == ["not stands/STOP"]
    assert "exit code 7" in reason["fails/qsub.0"] and "last words" in reason["fails/qsub.0"]
    for key in ("held/qsub.0", "ring/qsub.a", "lacks/qsub.0", "fails/qsub.0"):
        assert f"{key}  {reason[key]}" in done.stdout


def test_touching_a_dependency_file_lets_a_held_job_go(project: Path) -> None:
    put(project / "init", "m/qsub.0", needs=None)
    jobmon("--ldir", project, code=1)
    run = only_run(project)
    (run / "m" / "qsub.dependency.0").touch()
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 1}


def test_a_marker_that_is_there_before_means_finished(project: Path) -> None:
    put(project / "init", "m/qsub.0", "exit 1")
    (project / "init" / "m" / "qsub.finished.0").touch()
    put(project / "init", "m/qsub.1", needs="qsub.finished.0\n")
    done = jobmon("--ldir", project, code=0)
    assert "1 jobs have their marker already" in done.stdout
    assert count(only_run(project), "submitting") == 1


def test_placeholders_are_replaced_in_scripts_and_nowhere_else(project: Path) -> None:
    init = project / "init" / "si 1"
    init.mkdir()
    raw = (
        b"\xef\xbb\xbf#!/bin/bash\r\n__HEADER__gwsc\r\n# \xff\x00 __binpath__|__pythonpath__|"
        b"__maxcore__|__jobname__|__cwd__|__nk__|__left__ no newline at the end"
    )
    (init / "qsub.x-1").write_bytes(raw)
    (init / "input").write_bytes(b"__maxcore__")
    (init / "qsub.dependency.x-1").write_text("__cwd__\n")
    header = project.parent / "header"
    header.write_text("#PBS -N __jobname__\n")
    with (project / "jobmon.yaml").open("a") as file:
        file.write("placeholders:\n  nk: 6\n")
    done = jobmon(
        *("--ldir", project, "--initonly", "--binpath", "/opt/bin", "--pythonpath=/usr/bin/py"),
        *("--maxcore", "3", "--qsubheader", header),
        code=0,
    )
    run = only_run(project)
    twin = f"{project.parent}/far 'away' ü/{run.name}/si 1"
    wanted = (
        b"\xef\xbb\xbf#!/bin/bash\r\n#PBS -N si 1\ngwsc\r\n# \xff\x00 /opt/bin|/usr/bin/py|3|si 1|"
        + os.fsencode(twin)
        + b"|6|__left__ no newline at the end"
    )
    assert (run / "si 1" / "qsub.x-1").read_bytes() == wanted
    assert (Path(twin) / "qsub.x-1").read_bytes() == wanted
    assert (run / "si 1" / "input").read_bytes() == b"__maxcore__"
    assert (run / "si 1" / "qsub.dependency.x-1").read_text() == "__cwd__\n"
    assert "si 1/qsub.x-1: __left__ left over" in done.stdout
    assert count(run, "submitting") == 0


def test_what_a_person_changes_reaches_the_cluster_first(project: Path) -> None:
    put(project / "init", "m/qsub.0", "touch gate.seen; until [ -e go ]; do sleep 0.1; done")
    put(project / "init", "m/qsub.1", "echo old > which", "qsub.finished.0\n")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until((twin_of(project) / "m" / "gate.seen").exists, what="the first job")
        new = script("cat input > which", "1").replace("__cwd__", str(twin_of(project) / "m"))
        (run / "m" / "qsub.1").write_text(new)
        (run / "m" / "input").write_text("new\n")
        (run / "m" / "go").touch()
        assert process.wait(60) == 0
    assert (run / "m" / "which").read_text() == "new\n"


def test_the_run_folder_s_script_counts_over_the_cluster_s(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo 'echo hijacked > which' > qsub.1; sleep 1")
    put(project / "init", "m/qsub.1", "echo ours > which", "qsub.finished.0\n")
    jobmon("--ldir", project, code=0)
    assert (only_run(project) / "m" / "which").read_text() == "ours\n"


def test_a_file_changed_on_both_sides_is_left_alone_until_a_person_chooses(project: Path) -> None:
    put(project / "init", "m/qsub.0", "cat input > which")
    put(project / "init", "other/qsub.0")
    (project / "init" / "m" / "input").write_text("first\n")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    (run / "m" / "input").write_text("ours\n")
    (twin / "m" / "input").write_text("theirs, longer\n")
    done = jobmon("--ldir", run, code=1)
    assert done.stdout.count("m/input was changed here and on the cluster; neither") == 1
    assert "conflict m/input" in done.stdout
    assert status(run)["state"] == {"m/qsub.0": "ready", "other/qsub.0": "finished"}
    assert (run / "m" / "input").read_text() == "ours\n"
    assert (twin / "m" / "input").read_text() == "theirs, longer\n"
    (twin / "m" / "input").unlink()  # the person has chosen
    jobmon("--ldir", run, code=0)
    assert (run / "m" / "which").read_text() == "ours\n"


def test_a_new_script_made_by_a_job_is_a_new_job(project: Path) -> None:
    new = script("echo born > which", "1").replace("__cwd__", ".").replace("'", "'\\''")
    put(project / "init", "m/qsub.0", f"printf '%s' '{new}' > qsub.1; : > qsub.dependency.1")
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    assert status(run)["counts"] == {"finished": 2}
    assert (run / "m" / "which").read_text() == "born\n"


def test_result_patterns_choose_what_comes_home(project: Path) -> None:
    put(
        project / "init",
        "m/qsub.0",
        "mkdir sub; echo 1 > keep.dat; echo 2 > big.tmp; echo 3 > sub/deep.out; echo 4 > sub/keep.dat;"
        " echo said",
    )
    put(project / "init", "m/qsub.1", "cat big.tmp > keep.two", "big.tmp\n")
    jobmon("--ldir", project, "--result", "/keep.*", "--result=sub/*.out", code=0)
    run = only_run(project)
    names = {str(p.relative_to(run / "m")) for p in (run / "m").rglob("*") if p.is_file()}
    plain = {name for name in names if not re.search(r"qsub\.", name)}
    assert plain == {"keep.dat", "keep.two", "sub/deep.out"}
    assert any(re.fullmatch(r"qsub\.0\.o\d+", name) for name in names), "its output comes home"
    assert (run / "m" / "qsub.finished.1").exists()


def test_without_patterns_every_file_up_to_10_mb_comes_home(project: Path) -> None:
    put(
        project / "init",
        "m/qsub.0",
        "head -c 9000000 /dev/zero > small; head -c 11000000 /dev/zero > big",
    )
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    assert (run / "m" / "small").stat().st_size == 9_000_000
    assert not (run / "m" / "big").exists()


def test_quelist_may_be_reordered_and_nothing_else(project: Path) -> None:
    for name in "abcdef":
        put(project / "init", f"{name}/qsub.0", "sleep 0.5")
    with daemon("--ldir", project, "--maxqsub=1", log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/quelist")), what="a run folder")
        run = only_run(project)
        until(lambda: len((run / "quelist").read_text().splitlines()) == 7, what="the quelist")
        head, *lines = (run / "quelist").read_text().splitlines()
        (run / "quelist").write_text("\n".join([head, *reversed(lines)]) + "\n")
        until(lambda: count(run, "started") >= 3, what="three submissions")
        (run / "quelist").write_text((run / "quelist").read_text() + "nonsense\n")
        assert process.wait(90) == 0
    started = [line.split(" ")[2] for line in events(run) if line.split(" ")[1] == "started"]
    assert started[0] == "a/qsub.0"
    assert started[2:] == sorted(started[2:], reverse=True)
    assert [p.read_text().endswith("nonsense\n") for p in run.glob("quelist.rejected.*")] == [True]
    agree(run)


def test_a_quelist_edited_while_nobody_looks(project: Path) -> None:
    for name in "abc":
        put(project / "init", f"{name}/qsub.0")
    jobmon("--ldir", project, "--maxqsub=1", "--once", code=1)
    run = only_run(project)
    head, *lines = (run / "quelist").read_text().splitlines()
    (run / "quelist").write_text("\n".join([head, lines[0], lines[2], lines[1]]) + "\n")
    jobmon("--ldir", run, "--maxqsub=1", code=0)
    started = [line.split(" ")[2] for line in events(run) if line.split(" ")[1] == "started"]
    assert started == ["a/qsub.0", "c/qsub.0", "b/qsub.0"]
    edited = (run / "quelist").read_text().replace("finished@", "failed@")
    (run / "quelist").write_text(edited)
    jobmon("--ldir", run, code=0)
    assert [p.read_text() for p in run.glob("quelist.rejected.*")] == [edited]
    agree(run)


def test_with_the_quelist_renamed_away_the_next_start_is_afresh(project: Path) -> None:
    put(project / "init", "done/qsub.0")
    put(project / "init", "runs/qsub.0", "echo x >> started.0; sleep 6")
    put(project / "init", "failed/qsub.0", "[ -e mended ] || exit 1")
    with daemon("--ldir", project, log=project.parent / "out"):
        until(lambda: list(project.glob("2*/quelist")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1 and count(run, "started") == 3)
        jobmon("stop", "--run", run, code=0)
    (run / "quelist").rename(run / "quelist.old")
    (run / "failed" / "mended").touch()
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 3}
    ran_once(twin_of(project))
    assert count(run, "started") == 3, "two adopted, one started anew"
    agree(run)


def test_exit_codes_of_what_cannot_be(project: Path, tmp_path: Path) -> None:
    put(project / "init", "m/qsub.0")
    before = sorted(project.rglob("*"))

    def refused(*args: str | Path, code: int = 2) -> str:
        done = jobmon(*args, code=code)
        text = (done.stdout + done.stderr).strip()
        assert sorted(project.rglob("*")) == before, "something was changed"
        return text.splitlines()[-1]

    assert "there is no such folder" in refused("--ldir", tmp_path / "no")
    assert "holds no folder init/" in refused("--ldir", tmp_path / "project" / "init" / "m")
    assert refused("--ldir", project, "--bogus") == (
        "jobmon: No such option '--bogus'. See 'jobmon run --help'."
    )
    assert "maxqsub" in refused("--ldir", project, "--maxqsub", "0")
    assert "no such" in refused("run", "--ldir", project, "--qsubheader", "no-such-file").lower()
    assert "refused" in refused(
        "--ldir", project, "--remote", "127.0.0.1:1", "--scheduler=slurm", "--rdir=x", code=3
    )
    assert "this is no run folder" in refused("status", "--run", project)
    (project / "init" / "m" / "qsub.dependency.0").write_text("ok\n\n../../../etc/passwd\n")
    line = refused("--ldir", project)
    assert "qsub.dependency.0, line 3" in line and "outside the run folder" in line
    (project / "jobmon.yaml").write_text("remote: local\nmaxqsubs: 3\n")
    assert "jobmon.yaml:2" in refused("--ldir", project)


def test_an_identity_is_not_contradicted_by_a_flag(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, "--initonly", code=0)
    run = only_run(project)
    done = jobmon("--ldir", run, "--rdir", "/elsewhere", code=2)
    assert "--rdir /elsewhere" in done.stderr
    assert "on local, maxqsub 7" in jobmon("--ldir", run, "--maxqsub", "7", code=0).stdout


def test_a_missing_or_foreign_twin_stops_the_run(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, "--initonly", code=0)
    run, twin = only_run(project), twin_of(project)
    twin.rename(twin.with_name("away"))
    assert "is missing" in jobmon("--ldir", run, code=2).stdout
    (twin / ".jobmon").mkdir(parents=True)
    (twin / ".jobmon" / "run").write_text("somebody-else\n")
    assert "belongs to another run" in jobmon("--ldir", run, code=2).stdout
    assert count(run, "submitting") == 0


def test_jobmon_s_own_folder_may_be_lost_in_the_middle(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo x >> started.0; sleep 5; echo done > result")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "started") == 1, what="a submission")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    until((twin_of(project) / "m" / "result").exists, what="the job's end, with nobody there")
    shutil.rmtree(run / ".jobmon")
    (run / "m" / "result").write_text("of an older pull")
    jobmon("--ldir", run, code=0)
    assert (twin_of(project) / "m" / "result").read_text() == "done\n"
    assert (run / "m" / "result").read_text() == "done\n"
    ran_once(twin_of(project))
    agree(run)


def test_what_ended_behind_a_kill_9_still_comes_home(project: Path) -> None:
    put(project / "init", "m/qsub.0", "echo x > result; touch qsub.finished.0; sleep 3")
    put(project / "init", "n/qsub.0", "sleep 60")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1, what="the end of the first job")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    (run / "m" / "result").unlink(missing_ok=True)
    jobmon("--ldir", run, "--once", code=1)
    assert (run / "m" / "result").read_text() == "x\n"
    jobmon("kill", "--run", run, code=0)


def test_status_json_has_the_promised_shape(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    text = jobmon("status", "--run", project, "--json", code=0).stdout
    seen = json.loads(text)
    assert seen.keys() == {"run", "counts", "jobs"}
    assert seen["run"] == str(run)
    job = seen["jobs"][0]
    assert job.keys() == {"key", "state", "jobid", "missing", "reason", "history"}
    assert [e["event"] for e in job["history"] if e["event"] != "running"] == [
        *("ready", "submitting", "started", "finished")
    ]
    assert all(e.keys() == {"event", "time", "jobid"} for e in job["history"])
    assert job["jobid"] in (run / "quelist").read_text()


def test_ldir_may_hold_one_project_whose_name_goes_on_the_remote_path(tmp_path: Path) -> None:
    put(tmp_path / "outer" / "inner" / "init", "m/qsub.0")
    jobmon(
        *("--ldir", tmp_path / "outer", "--remote", "local", "--scheduler", "local"),
        *("--rdir", tmp_path / "far", "--initonly"),
        code=0,
    )
    run = only_run(tmp_path / "outer" / "inner")
    assert (tmp_path / "far" / "inner" / run.name / "m" / "qsub.0").exists()


def test_once_does_one_cycle(project: Path) -> None:
    chain(project / "init", "m")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    assert count(run, "started") == 1
    agree(run)
    jobmon("--ldir", run, code=0)
    ran_once(twin_of(project))


def test_help_is_quick_and_light() -> None:
    heavy = ["paramiko", "fabric", "pydantic", "rich", "yaml", "textual"]
    code = (
        "import sys; from jobmon.cli import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"


def test_kill_takes_a_job_that_wrote_its_marker_and_goes_on(project: Path) -> None:
    put(project / "init", "m/qsub.0", "touch qsub.finished.0; sleep 60")
    with daemon("--ldir", project, log=project.parent / "out") as process:
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1, what="its marker")
        assert (run / "qsub.now").read_text().endswith(" ! m/qsub.0\n"), "it is in the queue still"
        done = jobmon("kill", "--run", run, code=0)
        process.wait(10)
    assert "1 had ended by themselves, 0 left" in done.stdout
    assert (run / "qsub.now").read_text() == ""
    jobmon("--ldir", run, "--once", code=0)
    assert "end 0" in (run / "qstat").read_text(), "nothing is left in the queue"
    assert status(run)["counts"] == {"finished": 1}


def test_once_again_and_again_settles_a_failure(project: Path) -> None:
    put(project / "init", "m/qsub.0", "exit 3")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    end = time.monotonic() + 60
    while status(run)["state"]["m/qsub.0"] != "failed":
        assert time.monotonic() < end
        jobmon("--ldir", run, "--once", code=1)
    agree(run)


def test_a_job_waits_until_all_its_inputs_are_there(project: Path, tmp_path: Path) -> None:
    put(project / "init", "first/qsub.0")
    with daemon("--ldir", project, "--forever", log=tmp_path / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "finished") == 1, what="the first job")
        put(tmp_path, "new/qsub.0", "ls parts | wc -l > count")
        text = (tmp_path / "new" / "qsub.0").read_text()
        folder = str(twin_of(project) / "new")
        (tmp_path / "new" / "qsub.0").write_text(text.replace("__cwd__", folder))
        (tmp_path / "new" / "parts").mkdir()
        for number in range(5000):
            (tmp_path / "new" / "parts" / f"in{number}").touch()
        (tmp_path / "new").rename(run / "new")
        until(lambda: count(run, "finished") == 2, limit=90, what="the job with many inputs")
    assert (twin_of(project) / "new" / "count").read_text().split() == ["5000"]


def test_kills_beside_each_other_all_end_well(project: Path) -> None:
    for name in "abc":
        put(project / "init", f"{name}/qsub.0", "sleep 60")
    jobmon("--ldir", project, "--once", code=1)
    run = only_run(project)
    kills = [
        subprocess.Popen(
            [sys.executable, "-m", "jobmon", "kill", "--run", run],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
        )
        for _ in range(3)
    ]
    told = [kill.communicate(timeout=100)[0] for kill in kills]
    assert [kill.returncode for kill in kills] == [0, 0, 0], told
    assert sum("3 killed" in text for text in told) == 1, told
    assert status(run)["counts"] == {"killed": 3}
    agree(run)


def test_a_journal_that_cannot_be_is_named_with_its_line(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    lines = (run / "qsub.log").read_text().splitlines(keepends=True)
    (run / "qsub.log").write_text("".join([lines[0], *lines]))
    for args in (("--ldir", run), ("status", "--run", run)):
        done = jobmon(*args, code=2)
        assert f"{run}/qsub.log, line 2: m/qsub.0 is ready and cannot become ready" in (
            done.stdout + done.stderr
        )


def test_sigterm_ends_it_soon_though_the_batch_system_hangs(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    tools = project.parent / "hangs"
    tools.mkdir()
    (tools / "squeue").write_text("#!/bin/sh\nsleep 300\n")
    (tools / "squeue").chmod(0o755)
    args = [sys.executable, "-m", "jobmon", "--ldir", str(project), "--scheduler", "slurm"]
    path = f"{tools}:{os.environ['PATH']}"
    with subprocess.Popen(args, env=environment(PATH=path), stdout=subprocess.DEVNULL) as process:
        until(lambda: list(project.glob("2*/jobmon.log")), what="a run folder")
        time.sleep(1)  # now it hangs; earlier would be as well
        began = time.monotonic()
        process.terminate()
        assert process.wait(20) == 1
        assert time.monotonic() - began < 10
    agree(only_run(project))


def test_a_closed_pipe_or_a_full_disk_under_the_messages_is_no_traceback(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jobmon", "--ldir", project],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=environment(),
        )
    assert "Traceback" not in done.stderr
    assert status(only_run(project))["counts"] == {"finished": 1}
