"""Sending, in a process of its own with a time limit: whatever a service does, the caller goes on.

The process is ``python -m jobmon.notify``. It gets the addresses on its standard input, where no
list of processes shows them, and answers one JSON object a line, for each address as it is done.
What has not answered at the limit is killed with all that it started.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobmon.core.text import printable
from jobmon.notify.gather import Notice
from jobmon.run.notify import Notify, label, redacted, resolve
from jobmon.run.usage import UsageError

LIMIT = 20.0
"""Seconds that a notice may take."""

_STEP = 0.2


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one address, as it may be shown: ``words`` say why not."""

    label: str
    ok: bool
    words: str = ""


def send(
    addresses: Sequence[str],
    notice: Notice | None,
    limit: float = LIMIT,
    cancelled: threading.Event | None = None,
) -> list[Sent]:
    """Send ``notice`` to every address (None: only see whether Apprise knows them).

    Raises nothing that a service, a network or this machine could cause.
    """
    labels = [label(address) for address in addresses]
    results: dict[int, Sent] = {}
    known: dict[int, str] = {}
    for n, address in enumerate(addresses):
        try:
            known[n] = resolve(address)
        except ValueError as error:
            results[n] = Sent(labels[n], False, str(error))
    request = {
        "addresses": known,
        "notice": None if notice is None else {"title": notice.title, "body": notice.body},
    }
    try:
        answers = _ask(json.dumps(request), limit, cancelled) if known else ""
    except OSError as error:
        answers = ""
        results |= {n: Sent(labels[n], False, f"no process: {error.strerror}") for n in known}
    for line in answers.splitlines():
        n, ok, words = _read(line)
        if n in known:
            said = redacted(printable(words), known[n])
            results.setdefault(n, Sent(labels[n], ok, said))
    late = f"no answer within {limit:g} s"
    return [results.get(n) or Sent(labels[n], False, late) for n in range(len(addresses))]


def reach(notify: Notify, limit: float = LIMIT) -> list[Sent]:
    """Send a test notice to each address of the setting: whom it reached."""
    return send(notify["to"], Notice("jobmon: a test", "Notices of jobmon come here."), limit)


def require(notify: Notify) -> None:
    """Raise UsageError for addresses to which nothing could ever be sent from here."""
    if not notify:
        return
    by_sendmail = all(address.startswith("sendmail:") for address in notify["to"])
    if not by_sendmail and importlib.util.find_spec("apprise") is None:
        raise UsageError(
            "'notify:' in jobmon.yaml sends by Apprise, which is not installed: "
            "in jobmon's checkout, pip install '.[notify]', or take 'notify:' out"
        )
    for n, sent in enumerate(send(notify["to"], None), 1):
        if not sent.ok and "no answer" not in sent.words:
            raise UsageError(
                f"jobmon.yaml: notify: address {n} ({sent.label}) is of no use: {sent.words}"
            )


def _ask(request: str, limit: float, cancelled: threading.Event | None) -> str:
    """What the process printed by the limit. Raises OSError if there is none."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "jobmon.notify"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        cwd="/",
    )
    until = time.monotonic() + limit
    given: str | None = request
    while True:
        stop = time.monotonic() >= until or (cancelled is not None and cancelled.is_set())
        if stop:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        try:
            return process.communicate(given, timeout=_STEP)[0]
        except subprocess.TimeoutExpired:
            given = None


def _read(line: str) -> tuple[int, bool, str]:
    try:
        found = json.loads(line)
        return int(found["n"]), bool(found["ok"]), str(found["words"])
    except (ValueError, LookupError, TypeError):
        return -1, False, ""
