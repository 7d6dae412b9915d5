"""Notices of real runs, on the local queue: the end, a stop, failures, a receiver that hangs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import receivers
from session import chain, count, daemon, environment, hurry, jobmon, only_run, put, until

PATIENT = {
    "jobmon.notify.notifier.LAST": 90.0,
    "jobmon.notify.notifier.HURRIED": 90.0,
    "jobmon.notify.gather.GATHER": 900.0,
}
"""What a machine that has much to do is given."""


def wanting(project: Path, to: str, *occasions: str) -> None:
    hurry(project, "notify:", f"  to: {to}", f"  for: [{', '.join(occasions)}]", "maxqsub: 8")


def lacking(tmp_path: Path) -> dict[str, str]:
    """An environment in which neither Apprise nor Plotly is installed."""
    folder = tmp_path / "lacking"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\ngone = {'apprise', 'plotly'}\n"
        "u.find_spec = lambda name, *more: None if name in gone else find(name, *more)\n"
    )
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return environment(PYTHONPATH=os.pathsep.join(paths))


def test_the_end_of_a_run_and_its_failures_are_one_mail(project: Path) -> None:
    for n in range(6):
        put(project / "init", f"mp-{n}/qsub.0", "echo 'no convergence' >&2; exit 3")
    chain(project / "init", "good", 2, "true")
    with receivers.smtp() as box:
        wanting(project, f"'{box.address}'", "end", "failure", "every 6h")
        done = jobmon("--ldir", project, code=1, constants=PATIENT)
    (mail,) = box.got
    run = only_run(project)
    assert str(mail["Subject"]) == f"jobmon project/{run.name}: ended: 2 finished, 6 failed"
    text = receivers.text_of(mail)
    assert text.startswith(f"{run}: 2 finished, 6 failed\n  failed mp-0/qsub.0 exit code 3; last")
    assert text.count("no convergence") == 6
    assert box.address not in done.stdout + (run / "jobmon.log").read_text()


def test_a_stop_is_told_and_an_address_can_stand_in_the_environment(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chain(project / "init", "slow", 1, "sleep 600")
    wanting(project, "env:HOOK", "end")
    with receivers.webhook() as hook:
        monkeypatch.setenv("HOOK", hook.address)
        log = tmp_path / "log"
        with daemon("--ldir", project, log=log, constants=PATIENT) as process:
            until(lambda: list(project.glob("2*/qsub.log")), what="a run")
            until(lambda: count(only_run(project), "running"), what="the job runs")
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 1
    (got,) = hook.got
    run = only_run(project)
    assert got["title"].endswith(f"{run.name}: stopped; 1 jobs go on in the batch system")
    assert "HOOK" in (run / "jobmon.yaml").read_text()
    assert hook.address not in (run / "jobmon.yaml").read_text()
    jobmon("kill", "--run", run, code=0)


def test_a_receiver_that_hangs_does_not_hold_the_run_up(project: Path) -> None:
    chain(project / "init", "a", 2, "true")
    with receivers.silent() as port:
        wanting(project, f"'json://127.0.0.1:{port}/hidden-token?cto=900&rto=900'", "end")
        done = jobmon("--ldir", project, code=0)
    said = "a notice to json://… was not sent: no answer within 10 s"
    assert said in done.stdout
    assert "hidden-token" not in done.stdout
    assert count(only_run(project), "finished") == 2


def test_nobody_is_bothered_by_a_cycle_of_cron(project: Path) -> None:
    chain(project / "init", "a", 1, "true")
    with receivers.webhook() as hook:
        wanting(project, hook.address, "end", "failure")
        jobmon("--ldir", project, "--once")
    assert hook.got == []


def test_an_address_of_no_use_stops_the_start_before_anything_is_made(project: Path) -> None:
    chain(project / "init", "a", 1, "true")
    wanting(project, "nosuch://hidden-token", "end")
    done = jobmon("--ldir", project, code=2)
    assert "address 1 (nosuch://…) is of no use: Apprise knows no such address" in done.stderr
    assert "hidden-token" not in done.stderr
    assert sorted(p.name for p in project.iterdir()) == ["init", "jobmon.yaml"]


def test_without_apprise_the_start_says_what_to_install(project: Path, tmp_path: Path) -> None:
    chain(project / "init", "a", 1, "true")
    wanting(project, "json://127.0.0.1/x", "end")
    done = jobmon("--ldir", project, code=2, env=lacking(tmp_path))
    assert "pip install '.[notify]', or take 'notify:' out" in done.stderr
    assert not [p for p in project.iterdir() if (p / "qsub.log").exists()]


def test_check_sends_a_message_when_asked(project: Path) -> None:
    chain(project / "init", "a", 1, "true")
    with receivers.webhook() as hook:
        dead = f"json://127.0.0.1:{receivers.nobody()}/hidden-token"
        wanting(project, f"[{hook.address}, '{dead}']", "end")
        (project / "jobmon.yaml").chmod(0o644)
        done = jobmon("check", "--ldir", project)
        assert "2 addresses; --notify sends a message there" in done.stdout
        assert "others can read" in done.stdout and "chmod 600" in done.stdout
        assert hook.got == []
        (project / "jobmon.yaml").chmod(0o600)
        done = jobmon("check", "--ldir", project, "--notify", code=2)
        assert "others can read" not in done.stdout
        assert "json://…: a message was sent; see that it came" in done.stdout
        assert "json://…: not reached: " in done.stdout
        assert "hidden-token" not in done.stdout
        assert hook.got[0]["title"] == "jobmon: a test"


def test_check_says_that_nobody_is_to_be_told(project: Path) -> None:
    chain(project / "init", "a", 1, "true")
    assert "no 'notify:'" in jobmon("check", "--ldir", project, "--notify").stdout
