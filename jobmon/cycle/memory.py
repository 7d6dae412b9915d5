"""What a cycle learned beside events, kept for the next start.

Doubts, unheard attempts and refusals are not journalled: losing them only delays. But a run that
is looked at by ``--once`` again and again would never get beyond the first doubt without them.
Their times are of the clock that counts from the boot, so another boot makes them void.

Which attempts a person has asked to kill is kept too, and outlives a boot: without it they would
be called failed. So are retries that wait for files to be cleared. Both are written before the
request that asked for them is taken away.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from jobmon.core.choose import Refusal
from jobmon.core.model import Key, Mono
from jobmon.core.settle import Doubt
from jobmon.cycle.change import Change
from jobmon.run import host
from jobmon.run.atomic import write_atomically

if TYPE_CHECKING:
    from jobmon.cycle.state import Know


def keep(know: Know) -> None:
    """Write what is to be remembered, if it changed. Raises OSError."""

    def n(key: Key) -> int:
        return know.jobs[key].n

    text = json.dumps(
        {
            "boot": host.this_process().boot,
            "doubts": {k: [n(k), d.since, d.denied] for k, d in know.doubts.items()},
            "unheard": {key: [n(key), since] for key, since in know.unheard.items()},
            "refusals": {key: [r.tries, r.again] for key, r in know.refusals.items()},
            "stuck": know.stuck,
            "conflicts": sorted(know.conflicts),
            "killing": {key: n(key) for key in sorted(know.killing)},
            "changes": {k: [c.n, dict(c.sets), c.clean] for k, c in know.changes.items()},
        }
    )
    if text != know.kept:
        write_atomically(know.paths.memory, text, 0o600)
        know.kept = text


def recall(know: Know) -> None:
    """Take over what an earlier process remembered; times only on the same boot of this machine."""
    boot = host.this_process().boot
    try:
        data: dict[str, Any] = json.loads(know.paths.memory.read_bytes())
        know.killing = {
            key
            for key in know.in_system | set(know.past.values())
            if data.get("killing", {}).get(key) == know.jobs[key].n
        }
        know.conflicts = set(map(str, data.get("conflicts", ())))
        know.changes = {
            Key(key): Change(int(n), dict(sets), tuple(clean))
            for key, (n, sets, clean) in data.get("changes", {}).items()
            if key in know.jobs
        }
        if not boot or data["boot"] != boot:
            return
        doubts = {Key(k): (n, Doubt(*doubt)) for k, (n, *doubt) in data["doubts"].items()}
        refusals = {Key(k): Refusal(tries, Mono(at)) for k, (tries, at) in data["refusals"].items()}
        unheard = {Key(k): (n, Mono(since)) for k, (n, since) in data["unheard"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return  # lost: it only delays
    know.doubts = {k: doubt for k, (n, doubt) in doubts.items() if _alive(know, k, n)}
    know.unheard = {k: since for k, (n, since) in unheard.items() if _alive(know, k, n)}
    know.refusals = {key: refusal for key, refusal in refusals.items() if key in know.jobs}


def _alive(know: Know, key: Key, n: int) -> bool:
    """Whether it is still attempt ``n``: the next one is not to inherit its doubts."""
    return key in know.in_system and know.jobs[key].n == n
