"""The Ising template does physics: held against what is known exactly.

The scripts run as they are, by sh, in a folder with an ugly name. Exact are: the magnetisation
and energy of a 4 x 4 lattice, counted out; the energy of larger ones (Kaufman's partition
function); and, away from the critical point, the infinite lattice's magnetisation.
"""

from __future__ import annotations

import json
import math
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jobmon.act.init import init
from jobmon.run.script import fill, left_over, marks_unconditionally, writes_marker

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.xdist_group("ising"),  # many share what is run once
    pytest.mark.long,
]
PROGRAM = runpy.run_path(str(ROOT / "init_templates/ising/ising.py"))


def run_all(project: Path, order: list[tuple[str, str]]) -> None:
    """Fill the scripts of a project and run them one after the other."""
    for folder, id in order:
        script = project / "init" / folder / f"qsub.{id}"
        values = {"cwd": str(script.parent), "pythonpath": sys.executable}
        text = fill(script.read_bytes(), values)
        assert left_over(text) == []
        script.write_bytes(text)
        for line in (script.parent / f"qsub.dependency.{id}").read_text().splitlines():
            assert (script.parent / line).exists(), f"{folder}/qsub.{id} needs {line}"
        subprocess.run(["sh", str(script)], check=True, cwd="/", stdout=subprocess.DEVNULL)
        assert (script.parent / f"qsub.finished.{id}").exists()


def make(project: Path, **values: str) -> list[str]:
    """A project that was run to its end; returns its job folders in order of temperature."""
    init("ising", project, values)
    folders = sorted(p.name for p in (project / "init").glob("T*"))
    chain = [(folder, id) for id in "012" for folder in folders]
    run_all(project, [*chain, ("table", "0")])
    return folders


def result(project: Path, folder: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        (project / "init" / folder / "magnetisation.json").read_text()
    )
    return read


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it stands, run once for all tests here."""
    project = tmp_path_factory.mktemp("a 'b' $c") / 'Käse "d"\\ `e`'
    make(project)
    return project


def kaufman_energy(size: int, temperature: float) -> float:
    """Energy per spin of a periodic size x size lattice (Kaufman 1949), exact but for rounding."""

    def log_z(k: float) -> float:
        c = [
            math.cosh(2 * k) ** 2 / math.sinh(2 * k) - math.cos(math.pi * r / size)
            for r in range(2 * size)
        ]
        gamma = [math.acosh(max(1.0, x)) for x in c]
        gamma[0] = 2 * k + math.log(math.tanh(k))  # the one that changes its sign at Tc
        odd, even = gamma[1::2], gamma[0::2]
        terms = [
            math.prod(2 * math.cosh(size * g / 2) for g in odd),
            math.prod(2 * math.sinh(size * g / 2) for g in odd),
            math.prod(2 * math.cosh(size * g / 2) for g in even),
            math.prod(2 * math.sinh(size * g / 2) for g in even),
        ]
        return size * size / 2 * math.log(2 * math.sinh(2 * k)) + math.log(sum(terms) / 2)

    k, step = 1 / temperature, 1e-5
    return -(log_z(k + step) - log_z(k - step)) / (2 * step) / size**2


def counted_out(temperature: float) -> tuple[float, float]:
    """<|m|> and <E> per spin of the 4 x 4 lattice, from all its 65536 states."""
    size, places = 4, 16
    pairs = [(p, row * size + (column + 1) % size) for p, (row, column) in enumerate(grid(size))]
    pairs += [(p, (row + 1) % size * size + column) for p, (row, column) in enumerate(grid(size))]
    states: Counter[tuple[int, int]] = Counter()
    shifts = [(1 << a, 1 << b) for a, b in pairs]
    for state in range(2 ** (places - 1)):  # the others are these turned over
        unlike = sum(bool(state & a) != bool(state & b) for a, b in shifts)
        states[2 * unlike - len(pairs), abs(2 * state.bit_count() - places)] += 1
    weights = {s: n * math.exp(-(s[0] + 32) / temperature) for s, n in states.items()}
    total = sum(weights.values()) * places
    return (
        sum(w * m for (_, m), w in weights.items()) / total,
        sum(w * e for (e, _), w in weights.items()) / total,
    )


def grid(size: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(size) for column in range(size)]


def test_onsagers_function() -> None:
    onsager, critical = PROGRAM["onsager"], PROGRAM["CRITICAL"]
    assert critical == pytest.approx(2.269185314213, abs=1e-12)
    assert math.sinh(2 / critical) == pytest.approx(1, abs=1e-12)
    assert onsager(1.5) == pytest.approx(0.9865, abs=5e-5)
    assert onsager(2.0) == pytest.approx(0.911319, abs=5e-7)
    # Low temperatures: 1 - 2 x^8 - 8 x^12 with x = exp(-1/T), one spin and two turned over.
    x = math.exp(-1 / 0.6)
    assert onsager(0.6) == pytest.approx(1 - 2 * x**8 - 8 * x**12, abs=1e-10)
    assert onsager(critical * (1 - 1e-9)) < 0.11
    assert onsager(critical) == onsager(2.5) == 0


def test_the_reference_energies_agree_with_each_other() -> None:
    for temperature in (1.5, 2.2, 3.5):
        assert kaufman_energy(4, temperature) == pytest.approx(
            counted_out(temperature)[1], abs=1e-7
        )


def test_a_small_lattice_against_all_its_states(tmp_path: Path) -> None:
    for folder in make(tmp_path / "p", size="4", sweeps="8000", temperatures="1.8,2.3,3.0"):
        got = result(tmp_path / "p", folder)
        m, e = counted_out(got["temperature"])
        assert abs(got["magnetisation"] - m) < 4 * got["magnetisation_error"] < 0.05, folder
        assert abs(got["energy"] - e) < 4 * got["energy_error"] < 0.1, folder


def test_the_energy_of_the_finite_lattice(standard: Path) -> None:
    for folder in sorted(p.name for p in (standard / "init").glob("T*")):
        got = result(standard, folder)
        exact = kaufman_energy(got["size"], got["temperature"])
        assert abs(got["energy"] - exact) < 4 * got["energy_error"] < 0.03, folder


@pytest.mark.parametrize("folder", ["T1.50", "T2.00"])
def test_the_magnetisation_below_the_critical_point(standard: Path, folder: str) -> None:
    # The correlation length is below 2 places there: 20 are as good as infinitely many.
    got = result(standard, folder)
    exact = PROGRAM["onsager"](got["temperature"])
    assert abs(got["magnetisation"] - exact) < 4 * got["magnetisation_error"] < 0.008


def test_the_magnetisation_above_it_is_that_of_fluctuations(standard: Path) -> None:
    # m is then nearly Gaussian: <|m|> = sqrt(2 <m^2> / pi), with <m^2> = chi T / N + <|m|>^2.
    got = result(standard, "T3.50")
    m = got["magnetisation"]
    square = got["susceptibility"] * got["temperature"] / got["size"] ** 2 + m * m
    assert m == pytest.approx(math.sqrt(2 * square / math.pi), rel=0.05)
    assert 0.05 < m < 0.15
    assert result(standard, "T2.80")["magnetisation"] > m


def test_the_table(standard: Path) -> None:
    text = (standard / "init/table/table.txt").read_text()
    rows = [line.split() for line in text.splitlines() if re.match(r" +\d\.\d{3} ", line)]
    assert [row[0] for row in rows] == ["1.500", "2.000", "2.200", "2.400", "2.800", "3.500"]
    assert [row[3] for row in rows] == ["0.98650", "0.91132", "0.78476", *["0.00000"] * 3]
    m = [float(row[1]) for row in rows]
    assert m == sorted(m, reverse=True)
    assert "A finite lattice has no transition" in text
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 92


def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    few = {"size": "6", "sweeps": "64", "temperatures": "2.0,2.1"}
    make(tmp_path / "a", **few)
    make(tmp_path / "b", **few)
    make(tmp_path / "c", seed="2", **few)
    a, b, c = ((tmp_path / p / "init/T2.00/samples.txt").read_text() for p in "abc")
    assert a == b
    assert a != c
    first, second = (
        PROGRAM["stream"]({"seed": 1, "size": 6, "temperature": t}, "sample") for t in (2.0, 2.1)
    )
    assert [first() for _ in range(5)] != [second() for _ in range(5)]


def test_error_bars_of_known_sequences() -> None:
    blocking, uniform = PROGRAM["blocking_error"], PROGRAM["stream"]
    draw = uniform({"seed": 0, "size": 0, "temperature": 0}, "test")
    alone = [draw() for _ in range(4096)]
    true = math.sqrt(1 / 12 / 4096)
    assert blocking(alone) == pytest.approx(true, rel=0.45)
    assert blocking(alone) >= 0.97 * true
    # Each value eight times over: the error is that of the 512 different ones.
    again = [value for value in alone[:512] for _ in range(8)]
    assert blocking(again) == pytest.approx(math.sqrt(1 / 12 / 512), rel=0.45)


def test_a_step_that_fails_leaves_no_marker(tmp_path: Path) -> None:
    init("ising", tmp_path / "p", {"temperatures": "2.0"})
    folder = tmp_path / "p/init/T2.00"
    script = folder / "qsub.1"  # its configuration.json was never made
    script.write_bytes(
        fill(script.read_bytes(), {"cwd": str(folder), "pythonpath": sys.executable})
    )
    done = subprocess.run(["sh", str(script)], capture_output=True, check=False)
    assert done.returncode != 0
    assert not (folder / "qsub.finished.1").exists()
    assert not (folder / "samples.txt").exists()


def test_the_scripts_are_good_examples(tmp_path: Path) -> None:
    init("ising", tmp_path / "p", {"temperatures": "2.0"})
    for folder, id in (("T2.00", "0"), ("T2.00", "1"), ("T2.00", "2"), ("table", "0")):
        text = (tmp_path / "p/init" / folder / f"qsub.{id}").read_text()
        assert writes_marker(text, id)
        assert not marks_unconditionally(text, id)
        for line in ("#PBS -l select=1:ncpus=1", "#$ -cwd", "#SBATCH -n 1"):
            assert line in text.splitlines()


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck")
def test_shellcheck() -> None:
    files = [ROOT / "init_templates/ising/script.sh", ROOT / "scripts/demo"]
    subprocess.run(["shellcheck", "-s", "sh", *map(str, files)], check=True)
