"""The setting ``notify``: where to and what for. Text only; nothing is sent here.

An address may be a password in itself, so none is ever shown: people see ``slack://…``. One that
stands as ``env:NAME`` or ``file:PATH`` is looked up only when something is sent.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

END, FAILURE, LOGIN = "end", "failure", "login needed"
OCCASIONS = (END, FAILURE, LOGIN)
WANTS = "'to:', one address or a list, and 'for:', some of end, failure, login needed, every 6h"

_EVERY = re.compile(r"every ([1-9][0-9]{0,3}) ?(min|h|d)")
_UNITS = {"min": 60.0, "h": 3600.0, "d": 86400.0}
_ADDRESS = re.compile(
    r"(?:([a-z][a-z0-9+.-]*)://\S+|env:\w+|file:\S.*|sendmail:[^\s@]+@[^\s@]+)", re.I
)

Notify = Mapping[str, Sequence[str]]
"""``to``: the addresses as they stand in the file; ``for``: the occasions. Empty: nobody."""


def parse(value: object) -> object:
    """The setting with both lists spelt out. Raises ValueError, which names no address."""
    if isinstance(value, Mapping) and not value:
        return value
    if not isinstance(value, Mapping) or {"to", "for"} != set(value):
        raise ValueError(f"notify wants {WANTS}")
    to = _listed(value["to"], r"\n")
    occasions = _listed(value["for"], ",")
    if not to or not occasions:
        raise ValueError(f"notify wants {WANTS}")
    for n, address in enumerate(to, 1):
        if not _ADDRESS.fullmatch(address):
            raise ValueError(
                f"notify: address {n} is none; an Apprise address such as ntfys://ntfy.sh/TOPIC, "
                "sendmail:NAME@HOST, env:NAME or file:PATH is wanted"
            )
        if address.startswith("file:") and not Path(address[5:]).expanduser().is_absolute():
            raise ValueError(f"notify: {address}: an absolute path is wanted, or one with ~/")
    for occasion in occasions:
        if occasion not in OCCASIONS and not _EVERY.fullmatch(occasion):
            raise ValueError(
                f"notify: 'for: {occasion}' is no occasion; there are {', '.join(OCCASIONS)}, and "
                "'every 30min', 'every 6h', 'every 1d'"
            )
    return {"to": to, "for": occasions}


def every(occasions: Sequence[str]) -> float | None:
    """Seconds between two reports of how it goes; None where none are wanted."""
    found = [match for word in occasions if (match := _EVERY.fullmatch(word))]
    return min((int(m[1]) * _UNITS[m[2]] for m in found), default=None)


def label(address: str) -> str:
    """What may be shown of an address."""
    match = _ADDRESS.fullmatch(address)
    return f"{match[1]}://…" if match and match[1] else address


def is_secret(address: str) -> bool:
    """Whether the address itself stands there, and not only where it is."""
    return "://" in address and not address.startswith("file:")


def shown(notify: Notify) -> list[str]:
    """The setting as it may be shown."""
    to = ", ".join(label(address) for address in notify["to"])
    return [f"to {to}", f"for {', '.join(notify['for'])}"]


def resolve(address: str) -> str:
    """The address itself. Raises ValueError with what is missing."""
    kind, _, name = address.partition(":")
    if kind == "env":
        found = os.environ.get(name, "")
        if not found.strip():
            raise ValueError(f"{address}: the environment has no {name}; set it")
    elif kind == "file":
        try:
            found = Path(name).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ValueError(f"{address}: it cannot be read ({why})") from error
    else:
        return address
    lines = [line.strip() for line in found.splitlines() if line.strip()]
    if (
        len(lines) != 1
        or lines[0].startswith(("env:", "file:"))
        or not _ADDRESS.fullmatch(lines[0])
    ):
        raise ValueError(f"{address}: one address on one line is wanted there")
    return lines[0]


def redacted(words: str, address: str) -> str:
    """``words`` without what of ``address`` could be a secret, should they quote it."""
    scheme, _, rest = address.partition("://")
    for part in sorted(set(re.split(r"[/:@?&=,]+", rest)), key=len, reverse=True):
        if len(part) >= 4 and part.lower() != scheme.lower():
            words = words.replace(part, "…")
    return words


def _listed(value: object, separator: str) -> list[str]:
    texts = value if isinstance(value, list) else re.split(separator, str(value))
    return [text.strip() for text in map(str, texts) if text.strip()]
