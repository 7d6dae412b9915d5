"""Which batch systems there are, and what their files share.

A file of this folder is text in, values out: it runs nothing and reads nothing. A new system is
one file and one line of ``_SYSTEMS``; ``tests/test_batch_contract.py`` is what it must pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from importlib import import_module
from typing import cast

from jobmon.cluster.base import Batch
from jobmon.core.model import Accepted, Answer, JobID, NotRun, Phase, Refused, Unclear
from jobmon.core.text import printable

_SYSTEMS = {
    "slurm": "Slurm",
    "sge": "GridEngine",
    "pbs": "Pbs",
    "pjm": "Pjm",
    "local": "Local",
}
"""Module of this folder -> its class."""

NAMES = tuple(_SYSTEMS)

_NO_FORK = 125  # of timeout(1), where it failed itself and started nothing

# Of an array's rows, the first of these that any row is in speaks for the whole.
_LOUDEST = (
    Phase.RUNNING,
    Phase.PENDING,
    Phase.HELD,
    Phase.STUCK,
    Phase.UNKNOWN,
    Phase.ENDING,
)


def batch(name: str) -> Batch:
    """The batch system called ``name``. Raises ValueError for a name that is not in ``NAMES``."""
    if name not in _SYSTEMS:
        raise ValueError(f"no batch system '{printable(name)}'; there are {', '.join(_SYSTEMS)}")
    return cast(Batch, getattr(import_module(f"{__name__}.{name}"), _SYSTEMS[name])())


class ByToken:
    """A system whose jobs carry a token: none has to be known by its place. See ``Batch``."""

    def place_commands(
        self, outputs: Sequence[tuple[int, str, str]], known: Set[JobID]
    ) -> list[list[str]]:
        return []

    def places(
        self, asked: Sequence[Sequence[str]], outputs: Sequence[tuple[int, str, str]]
    ) -> Mapping[JobID, str]:
        return {}


def overall(phases: Iterable[Phase]) -> Phase:
    """The phase of an array, which is one job, from those of its rows (at least one)."""
    seen = set(phases)
    return next(phase for phase in _LOUDEST if phase in seen)


def clip(text: str, length: int = 200) -> str:
    """``text`` on one printable line of at most ``length`` characters."""
    line = printable(text)
    return line if len(line) <= length else line[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def ids(said: re.Pattern[str], text: str) -> set[JobID]:
    """The job IDs (the groups of ``said``) in the output of a submit command."""
    return {JobID(one) for found in said.finditer(text) for one in found.groups() if one}


def answer(
    command: str, code: int, text: str, taken: set[JobID], refusal: str | None, unsent: str | None
) -> Answer:
    """What a submit command's output means, from what was found in it.

    An ID outweighs any error beside it, for the job is there. A clear no is believed only where
    the command failed too. Whatever is left is unclear: an error is no refusal.

    :param taken: the IDs that are said to be accepted
    :param refusal: the system's words for a clear no
    :param unsent: the words that show that the request surely reached nobody
    """
    words = clip(text)
    if len(taken) == 1:
        return Accepted(next(iter(taken)))
    if taken:
        return Unclear(f"'{command}' named several job IDs: {words}")
    # The command's own name, not that of a script such as qsub.0.
    name, no = rf"(?<![\w-]){command}(?![\w.-])", "(?:not found|No such file|denied)"
    if code in (126, 127) and re.search(rf"{name}.*{no}|{no}.*{name}", words):
        return NotRun(f"'{command}' cannot be run there: {words}")
    if code == _NO_FORK and re.fullmatch(r"\s*timeout: [^\n]*\s*", text):
        return NotRun(f"'{command}' was not started: {words}")
    if code != 0 and unsent is not None:
        return NotRun(clip(unsent))
    if code != 0 and refusal is not None:
        return Refused(clip(refusal))
    return Unclear(f"'{command}' ended with exit code {code}: {words or 'it said nothing'}")
