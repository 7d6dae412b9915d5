"""Who is compared, in which settings, and what is installed for each.

Rule: a peer stands here as its manual recommends, and once more with what its manual offers
to make it quicker; what cannot be set stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DRIVERS = Path(__file__).parent / "peer"
CHECKOUT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Peer:
    """A row of the table. Intervals are in seconds; None is what the peer does by itself."""

    name: str
    driver: str
    settings: str
    looks: str
    """Whether it looks at the queue, and how it knows the end of a job."""
    package: str = ""
    """What pip installs for it; nothing for a shell script."""
    interval: float | None = None
    tuned: bool = False
    kinds: tuple[str, ...] = ("many", "chain", "pending")

    @property
    def venv(self) -> str:
        return self.driver.removesuffix("_driver.py")


_JOBMON = "one listing a look for all; a marker that the job wrote"
_DPD = "one squeue a job and look; a tag file once squeue knows it no more"
_REMOTE = "never; reads a log that the job writes: one that dies is waited for for ever"
_AIIDA = "one squeue a look for all; gone from it is ended; then sacct, a job at a time"

PEERS = (
    Peer(
        "floor",
        "floor.sh",
        "bare loop on the login node: no looks, no results",
        "never",
        kinds=("many",),
    ),
    Peer("jobmon", "jobmon_driver.py", "--interval 2", _JOBMON, str(CHECKOUT), 2),
    Peer("jobmon-default", "jobmon_driver.py", "default interval, 10 s", _JOBMON, str(CHECKOUT)),
    Peer(
        "shell-loop",
        "shell_loop.sh",
        "shared connection, a look every 2 s; chain by afterok",
        "one squeue a look for all; then a file that the job wrote",
        interval=2,
    ),
    Peer(
        "dpdispatcher",
        "dpdispatcher_driver.py",
        "default check_interval, 30 s",
        _DPD,
        "dpdispatcher==1.1.*",
    ),
    Peer(
        "dpdispatcher-tuned",
        "dpdispatcher_driver.py",
        "check_interval 2 s",
        _DPD,
        "dpdispatcher==1.1.*",
        2,
    ),
    Peer(
        "dpdispatcher-array",
        "dpdispatcher_driver.py",
        "SlurmJobArray: all in one job array; check_interval 2 s",
        "one squeue of the array a look; a tag file once squeue knows it no more",
        "dpdispatcher==1.1.*",
        2,
        tuned=True,
        kinds=("many",),
    ),
    Peer(
        "remotemanager",
        "remotemanager_driver.py",
        "default wait interval, 10 s",
        _REMOTE,
        "remotemanager==0.14.*",
    ),
    Peer(
        "remotemanager-tuned",
        "remotemanager_driver.py",
        "wait interval 2 s",
        _REMOTE,
        "remotemanager==0.14.*",
        2,
    ),
    Peer(
        "aiida",
        "aiida_driver.py",
        "defaults: safe interval 15 s, poll interval 10 s",
        _AIIDA,
        "aiida-core==2.9.*",
        kinds=("many", "chain"),
    ),
    Peer(
        "aiida-tuned",
        "aiida_driver.py",
        "safe interval 0, poll interval 10 s",
        _AIIDA,
        "aiida-core==2.9.*",
        tuned=True,
    ),
)
COUNTS = {"many": 200, "chain": 20, "pending": 100}
# In the case `pending` all look every 10 s, so one setting of each is enough.
PENDING = ("jobmon", "shell-loop", "dpdispatcher", "remotemanager", "aiida-tuned")
PENDING_INTERVAL = 10.0
