"""jobmon init --poscar: what the folders are called, and files that are no POSCAR."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

import jobmon.act.init as module
from jobmon.act.init import init
from jobmon.act.poscar import folder_name, read_poscars
from jobmon.cli import cli
from jobmon.run.usage import UsageError

GAAS = """GaAs
5.65
0.0 0.5 0.5
0.5 0.0 0.5
0.5 0.5 0.0
Ga As
1 1
Direct
0.00 0.00 0.00
0.25 0.25 0.25 As
"""
TEMPLATE = "description: a test\nfiles: poscar\n"
MAKE = """
def make(here, project, values):
    for poscar in values["poscar"]:
        folder = project / "init" / poscar.name
        folder.mkdir(parents=True)
        (folder / "POSCAR").write_bytes(poscar.data)
        (folder / "qsub.0").write_text(f"{poscar.symbols} {poscar.counts}")
        (folder / "qsub.dependency.0").write_text("")
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Templates ``each`` (which takes POSCARs) and ``none``; returns the current folder, empty."""
    folders = {}
    for name, text in (("each", TEMPLATE), ("none", "description: a test\n")):
        here = folders[name] = tmp_path / "templates" / name
        here.mkdir(parents=True)
        (here / "template.yaml").write_text(text)
        (here / "make.py").write_text(MAKE)
    monkeypatch.setattr(module, "_folders", lambda: folders)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("POSCAR.GaAs_x0.25", "GaAs_x0.25"),
        ("POSCAR.GaAs_x0.5", "GaAs_x0.5"),
        ("POSCAR_mp-149", "mp-149"),
        ("x/POSCAR-Si", "Si"),
        ("CONTCAR.Si.vasp", "Si"),
        ("mp-149/POSCAR", "mp-149"),
        ("mp-149/CONTCAR", "mp-149"),
        ("GaAs_x0.25.vasp", "GaAs_x0.25"),
        ("GaAs_x0.25", "GaAs_x0.25"),
        ("mp-149.poscar", "mp-149"),
    ],
)
def test_the_folder_is_called_after_the_file(path: str, name: str) -> None:
    assert folder_name(Path(path)) == name


@pytest.mark.parametrize(
    "path",
    ["POSCAR.", "POSCAR...", "POSCAR.-x", "POSCAR.a\nb", ".vasp", "POSCAR.qsub.0", "POSCAR.kill"],
)
def test_names_that_will_not_do(path: str) -> None:
    with pytest.raises(UsageError, match="will not do as the name of a job folder"):
        folder_name(Path(path))


def test_as_a_person_types_it(work: Path) -> None:
    for name in ("POSCAR.GaAs_x0.25", "POSCAR.GaAs_x0.5", "POSCAR.Si\u00fc"):
        Path(name).write_bytes(GAAS.encode())
    files = sorted(p.name for p in work.iterdir())
    typed = ["init", "each", "p", "--poscar", *files[:2], f"--poscar={files[2]}"]
    done = CliRunner().invoke(cli, typed, catch_exceptions=False)
    assert done.output.splitlines()[0] == "made p from the template each: 3 jobs in 3 folders"
    folders = sorted(p.name for p in Path("p/init").iterdir())
    assert folders == ["GaAs_x0.25", "GaAs_x0.5", "Si\u00fc"]
    assert Path("p/init/GaAs_x0.5/POSCAR").read_bytes() == GAAS.encode()
    assert Path("p/init/GaAs_x0.5/qsub.0").read_text() == "('Ga', 'As') (1, 1)"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["each", "p"], "each needs --poscar FILES…: a job folder is made for each"),
        (["none", "p", "--poscar", "a"], "--poscar: none takes no files; leave it out"),
        (["each", "--poscar", "a", "p"], "jobmon init TEMPLATE FOLDER is wanted, before --poscar"),
        (["each", "p", "--poscar"], "--poscar wants one file or more."),
        (["each", "p", "--poscar", "--set", "a=1"], "--poscar wants one file or more."),
        (
            ["each", "p", "--poscar", "POSCAR.*"],
            "POSCAR.*: cannot be read (No such file or directory); name POSCAR files behind",
        ),
        (["each", "p", "--poscar", "."], ".: cannot be read (Is a directory)"),
        (
            ["each", "p", "--poscar", "a/POSCAR", "POSCAR.a"],
            "POSCAR.a: its job folder would be called 'a', as that of a/POSCAR; rename one",
        ),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    work: Path, typed: list[str], message: str
) -> None:
    for name in ("a/POSCAR", "POSCAR.a"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(GAAS)
    done = CliRunner().invoke(cli, ["init", *typed])
    said = str(done.exception) if isinstance(done.exception, UsageError) else done.output
    assert message in said
    assert "\n" not in said or "Usage:" in said
    assert sorted(p.name for p in work.iterdir()) == ["POSCAR.a", "a"]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, None, "line 1: the file ends here, before line 2"),
        (2, "five", "line 2: a scale is wanted"),
        (2, "0.0", "line 2: a scale, or three of them, is wanted, and not 0"),
        (3, "0.0 0.5", "line 3: a vector of three numbers is wanted"),
        (5, "0.0 0.5 0.5", "line 5: the three vectors span no volume"),
        (5, "nan 0.5 0.5", "line 5: a vector of three numbers is wanted"),
        (6, "1 1", "line 6: the symbols of the elements are wanted (VASP 4 left them out)"),
        (6, "gallium As", "line 6: the symbols of the elements are wanted"),
        (7, "1", "line 7: a number of atoms, 1 or more, for each of Ga As is wanted"),
        (7, "1 0", "line 7: a number of atoms, 1 or more, for each of Ga As is wanted"),
        (7, "1 1.5", "line 7: how many atoms there are of each element is wanted"),
        (7, "1 2", "line 10: the file ends here, before line 11"),
        (8, "0 0 0", "line 8: Direct or Cartesian is wanted"),
        (10, "0.25 0.25", "line 10: a position is wanted, of 2 in all: three numbers"),
        (10, None, "line 10: the file ends here, before line 11"),
    ],
)
def test_what_is_no_poscar_is_named_with_its_line(
    work: Path, line: int, text: str | None, message: str
) -> None:
    lines = GAAS.splitlines()
    if text is None:
        lines = lines[:line] if line == 1 else [*lines[:6], "1 2", *lines[7:line]]
    else:
        lines[line - 1] = text
    Path("POSCAR.a").write_text("\n".join(lines) + "\n\n")
    with pytest.raises(UsageError) as caught:
        init("each", Path("p"), {}, [Path("POSCAR.a")])
    assert str(caught.value).startswith(f"POSCAR.a, {message}")
    assert str(caught.value).endswith("; it is no POSCAR with symbols of the elements")
    assert [p.name for p in work.iterdir()] == ["POSCAR.a"]


def test_what_vasp_reads_is_read(work: Path) -> None:
    lines = GAAS.replace("Ga As", "Ga_d/1a2b As_GW ! a comment").splitlines()
    lines[1] = "-45.1"
    lines[2] = " 0.0D0 5.0d-1 .5 and more"
    lines.insert(7, "selective dynamics")
    lines[8] = "kartesisch"
    lines[9] = "0 0 0 T T F"
    data = b"f\xfcr \xff\r\n" + "\r\n".join(lines[1:]).encode() + b"\r\n\r\n0 0 0\r\n"
    Path("POSCAR.a").write_bytes(data)
    (read,) = read_poscars([Path("POSCAR.a")])
    assert (read.symbols, read.counts) == (("Ga", "As"), (1, 1))
    assert read.data == data.replace(b"\r", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(work: Path) -> None:
    Path("POSCAR.a").write_text(GAAS)
    Path("POSCAR.a").chmod(0)
    with pytest.raises(UsageError, match=r"POSCAR.a: cannot be read \(Permission denied\)"):
        read_poscars([Path("POSCAR.a")])
