"""Whether ``notify`` reaches anybody, for ``jobmon check``. It sends a message only when asked."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from jobmon.core.finding import Finding, Level
from jobmon.notify.send import reach, require
from jobmon.run.notify import Notify, is_secret
from jobmon.run.usage import UsageError

WHAT = "notify"


def findings(notify: Notify, file: Path, *, test: bool) -> Iterator[Finding]:
    """What there is to say of the setting, which stands in ``file``; ``test`` sends a message."""
    if not notify:
        if test:
            way_out = "see the page Notices for what to write there"
            yield Finding(Level.YELLOW, WHAT, "jobmon.yaml has no 'notify:'", way_out)
        return
    try:
        require(notify)
    except UsageError as error:
        yield Finding(Level.RED, WHAT, str(error))
        return
    if any(map(is_secret, notify["to"])) and _open_to_others(file):
        words = f"others can read {file}, and an address may be a password"
        yield Finding(
            Level.YELLOW, WHAT, words, f"chmod 600 {file}, or write env:NAME or file:PATH"
        )
    if not test:
        many = len(notify["to"])
        words = f"{many} address{'es' if many > 1 else ''}; --notify sends a message there"
        yield Finding(Level.GREEN, WHAT, words)
        return
    for sent in reach(notify):
        if sent.ok:
            yield Finding(Level.GREEN, WHAT, f"{sent.label}: a message was sent; see that it came")
        else:
            way_out = "see the page Notices for how its address is written"
            words = f"{sent.label}: not reached: {sent.words}"
            yield Finding(Level.RED, WHAT, words, way_out)


def _open_to_others(file: Path) -> bool:
    try:
        return bool(stat.S_IMODE(file.stat().st_mode) & 0o077)
    except OSError:
        return False
