"""A run's own rules, by the command line on this machine's queue: no cluster needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from session import (
    LOCAL,
    WEIRD,
    agree,
    chain,
    count,
    environment,
    jobmon,
    only_run,
    put,
    ran_once,
    script,
    status,
    twin_of,
)


def test_a_tree_to_its_end_without_ssh_or_rsync(project: Path) -> None:
    for folder in ("m1", WEIRD, "-leading;$HOME `x` %20"):
        chain(project / "init", folder)
    tools = project.parent / "bin"
    tools.mkdir()
    for name in ("bash", "sh", "cat", "touch", "sleep", "id", "ls", "mkdir", "date", "dd", "head"):
        (tools / name).symlink_to(subprocess.check_output(["which", name], text=True).strip())
    for name in ("cksum", "cp", "rm", "tail", "stat", "timeout", "uname", "xargs"):
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


def test_status_json_has_the_promised_shape(project: Path) -> None:
    put(project / "init", "m/qsub.0")
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    text = jobmon("status", "--run", project, "--json", code=0).stdout
    seen = json.loads(text)
    fixed = {"run", "counts", "conflicts", "jobs"}
    assert seen.keys() == fixed | {"daemon", "spent", "pace"}
    assert seen["run"] == str(run)
    job = seen["jobs"][0]
    fixed = {"key", "state", "jobid", "missing", "reason", "cause", "history"}
    assert job.keys() == fixed | {"attempts", "lasted", "took"}
    assert job["cause"] is None
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


def test_help_is_quick_and_light() -> None:
    heavy = ["paramiko", "fabric", "pydantic", "rich", "yaml", "textual"]
    code = (
        "import sys; from jobmon.cli import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"
