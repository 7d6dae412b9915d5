"""Step 6: results come home, beside the cycle, one pull at a time."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from dataclasses import dataclass, field

from jobmon.cluster.base import ClusterError
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.transfer import Brought, Wanted
from jobmon.core.model import Key, Life, Mono
from jobmon.cycle.state import Know, job_folder
from jobmon.cycle.survey import take
from jobmon.run import script
from jobmon.run.synced import Stamp

log = logging.getLogger(__name__)

_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)))
"""What only writing can fail with, so that in a pull it is said of this machine's disk."""


@dataclass(slots=True)
class _Job:
    """A pull under way in its own thread; it touches nothing that the loop knows."""

    wanted: Wanted
    thread: threading.Thread = field(default_factory=threading.Thread)
    brought: Brought | None = None
    error: ClusterError | None = None


@dataclass(slots=True)
class Puller:
    """Starts pulls and takes over what they brought."""

    know: Know
    cluster: Cluster
    _job: _Job | None = None
    _running_pulled: Mono = field(default=Mono(float("-inf")))

    def step(self) -> None:
        """Take over a pull that has ended; start the next if anything is to be fetched."""
        if self._job is not None and not self._ended(self._job):
            return
        folders = set(self.know.unpulled)
        now = self.know.clock.now()
        if now - self._running_pulled >= self.know.settings.pulls_every:
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
        """Take what a pull that was cut off left here for what it is: the cluster's."""
        know = self.know
        for folder in know.synced.unfinished():
            found = know.tree.read(folder)
            know.synced.put((p, s) for p, s in found.changed.items() if p not in found.kept)
            take(know, know.tree.read(folder))
        know.synced.pull_ended()

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
        know.synced.pull_begins(folders)
        know.unpulled -= set(folders)
        know.pulling = wanted.folders
        job = self._job = _Job(wanted)
        job.thread = threading.Thread(target=self._pull, args=(job,), name="pull", daemon=True)
        job.thread.start()
        return job

    def _pull(self, job: _Job) -> None:
        try:
            job.brought = self.cluster.transfer.pull(job.wanted)
            if any(words in job.brought.trouble for words in _FULL):
                job.error = ClusterError(f"results cannot be written here: {job.brought.trouble}")
        except ClusterError as error:
            job.error = error
        except OSError as error:
            job.error = ClusterError(f"results cannot be brought home: {error}")

    def _ended(self, job: _Job) -> bool:
        if job.thread.is_alive():
            return False
        self._job = None
        know = self.know
        know.pulling = ()
        if job.error is not None or job.brought is None:
            know.unpulled |= set(job.wanted.folders)
            know.synced.pull_ended()  # what came all the same is told by its time
            log.info("a pull failed and is tried again: %s", job.error)
            return True
        if job.brought.trouble:  # it stays owed, so that the next start fetches it again
            log.info("a pull left something out: %s", job.brought.trouble)
        stamps = []
        for name in job.brought.files:
            path = know.paths.run / name
            if path.is_file():
                stamps.append((name, Stamp.of(path.stat())))
        know.synced.put(stamps)
        know.synced.pull_ended()
        if not job.brought.trouble:
            know.synced.paid(set(job.wanted.folders) - know.unpulled)
        for folder in job.wanted.folders:
            take(know, know.tree.read(folder))
        if stamps:
            log.debug("pulled %d file(s)", len(stamps))
        return True


def _outputs(know: Know, key: Key) -> list[str]:
    try:
        text = (know.paths.run / key).read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    return script.output_patterns(text, f"{know.identity.rdir}/{job_folder(key)}")
