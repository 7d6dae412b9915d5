"""What was last synced is remembered, for names of all kinds, and may be lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_names import folders, texts

from jobmon.run.synced import Stamp, Synced

NAMES = texts.map(lambda t: t.replace("/", "_").replace("\0", "0"))
paths = st.builds(lambda f, n: f"{f}/{n}" if f else n, folders, NAMES)
stamps = st.builds(Stamp, st.integers(0, 2**50), st.integers(0, 2**62))


@pytest.fixture
def synced(tmp_path: Path) -> Iterator[Synced]:
    made = Synced(tmp_path / ".jobmon" / "synced.db")
    yield made
    made.close()


@given(st.lists(st.tuples(paths, stamps), max_size=12))
def test_the_last_stamp_of_each_file(
    tmp_path_factory: pytest.TempPathFactory, put: list[tuple[str, Stamp]]
) -> None:
    path = tmp_path_factory.mktemp("db") / ".jobmon" / "synced.db"
    first = Synced(path)
    for i in range(0, len(put), 3):
        first.put(put[i : i + 3])
    first.close()
    again = Synced(path)
    want = dict(put)
    assert {name: again.get(name) for name in want} == want
    for folder in {name.rpartition("/")[0] for name in want}:
        mine = {n.rpartition("/")[2]: s for n, s in want.items() if n.rpartition("/")[0] == folder}
        assert again.of(folder) == mine
    again.close()


def test_what_was_never_synced(synced: Synced) -> None:
    assert synced.get("m/x") is None
    assert synced.of("m") == {}


def test_a_landing_that_began_is_remembered_until_it_ended(synced: Synced) -> None:
    coming = {"m/x": Stamp(1, 2), "é/\udcff": Stamp(3, 4), "top": Stamp(5, 6)}
    synced.landing(coming.items())
    synced.landing({"m/x": Stamp(7, 8)}.items())
    assert synced.unlanded() == coming | {"m/x": Stamp(7, 8)}
    synced.landed()
    assert synced.unlanded() == {}


@pytest.mark.parametrize("text", [b"", b"no database at all" * 100])
def test_a_torn_file_is_as_good_as_lost(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "synced.db"
    path.write_bytes(text)
    synced = Synced(path)
    synced.put([("m/x", Stamp(1, 2))])
    assert synced.get("m/x") == Stamp(1, 2)
    synced.close()
    assert path.with_name("synced.db.torn").exists() == bool(text)


def test_a_stamp_is_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("12345")
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    assert Stamp.of(path.stat()) == Stamp(5, 1_700_000_000_123_456_789)
