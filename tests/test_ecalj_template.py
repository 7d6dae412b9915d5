"""The ecalj templates: what they make, and that each step's failure is told and leaves no marker.

The scripts run as they are, by sh, with the stand-ins of tests/standins/ecalj.
"""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ecalj_lab import STANDINS, poscar, project, try_job
from shell_lab import SHELLS

from jobmon.act.init import init, templates
from jobmon.run.script import left_over, marks_unconditionally, writes_marker
from jobmon.run.settings import load
from jobmon.run.usage import UsageError

GAAS = poscar("Ga", "As")


@pytest.fixture
def gaas(tmp_path: Path) -> Path:
    """The job folder of one material, two iterations of QSGW."""
    made = project("ecalj-qsgw", tmp_path / "p", {"GaAs x0.25'": GAAS}, niter="2", nk="6")
    return made / "init" / "GaAs x0.25'"


def test_the_tree_of_lda(tmp_path: Path) -> None:
    made = project("ecalj-lda", tmp_path / "p", {"Si": poscar("Si", "Si"), "GaAs": GAAS})
    assert sorted(p.name for p in (made / "init").iterdir()) == ["GaAs", "Si"]
    files = sorted(p.name for p in (made / "init/Si").iterdir())
    assert files == ["POSCAR", "qsub.0", "qsub.1", "qsub.dependency.0", "qsub.dependency.1"]
    assert (made / "init/Si/qsub.dependency.0").read_text() == ""
    assert (made / "init/Si/qsub.dependency.1").read_text() == "qsub.finished.0\n"
    assert 'ctrlgenM1.py "$name" --nk1=8 --nspin=1' in (made / "init/Si/qsub.0").read_text()
    assert not any("gwsc" in p.read_text() for p in (made / "init/Si").iterdir())


def test_the_tree_of_qsgw(tmp_path: Path) -> None:
    materials = {"GaAs_x0.25": GAAS, "GaAs_x0.5": GAAS}
    made = project("ecalj-qsgw", tmp_path / "p", materials, niter="5", nk="6", mpirun="srun")
    assert sorted(p.name for p in (made / "init").iterdir()) == ["GaAs_x0.25", "GaAs_x0.5"]
    folder = made / "init/GaAs_x0.25"
    assert len(list(folder.glob("qsub.[0-9]"))) == 7
    for n in range(1, 7):
        assert (folder / f"qsub.dependency.{n}").read_text() == f"qsub.finished.{n - 1}\n"
    for n in range(1, 6):
        text = (folder / f"qsub.{n}").read_text()
        assert text.count("gwsc -np __maxcore__ 1 ") == 1
        assert f"\nn={n}\nniter=5\n" in text
    assert "--nk1=6 " in (folder / "qsub.0").read_text()
    assert 'run llmf srun "$bin/lmf" "$name"\n' in (folder / "qsub.0").read_text()
    assert "n1n2n3 4 4 4" in (folder / "qsub.1").read_text()
    assert "job_band" in (folder / "qsub.6").read_text()
    assert (folder / "qsub.0").read_text().count("\nname=GaAs_x0_25 ") == 1


@pytest.mark.parametrize("template", ["ecalj-lda", "ecalj-qsgw"])
def test_the_scripts_are_sound(tmp_path: Path, template: str) -> None:
    niter = {"niter": "2"} if template == "ecalj-qsgw" else {}
    made = project(template, tmp_path / "p", {"Si": poscar("Si")}, **niter)
    scripts = sorted((made / "init/Si").glob("qsub.[0-9]"))
    for script in scripts:
        text, id = script.read_text(), script.name.removeprefix("qsub.")
        assert writes_marker(text, id) and not marks_unconditionally(text, id)
        assert text.splitlines()[0] == "__HEADER__"
        assert set(left_over(script.read_bytes())) <= {
            "__HEADER__",
            "__cwd__",
            "__binpath__",
            "__maxcore__",
        }
        assert not re.search("@[A-Z]+@", text)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "sh", *map(str, scripts)], check=True)
        subprocess.run(["shellcheck", *map(str, (made / "headers").iterdir())], check=True)
        programs = [str(p) for p in STANDINS.iterdir() if p.name not in {"standin", "ctrlgenM1.py"}]
        subprocess.run(["shellcheck", "-s", "sh", "-e", "SC1091", *programs], check=True)


@pytest.mark.parametrize(
    ("scheduler", "lines"),
    [
        ("slurm", ["#SBATCH -n __maxcore__", "#SBATCH -t __walltime__"]),
        (
            "pbs",
            [
                "#PBS -l select=1:ncpus=__maxcore__:mpiprocs=__maxcore__:ompthreads=1",
                "#PBS -l walltime=__walltime__",
            ],
        ),
        ("sge", ["#$ -pe smp __maxcore__", "#$ -l h_rt=__walltime__", "#$ -cwd"]),
        ("pjm", ["#PJM -L elapse=__walltime__", "#PJM --mpi proc=__maxcore__", "#PJM -L node=1"]),
    ],
)
def test_headers_and_settings(tmp_path: Path, scheduler: str, lines: list[str]) -> None:
    made = project(
        "ecalj-qsgw",
        tmp_path / "p",
        {"Si": poscar("Si")},
        niter="1",
        scheduler=scheduler,
        walltime="01:30:00",
    )
    headers = sorted(p.name for p in (made / "headers").iterdir())
    assert headers == ["pbs.sh", "pjm.sh", "sge.sh", "slurm.sh"]
    text = (made / f"headers/{scheduler}.sh").read_text().splitlines()
    assert text[0] == "#!/bin/sh"
    assert set(lines) <= set(text)
    settings = load(made / "jobmon.yaml")
    assert Path(settings["qsubheader"]) == made / f"headers/{scheduler}.sh"
    assert settings["placeholders"] == {"walltime": "01:30:00"}
    results = settings["results"]
    for name in ("gap.0", "bnd001.spin1", "QPU.1run", "save.si", "llmf", "lgwsc.1", "GWinput"):
        assert any(Path(f"/{name}").match(pattern) for pattern in results), name
    for name in ("rst.si", "sigm", "sigm.si", "__WVR.1", "QSGW.1run", "SEBK", "START"):
        assert not any(Path(f"/{name}").match(pattern) for pattern in results), name


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"scheduler": "lsf"}, "--set scheduler=lsf: one of slurm, pbs, sge, pjm is wanted"),
        ({"xcfun": "lda"}, "--set xcfun: one of vwn, pbe, bh is wanted"),
        ({"nspin": "3"}, "--set nspin: 1 or 2 is wanted"),
        ({"walltime": "1 day"}, "--set walltime: hours:minutes:seconds is wanted"),
        ({"nk": "2"}, "--set nkgw: a mesh no finer than that of lmf is wanted, nk=2"),
        ({"niter": "0"}, "--set niter=0: a whole number, 1 or more, is wanted"),
        ({"nitre": "3"}, "--set nitre: no name is called 'nitre'; did you mean 'niter'?"),
    ],
)
def test_settings_that_will_not_do(tmp_path: Path, value: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        project("ecalj-qsgw", tmp_path / "p", {"Si": poscar("Si")}, **({"niter": "1"} | value))
    assert str(caught.value).startswith(message)
    assert not (tmp_path / "p").exists()


def test_what_is_needed_is_asked_for(tmp_path: Path) -> None:
    assert {"ecalj-lda", "ecalj-qsgw"} <= templates().keys()
    assert "ecalj" not in templates()
    with pytest.raises(UsageError, match="ecalj-qsgw needs --set niter=…: how many"):
        init("ecalj-qsgw", tmp_path / "p", {})
    with pytest.raises(UsageError, match="ecalj-lda needs --poscar FILES…"):
        init("ecalj-lda", tmp_path / "p", {})


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("mp-2534", "mp-2534"),
        ("AlAs3AlP3_001", "AlAs3AlP3_001"),
        ("GaAs_x0.25", "GaAs_x0_25"),
        ("o'dd $(name)", "o_dd_name"),
        ("x.tmp", "x_tmp"),
        ("tmp", "crystal"),
        ("-a", "a"),
        ("ctrl.x", "ct_x"),
        ("珪素", "crystal"),
        ("a" * 200, "a" * 60),
    ],
)
def test_the_name_that_ecalj_can_bear(folder: str, name: str) -> None:
    shared = runpy.run_path(str(STANDINS.parents[3] / "init_templates/ecalj/ecalj.py"))
    assert shared["system_name"](folder) == name


def test_a_poscar_is_written_as_vasp2ctrl_reads_it(tmp_path: Path) -> None:
    lines = poscar("Ga", "As").splitlines()
    lines[5] = "Ga_d As/1a2b ! PAW"
    lines[7:] = ["Selective dynamics", "cart", "0 0 0 T T F", ".25 .25 .25 T T T", "", "0 0 0"]
    made = project("ecalj-lda", tmp_path / "p", {"GaAs": "\n".join(lines) + "\n"})
    written = (made / "init/GaAs/POSCAR").read_text().splitlines()
    assert written[5:] == ["Ga As", "1 1", "Cartesian", "0 0 0 T T F", ".25 .25 .25 T T T"]
    assert try_job(made / "init/GaAs", "0").returncode == 0


@pytest.mark.parametrize("scale", ["-45.0", "1.0 1.0 2.0"])
def test_a_scale_that_vasp2ctrl_would_misread(tmp_path: Path, scale: str) -> None:
    with pytest.raises(UsageError, match=r"POSCAR.Si, line 2: ecalj's vasp2ctrl takes one pos"):
        project("ecalj-lda", tmp_path / "p", {"Si": poscar("Si").replace("5.65", scale)})
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
def test_a_chain_comes_to_its_end(gaas: Path, shell: list[str]) -> None:
    for id in ("0", "1", "2", "3"):
        done = try_job(gaas, id, shell=shell)
        assert (done.returncode, done.stderr) == (0, "")
        assert (gaas / f"qsub.finished.{id}").exists()
    assert [len((gaas / f"QPU.{n}run").read_text()) > 0 for n in (1, 2)] == [True, True]
    assert [float(gap_of(gaas, n)) for n in (0, 1, 2)] == [0.1, 0.2, 0.3]
    assert (gaas / "bnd001.spin1").exists() and (gaas / "dos.tot.GaAs_x0_25").exists()
    assert "nk1=6 " in (gaas / "ctrl.GaAs_x0_25").read_text()
    assert "n1n2n3 4 4 4" in (gaas / "GWinput").read_text()
    assert not list(gaas.glob("__WVR*"))


def gap_of(folder: Path, id: int) -> str:
    found = re.search(r"gap *= *([0-9.]+)", (folder / f"gap.{id}").read_text())
    assert found
    return found[1]


def test_an_iteration_begins_again_as_it_began(tmp_path: Path) -> None:
    """Killed half way in the second iteration: the next attempt makes the same second one."""
    made = project("ecalj-qsgw", tmp_path / "p", {"Si": poscar("Si")}, niter="2")
    folder = made / "init/Si"
    for id in ("0", "1"):
        assert try_job(folder, id).returncode == 0
    whole = shutil.copytree(folder, made / "init/whole", symlinks=True)
    (folder / "rst.Si").write_text("")  # killed while it was written
    (folder / "sigm").write_text("iteration 1\niteration 2\n")  # of the iteration that was not
    (folder / "QPU.2run").write_text("half")
    (folder / "__mixm.Si").write_text("stale")
    for place in (folder, whole):
        assert try_job(place, "2").returncode == 0
    for file in ("QPU.2run", "sigm", "gap.2", "QSGW.2run/sigm.Si", "QSGW.2run/rst.Si"):
        assert (folder / file).read_bytes() == (whole / file).read_bytes(), file
    assert not (folder / "QPU.3run").exists()
    # And the first one again: it begins from LDA, without a self-energy.
    assert try_job(folder, "1").returncode == 0
    assert float(gap_of(folder, 1)) == 0.2
    assert not (folder / "QPU.2run").exists()


def test_a_metal_has_no_gap(tmp_path: Path) -> None:
    made = project("ecalj-lda", tmp_path / "p", {"Fe": poscar("Fe")}, nspin="2")
    assert try_job(made / "init/Fe", "0").returncode == 0
    assert (made / "init/Fe/gap.0").read_text() == "lmf gives no gap: a metal?\n"


def test_lda_that_does_not_converge(tmp_path: Path) -> None:
    made = project("ecalj-lda", tmp_path / "p", {"Ce": poscar("Ce")})
    done = try_job(made / "init/Ce", "0")
    assert done.returncode == 1
    assert done.stderr == (
        "qsub.0: lmf did not converge within nit iterations: save.Ce ends with "
        "'x ehf(eV)=-100.5 ehk(eV)=-100.1 sev(eV)=-1.0'; see llmf\n"
    )
    assert not (made / "init/Ce/qsub.finished.0").exists()


def test_a_density_that_converges_in_no_iteration(tmp_path: Path) -> None:
    """On the way that is ecalj's own business; in the last iteration it is a failure."""
    made = project("ecalj-qsgw", tmp_path / "p", {"Gd": poscar("Gd", "N")}, niter="2")
    folder = made / "init/Gd"
    assert [try_job(folder, id).returncode for id in ("0", "1", "2")] == [0, 0, 1]
    assert (folder / "QPU.2run").exists()
    last = try_job(folder, "2").stderr
    assert last.startswith("qsub.2: lmf did not converge within nit iterations: save.Gd ends")
    assert last.endswith("; see llmf.2run\n")
    assert not (folder / "qsub.finished.2").exists()


BREAK = "echo something is wrong; exit 7"
QUIT = "exit 0"


@pytest.mark.parametrize(
    ("id", "program", "instead", "message"),
    [
        ("0", "vasp2ctrl", BREAK, "vasp2ctrl POSCAR ended with exit code 7; all that it said is"),
        ("0", "vasp2ctrl", QUIT, "ctrls.POSCAR.vasp2ctrl was not made; see lvasp2ctrl"),
        ("0", "ctrlgenM1.py", QUIT, "ctrlgenM1.ctrl.Si was not made; see lctrlgenM1"),
        ("0", "lmchk", BREAK, "ctrlgenM1.ctrl.Si was not made; see lctrlgenM1"),
        ("0", "lmfa", BREAK, "lmfa Si ended with exit code 7; all that it said is in lmfa"),
        ("0", "lmf", BREAK, "lmf Si ended with exit code 7; all that it said is in llmf"),
        ("0", "lmf", QUIT, "rst.Si was not made; see llmf"),
        ("1", "mkGWinput", QUIT, "GWinput.tmp was not made; see lmkGWinput"),
        ("1", "mkGWinput", "echo x >GWinput.tmp", "GWinput.tmp has no line n1n2n3"),
        ("1", "gwsc", BREAK, "gwsc -np 4 1 Si ended with exit code 7; all that it said is in"),
        ("1", "gwsc", QUIT, "gwsc did not end with OK!; see lgwsc.1"),
        ("1", "gwsc", "echo OK!", "QPU.1run was not made; see lgwsc.1"),
        ("2", "getsyml", QUIT, "syml.Si was not made; see lgetsyml"),
        ("2", "job_band", QUIT, "bnd001.spin1 was not made; see ljob_band"),
        ("2", "job_tdos", BREAK, "job_tdos Si -np 4 NoGnuplot ended with exit code 7"),
    ],
)
def test_a_step_that_fails_says_so_and_leaves_no_marker(
    tmp_path: Path, id: str, program: str, instead: str, message: str
) -> None:
    made = project("ecalj-qsgw", tmp_path / "p", {"Si": poscar("Si")}, niter="1")
    folder = made / "init/Si"
    for before in range(int(id)):
        assert try_job(folder, str(before)).returncode == 0
    broken = shutil.copytree(STANDINS, tmp_path / "bin")
    (broken / program).write_text(f"#!/bin/sh\n{instead}\n")
    done = try_job(folder, id, broken)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"qsub.{id}: ") and message in last
    assert ("something is wrong" in done.stderr) == (instead == BREAK and program != "lmchk")
    assert not (folder / f"qsub.finished.{id}").exists()


def test_programs_that_are_not_there(gaas: Path, tmp_path: Path) -> None:
    done = try_job(gaas, "0", tmp_path / "nowhere")
    assert done.returncode == 1
    assert done.stderr == (
        f"qsub.0: there is no program lmf in '{tmp_path}/nowhere': set binpath in jobmon.yaml\n"
    )


def test_the_settings_file_is_yaml_and_says_how(tmp_path: Path) -> None:
    made = project("ecalj-lda", tmp_path / "p", {"Si": poscar("Si")})
    text = (made / "jobmon.yaml").read_text()
    shown = yaml.safe_load(re.sub(r"(?m)^# (?=remote|rdir|binpath)", "", text))
    assert {"remote", "rdir", "binpath"} <= shown.keys()
    assert not any("QPU" in pattern for pattern in shown["results"])
