"""Which job of the batch system is an attempt whose answer was lost. Pure.

By its token, where the system has a place for one: that names the attempt. Elsewhere (PBS) by its
place: the folder it was submitted in and its script. A run has its twin for itself, so a job in
that place is an attempt of this very job, or somebody submitted the script by hand. But which
attempt? All have the same place. So a job is adopted for an attempt only if

1. its ID is not known to be another attempt's: by the journal, by an answer that was heard just
   now, or by the remote record of an earlier attempt;
2. of each earlier attempt it is known what became of it (a person's word counts): one whose answer
   is on no record either may be the job that was found;
3. no other job is left.

Anything else is left unclear, which is always safe. The twin has two names: as it was given, which
qsub takes over from its ``PWD``, and without links, which it takes where ``PWD`` was lost on the
way. A place under a third name (an automounter's) is not recognised: unclear.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

from jobmon.core.model import Accepted, Answer, Attempt, JobID, NotRun, Refused


def candidates(
    attempt: Attempt, twins: Iterable[str], places: Mapping[JobID, str], taken: Set[JobID]
) -> set[JobID]:
    """The jobs in the attempt's place that are not known to be others'."""
    mine = {f"{twin.rstrip('/')}/{attempt.key}" for twin in twins}
    return {jobid for jobid, place in places.items() if place in mine and jobid not in taken}


def earlier(attempt: Attempt, known: Collection[Attempt]) -> list[Attempt]:
    """The earlier attempts of the job of which it is not known what became of them."""
    before = (Attempt(attempt.key, n) for n in range(1, attempt.n))
    return [one for one in before if one not in known]


def adopted(found: Collection[JobID], before: Iterable[Answer | None]) -> JobID | None:
    """Which of the candidates is the attempt's, by what the remote record says of each of the
    ``earlier`` ones (None: nothing)."""
    others = list(before)
    if not all(isinstance(answer, Accepted | NotRun | Refused) for answer in others):
        return None
    ids = {answer.jobid for answer in others if isinstance(answer, Accepted)}
    left = set(found) - ids
    return left.pop() if len(left) == 1 else None
