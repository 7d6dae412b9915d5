"""The dependency language, who asks for a file, and who waits in vain."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.core import needs
from jobmon.core.life import Job
from jobmon.core.model import Key, Life, Need, Standing
from jobmon.core.needs import BadNeed, Index, Needs, in_vain, parse
from jobmon.run import names


def texts_of(found: Iterable[Need]) -> list[str]:
    return [str(need) for need in found]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("", []),
        ("\n\n  \n", []),
        ("qsub.finished.0\n", ["m/qsub.finished.0"]),
        ("qsub.finished.0", ["m/qsub.finished.0"]),
        ("\ufeffqsub.finished.0\r\nout\r\n", ["m/qsub.finished.0", "m/out"]),
        ("# a comment\n  # another\nout", ["m/out"]),
        ("not STOP", ["not m/STOP"]),
        ("not   STOP  ", ["not m/STOP"]),
        ("nothing\nnot\nnotice", ["m/nothing", "m/not", "m/notice"]),
        ("../other/qsub.finished.2", ["other/qsub.finished.2"]),
        ("./a//b/../c/", ["m/a/c"]),
        ("./#hash\n./not x", ["m/#hash", "m/not x"]),
        ("a b; $c 'd\"", ["m/a b; $c 'd\""]),
        ("x\nx\nnot x", ["m/x", "not m/x"]),
        ("é\udcff", ["m/é\udcff"]),
    ],
)
def test_a_dependency_file(text: str, want: list[str]) -> None:
    assert texts_of(parse(text, "m")) == want


def test_the_run_folder_itself_can_hold_jobs() -> None:
    assert texts_of(parse("a\n./b\nm/c", "")) == ["a", "b", "m/c"]
    assert texts_of(parse("../x", "a")) == ["x"]
    assert texts_of(parse("../../x", "a/b")) == ["x"]


@pytest.mark.parametrize(
    ("text", "folder", "line"),
    [
        ("ok\n../../x", "m", 2),
        ("../x", "", 1),
        ("..", "", 1),
        ("../..", "m", 1),
        ("a/../../../x", "m", 1),
        ("#\n\n/etc/passwd", "m", 3),
        ("//etc/passwd", "m", 1),
        ("not ../../x", "m", 1),
        ("not /x", "m", 1),
        ("x\0y", "m", 1),
    ],
)
@pytest.mark.fault("Input: outside the run")
def test_what_leaves_the_run_folder_is_refused(text: str, folder: str, line: int) -> None:
    with pytest.raises(BadNeed) as caught:
        parse(text, folder)
    assert caught.value.line == line
    assert "outside the run folder" in str(caught.value) or "NUL" in str(caught.value)


@given(st.text(max_size=40), st.sampled_from(["", "m", "a b/c"]))
@pytest.mark.fault("Input: outside the run (any text)")
def test_no_need_ever_leaves_the_run_folder(text: str, folder: str) -> None:
    try:
        found = parse(text, folder)
    except BadNeed:
        return
    for need in found:
        assert not need.path.startswith("/")
        assert ".." not in need.path.split("/")


def test_standing() -> None:
    asks = (Need("a"), Need("b", absent=True))
    assert needs.standing(None, {"a"}) == Standing.HELD
    assert needs.standing((), set()) == Standing.CLEAR
    assert needs.standing(asks, {"a"}) == Standing.CLEAR
    assert needs.standing(asks, {"a", "b"}) == Standing.WAITING
    assert needs.standing(asks, set()) == Standing.WAITING
    assert needs.unmet(asks, {"b"}) == [*asks]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("xyz"),
            st.none() | st.lists(st.sampled_from("abcd"), max_size=3),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_the_index_is_what_was_put_last(steps: list[tuple[str, list[str] | None, bool]]) -> None:
    index, plain = Index(), dict[Key, Needs]()
    for name, paths, drop in steps:
        key = Key(name)
        if drop:
            index.drop(key)
            plain.pop(key, None)
        else:
            plain[key] = None if paths is None else tuple(map(Need, paths))
            index.put(key, plain[key])
    for name in "xyz":
        assert (Key(name) in index) == (name in plain)
        assert index.of(Key(name)) == plain.get(Key(name))
    asked = {need.path for found in plain.values() for need in found or ()}
    assert set(index.paths()) == asked
    for path in "abcd":
        assert index.asking([path]) == {k for k, v in plain.items() if Need(path) in (v or ())}
    assert index.asking([]) == set()


# --- in vain ---------------------------------------------------------------------------


class World:
    """Jobs ``NAME/qsub.0``, told as {name: (life, what it waits for)}."""

    def __init__(self, jobs: Mapping[str, tuple[Life, str | None]], present: Iterable[str] = ()):
        self.jobs = {}
        self.asks: dict[Key, Needs] = {}
        for name, (life, text) in jobs.items():
            key = names.key(name, "0")
            self.jobs[key] = Job(key, life, 1)
            self.asks[key] = None if text is None else parse(text.replace(" ", "\n"), name)
        self.present = set(present)

    def in_vain(self) -> dict[str, str]:
        found = in_vain(self.jobs, lambda key: self.asks[key], self.present, names.marker_key)
        return {key.removesuffix("/qsub.0"): why for key, why in found.items()}


def after(*others: str) -> str:
    return " ".join(f"../{name}/qsub.finished.0" for name in others)


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.fault("Input: rings, itself")
def test_a_ring_and_all_behind_it(length: int) -> None:
    ring = {f"r{i}": (Life.NEW, after(f"r{(i + 1) % length}")) for i in range(length)}
    found = World(ring | {"b": (Life.NEW, after("r0")), "free": (Life.READY, "")}).in_vain()
    assert found.keys() == {*ring, "b"}
    for why in found.values():
        assert why.startswith("ring: ")
        said = why.removeprefix("ring: ").split(" waits for ")
        assert said[0] == said[-1]
        assert sorted(said[1:]) == sorted(f"{name}/qsub.0" for name in ring)


def test_a_long_ring_is_told_shortly() -> None:
    ring = {f"r{i}": (Life.NEW, after(f"r{(i + 1) % 1000}")) for i in range(1000)}
    found = World(ring).in_vain()
    assert len(found) == 1000
    assert all(len(why) < 300 and "…" in why for why in found.values())


@pytest.mark.parametrize(
    ("life", "asks", "words"),
    [
        (Life.FAILED, "", "waits for a/qsub.0, which failed"),
        (Life.KILLED, "", "waits for a/qsub.0, which was killed"),
        (Life.NEW, None, "waits for a/qsub.0, which is held"),
        (Life.READY, None, "waits for a/qsub.0, which is held"),
    ],
)
def test_behind_what_will_not_finish(life: Life, asks: str | None, words: str) -> None:
    chain = {"a": (life, asks), "b": (Life.NEW, after("a")), "c": (Life.NEW, after("b"))}
    runs = {"runs": (Life.RUNNING, ""), "d": (Life.NEW, after("runs"))}
    for more in ({}, runs):
        assert World(chain | more).in_vain() == {"b": words, "c": words}


@pytest.mark.parametrize("life", [Life.SUBMITTING, Life.STARTED, Life.RUNNING, Life.UNCLEAR])
def test_nobody_behind_what_may_still_run_is_blocked(life: Life) -> None:
    world = {"a": (life, ""), "b": (Life.NEW, after("a")), "c": (Life.NEW, after("a", "b"))}
    assert World(world).in_vain() == {}


def test_a_plain_file_only_once_nothing_can_run() -> None:
    waits = {"w": (Life.NEW, "data"), "x": (Life.NEW, after("w"))}
    words = "w/data is missing and nothing that runs makes it"
    assert World(waits).in_vain() == {"w": words, "x": words}
    for life, asks in ((Life.READY, ""), (Life.NEW, ""), (Life.RUNNING, None)):
        assert World(waits | {"other": (life, asks)}).in_vain() == {}
    stuck = {"other": (Life.FAILED, ""), "held": (Life.NEW, None)}
    assert World(waits | stuck).in_vain().keys() == {"w", "x"}


def test_not_file_that_stands() -> None:
    waits = {"w": (Life.NEW, "")}
    world = World(waits, ["w/STOP"])
    world.asks[names.key("w", "0")] = parse("not STOP", "w")
    assert world.in_vain() == {"w": "w/STOP is there"}
    world.present.clear()
    assert world.in_vain() == {}


def test_not_a_marker_is_no_wait_for_its_maker() -> None:
    """A ``not`` marker that stands may be removed by any script, not by its maker's end."""
    world = World({"a": (Life.FAILED, ""), "w": (Life.NEW, "")}, ["a/qsub.finished.0"])
    world.asks[names.key("w", "0")] = parse("not ../a/qsub.finished.0", "w")
    assert world.in_vain().keys() == {"w"}
    world.jobs[names.key("r", "0")] = Job(names.key("r", "0"), Life.RUNNING)
    assert world.in_vain() == {}


def test_the_marker_of_no_job_or_of_a_finished_one_is_a_plain_file() -> None:
    waits = {"w": (Life.NEW, after("nobody"))}
    assert World(waits).in_vain().keys() == {"w"}
    assert World(waits | {"r": (Life.RUNNING, "")}).in_vain() == {}
    gone = {"w": (Life.NEW, after("f")), "f": (Life.FINISHED, "")}
    assert World(gone).in_vain().keys() == {"w"}
    assert World(gone | {"r": (Life.RUNNING, "")}).in_vain() == {}


def oracle(world: World) -> set[Key]:
    """The design's words, as slowly as they read: what can go grows until nothing is added."""
    open_, moving = {Life.NEW, Life.READY}, {"submitting", "started", "running", "unclear"}
    can = {key for key, job in world.jobs.items() if job.life in moving}
    while True:
        more = set()
        for key, job in world.jobs.items():
            asks = world.asks[key]
            if job.life not in open_ or asks is None or key in can:
                continue
            hopes = []
            for need in asks:
                if (need.path in world.present) != need.absent:
                    hopes.append(True)
                    continue
                made = None if need.absent else names.marker_key(need.path)
                if made in world.jobs and world.jobs[made].life != Life.FINISHED:
                    hopes.append(made in can)
                else:
                    hopes.append(bool(can))
            if all(hopes):
                more.add(key)
        if not more:
            break
        can |= more
    return {
        key
        for key, job in world.jobs.items()
        if job.life in open_ and world.asks[key] is not None and key not in can
    }


names_of_jobs = st.sampled_from("abcdefg")
lines = st.one_of(
    names_of_jobs.map(lambda n: f"../{n}/qsub.finished.0"),
    names_of_jobs.map(lambda n: f"../{n}/qsub.finished.0"),
    st.sampled_from(
        ["../x/data", "not ../x/data", "not ../a/qsub.finished.0", "../z/qsub.finished.0"]
    ),
)


@given(
    st.dictionaries(
        names_of_jobs,
        st.tuples(
            st.sampled_from([Life.NEW] * 8 + [*Life]),
            st.none() | st.lists(lines, max_size=3),
        ),
        max_size=7,
    ),
    st.sets(st.sampled_from(["x/data", "a/qsub.finished.0", "b/qsub.finished.0"])),
)
def test_blocked_is_what_the_design_says(
    jobs: dict[str, tuple[Life, list[str] | None]], present: set[str]
) -> None:
    world = World({name: (life, None) for name, (life, _) in jobs.items()}, present)
    for name, (_, asks) in jobs.items():
        if asks is not None:
            world.asks[names.key(name, "0")] = parse("\n".join(asks), name)
    found = world.in_vain()
    assert {names.key(name, "0") for name in found} == oracle(world)
    assert all(found.values()), "each has a reason"


@pytest.mark.parametrize("head", [(Life.READY, ""), (Life.FAILED, ""), (Life.NEW, "nowhere")])
def test_a_hundred_thousand_in_a_chain_take_a_moment(head: tuple[Life, str]) -> None:
    size = 100_000
    chain = {"j0": head} | {f"j{i}": (Life.NEW, after(f"j{i - 1}")) for i in range(1, size)}
    world = World(chain)
    began = time.process_time()
    found = world.in_vain()
    assert time.process_time() - began < 10
    blocked = {(Life.READY, ""): 0, (Life.FAILED, ""): size - 1}.get(head, size)
    assert len(found) == blocked


@pytest.mark.fault("Input: rings (of a hundred thousand)")
def test_a_ring_of_a_hundred_thousand_takes_a_moment() -> None:
    size = 100_000
    world = World({f"j{i}": (Life.NEW, after(f"j{(i + 1) % size}")) for i in range(size)})
    began = time.process_time()
    assert len(world.in_vain()) == size
    assert time.process_time() - began < 10
