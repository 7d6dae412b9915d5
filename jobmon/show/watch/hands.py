"""What the live view can have done, handed in from outside: this room only reads.

``act/watch.py`` fills it with what the commands of the same names do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jobmon.core.life import Job
from jobmon.core.model import Key

Say = Callable[[str], None]

Ask = Callable[[str, bool], str | None]
"""(prompt, echo) -> what the person types when a login wants to know something; None: nothing."""


class Closed(Exception):
    """The person looks at something else; what follows a job's output ends."""


@dataclass(frozen=True, slots=True)
class Hands:
    """``do(verb, keys, dry, ask, say)`` does what a verb of VERBS says, or says what it would do;
    False: it cannot be done.

    ``output(job, ask, say, write, wait)`` follows a job's output until ``wait(seconds)`` raises
    Closed. Neither raises anything: what is wrong is said.
    """

    do: Callable[[str, Sequence[Key], bool, Ask, Say], bool]
    output: Callable[[Job, Ask, Say, Say, Callable[[float], None]], None]


VERBS = {
    "hold": "Keep from being submitted",
    "release": "Let go again",
    "retry": "Begin a new attempt of",
    "kill": "Delete from the batch system",
    "kill and hold": "Delete from the batch system, and keep stopped,",
}
"""The verbs, and how the question for each begins."""
