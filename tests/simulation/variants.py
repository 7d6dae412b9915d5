"""Programs that are broken on purpose: the simulation must catch each of them.

Each variant takes one promise's keeper away, here or in the twins, and nothing else.
``tests/test_simulation.py`` shows that each is caught.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from jobmon.cluster import lookup
from jobmon.cluster.base import Step
from jobmon.cluster.batch import pbs, sge, slurm
from jobmon.cluster.cluster import Cluster
from jobmon.core.model import Answer, Event, Key, Kind, Life, Refused, Unclear, Verdict
from jobmon.cycle import change
from jobmon.cycle.look import Looker
from jobmon.cycle.state import Know
from simulation import link, twins
from simulation.disk import Disk

Variant = Callable[[], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def _instead(where: object, name: str, what: object) -> Iterator[None]:
    with mock.patch.object(where, name, what):
        yield


@contextlib.contextmanager
def _twin(name: str, what: Callable[..., twins.Steps]) -> Iterator[None]:
    with mock.patch.object(link, "TWINS", {**twins.TWINS, name: what}):
        yield


def no_claim() -> contextlib.AbstractContextManager[None]:
    """Whoever wants to submit does, whatever stands in the record."""
    return _instead(Disk, "create", lambda self, path, at: self.write(path, b"", at))


@contextlib.contextmanager
def claim_after_qsub() -> Iterator[None]:
    """The claim is made when the batch system has accepted already."""

    def claimed(loop: Any, words: Sequence[str]) -> twins.Steps:
        loop.name, _, loop.folder, loop.script, *_ = words
        loop.ours = True
        yield None

    def go(loop: Any, words: Sequence[str]) -> twins.Steps:
        yield from twins._submission(loop, f"{loop.twin}/{loop.folder}", words)
        loop.host.disk.create(twins._record(loop.twin, loop.name), int(loop.host.time()))

    with _instead(twins, "_claimed", claimed), _instead(twins, "_go", go):
        yield


@contextlib.contextmanager
def markers_before_the_listing() -> Iterator[None]:
    """The files are looked at first, the listing comes second, and nobody looks again."""

    def ask(host: twins.Host, args: Sequence[str], steps: Sequence[Step]) -> twins.Steps:
        commands = [step for step in steps if step[0] == "x"]
        files = [step for step in steps if step[0] not in "xq"]
        return twins.ask(host, args, [*files, *commands, ["q"]])

    def confirm(self: Cluster, gone: Any) -> Any:
        return {key: replace(said, finished=False) for key, said in real(self, gone).items()}

    real = Cluster.confirm
    with _twin("ask", ask), _instead(Cluster, "confirm", confirm):
        yield


def no_grace() -> contextlib.AbstractContextManager[None]:
    """A job that one look does not show is judged at once."""
    real = Know.__init__

    def init(self: Know, paths: Any, settings: Any, *rest: Any) -> None:
        real(self, paths, settings.model_copy(update={"grace": 0.0}), *rest)

    return _instead(Know, "__init__", init)


def trust_the_listing() -> contextlib.AbstractContextManager[None]:
    """What the listing does not show is gone; nobody is asked."""

    def confirm(self: Looker, keys: Iterable[Any]) -> dict[Any, Verdict]:
        return {key: Verdict(gone=True) for key in keys}

    return _instead(Looker, "_confirm", confirm)


@contextlib.contextmanager
def an_error_is_a_refusal() -> Iterator[None]:
    """Whatever qsub complains of, the job is taken not to be there."""

    def believing(real: Callable[..., Answer]) -> Callable[..., Answer]:
        def accepted(self: Any, code: int, text: str) -> Answer:
            answer = real(self, code, text)
            return Refused(answer.words) if isinstance(answer, Unclear) else answer

        return accepted

    with (
        _instead(slurm.Slurm, "accepted", believing(slurm.Slurm.accepted)),
        _instead(sge.GridEngine, "accepted", believing(sge.GridEngine.accepted)),
        _instead(pbs.Pbs, "accepted", believing(pbs.Pbs.accepted)),
    ):
        yield


def submit_again_after_a_restart() -> contextlib.AbstractContextManager[None]:
    """A daemon takes what ran when it was killed for lost, as ecalj's loop does."""
    real = Know.load

    def load(self: Know, events: Iterable[Event]) -> None:
        real(self, events)
        at = self.clock.wall()
        lost = [self.jobs[key] for key in self.in_system if self.jobs[key].jobid is not None]
        self.record([Event(at, Kind.FAILED, job.key, job.n) for job in lost])
        self.record([Event(at, Kind.REOPENED, job.key, job.n) for job in lost])

    return _instead(Know, "load", load)


def recovery_without_a_claim() -> contextlib.AbstractContextManager[None]:
    """An attempt of which nothing is recorded is taken to be given up."""

    def claim(host: twins.Host, token: str, twin: str, name: str, key: str) -> twins.Steps:
        yield None
        if host.disk.exists(twins._record(twin, name)):
            yield from twins._show(host, token, twin, name)
        else:
            yield f"{token} won {name}\n".encode()

    return _instead(twins, "_claim", claim)


def no_answer_is_no_submission() -> contextlib.AbstractContextManager[None]:
    """An attempt whose answer was not heard is made once more, nothing looked up."""

    def recover(self: Looker) -> None:
        know = self._know
        lost = [know.jobs[k] for k in know.in_system if know.jobs[k].life == Life.SUBMITTING]
        at = know.clock.wall()
        know.record([Event(at, Kind.UNSUBMITTED, job.key, job.n) for job in lost])

    return _instead(Looker, "_recover", recover)


def no_token_is_looked_up() -> contextlib.AbstractContextManager[None]:
    """A submission without an answer stays unclear, though the batch system shows it."""
    return _instead(Cluster, "_look_up", lambda self, doubtful, found, known: {})


@contextlib.contextmanager
def any_job_in_its_place() -> Iterator[None]:
    """Where there is no token, the first job in an attempt's place is taken for it."""

    def found(attempt: Any, names: Iterable[str], places: Mapping[Any, str], taken: Any) -> Any:
        return real(attempt, names, places, set())

    real = lookup.candidates
    with (
        _instead(lookup, "candidates", found),
        _instead(lookup, "adopted", lambda found, before: min(found)),
    ):
        yield


def gone_is_finished() -> contextlib.AbstractContextManager[None]:
    """What the batch system no longer has must have finished."""
    real = Cluster.confirm

    def confirm(self: Cluster, gone: Any) -> Any:
        found = real(self, gone)
        return {key: replace(verdict, finished=verdict.gone) for key, verdict in found.items()}

    return _instead(Cluster, "confirm", confirm)


@contextlib.contextmanager
def clear_at_any_time() -> Iterator[None]:
    """Files are cleared before a retry, whoever of their folder runs."""

    def due(know: Know) -> dict[str, list[Key]]:
        found: dict[str, list[Key]] = {}
        for key in know.changes:
            found.setdefault(key.rpartition("/")[0], []).append(key)
        return found

    with _instead(change, "_due", due):
        yield


@dataclass(frozen=True, slots=True)
class Broken:
    """A variant, and the faults and the batch system under which what it lacks is missed."""

    entered: Variant
    faults: tuple[str, ...] = ()
    scheduler: str | None = None


ALL: Mapping[str, Broken] = {
    "no claim": Broken(no_claim, ("drop while submitting", "old loop")),
    "claim after qsub": Broken(claim_after_qsub, ("drop while submitting", "old loop")),
    "markers before the listing": Broken(
        markers_before_the_listing, ("slow command", "jobmon kill")
    ),
    "no grace": Broken(no_grace),
    "trust an empty listing": Broken(trust_the_listing, ("empty answer",)),
    "an error is a refusal": Broken(an_error_is_a_refusal, ("error though accepted",)),
    "submit again after a restart": Broken(
        submit_again_after_a_restart, ("kill -9 while it waits",)
    ),
    "recovery without a claim": Broken(
        recovery_without_a_claim, ("drop while submitting", "old loop")
    ),
    "no answer is no submission": Broken(no_answer_is_no_submission, ("drop while submitting",)),
    "no token is looked up": Broken(no_token_is_looked_up, ("login node dies after qsub",)),
    "any job in its place": Broken(
        any_job_in_its_place, ("login node dies after qsub", "jobmon retry"), "pbs"
    ),
    "gone is finished": Broken(gone_is_finished),
    "clear at any time": Broken(clear_at_any_time, ("jobmon retry",)),
    "trust half a listing": Broken(trust_the_listing, ("half a listing",)),
}
"""By name, as ``scripts/simulate --variant`` wants it."""
