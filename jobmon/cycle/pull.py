"""Step 7: results come home, beside the cycle, one pull at a time, some seconds apart.

Nobody waits for a pull but a person, and a script that a job has written: what jobs need is looked
at over there. The thread of a pull writes into the folder aside only. What came is put in place
between two cycles, and never over what was changed here meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from jobmon.cluster import landing
from jobmon.cluster.base import ClusterError
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.transfer import Wanted
from jobmon.core.model import Key, Life, Mono
from jobmon.cycle.state import Know, job_folder
from jobmon.cycle.survey import take
from jobmon.run import names, script
from jobmon.run.synced import Stamp
from jobmon.run.tree import OURS

log = logging.getLogger(__name__)

APART = 9.0
"""Seconds between the beginnings of two pulls, at least, unless ``pulls_every`` is shorter.

Each costs the login node an rsync, and what ends meanwhile comes home together. The cycles of the
default interval are further apart.
"""

_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)))
"""What only writing can fail with, so that in a pull it is said of this machine's disk."""


Busy = Callable[[str], contextlib.AbstractContextManager[object]]
"""Shows the words to a person while its body takes long; from any thread."""


@dataclass(slots=True)
class _Job:
    """A pull under way in its own thread; it touches nothing that the loop knows."""

    wanted: Wanted
    thread: threading.Thread = field(default_factory=threading.Thread)
    trouble: str = ""
    error: ClusterError | None = None


@dataclass(slots=True)
class Puller:
    """Starts pulls and takes over what they brought."""

    know: Know
    cluster: Cluster
    busy: Busy = contextlib.nullcontext
    _job: _Job | None = None
    _began: Mono = field(default=Mono(float("-inf")))
    _running_pulled: Mono = field(default=Mono(float("-inf")))

    def step(self) -> None:
        """Take over a pull that has ended; start the next if anything is to be fetched."""
        if self._job is not None and not self._ended(self._job):
            return
        now, every = self.know.clock.now(), self.know.settings.pulls_every
        if now - self._began < min(APART, every):
            return
        folders = set(self.know.unpulled)
        if now - self._running_pulled >= every:
            running = [k for k in self.know.in_system if self.know.jobs[k].life == Life.RUNNING]
            folders |= {job_folder(key) for key in running}
            self._running_pulled = now
        if folders:
            self._start(sorted(folders))

    def finish(self) -> None:
        """Wait for the pull under way, then fetch what is left. Raises ClusterError."""
        while self._job is not None or self.know.unpulled:
            job = self._job or self._start(sorted(self.know.unpulled))
            job.thread.join()
            self._ended(job)
            if job.error is not None:
                raise job.error

    def mend(self) -> None:
        """Take what a landing that was cut off left here for what it is: the cluster's."""
        synced = self.know.synced
        for name, stamp in synced.unlanded().items():
            if self._here(name) == stamp:
                synced.put([(name, stamp)])
        synced.landed()

    def stop(self) -> None:
        """End a pull that is under way; what it was to bring is brought at the next start."""
        self.cluster.transfer.stop()
        if self._job is not None:
            self._job.thread.join(timeout=5)
            with contextlib.suppress(OSError):  # it is found out at the next start
                self._ended(self._job)

    def _start(self, folders: list[str]) -> _Job:
        know = self.know
        protected: list[str] = []
        outputs: dict[str, None] = {}
        for folder in folders:
            found = know.tree.read(folder)
            take(know, found)
            protected += [*found.kept, *(p for p in found.changed if p not in found.kept)]
            for key in found.needs:
                outputs.update(dict.fromkeys(_outputs(know, key)))
        wanted = Wanted(
            tuple(folders), tuple(know.settings.results), tuple(outputs), tuple(protected)
        )
        know.unpulled -= set(folders)
        self._began = know.clock.now()
        job = self._job = _Job(wanted)
        job.thread = threading.Thread(target=self._pull, args=(job,), name="pull", daemon=True)
        job.thread.start()
        return job

    def _pull(self, job: _Job) -> None:
        try:
            with self.busy(f"fetching results from {len(job.wanted.folders):,} folder(s)"):
                job.trouble = self.cluster.transfer.pull(job.wanted)
        except ClusterError as error:
            job.error = error
        except OSError as error:
            job.error = ClusterError(f"results cannot be brought home: {error}")

    def _ended(self, job: _Job) -> bool:
        if job.thread.is_alive():
            return False
        self._job = None
        try:
            if job.error is not None:
                raise job.error
            self._land(job)
        except (ClusterError, OSError) as error:
            self.know.unpulled |= set(job.wanted.folders)
            if not isinstance(error, ClusterError):
                raise
            job.error = error
            log.info("a pull failed and is tried again: %s", error)
        return True

    def _land(self, job: _Job) -> None:
        """Put what came in place, and note it. Raises ClusterError, OSError."""
        know, run = self.know, self.know.paths.run
        cargo = landing.ready(run, job.wanted, OURS)
        coming = {name: Stamp.of((run / landing.ASIDE / name).stat()) for name in cargo.files}
        mine = [name for name in coming if self._changed(name)]
        for name in mine:
            del coming[name]
        know.synced.landing(coming.items())
        landed = landing.land(run, coming)
        know.synced.put((name, coming[name]) for name in landed.files)
        know.synced.landed()
        left = (*cargo.left, *(f"{name}: was changed here" for name in mine), *landed.left)
        trouble = "; ".join(filter(None, (job.trouble, landing.said(left))))
        if any(words in trouble for words in _FULL):
            raise ClusterError(f"results cannot be written here: {trouble}")
        if trouble:  # it stays owed, so that the next start fetches it again
            log.info("a pull left something out: %s", trouble)
        else:
            know.synced.paid(set(job.wanted.folders) - know.unpulled)
        for folder in job.wanted.folders:
            take(know, know.tree.read(folder))
        if landed.files:
            log.debug("pulled %d file(s)", len(landed.files))

    def _changed(self, name: str) -> bool:
        """Whether a file that was here is not as it was last synced."""
        here = self._here(name)
        free = here is None or names.marker_id(name.rpartition("/")[2]) is not None
        return not free and here != self.know.synced.get(name)

    def _here(self, name: str) -> Stamp | None:
        path = self.know.paths.run / name
        return Stamp.of(path.stat()) if path.is_file() else None


def _outputs(know: Know, key: Key) -> list[str]:
    try:
        text = (know.paths.run / key).read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    return script.output_patterns(text, f"{know.identity.rdir}/{job_folder(key)}")
