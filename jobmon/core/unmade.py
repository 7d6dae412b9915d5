"""What no job of a tree makes, and who waits for each other: what can be said before a run.

A job works in its own folder, so a plain file is taken to be made by any other job of the file's
folder, unless that one comes behind whoever asks for it. Whether a script of another folder makes
it only its text can tell, which the caller reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from jobmon.core.life import Job
from jobmon.core.model import Key, Need
from jobmon.core.needs import Needs, in_vain

Maker = Callable[[str], Key | None]
"""Which job writes a marker, by its path; None for what is no marker."""


def behind(needs: Mapping[Key, Needs], maker: Maker) -> dict[Key, set[Key]]:
    """Who waits for each job's marker."""
    waiters: dict[Key, set[Key]] = {}
    for key, mine in needs.items():
        for need in mine or ():
            made = None if need.absent else maker(need.path)
            if made is not None and made in needs:
                waiters.setdefault(made, set()).add(key)
    return waiters


def downstream(key: Key, waiters: Mapping[Key, set[Key]]) -> set[Key]:
    """The job, and all that come after it because they wait for it, however far."""
    found, todo = {key}, [key]
    while todo:
        new = waiters.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def unmade(
    needs: Mapping[Key, Needs],
    present: Set[str],
    maker: Maker,
    waiters: Mapping[Key, set[Key]],
) -> Iterator[tuple[Key, Need]]:
    """The demands that are not met now, and that no job of the tree seems to meet.

    ``present``: the files of the tree that are asked for and there.
    """
    mates: dict[str, list[Key]] = {}
    for key in needs:
        mates.setdefault(key.rpartition("/")[0], []).append(key)
    for key, mine in needs.items():
        later: set[Key] = set()
        for need in mine or ():
            if (need.path in present) != need.absent:
                continue
            if not need.absent and maker(need.path) is not None:
                if maker(need.path) not in needs:
                    yield key, need
                continue
            later = later or downstream(key, waiters)
            folder = need.path.rpartition("/")[0]
            if all(mate in later for mate in mates.get(folder, ())):
                yield key, need


def rings(needs: Mapping[Key, Needs], present: Set[str], maker: Maker) -> dict[Key, str]:
    """The jobs that wait for each other, or for such, each with the ring in words."""

    def only_jobs(key: Key) -> Needs:
        return tuple(
            need for need in needs[key] or () if not need.absent and maker(need.path) in needs
        )

    return in_vain({key: Job(key) for key in needs}, only_jobs, present, maker)
