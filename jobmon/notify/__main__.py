"""``python -m jobmon.notify``: one notice to some addresses at once, by Apprise or sendmail.

Reads one JSON object from standard input and prints one a line; see ``send.py``, which calls it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from email.message import EmailMessage
from typing import Any

SENDMAIL = "sendmail:"
_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib"


class _Heard(logging.Handler):
    """The last warning that Apprise gave in each thread: why it could not send."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: dict[int | None, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.words[record.thread] = record.getMessage()


def main() -> None:
    request = json.load(sys.stdin)
    heard = _Heard()
    log = logging.getLogger("apprise")
    log.addHandler(heard)
    log.propagate = False
    printing = threading.Lock()

    def work(n: str, address: str) -> None:
        by = _mail if address.startswith(SENDMAIL) else _apprise
        try:
            why = by(address, request["notice"], heard)
        except Exception as error:  # noqa: BLE001 (a service's plug-in may raise anything)
            why = f"{type(error).__name__}: {error}"
        with printing:
            print(json.dumps({"n": n, "ok": not why, "words": why}), flush=True)  # noqa: T201

    threads = [
        threading.Thread(target=work, args=item, daemon=True)
        for item in request["addresses"].items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _apprise(address: str, notice: dict[str, str] | None, heard: _Heard) -> str:
    """Why it was not sent; empty if it was."""
    import apprise  # noqa: PLC0415

    sender: Any = apprise.Apprise()
    if not sender.add(address):
        return "Apprise knows no such address; see the services of its manual for how it is written"
    if notice is None or sender.notify(body_format=apprise.NotifyFormat.TEXT, **notice):
        return ""
    return heard.words.get(threading.get_ident()) or "the service did not take it"


def _mail(address: str, notice: dict[str, str] | None, heard: _Heard) -> str:
    """Why sendmail did not take it; empty if it did."""
    program = shutil.which("sendmail", path=_PLACES)
    if program is None:
        return "there is no sendmail on this machine"
    if notice is None:
        return ""
    message = EmailMessage()
    message["To"] = address.removeprefix(SENDMAIL)
    message["Subject"] = notice["title"]
    message.set_content(notice["body"])
    done = subprocess.run(  # noqa: S603 (no shell; the address is in the message)
        [program, "-oi", "-t"], input=message.as_bytes(), capture_output=True, check=False
    )
    said = done.stderr.decode("utf-8", "replace").strip()
    return "" if done.returncode == 0 else said or f"sendmail ended with {done.returncode}"


if __name__ == "__main__":
    main()
