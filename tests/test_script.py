"""Placeholders and directives: what a job's script says, and that filling changes nothing else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.run.options import Settings
from jobmon.run.script import (
    PLACEHOLDERS,
    directives,
    fill,
    left_over,
    marks_unconditionally,
    output_patterns,
    values,
    writes_marker,
)

VALUES = {
    "binpath": "/opt/my codes",
    "pythonpath": "/usr/bin/python3",
    "maxcore": "16",
    "jobname": "Käse 'n'",
    "cwd": "/home/u/run/Käse 'n'",
}
ALWAYS = ["slurm-*.out", "*.[oe][0-9]*", "*.p[oe][0-9]*"]


def test_all_placeholders_of_an_ecalj_script() -> None:
    script = b"""#!/bin/bash
__HEADER__
export PATH=__binpath__:$PATH
cd __cwd__
__pythonpath__ __binpath__/job.py -np __maxcore__ > out__jobname__.log
touch qsub.finished.0
"""
    header = "#$ -N __jobname__\n#$ -pe smp __maxcore__\n#$ -cwd"
    want = """#!/bin/bash
#$ -N Käse 'n'
#$ -pe smp 16
#$ -cwd
export PATH=/opt/my codes:$PATH
cd /home/u/run/Käse 'n'
/usr/bin/python3 /opt/my codes/job.py -np 16 > outKäse 'n'.log
touch qsub.finished.0
"""
    assert fill(script, {**VALUES, "HEADER": header}) == want.encode()


def test_every_other_byte_is_kept() -> None:
    script = b"\xef\xbb\xbf#!/bin/sh\r\n\xff\xfe\x00 __maxcore__\r\n\tlast__maxcore__"
    want = b"\xef\xbb\xbf#!/bin/sh\r\n\xff\xfe\x00 16\r\n\tlast16"
    assert fill(script, VALUES) == want


def test_what_a_value_holds_is_not_replaced_again() -> None:
    odd = {"cwd": "/x/__jobname__/__cwd__", "jobname": "__cwd__", "binpath": r"\1\g<0>"}
    assert fill(b"__cwd__ __jobname__ __binpath__", odd) == (
        rb"/x/__jobname__/__cwd__ __cwd__ \1\g<0>"
    )


def test_the_header_is_put_in_once() -> None:
    assert fill(b"__HEADER__", {"HEADER": "a __HEADER__"}) == b"a __HEADER__"


def test_a_users_own_placeholders_with_or_without_underscores() -> None:
    assert fill(b"-k __nk__ __n__ __nk", {"nk": "6", "__n__": "2"}) == b"-k 6 2 __nk"


def test_neighbouring_placeholders() -> None:
    assert fill(b"__a____b__", {"a": "1", "b": "2"}) == b"12"
    assert fill(b"__a_b__", {"a": "1", "a_b": "3"}) == b"3"


def test_a_value_may_hold_bytes_that_are_no_utf8() -> None:
    assert fill(b"__cwd__", {"cwd": b"/x/\xff".decode("utf-8", "surrogateescape")}) == b"/x/\xff"


pieces = st.lists(
    st.one_of(
        st.sampled_from(sorted(PLACEHOLDERS)), st.binary(max_size=8).map(lambda b: b"." + b + b".")
    ),
    max_size=12,
)


@given(pieces)
def test_fill_replaces_placeholders_and_nothing_else(parts: list[str | bytes]) -> None:
    table = {name: f"<{i}>" for i, name in enumerate(sorted(PLACEHOLDERS))}
    # A random piece could hold an underscore pair only by making it; those are left out.
    parts = [p if isinstance(p, str) else p.replace(b"_", b"-") for p in parts]
    script = b"".join(p if isinstance(p, bytes) else f"__{p}__".encode() for p in parts)
    want = b"".join(p if isinstance(p, bytes) else table[p].encode() for p in parts)
    assert fill(script, table) == want


@given(st.binary())
def test_a_script_without_placeholders_stays_itself(script: bytes) -> None:
    script = script.replace(b"__", b"")
    assert fill(script, {**VALUES, "HEADER": "h"}) == script
    assert left_over(script) == []


@given(pieces)
def test_filling_twice_is_filling_once(parts: list[str | bytes]) -> None:
    script = b"".join(p if isinstance(p, bytes) else f"__{p}__".encode() for p in parts)
    table = dict.fromkeys(PLACEHOLDERS, "v")
    assert fill(fill(script, table), table) == fill(script, table)


def test_the_values_of_a_job() -> None:
    settings = Settings(remote="h", maxcore=8, binpath="/b", placeholders={"nk": "6"})
    assert values(settings, "Si", "/r/Si", None) == {
        "nk": "6",
        "binpath": "/b",
        "maxcore": "8",
        "jobname": "Si",
        "cwd": "/r/Si",
    }
    assert values(settings, "Si", "/r/Si", "#$ -cwd")["HEADER"] == "#$ -cwd"


@pytest.mark.parametrize(
    ("script", "found"),
    [
        (b"__binpath__/x __maxcore__ __binpath__", ["__binpath__", "__maxcore__"]),
        (b"x__cwd__y", ["__cwd__"]),
        (b"run -k __nk__ __my_k__", ["__nk__", "__my_k__"]),
        (b"__binpaht__/lmf", ["__binpaht__"]),
        (b'if __name__ == "__main__": print(__file__)', []),
        (b"def __init__(self): __post_init__", []),
        (b"cat <<__EOF__\nhello\n__EOF__\n", []),
        (b"cat <<-'__END__'\nhello\n__END__\n", []),
        (b"nm | grep a__mod__b ___x__ __x___", []),
        (b"__1__ ____ __ a_b", []),
        (b"", []),
    ],
)
def test_what_is_left_over(script: bytes, found: list[str]) -> None:
    assert left_over(script) == found


def test_directives_are_read_as_the_batch_systems_read_them() -> None:
    script = (
        "#!/bin/sh\n#PBS -N a -o 'my out'\n#PBS-l x\n# a note\n\n#SBATCH -n 1 # one\n#$ -cwd\n"
        "#PBSX no\n##SBATCH off\n #PBS off\necho\n#SBATCH -n 2\n#PBS -e late\n#$ -e here\n"
        "#$ -o 'open\n"
    )
    assert list(directives(script)) == [
        ("PBS", ["-N", "a", "-o", "my out"]),
        ("PBS", ["-l", "x"]),
        ("SBATCH", ["-n", "1"]),
        ("$", ["-cwd"]),
        ("$", ["-e", "here"]),
        ("$", ["-o", "'open"]),
    ]


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("#SBATCH -o out.%j", ["out.*"]),
        ("#SBATCH --output=%x-%A_%3a.log --error %x.err", ["*-*_*.log", "*.err"]),
        ("#SBATCH -elogs/err.txt", ["logs/err.txt"]),
        ("#SBATCH -o 100%%.out", ["100%.out"]),
        ("#SBATCH -o 'a [1] %j'", [r"a \[1] *"]),
        ("#SBATCH -o %x%j.o%A%a", ["*.o*"]),
        ("#SBATCH -o %u/%j", ["*/*"]),
        (r"#SBATCH -o 'a\b'", [r"a\b"]),
        (r"#SBATCH -o 'a\b%j'", [r"a\\b*"]),
        ("#SBATCH -o /dev/null", []),
        ("#SBATCH -o ../all/%j.out", []),
        ("#SBATCH --output=/cl/run/m/o.txt", ["o.txt"]),
        ("#SBATCH --output=/cl/run/m2/o.txt", []),
        ("#SBATCH -n 4", []),
        (
            "#$ -o $JOB_NAME.$JOB_ID.$TASK_ID",
            ["*.*.*/*.[oe][0-9]*", "*.*.*/*.p[oe][0-9]*", "*.*.*"],
        ),
        ("#$ -e logs/", ["logs/*.[oe][0-9]*", "logs/*.p[oe][0-9]*"]),
        ("#$ -o $HOME/x -e /var/tmp", []),
        ("#$ -o :x.log -j y", ["x.log/*.[oe][0-9]*", "x.log/*.p[oe][0-9]*", "x.log"]),
        ("#PBS -oout -j oe", ["out/*.[oe][0-9]*", "out/*.p[oe][0-9]*", "out"]),
        ("#PBS -o node07:/cl/run/m/o -e node07:/tmp/e", ["o/*.[oe][0-9]*", "o/*.p[oe][0-9]*", "o"]),
        (
            "#PBS -e $PBS_O_WORKDIR/e.^array_index^",
            ["e.*/*.[oe][0-9]*", "e.*/*.p[oe][0-9]*", "e.*"],
        ),
        ("#PBS -o", []),
    ],
)
def test_output_patterns(line: str, more: list[str]) -> None:
    assert output_patterns(f"#!/bin/sh\n{line}\n", cwd="/cl/run/m") == ALWAYS + more


def test_output_patterns_of_a_silent_script() -> None:
    assert output_patterns("echo\n") == ALWAYS


@pytest.mark.parametrize(
    ("script", "id", "writes"),
    [
        ("touch qsub.finished.1\n", "1", True),
        ("touch qsub.finished.10\n", "1", False),
        ("touch qsub.finished.1-a\n", "1", False),
        ("date > ./qsub.finished.1; exit", "1", True),
        ("touch qsub.finished.$id", "1", True),
        ("# touch qsub.finished.1\n", "1", False),
        ("echo", "1", False),
    ],
)
def test_writes_marker(script: str, id: str, writes: bool) -> None:
    assert writes_marker(script, id) is writes


@pytest.mark.parametrize(
    ("script", "always"),
    [
        ("#!/bin/sh\nlmf > out\ntouch qsub.finished.0\n", True),
        ("#!/bin/sh\nlmf > out && touch qsub.finished.0\n", False),
        ("#!/bin/sh\nset -eu\nlmf\ntouch qsub.finished.0\n", False),
        ("#!/bin/bash -e\nlmf\ntouch qsub.finished.0\n", False),
        ("#!/bin/sh\nif lmf; then\n touch qsub.finished.0\nfi\n", False),
        ("#!/bin/sh\n# if only\nlmf\ntouch qsub.finished.0 && exit\n", True),
        ("#!/bin/sh\nlmf\n", False),
    ],
)
def test_marks_unconditionally(script: str, always: bool) -> None:
    assert marks_unconditionally(script, "0") is always


def test_the_python_words_are_words() -> None:
    assert all(re.fullmatch(r"\w+", word) for word in PLACEHOLDERS)
