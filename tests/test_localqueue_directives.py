"""What the local queue reads in a script's directives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.localqueue.directives import (
    SGE,
    SLURM,
    DirectiveError,
    Target,
    expand,
    interpreter,
    read,
)


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("", 1),
        ("#PBS -l select=1:ncpus=4", 4),
        ("#PBS -l select=2:ncpus=4:mem=4gb", 8),
        ("#PBS -lselect=3:ncpus=2,walltime=1:00:00", 6),
        ("#PBS -l select=2:ncpus=4+ncpus=1+1:ncpus=8", 17),
        ("#PBS -l select=4", 4),
        ("#PBS -l select=2:mpiprocs=3", 6),
        ("#PBS -l nodes=1:ppn=6", 6),
        ("#PBS -l nodes=2:ppn=4:gpus=1,walltime=9:0", 8),
        ("#PBS -l nodes=host1:ppn=2+host2", 3),
        ("#PBS -l walltime=1:0:0 -l ncpus=5", 5),
        ("#PBS -l procs=7", 7),
        ("  #PBS -l ncpus=3", 3),
        ("##PBS -l ncpus=3", 1),
        ("# PBS -l ncpus=3", 1),
        ("#PBS -l mem=4gb", 1),
        ("#PBS -q workq -V\n#PBS -l ncpus=3 # three", 3),
        ("#$ -pe smp 4", 4),
        ("#$-pe smp 4", 4),
        ("#$ -cwd -V -pe mpi 12 -N x", 12),
        ("#$ -pe smp 4-8", 4),
        ("#$ -pe smp 4-", 4),
        ("#$ -pe smp -8", 1),
        ("#$ -pe smp 2\n#$ -pe smp 3", 3),
        ("##$ -pe smp 4", 1),
        ("#SBATCH -n4", 4),
        ("#SBATCH -n 4", 4),
        ("#SBATCH --ntasks=4", 4),
        ("#SBATCH --ntasks 4", 4),
        ("#SBATCH -n 4 -c 3", 12),
        ("#SBATCH --ntasks=4\n#SBATCH --cpus-per-task=2", 8),
        ("#SBATCH -c6", 6),
        ("#SBATCH -N 2", 2),
        ("#SBATCH --nodes=2-4", 2),
        ("#SBATCH -N 2 --ntasks-per-node=8 -c 2", 32),
        ("#SBATCH -N 3 -n 2", 3),
        ("#SBATCH -n 4\n#SBATCH -n 2", 2),
        ("#SBATCH --comment='-n 7' -n 2", 2),
        (" #SBATCH -n 4", 1),
        ("##SBATCH -n 4", 1),
        ("#SBATCH -n 2\n#PBS -l ncpus=3", 3),
        # PBS and Slurm stop at the first command, Grid Engine reads on.
        ("\n# hello\n\n#PBS -l ncpus=3", 3),
        ("cd x\n#PBS -l ncpus=3", 1),
        ("cd x\n#SBATCH -n 3", 1),
        ("cd x\n#$ -pe smp 3", 3),
        ("#$ it's a comment", 1),
        ("#PBS -l ncpus=2 -N it's", 2),
    ],
)
def test_cores(text: str, cores: int) -> None:
    assert read(f"#!/bin/sh\n{text}\necho").cores == cores


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#SBATCH -n four", "line 2: 'four' is no number of cores"),
        ("#SBATCH -n 0", "'0' is no number"),
        ("#SBATCH -n", "'' is no number"),
        ("#PBS -l select=1:ncpus=__maxcore__", "'__maxcore__' is no number"),
        ("#$ -pe smp", "'' is no number"),
        ("#$ -t 1-10", "line 2 asks for a job array"),
        ("#PBS -J 1-10", "job array"),
        ("#SBATCH --array=1-3", "job array"),
    ],
)
def test_what_cannot_be_honoured_is_refused(text: str, words: str) -> None:
    with pytest.raises(DirectiveError, match=words):
        read(f"#!/bin/sh\n{text}\n")


@given(st.integers(1, 500), st.integers(1, 500))
def test_spellings_agree(n: int, c: int) -> None:
    texts = [
        f"#SBATCH -n{n} -c{c}",
        f"#SBATCH --ntasks={n}\n#SBATCH --cpus-per-task {c}",
        f"#SBATCH -c {c}\n\n# so\n#SBATCH --ntasks {n}",
        f"#PBS -l select={n}:ncpus={c}",
        f"#PBS -l nodes={n}:ppn={c},walltime=1:0:0",
        f"#$ -pe any {n * c}",
    ]
    assert {read(text).cores for text in texts} == {n * c}


@given(st.text(alphabet="#$PBSATCH -lnceopj=:,+'\"\\%0123\n\r\t é\x00", max_size=120))
def test_any_text_is_read_or_refused_clearly(text: str) -> None:
    try:
        wish = read(text)
    except DirectiveError as error:
        assert "line " in str(error)
    else:
        assert wish.cores >= 1


def test_outputs_and_names() -> None:
    wish = read("#PBS -N a\n#PBS -o out -j oe -S /bin/ksh")
    assert (wish.name, wish.stdout, wish.join) == ("a", Target("PBS", "out"), "oe")
    assert wish.shell == "/bin/ksh"
    assert read("#$ -j y").join == "oe"
    assert read("#$ -j n").join == ""
    assert read("#PBS -j eo").join == "eo"
    # Slurm alone sends both to the one file named by -o.
    assert read("#SBATCH -o a").join == "oe"
    assert read("#SBATCH -o a --error=b").join == ""
    assert read("#SBATCH --job-name=b").name == "b"


@pytest.mark.parametrize(
    ("system", "text", "path"),
    [
        (SLURM, "log/%x-%j.out", "log/nm-12.out"),
        (SLURM, "%4j%%_%u%N", "0012%_mehost"),
        (SGE, "$JOB_NAME.o$JOB_ID.$UNKNOWN", "nm.o12.$UNKNOWN"),
        (SGE, ":/tmp/x:y", "/tmp/x:y"),
        ("PBS", "host:/a/b", "/a/b"),
        ("PBS", "a/b:c", "a/b:c"),
    ],
)
def test_expand(system: str, text: str, path: str) -> None:
    assert expand(Target(system, text), job=12, name="nm", user="me", host="host") == path


def test_interpreter() -> None:
    assert interpreter(b"#!/usr/bin/env  bash\r\necho", "/bin/csh", "/bin/sh") == [
        "/usr/bin/env",
        "bash",
    ]
    assert interpreter(b"#! /bin/sh -e -u\n", None, "/bin/x") == ["/bin/sh", "-e -u"]
    assert interpreter(b"echo", "/bin/csh", "/bin/sh") == ["/bin/csh"]
    assert interpreter(b"#!\necho", None, "/bin/sh") == ["/bin/sh"]
