"""Names survive being written; jobs and their files are told from all other files."""

from __future__ import annotations

import os
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.core.model import JobID, Key
from jobmon.run import names

texts = st.one_of(
    st.binary(min_size=1, max_size=30).map(os.fsdecode),
    st.text(min_size=1, max_size=30).filter(
        lambda t: all(not 0xD800 <= ord(c) < 0xE000 for c in t)
    ),
    st.text(alphabet="#%-@! =2aé\udcff\u3000\n", min_size=1, max_size=12).map(
        lambda t: os.fsdecode(os.fsencode(t))
    ),
)
ids = st.text(alphabet="abcZ019_-", min_size=1, max_size=6).filter(names.is_id)
folders = st.one_of(
    st.just(""),
    st.lists(
        texts.map(lambda t: t.translate({0: "o", 10: "n", 47: "_"})).filter(
            lambda t: t not in (".", "..")
        ),
        min_size=1,
        max_size=3,
    ).map("/".join),
)
keys = st.builds(names.key, folders, ids)


@given(texts)
@pytest.mark.fault("Input: names of every kind (written and read back)")
def test_a_written_name_reads_back_the_same(text: str) -> None:
    written = names.encode(text)
    assert names.decode(written) == text
    assert written.encode("utf-8").decode("utf-8") == written  # no surrogates are left


@given(texts)
def test_a_written_name_is_one_word_that_a_person_can_see(text: str) -> None:
    written = names.encode(text)
    assert written.split() == [written]
    assert len(written.splitlines()) == 1
    assert not written.startswith("#")
    assert not any(unicodedata.category(c).startswith(("C", "Z")) for c in written)


@given(keys)
def test_a_key_reads_back_the_same(key: Key) -> None:
    assert names.read_key(names.encode(key)) == key
    assert names.key(*names.split(key)) == key
    assert names.marker_key(names.marker(key)) == key


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("mp-149/qsub.0", "mp-149/qsub.0"),
        ("酸化チタン/qsub.0", "酸化チタン/qsub.0"),
        ("it's $HOME; a/qsub.0", "it's%20$HOME;%20a/qsub.0"),
        ("100%/qsub.0", "100%25/qsub.0"),
        ("#1/qsub.0", "%231/qsub.0"),
        ("a#1/qsub.0", "a#1/qsub.0"),
        ("-rf/qsub.0", "-rf/qsub.0"),
        ("a\tb\r\n\x7f", "a%09b%0D%0A%7F"),
        ("\u3000\u00a0\u2028\u200b", "%E3%80%80%C2%A0%E2%80%A8%E2%80%8B"),
        (os.fsdecode(b"caf\xe9"), "caf%E9"),
    ],
)
def test_golden(text: str, written: str) -> None:
    assert names.encode(text) == written
    assert names.decode(written) == text


@pytest.mark.parametrize(
    "bad", ["%", "a%2", "%zz", "%%20", "a b", "a\tb", "a\r", "\u3000", "caf\udce9"]
)
def test_what_is_never_written_is_not_read(bad: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        names.decode(bad)


def test_a_lone_surrogate_that_no_file_name_has_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        names.encode("\ud800")


@pytest.mark.parametrize(
    ("name", "script", "dependency", "marker"),
    [
        ("qsub.0", "0", None, None),
        ("qsub.10", "10", None, None),
        ("qsub.relax_2-b", "relax_2-b", None, None),
        ("qsub.dependency.0", None, "0", None),
        ("qsub.finished.0", None, None, "0"),
        ("qsub.dependency", None, None, None),
        ("qsub.finished", None, None, None),
        ("qsub.now", None, None, None),
        ("qsub.log", None, None, None),
        ("qsub.finished.log", None, None, None),
        ("qsub.0~", None, None, None),
        ("qsub.0.bak", None, None, None),
        ("qsub.", None, None, None),
        ("qsub.0\n", None, None, None),
        ("qsub.é", None, None, None),
        ("qsub.٣", None, None, None),
        ("aqsub.0", None, None, None),
        ("0", None, None, None),
    ],
)
def test_which_file_is_what(
    name: str, script: str | None, dependency: str | None, marker: str | None
) -> None:
    assert names.script_id(name) == script
    assert names.dependency_id(name) == dependency
    assert names.marker_id(name) == marker


def test_the_files_of_a_job() -> None:
    key = names.key("a/b c", "10")
    assert key == "a/b c/qsub.10"
    assert names.split(key) == ("a/b c", "10")
    assert names.marker(key) == "a/b c/qsub.finished.10"
    assert names.dependency(key) == "a/b c/qsub.dependency.10"
    assert names.marker_key("a/b c/qsub.finished.10") == key
    assert names.marker_key("a/qsub.10") is None
    assert names.marker_key("a/out.txt") is None


def test_a_job_of_the_run_folder_itself() -> None:
    key = names.key("", "0")
    assert key == "qsub.0"
    assert names.split(key) == ("", "0")
    assert names.marker(key) == "qsub.finished.0"
    assert names.marker_key("qsub.finished.0") == key


@pytest.mark.parametrize("bad", ["", "a/", "a/out", "a/qsub.now", "a/qsub.dependency.0"])
def test_split_refuses_what_is_no_key(bad: str) -> None:
    with pytest.raises(ValueError, match=r"names no script qsub\.ID"):
        names.split(Key(bad))


@pytest.mark.parametrize(
    "bad",
    ["/qsub.0", "a//qsub.0", "../qsub.0", "a/../qsub.0", "./qsub.0", "a/./qsub.0", "a%00/qsub.0"],
)
def test_a_key_cannot_lead_out_of_the_run_folder(bad: str) -> None:
    with pytest.raises(ValueError, match="inside the run folder"):
        names.read_key(bad)


@pytest.mark.parametrize("good", ["..a/qsub.0", ".a/qsub.0", "a./qsub.0", ".../qsub.0"])
def test_dots_in_names_are_names(good: str) -> None:
    assert names.read_key(good) == good


@pytest.mark.fault("Input: a newline in a name is refused")
def test_a_newline_is_refused_in_clear_words() -> None:
    names.check_name("a b'c$;é")
    with pytest.raises(ValueError, match=r"'a\\nb' holds a newline; rename it"):
        names.check_name("a\nb")
    with pytest.raises(ValueError, match="newline"):
        names.read_key("a%0Ab/qsub.0")


def test_ids_and_keys_sort_as_people_count() -> None:
    assert sorted(["10", "2", "a10", "1", "a2", "a", "02"], key=names.natural) == [
        "1", "02", "2", "10", "a", "a2", "a10",
    ]  # fmt: skip
    wanted = ["mp-2/qsub.1", "mp-2/qsub.10", "mp-10/qsub.0", "mp-10/a/qsub.0", "qsub.0"]
    assert sorted(set(wanted), key=lambda k: names.order(Key(k))) == [
        "mp-2/qsub.1", "mp-2/qsub.10", "mp-10/a/qsub.0", "mp-10/qsub.0", "qsub.0",
    ]  # fmt: skip


@given(st.lists(ids, max_size=8))
def test_any_ids_can_be_sorted_and_none_are_equal(some: list[str]) -> None:
    down = sorted(some, key=names.natural, reverse=True)
    assert sorted(some, key=names.natural) == down[::-1]


def test_job_ids_are_words() -> None:
    for text, written in [("2308[].vm", "2308[].vm"), ("a b", "a%20b"), ("-", "%2D")]:
        assert names.encode_jobid(JobID(text)) == written
        assert names.decode_jobid(written) == text
    assert names.encode_jobid(None) == "-"
    assert names.decode_jobid("-") is None
    for refuse in (lambda: names.decode_jobid(""), lambda: names.encode_jobid(JobID(""))):
        with pytest.raises(ValueError, match="job ID"):
            refuse()


def test_a_stamp_is_seconds_with_the_offset() -> None:
    japan = timezone(timedelta(hours=9))
    at = datetime(2026, 11, 20, 17, 31, 2, 999999, japan)
    assert names.stamp(at) == "2026-11-20T17:31:02+09:00"
    assert names.parse_stamp("2026-11-20T17:31:02+09:00") == at.replace(microsecond=0)
    assert names.stamp(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02T00:00:00+00:00"
    with pytest.raises(ValueError, match="offset"):
        names.stamp(datetime(2026, 1, 2))


@pytest.mark.parametrize(
    "bad",
    ["", "yesterday", "2026-11-20T17:31:02", "2026-11-20 17:31:02+09:00", "20261120T173102+0900",
     "2026-11-20T17:31:02Z", "2026-11-20T17:31:02.5+09:00", "2026-13-20T17:31:02+09:00"],
)  # fmt: skip
def test_other_times_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="is no time like"):
        names.parse_stamp(bad)


@given(
    st.datetimes(
        min_value=datetime(1000, 1, 2),
        max_value=datetime(9999, 12, 30),
        timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_a_stamp_reads_back_the_same(at: datetime) -> None:
    again = names.parse_stamp(names.stamp(at))
    assert again == at.replace(microsecond=0)
    assert again.utcoffset() == at.utcoffset()
