"""What a pull brings is put in place at once, and never over what a person changed meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from test_survey import AT, know  # noqa: F401 (a fixture)

from jobmon.cluster import landing
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.copying import Copy
from jobmon.cluster.transfer import Wanted
from jobmon.cycle.pull import Puller
from jobmon.cycle.state import Clock, Know
from jobmon.cycle.survey import survey
from jobmon.run.synced import Stamp
from jobmon.run.tree import OURS


class Slow(Copy):
    """Copying in the middle of which something else happens."""

    meanwhile: Callable[[], object] = int
    pulls = 0

    def pull(self, wanted: Wanted) -> str:
        self.pulls += 1
        said = super().pull(wanted)
        self.meanwhile()
        return said


class Pulls:
    """A run with a twin, and its pulls; ``m`` was synced with one file."""

    def __init__(self, known: Know, twin: Path) -> None:
        self.know, self.run, self.twin = known, known.paths.run, twin
        for top in (self.run, twin):
            self.write(top / "m" / "input", "first", 1_700_000_000)
        known.synced.put([("m/input", Stamp.of((self.run / "m" / "input").stat()))])
        self.transfer = Slow(self.run, twin, OURS)
        self.puller = self.another()

    def cycle(self, now: float, *ended: str) -> bool:
        """The step of a cycle, with any pull awaited; whether one began."""
        before = self.transfer.pulls
        self.know.clock = Clock(lambda: now, lambda: AT)
        self.know.unpulled |= set(ended)
        self.puller.step()
        if self.puller._job is not None:
            self.puller._job.thread.join()
        return self.transfer.pulls > before

    def another(self) -> Puller:
        """As after a start: nothing is remembered but what is on disk."""
        return Puller(self.know, cast(Cluster, SimpleNamespace(transfer=self.transfer)))

    @staticmethod
    def write(path: Path, text: str, when: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (when, when))

    def names(self) -> set[str]:
        return {path.name for path in (self.run / "m").iterdir()}

    def pull(self) -> None:
        self.know.unpulled.add("m")
        self.puller.finish()


@pytest.fixture
def pulls(know: Know, tmp_path: Path) -> Pulls:  # noqa: F811
    return Pulls(know, tmp_path / "twin")


@pytest.mark.fault("Hands of users: files changed on both (while a pull is under way)")
@pytest.mark.parametrize("name", ["m/input", "m/new", "m/deep/new"])
def test_what_is_edited_during_a_pull_is_not_replaced(pulls: Pulls, name: str) -> None:
    pulls.write(pulls.twin / name, "theirs", 1_700_000_500)
    pulls.write(pulls.twin / "m" / "result", "1", 1_700_000_500)
    pulls.transfer.meanwhile = lambda: pulls.write(pulls.run / name, "mine", 1_700_000_400)
    pulls.pull()
    assert (pulls.run / name).read_text() == "mine"
    assert (pulls.run / "m" / "result").read_text() == "1", "the rest comes home"
    survey(pulls.know, whole=True)
    assert [path for files in pulls.know.changed.values() for path in files] == [name]


def test_nothing_of_a_pull_is_in_place_before_its_end(pulls: Pulls) -> None:
    seen: list[set[str]] = []
    pulls.write(pulls.twin / "m" / "result", "1", 1_700_000_500)
    pulls.transfer.meanwhile = lambda: seen.append(pulls.names())
    pulls.pull()
    assert seen == [{"input"}]
    assert pulls.names() == {"input", "result"}


@pytest.mark.fault("Hands of users: files changed here after a kill in the middle of a pull")
@pytest.mark.parametrize("landed", [True, False], ids=["in place", "not yet"])
def test_a_kill_while_results_are_put_in_place(
    pulls: Pulls, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    """What came is the cluster's, also when that goes on writing it; the rest is a person's."""

    class Killed(BaseException):
        pass

    land = landing.land

    def killed(run: Path, names: list[str]) -> None:
        if landed:
            land(run, names)
        raise Killed

    pulls.write(pulls.twin / "m" / "output", "1\n", 1_700_000_500)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(landing, "land", killed)
        pulls.pull()
    pulls.write(pulls.twin / "m" / "output", "1\n2\n", 1_700_000_600)
    pulls.write(pulls.run / "m" / "input", "second", 1_700_000_400)
    pulls.write(pulls.run / "m" / "more", "mine", 1_700_000_400)
    pulls.puller = pulls.another()
    pulls.puller.mend()
    survey(pulls.know, whole=True)
    assert pulls.know.changed == {
        "m": {name: Stamp.of((pulls.run / name).stat()) for name in ("m/input", "m/more")}
    }
    pulls.pull()
    assert (pulls.run / "m" / "output").read_text() == "1\n2\n"
    assert (pulls.run / "m" / "input").read_text() == "second"


def test_jobs_that_end_in_every_cycle_are_pulled_together(pulls: Pulls) -> None:
    """200 jobs, 16 at a time, are 25 cycles of two seconds: six pulls, not 25."""
    began = [2 * n for n in range(25) if pulls.cycle(1000 + 2 * n, "m", f"m{n}")]
    assert began == [0, 10, 20, 30, 40]
    assert {"m", "m24"} <= pulls.know.unpulled
    pulls.puller.finish()
    assert not pulls.know.unpulled
    assert pulls.transfer.pulls == len(began) + 1, "the last one does not wait"


def test_at_the_default_interval_each_cycle_may_pull(pulls: Pulls) -> None:
    """Its pauses are nine seconds at least."""
    assert all(pulls.cycle(1000 + 9.0 * n, "m") for n in range(20))


def test_the_first_pull_and_one_after_a_pause_begin_at_once(pulls: Pulls) -> None:
    assert pulls.cycle(0.5, "m")
    assert not pulls.cycle(2, "m")
    pulls.puller = pulls.another()
    assert pulls.cycle(2.5), "the daemon was started again"
    assert pulls.cycle(60, "m")


def test_who_wants_running_jobs_pulled_sooner_has_all_sooner(pulls: Pulls) -> None:
    pulls.know.settings = pulls.know.settings.model_copy(update={"pulls_every": 3.0})
    assert [pulls.cycle(float(n), "m") for n in range(7)] == [1, 0, 0, 1, 0, 0, 1]
