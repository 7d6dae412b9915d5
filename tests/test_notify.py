"""Notices: the setting and its errors, real receivers, and receivers that are none."""

from __future__ import annotations

import importlib.util
import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import receivers
from session import until

from jobmon.core.model import Event, Key, Kind, Life
from jobmon.notify import notifier, send
from jobmon.notify.gather import GATHER, Notice
from jobmon.notify.notifier import Notifier
from jobmon.run.notify import redacted, resolve, shown
from jobmon.run.settings import Identity, Settings, load, read_run_file, write_run_file
from jobmon.run.usage import UsageError

HELLO = Notice("jobmon gaas/1: 3 jobs failed", "mp-149/qsub.0  <b>exit</b> code 3 & more\n")
HIDDEN = "hidden-token"


# --- the setting -------------------------------------------------------------------------------


def loaded(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "jobmon.yaml"
    path.write_text(text)
    return load(path)["notify"]


@pytest.mark.parametrize(
    "text",
    [
        "notify:\n  to: [ntfys://ntfy.sh/x, 'env:MAIL']\n  for: [end, every 6h]\n",
        "notify:\n  to: |\n    ntfys://ntfy.sh/x\n    env:MAIL\n  for: end, every 6h\n",
        "notify:\n  for:\n  - end\n  - every 6h\n  to:\n  - ntfys://ntfy.sh/x\n  - env:MAIL\n",
    ],
)
def test_lists_may_be_written_in_any_way(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == {
        "to": ["ntfys://ntfy.sh/x", "env:MAIL"],
        "for": ["end", "every 6h"],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"json://h/{HIDDEN}", "notify wants 'to:', one address or a list, and 'for:'"),
        (f"[json://h/{HIDDEN}]", "notify wants 'to:'"),
        (f"\n  to: json://h/{HIDDEN}", "notify wants 'to:'"),
        (f"\n  to: json://h/{HIDDEN}\n  for: []", "notify wants 'to:'"),
        (f"\n  to: json://h/{HIDDEN}\n  for: end\n  by: x", "notify wants 'to:'"),
        (f"\n  to: json://h/{HIDDEN}\n  for: ends", "'for: ends' is no occasion; there are end"),
        (f"\n  to: json://h/{HIDDEN}\n  for: every 0h", "'for: every 0h' is no occasion"),
        (f"\n  to: [json://h/{HIDDEN}, slack {HIDDEN}]\n  for: end", "address 2 is none; an Appri"),
        (f"\n  to: file:{HIDDEN}.txt\n  for: end", "an absolute path is wanted"),
        (f"\n  to:\n    x: json://h/{HIDDEN}\n  for: end", "plain text is wanted here"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line_and_no_address(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, f"maxqsub: 3\nnotify: {text}\n")
    line = str(caught.value)
    assert words in line and "\n" not in line
    assert line.startswith(f"{tmp_path}/jobmon.yaml:")
    assert "file:" in text or HIDDEN not in line


def test_the_run_keeps_the_setting_as_it_was_written_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {"remote": "local", "notify": {"to": ["env:HOOK", "json://h/x"], "for": ["end"]}}
    )
    path = tmp_path / "jobmon.yaml"
    write_run_file(path, settings, Identity("1", "local", "local", "/x"))
    assert read_run_file(path)[0].notify == settings.notify
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_address_is_never_shown() -> None:
    to = [f"json://h/{HIDDEN}", "env:HOOK", "sendmail:alice@uni.example"]
    told = shown({"to": to, "for": ["end", "failure"]})
    assert told == ["to json://…, env:HOOK, sendmail:alice@uni.example", "for end, failure"]
    words = f"POST http://h/{HIDDEN}?key=1 by alice: 403"
    assert redacted(words, f"json://alice:pass@h/{HIDDEN}") == "POST http://h/…?key=1 by …: 403"


def test_an_address_may_stand_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", " json://h/x\n")
    assert resolve("env:HOOK") == "json://h/x"
    (tmp_path / "hook").write_text("\njson://h/y\n\n")
    assert resolve(f"file:{tmp_path}/hook") == "json://h/y"
    monkeypatch.delenv("HOOK")
    (tmp_path / "two").write_text("json://h/y\njson://h/z\n")
    (tmp_path / "itself").write_text("env:HOOK\n")
    for address, why in {
        "env:HOOK": "the environment has no HOOK; set it",
        f"file:{tmp_path}/none": "it cannot be read (No such file or directory)",
        f"file:{tmp_path}/two": "one address on one line",
        f"file:{tmp_path}/itself": "one address on one line",
    }.items():
        with pytest.raises(ValueError) as caught:
            resolve(address)
        assert why in str(caught.value) and "json" not in str(caught.value)


# --- sending -----------------------------------------------------------------------------------


def test_a_real_mail_server_and_a_real_webhook_get_it() -> None:
    with receivers.smtp() as box, receivers.webhook() as hook:
        assert [sent.ok for sent in send.send([box.address, hook.address], HELLO)] == [True, True]
    (mail,) = box.got
    assert str(mail["Subject"]) == HELLO.title
    assert str(mail["To"]) == "alice@uni.example"
    assert receivers.text_of(mail).strip() == HELLO.body.strip()
    (posted,) = hook.got
    assert (posted["title"], posted["message"].strip()) == (HELLO.title, HELLO.body.strip())


def test_sendmail_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f"#!/bin/sh\necho \"$@\" > '{tmp_path}/args'\ncat > '{tmp_path}/mail'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (sent,) = send.send(["sendmail:alice@uni.example"], HELLO)
    assert sent.ok, sent.words
    assert (tmp_path / "args").read_text() == "-oi -t\n"
    mail = (tmp_path / "mail").read_text()
    with monkeypatch.context() as without:
        without.setattr(importlib.util, "find_spec", lambda name: None)
        send.require({"to": ["sendmail:alice@uni.example"], "for": ["end"]})  # needs no Apprise
    assert "To: alice@uni.example\n" in mail and f"Subject: {HELLO.title}\n" in mail
    program.write_text("#!/bin/sh\ncat > /dev/null\necho 'no such user' >&2\nexit 67\n")
    assert send.send(["sendmail:bob@uni.example"], HELLO)[0].words == "no such user"


def test_who_cannot_be_reached_is_said_without_the_address() -> None:
    dead = f"json://alice:secret-word@127.0.0.1:{receivers.nobody()}/{HIDDEN}"
    with receivers.webhook() as hook:
        sent = send.send([dead, "env:NOT_THERE", hook.address], HELLO)
    assert [each.ok for each in sent] == [False, False, True]
    assert len(hook.got) == 1
    assert sent[0].label == "json://…" and sent[0].words
    assert "secret-word" not in sent[0].words and HIDDEN not in sent[0].words
    assert sent[1].words == "env:NOT_THERE: the environment has no NOT_THERE; set it"


def test_who_never_answers_is_given_up_and_the_others_count() -> None:
    with receivers.silent() as port, receivers.webhook() as hook:
        mute = f"json://127.0.0.1:{port}/?cto=300&rto=300"
        done = threading.Event()
        given: list[send.Sent] = []

        def work() -> None:
            given.extend(send.send([mute, hook.address], HELLO, 300, done))

        thread = threading.Thread(target=work)
        thread.start()
        until(lambda: hook.got, what="the webhook has it")
        done.set()
        thread.join(60)
    assert not given[0].ok  # the other's answer may be on its way still
    assert given[0].words.startswith("no answer within")


def test_a_limit_ends_the_process() -> None:
    with receivers.silent() as port:
        (sent,) = send.send([f"json://127.0.0.1:{port}/?cto=300&rto=300"], HELLO, 3)
    assert sent.words == "no answer within 3 s"


def test_reach_says_whom_a_test_reached() -> None:
    with receivers.webhook() as hook:
        dead = f"json://127.0.0.1:{receivers.nobody()}/"
        found = send.reach({"to": [hook.address, dead], "for": ["end"]})
    assert [each.ok for each in found] == [True, False]
    assert hook.got[0]["title"] == "jobmon: a test"


def test_an_address_that_is_of_no_use_is_refused_before_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send.require({})
    send.require({"to": ["json://h/x"], "for": ["end"]})
    with pytest.raises(
        UsageError, match=r"address 1 \(nosuch://…\) is of no use: Apprise knows no"
    ):
        send.require({"to": [f"nosuch://{HIDDEN}"], "for": ["end"]})
    with pytest.raises(UsageError, match=r"address 2 .env:NONE. is of no use: .* has no NONE"):
        send.require({"to": ["json://h/x", "env:NONE"], "for": ["end"]})
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install '\.\[notify\]'"):
        send.require({"to": ["json://h/x"], "for": ["end"]})


# --- beside a run ------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has much to do takes its time for the last notice."""
    monkeypatch.setattr(notifier, "LAST", 90.0)
    monkeypatch.setattr(notifier, "HURRIED", 90.0)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logger = logging.getLogger("jobmon")
    before = logger.propagate
    logger.propagate = True
    with caplog.at_level(logging.WARNING, "jobmon"):
        yield caplog
    logger.propagate = before


def failed(n: int) -> Event:
    key = Key(f"mp-{n}/qsub.0")
    return Event(datetime.now(UTC), Kind.FAILED, key, 1, None, {"reason": "exit code 3"})


def telling(*to: str, clock: Callable[[], float] = time.monotonic) -> Notifier:
    lives = {Key(f"mp-{n}/qsub.0"): Life.RUNNING for n in range(300)}
    return Notifier({"to": to, "for": ["failure", "end"]}, "gaas/1", lives, lambda: 300, clock)


def test_300_failures_reach_the_webhook_as_one() -> None:
    clock = [0.0]
    with receivers.webhook() as hook, telling(hook.address, clock=lambda: clock[0]) as it:
        it.begin()
        for n in range(300):
            it.event(failed(n))
        clock[0] = GATHER
        until(lambda: hook.got, what="the notice")
        assert hook.got[0]["title"] == "jobmon gaas/1: 300 jobs failed"
        it.end("ended: 300 failed", ["all failed"], hurry=False)
    # A notice that was being sent at the end may come twice, as none may be lost.
    assert [got["title"] for got in hook.got][-1] == "jobmon gaas/1: ended: 300 failed"


def test_failures_just_before_the_end_are_in_the_last_notice() -> None:
    with receivers.webhook() as hook, telling(hook.address) as it:
        it.begin()
        it.event(failed(7))
        it.end("stopped; 3 jobs go on in the batch system", [], hurry=True)
    (got,) = hook.got
    assert got["title"].endswith("stopped; 3 jobs go on in the batch system")
    assert "mp-7/qsub.0: exit code 3" in got["message"]


def test_an_error_that_ends_the_run_is_told() -> None:
    with (
        receivers.webhook() as hook,
        pytest.raises(OSError, match="the twin"),
        telling(hook.address) as it,
    ):
        it.begin()
        raise OSError("the twin is gone")
    assert hook.got[0]["title"].endswith("stopped by an error: the twin is gone")


def test_before_the_cluster_answered_nobody_is_told() -> None:
    with receivers.webhook() as hook, telling(hook.address) as it:
        it.end("ended", [], hurry=False)
    assert hook.got == []


def test_a_receiver_that_hangs_holds_nobody_up_and_is_named_once(
    monkeypatch: pytest.MonkeyPatch, said: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(notifier, "LAST", 2.0)
    with receivers.silent() as port:
        to = f"json://127.0.0.1:{port}/{HIDDEN}?cto=600&rto=600"
        with telling(to) as it:
            it.begin()
            it.event(failed(1))
            it.end("ended", [], hurry=False)
    (record,) = said.records
    assert record.getMessage() == "a notice to json://… was not sent: no answer within 2 s"


def test_nothing_is_done_where_nobody_is_to_be_told() -> None:
    with Notifier({}, "gaas/1", {}, lambda: 0) as it:
        it.begin()
        it.event(failed(1))
        it.login("hpc: no")
        it.end("ended", [], hurry=False)
        assert [t.name for t in threading.enumerate()].count("notices") == 0
