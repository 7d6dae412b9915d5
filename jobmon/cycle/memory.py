"""What a cycle learned beside events, kept for the next start on the same boot of this machine.

Doubts, unheard attempts and refusals are not journalled: losing them only delays. But a run that
is looked at by ``--once`` again and again would never get beyond the first doubt without them.
Their times are of the clock that counts from the boot, so another boot makes them void.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobmon.core.choose import Refusal
from jobmon.core.model import Key, Mono
from jobmon.core.settle import Doubt
from jobmon.run import host
from jobmon.run.atomic import write_atomically

if TYPE_CHECKING:
    from jobmon.cycle.state import Know


def keep(know: Know) -> None:
    """Write what is to be remembered, if it changed. Raises OSError."""
    text = json.dumps(
        {
            "boot": host.this_process().boot,
            "doubts": {key: [doubt.since, doubt.looks] for key, doubt in know.doubts.items()},
            "unheard": know.unheard,
            "refusals": {key: [r.tries, r.again] for key, r in know.refusals.items()},
            "stuck": know.stuck,
        }
    )
    if text != know.kept:
        write_atomically(know.paths.memory, text, 0o600)
        know.kept = text


def recall(know: Know) -> None:
    """Take over what an earlier process remembered, if it was on this boot of this machine."""
    boot = host.this_process().boot
    try:
        data: dict[str, Any] = json.loads(know.paths.memory.read_bytes())
        if not boot or data["boot"] != boot:
            return
        doubts = {Key(k): Doubt(Mono(since), looks) for k, (since, looks) in data["doubts"].items()}
        refusals = {Key(k): Refusal(tries, Mono(at)) for k, (tries, at) in data["refusals"].items()}
        unheard = {Key(k): Mono(since) for k, since in data["unheard"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # lost: it only delays
    know.doubts = {key: doubt for key, doubt in doubts.items() if key in know.in_system}
    know.unheard = {key: since for key, since in unheard.items() if key in know.in_system}
    know.refusals = {key: refusal for key, refusal in refusals.items() if key in know.jobs}
