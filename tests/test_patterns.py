"""Our reading of rsync's patterns against rsync itself, on a tree of weird names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobmon.cluster.patterns import Rule, escape, kept

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

NAMES = [
    *("a", "b", "ab", "a b", "-a", "a*", "*", "a?b", "[a]", "[", "]", "a[1", "a\\b", "\\", "a\\*"),
    *("out.dat", "out.1", "x.out", "é", "é1", "\udcff", "#x", ";y", " lead", "trail ", "{a,b}"),
    *("qsub.0", "qsub.finished.0", "!", "^", "a-z", "$x", "'q\"", "+ a", "- a"),
]
PATHS = [
    *NAMES,
    *(f"m/{name}" for name in NAMES),
    *("m/deep/a", "m/deep/out.dat", "out/a", "out/deep/b", "a.d/a", "m/out/x.out", "[d]/a", "d*/x"),
    *("*d/a b", "m m/é", "s\\t/a", "m/a.d/m/a"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("tree")
    for path in PATHS:
        file = top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return top


def by_rsync(tree: Path, rules: Sequence[Rule]) -> set[str]:
    """The files that rsync would transfer by these rules."""
    lines = b"".join(os.fsencode(f"{'+' if r.include else '-'} {r.pattern}\0") for r in rules)
    # what rsync prints, it escapes; so let it do it
    with_filter = ["rsync", "-r", "--from0", "--filter=merge -", f"{tree}/", "there/"]
    there = tree.with_name("there")
    shutil.rmtree(there, ignore_errors=True)
    subprocess.run(with_filter, input=lines, cwd=tree.parent, check=True, capture_output=True)
    return {
        str(Path(where, name).relative_to(there))
        for where, _, files in os.walk(there)
        for name in files
    }


def agree(tree: Path, rules: Sequence[Rule]) -> None:
    assert {path for path in PATHS if kept(rules, path)} == by_rsync(tree, rules), rules


TABLE = [
    *("a", "/a", "m/a", "/m/a", "*", "/*", "**", "m/", "/m/", "*/", "a/", "out/**", "out/***"),
    *("**/a", "/**/a", "m/**/a", "**/deep/**", "m/*/a", "*.dat", "out.*", "m/out.*", "/m/*"),
    *("?", "??", "a?b", "a\\*", "\\a", "a\\b", "a\\\\b*", "[a]", "\\[a]", "[ab]", "[!a]", "[^a]"),
    *("[a-z]", "[]]", "[!]]", "a[1", "[", "a[/]b", "*[*]*", "*[\\]]*", "[\\a]", "[z-a]", "[a-]"),
    *("***", "a***", "m***", "**a", "/**a", "m**a", "m/**", "é", "?1", "é*", "??1", "*\udcff"),
    *(
        " lead",
        "trail ",
        "#x",
        ";y",
        "{a,b}",
        "$x",
        "'q\"",
        "-a",
        "!",
        "+ a",
        "- a",
        "*\\",
        "d\\*/x",
    ),
    *("m/deep/", "deep", "deep/a", "/deep/a", "*/deep/a", "m m/*", "a.d", "[[]d]", "[.]*"),
]


@needs_rsync
@pytest.mark.parametrize("pattern", TABLE)
def test_each_pattern_is_read_as_rsync_reads_it(tree: Path, pattern: str) -> None:
    agree(tree, [Rule(False, pattern)])
    agree(tree, [Rule(True, "*/"), Rule(True, pattern), Rule(False, "*")])


pieces = st.sampled_from(
    [
        "a",
        "b",
        "m",
        "out",
        ".",
        "*",
        "**",
        "?",
        "/",
        "\\",
        "[ab]",
        "[!a]",
        "é",
        " ",
        "d",
        "deep",
        "\\*",
    ]
)
patterns = st.one_of(
    st.sampled_from(TABLE),
    st.lists(pieces, min_size=1, max_size=5)
    .map("".join)
    .filter(lambda p: "//" not in p and p.strip("/") != ""),
)
rules = st.lists(st.builds(Rule, st.booleans(), patterns), min_size=1, max_size=5)


@needs_rsync
@given(rules)
@example([Rule(True, "*/"), Rule(True, "/m/*.out"), Rule(False, "*")])
@settings(max_examples=60, deadline=None)
def test_rules_together_are_read_as_rsync_reads_them(tree: Path, some: list[Rule]) -> None:
    agree(tree, some)


@needs_rsync
def test_an_escaped_path_fits_only_itself(tree: Path) -> None:
    for path in PATHS:
        rule = [Rule(False, "/" + escape(path))]
        assert {p for p in PATHS if not kept(rule, p)} == {path}, path
    everything = [Rule(False, "/" + escape(path)) for path in PATHS]
    for path in PATHS:
        rules = [rule for rule in everything if rule.pattern != "/" + escape(path)]
        assert by_rsync(tree, rules) == {path}, path


@given(st.binary(min_size=1, max_size=12).map(os.fsdecode), st.binary(min_size=1).map(os.fsdecode))
def test_escape_fits_only_itself(one: str, other: str) -> None:
    def usable(text: str) -> str:
        return text.replace("/", "_").replace("\0", "0")

    one, other = usable(one), usable(other)
    rule = [Rule(False, "/" + escape(one))]
    assert not kept(rule, one)
    assert kept(rule, other) == (one != other)
    assert not kept(rule, f"{one}/below")
    assert kept(rule, f"below/{one}")


def test_the_first_rule_that_fits_decides() -> None:
    assert kept([Rule(True, "a"), Rule(False, "*")], "a")
    assert not kept([Rule(False, "*"), Rule(True, "a")], "a")
    assert not kept([Rule(False, "m/"), Rule(True, "a")], "m/a"), "a folder takes all with it"
    assert kept([], "anything/at all")
