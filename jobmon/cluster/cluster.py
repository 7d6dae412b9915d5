"""All that the cycle sees of the cluster: a run's own view of one batch system over one link."""

from __future__ import annotations

import posixpath
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from types import MappingProxyType

from jobmon.cluster import ledger, lookup
from jobmon.cluster.base import Batch, Link, LookFailed, Spent, Step, TwinLost, call
from jobmon.cluster.kept import Asker
from jobmon.cluster.ledger import Entry, Order
from jobmon.cluster.transfer import Transfer
from jobmon.core.model import (
    Accepted,
    Answer,
    Attempt,
    JobID,
    Key,
    Reason,
    Seen,
    Stat,
    Unclear,
    Verdict,
)
from jobmon.core.reason import told
from jobmon.core.text import printable

COMMAND_LIMIT = 60
"""Seconds after which a command of the batch system is ended."""

ENDED = frozenset({124, 137})
"""The exit codes of one that was, by SIGTERM or by SIGKILL."""

PATHS = 100
"""How many paths a step asks about, within what a command may have as arguments."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A job that left the listing: what to ask, and where its marker and its errors would be."""

    key: Key
    jobid: JobID
    marker: str
    error_ends: tuple[str, ...]


@dataclass(slots=True)
class _Asked:
    outputs: list[tuple[int, str, str]] = field(default_factory=list)
    there: set[str] = field(default_factory=set)
    stats: dict[str, Stat] = field(default_factory=dict)
    tails: dict[str, str] = field(default_factory=dict)


class Cluster:
    """One run's twin and its batch system. ``user`` is the account over there."""

    def __init__(
        self, link: Link, batch: Batch, transfer: Transfer, twin: str, run_id: str, user: str
    ) -> None:
        self.link = link
        self.batch = batch
        self.transfer = transfer
        self.twin = twin
        self.run_id = run_id
        self.user = user
        self._asker = Asker(link, COMMAND_LIMIT)
        self._places: dict[JobID, str] = {}  # of jobs that were asked about once
        self._real = twin  # its path without links, once asked for

    def spent(self) -> Spent:
        """What all this has cost so far."""
        return self.link.spent() + self.transfer.spent()

    def look(
        self, files: Collection[str], stats: Sequence[str] = (), *, resting: Set[str] = frozenset()
    ) -> Seen:
        """One look: the listing first, the files second. Raises ClusterError; then it did not
        happen.

        ``resting``: folders in which nothing is expected, at whose files a glance is enough; a
        file system that remembers absences may then tell of a new one later.
        """
        commands = [self.batch.list_command(self.user)]
        asked = self._ask(commands, files, stats, resting=resting, ask=self._asker.ask)
        code, listing, errors = asked.outputs[0]
        if code != 0:
            said = printable((errors or listing)[-300:])
            if code in ENDED:
                said = f"no answer within {COMMAND_LIMIT} s, so it was ended. {said}"
            raise LookFailed(f"{self.link.where}: the listing failed ({code}): {said}")
        found = {path: asked.stats.get(path) for path in stats}
        return Seen(self.batch.parse(listing), frozenset(asked.there), found, listing)

    def submit(self, orders: Sequence[Order]) -> Iterator[tuple[Attempt, Answer | None]]:
        """Submit a batch, each attempt at most once; answers as they come.

        None: the claim was somebody else's, so recover. An attempt without an answer (the
        connection broke: ConnectionLost) must be recovered as well.
        """
        by_name = {ledger.record_name(order.attempt): order.attempt for order in orders}
        asked = [
            (
                order,
                self.batch.submit_command(
                    order.text.decode("utf-8", "replace"), ledger.token(self.run_id, order.attempt)
                ),
            )
            for order in orders
        ]
        args = [self.twin, self.run_id, str(ledger.LOOP_SECONDS), str(COMMAND_LIMIT), ledger.CLOCK]
        lines = call(self.link, "submit", args, ledger.steps(asked), limit=2 * COMMAND_LIMIT)
        yield from ledger.submit_answers(self._checked(lines), by_name, self.batch)

    def recover(
        self,
        attempts: Iterable[Attempt],
        known: Callable[[], Mapping[Attempt, JobID | None]] = dict,
    ) -> dict[Attempt, Answer]:
        """What became of attempts whose answer was not heard, each claimed first.

        ``known`` tells the IDs of all attempts of this run that have one, and None for those that
        were surely not submitted, if that is needed.
        """
        by_name = {ledger.record_name(attempt): attempt for attempt in attempts}
        if not by_name:
            return {}
        claims = [["r", name, attempt.key] for name, attempt in by_name.items()]
        found: dict[Attempt, Answer] = {}
        for name, entry in self._records(claims):
            answer = _WON if entry is None else ledger.entry_answer(entry, self.batch)
            if answer is not None and name in by_name:
                found[by_name[name]] = answer
        doubtful = [
            attempt
            for attempt in by_name.values()
            if isinstance(found.get(attempt, _LOST), Unclear)
        ]
        return found | self._look_up(doubtful, found, known)

    def records(self) -> list[Entry]:
        """The whole remote record, for a start without a journal."""
        return [entry for _, entry in self._records([["l"]]) if entry is not None]

    def answer(self, entry: Entry) -> Answer:
        """What one entry of the record says, looked up in the batch system if it says nothing."""
        answer = ledger.entry_answer(entry, self.batch)
        return answer if answer is not None else _LOST

    def confirm(self, gone: Sequence[Gone]) -> dict[Key, Verdict]:
        """What became of jobs that left the listing; their markers are looked at after that."""
        commands = [self.batch.confirm_commands(job.jobid) for job in gone]
        tails: dict[str, list[str]] = {}
        for job in gone:
            tails.setdefault(posixpath.dirname(job.marker), []).extend(job.error_ends)
        asked = self._ask(
            [command for mine in commands for command in mine],
            [job.marker for job in gone],
            tails=tails,
        )
        outputs = iter(asked.outputs)
        verdicts = {}
        for job, mine in zip(gone, commands, strict=True):
            verdict = self.batch.verdict(job.jobid, list(islice(outputs, len(mine))))
            verdicts[job.key] = replace(
                verdict,
                finished=job.marker in asked.there,
                reason=_with_errors(verdict, job, asked.tails),
            )
        return verdicts

    def delete(self, jobids: Sequence[JobID]) -> str:
        """Ask the batch system to delete jobs; whether they are gone, a look tells.

        Returns what it said, on one line.
        """
        if not jobids:
            return ""
        asked = self._ask([self.batch.delete_command(jobids)])
        _, out, errors = asked.outputs[0]
        return printable(f"{out} {errors}"[-600:])

    def _look_up(
        self,
        doubtful: Sequence[Attempt],
        found: Mapping[Attempt, Answer],
        known: Callable[[], Mapping[Attempt, JobID | None]],
    ) -> dict[Attempt, Answer]:
        """The doubtful attempts that the batch system shows, and why the others are unclear."""
        if not doubtful:
            return {}
        heard = {a.jobid for a in found.values() if isinstance(a, Accepted)}
        outputs = self._ask(self.batch.find_commands(self.user)).outputs
        tokens = self.batch.find(outputs)
        placed = self._by_place(doubtful, outputs, known, heard)
        answers: dict[Attempt, Answer] = {}
        for attempt in doubtful:
            jobid = tokens.get(ledger.token(self.run_id, attempt)) or placed.get(attempt)
            answers[attempt] = Accepted(jobid) if jobid else found.get(attempt, _LOST)
        return answers

    def _by_place(
        self,
        doubtful: Sequence[Attempt],
        outputs: Sequence[tuple[int, str, str]],
        known: Callable[[], Mapping[Attempt, JobID | None]],
        heard: Set[JobID],
    ) -> dict[Attempt, JobID]:
        """Whom the folder and the script of a job tell, where there is no token: ``lookup.py``."""
        if not self._places and not self.batch.place_commands(outputs, heard):
            return {}
        ids = known()
        taken = {jobid for jobid in ids.values() if jobid is not None} | heard
        if asked := self.batch.place_commands(outputs, taken | self._places.keys()):
            *said, (_, out, _) = self._ask([*asked, ["pwd", "-P"]]).outputs
            self._places |= self.batch.places(asked, said)
            self._real = out.rstrip("\n")
        answers: dict[Attempt, JobID] = {}
        for attempt in doubtful:
            mine = lookup.candidates(attempt, {self.twin, self._real}, self._places, taken)
            before = self._recorded(lookup.earlier(attempt, ids)) if mine else []
            if mine and (jobid := lookup.adopted(mine, before)) is not None:
                answers[attempt] = jobid
        return answers

    def _recorded(self, attempts: Sequence[Attempt]) -> list[Answer | None]:
        """What the remote record tells of each attempt, claimed first; None: nothing."""
        claims = [["r", ledger.record_name(one), one.key] for one in attempts]
        told = {
            name: _WON if entry is None else ledger.entry_answer(entry, self.batch)
            for name, entry in (self._records(claims) if claims else ())
        }
        return [told.get(ledger.record_name(one)) for one in attempts]

    def _records(self, steps: Sequence[Step]) -> Iterator[tuple[str, Entry | None]]:
        answer = call(self.link, "recover", [self.twin, self.run_id], [*steps, ["q"]])
        yield from ledger.entries(self._checked(answer))

    def _ask(
        self,
        commands: Sequence[Sequence[str]],
        files: Collection[str] = (),
        stats: Sequence[str] = (),
        tails: Mapping[str, Sequence[str]] = MappingProxyType({}),
        resting: Set[str] = frozenset(),
        ask: Callable[[Sequence[str], Iterable[Step]], Generator[bytes, None, None]] | None = None,
    ) -> _Asked:
        glance = {path for path in files if posixpath.dirname(path) in resting}
        opened = sorted(set(files) - glance, key=posixpath.split)
        wanted = [*opened, *sorted(glance)]
        asked = _Asked()
        args = [self.twin, self.run_id, str(COMMAND_LIMIT)]
        steps = _requests(commands, opened, wanted[len(opened) :], stats, tails)
        with closing((ask or self._call)(args, steps)) as answer:
            whole = self._hear(answer, asked, wanted)
        if not whole or len(asked.outputs) != len(commands):
            raise LookFailed(f"{self.link.where}: half an answer; it is left out")
        return asked

    def _call(self, args: Sequence[str], steps: Iterable[Step]) -> Generator[bytes, None, None]:
        yield from call(self.link, "ask", args, steps, limit=2.0 * COMMAND_LIMIT)

    def _hear(self, answer: Iterator[bytes], asked: _Asked, wanted: Sequence[str]) -> bool:
        """Take down an answer; whether it is whole."""
        whole = False
        lines = self._checked(answer)
        for line in lines:
            word, _, rest = ledger.text(line[1:] if line[:1] == b"\0" else b"").partition(" ")
            match word:
                case "runs":
                    asked.outputs.append(_output(lines))
                case "there":
                    asked.there.update(wanted[int(number) - 1] for number in rest.split())
                case "stat":
                    size, mtime, path = rest.split(" ", 2)
                    asked.stats[path.removeprefix("./")] = Stat(int(size), int(mtime))
                case "tail":
                    asked.tails[posixpath.normpath(rest)] = ledger.said(lines)
                case "whole":
                    whole = True
        return whole

    def _checked(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        for line in lines:
            if line.startswith(b"\0twin "):
                raise TwinLost(twin_trouble(self.link.where, self.twin, line[6:].decode()))
            yield line


_LOST: Answer = Unclear("claimed, but no answer was recorded and the batch system does not show it")
_WON: Answer = ledger.GIVEN_UP


def twin_trouble(where: str, twin: str, state: str) -> str:
    """What to say of a twin that is not this run's."""
    words = {
        "missing": "is missing; bring it back, or start a new run",
        "other": "belongs to another run; give the path of this run's own folder",
        "foreign": "holds files that are not this run's; choose another --rdir or --datedir",
        "unwritable": "cannot be made or written; look at its permissions and quota",
    }
    return f"{where}:{twin} {words.get(state, state)}"


def _requests(
    commands: Sequence[Sequence[str]],
    opened: Sequence[str],
    glance: Sequence[str],
    stats: Sequence[str],
    tails: Mapping[str, Sequence[str]],
) -> Iterator[Step]:
    for command in commands:
        yield ["x", *command]
    for folder, paths in groupby(opened, key=posixpath.dirname):
        if folder in tails:
            yield ["e", folder or ".", *tails[folder]]
        yield ["d", folder or ".", *map(posixpath.basename, paths)]
    for first in range(0, len(glance), PATHS):
        yield ["g", *glance[first : first + PATHS]]
    for first in range(0, len(stats), PATHS):
        yield ["s", *(f"./{path}" for path in stats[first : first + PATHS])]
    yield ["q"]


def _output(lines: Iterator[bytes]) -> tuple[int, str, str]:
    out: list[str] = []
    for line in lines:
        if line.startswith(b"\0ran "):
            # the newline that the frame puts before its own line is not the command's
            body = "\n".join(out)
            return int(line[5:]), body, ledger.said(lines)
        out.append(ledger.text(line))
    raise LookFailed("half an answer of a command")


def _with_errors(verdict: Verdict, job: Gone, tails: Mapping[str, str]) -> Reason | None:
    """The reason of an end with what the job wrote last, the likeliest file first."""
    if not verdict.gone:
        return verdict.reason
    folder = posixpath.dirname(job.marker)
    output = [
        text
        for end in job.error_ends
        for path, text in tails.items()
        if posixpath.dirname(path) == folder and path.endswith(end)
    ]
    return told(verdict.reason, output)
