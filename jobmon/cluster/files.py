"""Single files of the twin: which a job folder has, the end of one, and clearing some of them.

Clearing must not come late: a program that nobody listens to any more may go on hours later, when
the job that the files were cleared for already runs. So each clearing names the record of the
attempt to come (``ledger.py``), and removes nothing once that is claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobmon.cluster import ledger
from jobmon.cluster.base import Link, LookFailed, Step, TwinLost, call
from jobmon.cluster.cluster import twin_trouble
from jobmon.core.model import Attempt

AT_ONCE = 200
"""Names that one step clears at most, within what one line of a program may hold."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a file from ``start`` on; ``size`` is how many it had when they were read."""

    start: int
    size: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Clear:
    """Files of one folder that are to go before ``attempt``, the next of a job there, begins."""

    attempt: Attempt
    folder: str
    names: tuple[str, ...]


class Files:
    """The files of one run's twin, over ``link``."""

    def __init__(self, link: Link, twin: str, run_id: str) -> None:
        self._link, self._twin, self._run_id = link, twin, run_id

    def names(self, folders: Sequence[str]) -> dict[str, list[str]]:
        """The files of each of these folders of the twin. Raises ClusterError."""
        found: list[list[str]] = [[]]
        for line in self._ask([["l", folder or "."] for folder in folders]):
            if line.startswith(b"\0name "):
                found[-1].append(ledger.text(line[6:]))
            elif line == b"\0listed":
                found.append([])
        return dict(zip(folders, found, strict=False))

    def piece(self, path: str, start: int | None, most: int) -> Piece | None:
        """At most ``most`` bytes from ``start`` on, or the last ones (None); None for no file.

        Of a file that has become shorter, from its beginning. Raises ClusterError.
        """
        found = None
        lines = self._ask([["t", path, "" if start is None else str(start), str(most)]])
        for line in lines:
            if line.startswith(b"\0piece "):
                first, size = line[7:].split()
                data = ledger.said(lines).encode("utf-8", "surrogateescape")
                found = Piece(int(first), int(size), data)
        return found

    def clear(self, wanted: Sequence[Clear]) -> dict[Attempt, str]:
        """Remove files; of the attempts whose files are not all gone, why. Raises ClusterError."""
        by_name = {ledger.record_name(one.attempt): one.attempt for one in wanted}
        steps = [
            ["c", name, one.folder or ".", *one.names[i : i + AT_ONCE]]
            for name, one in zip(by_name, wanted, strict=True)
            for i in range(0, len(one.names), AT_ONCE)
        ]
        left: dict[Attempt, str] = {}
        for line in self._ask(steps) if steps else ():
            word, _, rest = ledger.text(line[1:] if line[:1] == b"\0" else b"").partition(" ")
            record, _, name = rest.partition(" ")
            if record in by_name and word == "claimed":
                left[by_name[record]] = "a new attempt has begun meanwhile"
            elif record in by_name and word == "left":
                left[by_name[record]] = f"{name!a} cannot be removed on the cluster; see its rights"
        return left

    def _ask(self, steps: Sequence[Step]) -> Iterator[bytes]:
        """The lines of an answer. Raises ClusterError, LookFailed at the end of half a one."""
        whole = False
        for line in call(self._link, "files", [self._twin, self._run_id], [*steps, ["q"]]):
            if line.startswith(b"\0twin "):
                raise TwinLost(twin_trouble(self._link.where, self._twin, line[6:].decode()))
            whole = whole or line == b"\0whole"
            yield line
        if not whole:
            raise LookFailed(f"{self._link.where}: half an answer about files; it is left out")
