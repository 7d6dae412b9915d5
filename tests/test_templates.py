"""The templates of ``init_templates/``: the trees they make, their scripts, and runs to the end.

``vasp-relax-static`` runs with a stand-in for VASP, tests/standins/vasp.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from session import count, jobmon, only_run, status
from test_docs import table

from jobmon.act.init import init, templates
from jobmon.act.make import check
from jobmon.localqueue import directives
from jobmon.run import script
from jobmon.run.names import script_id
from jobmon.run.settings import load, merge
from jobmon.run.usage import UsageError

STANDIN = Path(__file__).parent / "standins" / "vasp"
TEMPLATES = Path(__file__).parent.parent / "init_templates"
VASP = {"binpath": str(STANDIN), "potcars": "/nowhere", "mpirun": "env"}
SYSTEMS = ("slurm", "pbs", "sge", "pjm")
PREFIX = {"slurm": "SBATCH", "pbs": "PBS", "sge": "$", "pjm": "PJM"}
NAMES = ("array", "chain", "python-sweep", "vasp-relax-static")


def poscar(path: Path, title: str = "fine", symbols: str = "Ga As", counts: str = "1 1") -> Path:
    atoms = sum(map(int, counts.split()))
    path.write_text(
        f"{title}\n5.65\n0 .5 .5\n.5 0 .5\n.5 .5 0\n{symbols}\n{counts}\nDirect\n"
        + "".join(f"0.{n} 0 0\n" for n in range(atoms))
    )
    return path


def make(name: str, target: Path, **values: str) -> Path:
    """A project of the template ``name``; vasp's with one POSCAR."""
    files: tuple[Path, ...] = ()
    if name == "vasp-relax-static":
        files = (poscar(target.parent / "POSCAR.GaAs_x0.5"),)
        values = VASP | values
    init(name, target, values, files)
    return target


def tree(project: Path) -> set[str]:
    return {str(p.relative_to(project)) for p in project.rglob("*") if p.is_file()}


def scripts(project: Path) -> dict[str, str]:
    """Every script of a project as a run would have it, by key."""
    settings = merge(load(project / "jobmon.yaml"), {"remote": "local"})
    assert settings.qsubheader is not None
    header = settings.qsubheader.read_text()
    filled = {}
    for path in sorted((project / "init").rglob("qsub.*")):
        if script_id(path.name) is not None:
            values = script.values(settings, path.parent.name, "/there", header)
            text = script.fill(path.read_bytes(), values)
            assert script.left_over(text) == []
            filled[str(path.relative_to(project / "init"))] = text.decode()
    return filled


@pytest.fixture
def hurried(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Make a project, run it on the local queue; its run and what was printed."""

    def run(*words: str | Path, code: int = 0) -> tuple[Path, str]:
        project = tmp_path / "p"
        jobmon("init", words[0], project, *words[1:], code=0)
        settings = project / "jobmon.yaml"
        settings.write_text(
            settings.read_text().replace("interval: 1 ", "grace: 1\ninterval: 0.3 ")
        )
        printed = jobmon("--ldir", project, "--rdir", tmp_path / "far", code=code).stdout
        return only_run(project), printed

    return run


# --- what is made ------------------------------------------------------------------------


def test_the_templates_there_are() -> None:
    listed = jobmon("init", "--list", code=0).stdout
    for name in NAMES:
        assert f"{name} " in listed
        assert templates()[name] in listed
    assert "headers" not in templates()


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_what_can_be_set(name: str) -> None:
    rows = []
    for key, rule in yaml.safe_load((TEMPLATES / name / "template.yaml").read_text())[
        "set"
    ].items():
        default = rule.get("default")
        shown = {None: "must be given", "": "none"}.get(default, f"`{default}`")
        rows.append([f"`{key}`", shown, rule["help"]])
    assert table("docs/templates.md", name) == rows


def test_the_tree_of_chain(tmp_path: Path) -> None:
    made = make("chain", tmp_path / "p", folders="mp-1,mp-2", steps="2")
    assert tree(made / "init") == {
        f"{folder}/qsub.{part}{step}"
        for folder, part, step in itertools.product(("mp-1", "mp-2"), ("", "dependency."), "01")
    }
    assert (made / "init/mp-1/qsub.dependency.0").read_text() == ""
    assert (made / "init/mp-1/qsub.dependency.1").read_text() == "qsub.finished.0\n"
    assert load(made / "jobmon.yaml")["remote"] == "local"
    assert {p.name for p in (made / "headers").iterdir()} == {f"{s}.sh" for s in SYSTEMS}


def test_the_tree_of_array(tmp_path: Path) -> None:
    made = make("array", tmp_path / "p", scheduler="pbs", tasks="12")
    folder = made / "init/array"
    assert {p.name for p in folder.iterdir()} == {
        *("qsub.0", "qsub.dependency.0", "qsub.1", "qsub.dependency.1")
    }
    assert (folder / "qsub.dependency.1").read_text() == "qsub.finished.0\n"
    assert "#PBS -J 1-12\n" in (folder / "qsub.0").read_text()
    assert "remote" not in load(made / "jobmon.yaml")


def test_the_tree_of_python_sweep(tmp_path: Path) -> None:
    made = make("python-sweep", tmp_path / "p", grid="x=1,-2; f=pbe,.5", python="/opt/py 3/bin")
    top = {p.name for p in (made / "init").iterdir()}
    assert top == {"x1_fpbe", "x1_f.5", "x-2_fpbe", "x-2_f.5", "gather", "sweep.py"}
    parameters = (made / "init/x-2_f.5/parameters.json").read_text()
    assert parameters == '{\n "x": -2,\n "f": 0.5\n}\n'
    assert "def point(x, f):" in (made / "init/sweep.py").read_text()
    needs = (made / "init/gather/qsub.dependency.0").read_text().split()
    assert needs == [
        f"../{f}/qsub.finished.0" for f in ("x1_fpbe", "x1_f.5", "x-2_fpbe", "x-2_f.5")
    ]
    assert load(made / "jobmon.yaml")["pythonpath"] == "/opt/py 3/bin"


def test_the_tree_of_vasp(tmp_path: Path) -> None:
    file = poscar(tmp_path / "POSCAR.GaAs_x0.5", counts="3 1")
    other = poscar(tmp_path / "POSCAR.GaAs_x0.25")
    settings = VASP | {"variants": "Ga=Ga_d", "scheduler": "sge", "potcars": "~/a b"}
    init("vasp-relax-static", tmp_path / "p", settings, [file, other])
    top = {p.name for p in (tmp_path / "p/init").iterdir()}
    assert top == {"GaAs_x0.5", "GaAs_x0.25", "INCAR.relax", "INCAR.static"}
    folder = tmp_path / "p/init/GaAs_x0.5"
    assert (folder / "POSCAR").read_bytes() == file.read_bytes()
    assert (folder / "qsub.dependency.static").read_text() == "qsub.finished.relax\n"
    relax = (folder / "qsub.relax").read_text()
    assert 'elements="Ga_d As"' in relax
    assert 'cat "$HOME"/\'a b\'/"$element"/POTCAR' in relax
    results = load(tmp_path / "p/jobmon.yaml")["results"]
    assert {"OUTCAR", "OSZICAR", "CONTCAR", "vasprun.xml"} <= set(results)
    assert not {"WAVECAR", "CHGCAR", "POTCAR"} & set(results)


@pytest.mark.parametrize(
    ("scale", "spacing", "mesh"),
    [
        ("5.65", "0.3", "7 7 7"),  # |b| = 2 pi sqrt(3) / a = 1.926 / Å
        ("-45.0906", "0.3", "7 7 7"),  # the same cell by its volume, a^3 / 4
        ("5.65 5.65 5.65", "1.926", "2 2 2"),
        ("5.65d0", "1.927", "1 1 1"),
    ],
)
def test_the_mesh_of_k_points(tmp_path: Path, scale: str, spacing: str, mesh: str) -> None:
    file = poscar(tmp_path / "POSCAR.a")
    file.write_text(file.read_text().replace("5.65", scale, 1))
    settings = VASP | {"kspacing": spacing, "scheduler": "pjm"}
    init("vasp-relax-static", tmp_path / "p", settings, [file])
    lines = (tmp_path / "p/init/a/KPOINTS").read_text().splitlines()
    assert lines[1:] == ["0", "Gamma", mesh, "0 0 0"]


def test_ones_own_incars(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "INCAR.relax").write_bytes(b"NSW = 7\r\n")
    with pytest.raises(UsageError, match=r"--set incars: .*/INCAR.static cannot be read \(No such"):
        make("vasp-relax-static", tmp_path / "p", scheduler="sge", incars=str(mine))
    (mine / "INCAR.static").write_text("NSW = 0\n")
    made = make("vasp-relax-static", tmp_path / "p", scheduler="sge", incars=str(mine))
    assert (made / "init/INCAR.relax").read_bytes() == b"NSW = 7\r\n"


# --- what is refused, with nothing written -----------------------------------------------------

WRONG = [
    ("chain", {"folders": "a,a"}, "--set folders: 'a' is there twice"),
    ("chain", {"folders": "a,"}, "--set folders: '' will not do as a folder's name; "),
    ("chain", {"folders": "a/b"}, "--set folders: 'a/b' will not do as a folder's name; "),
    ("chain", {"folders": "qstat"}, "--set folders: 'qstat' is a name that jobmon uses; "),
    ("chain", {"folders": "qsub.1"}, "--set folders: 'qsub.1' is a name that jobmon uses; "),
    ("chain", {"steps": "0"}, "--set steps=0: a whole number, 1 or more, is wanted"),
    ("chain", {"step": "1"}, "--set step: no name is called 'step'; did you mean 'steps'?"),
    (
        "chain",
        {"walltime": "60"},
        "--set walltime: hours:minutes:seconds is wanted, as in 1:00:00, not 60",
    ),
    ("chain", {"scheduler": "lsf"}, "--set scheduler=lsf: one of local, slurm, pbs, sge, pjm is"),
    ("array", {}, "array needs --set scheduler=…: whose array it is; the local queue has none"),
    ("array", {"scheduler": "local"}, "--set scheduler=local: one of slurm, pbs, sge, pjm is"),
    ("array", {"scheduler": "sge", "tasks": "1"}, "--set tasks=1: a whole number, 2 or more"),
    ("python-sweep", {"python": ""}, "--set python: one line is wanted, and not an empty one"),
    ("python-sweep", {"grid": "a"}, "--set grid: a has an empty value; a=value,value is wanted"),
    ("python-sweep", {"grid": "a=1,,2"}, "--set grid: a has an empty value"),
    ("python-sweep", {"grid": "a=1;a=2"}, "--set grid: a is named twice"),
    ("python-sweep", {"grid": "a=1,1"}, "--set grid: 'a1' is there twice"),
    ("python-sweep", {"grid": "a-b=1"}, "--set grid: 'a-b' is no name of a parameter"),
    ("python-sweep", {"grid": "if=1"}, "--set grid: 'if' is no name of a parameter"),
    ("python-sweep", {"grid": "a=x/y"}, "--set grid: 'ax/y' will not do as a folder's name"),
    ("python-sweep", {"grid": "gat=her"}, "--set grid: 'gather' is there twice"),
    ("chain", {"folders": "a" * 201}, "--set folders: aaaaaaaaaaaaaaaaaaaa… is longer than 200"),
    (
        "python-sweep",
        {"grid": f"{'a' * 150}={','.join(map(str, range(9999)))}"},
        "--set grid: gather would wait for more than 1 MB of names; make several projects",
    ),
    (
        "python-sweep",
        {"grid": f"a={','.join(map(str, range(101)))};b={','.join(map(str, range(100)))}"},
        "--set grid: 10100 points, more than 10000; make several projects of them",
    ),
    ("vasp-relax-static", {"scheduler": "sge"}, "vasp-relax-static needs --set binpath=…: "),
    ("vasp-relax-static", VASP, "vasp-relax-static needs --set scheduler=…: "),
    ("vasp-relax-static", VASP | {"scheduler": "sge"}, "vasp-relax-static needs --poscar FILES"),
]


@pytest.mark.parametrize(("template", "values", "message"), WRONG)
def test_a_wrong_value_is_one_line_and_nothing_is_written(
    tmp_path: Path, template: str, values: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        init(template, tmp_path / "p", values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"variants": "Ga"}, "--set variants: 'Ga': element=folder is wanted, each element once"),
        ({"variants": "Ga=a/b"}, "--set variants: 'Ga=a/b': element=folder is wanted"),
        ({"variants": "Li=Li_sv"}, "--set variants: 'Li' is in none of the POSCAR files"),
        ({"potcars": "potpaw"}, "--set potcars=potpaw: an absolute path on the cluster is wanted"),
        ({"binpath": ""}, "--set binpath: one line is wanted, and not an empty one"),
        ({"mpirun": "a\nb"}, "--set mpirun: one line is wanted, and not an empty one"),
        ({"kspacing": "0"}, "--set kspacing=0: a number above 0 is wanted"),
    ],
)
def test_wrong_values_for_vasp(tmp_path: Path, values: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make("vasp-relax-static", tmp_path / "p", scheduler="sge", **values)
    assert str(caught.value).startswith(message)
    assert [p.name for p in tmp_path.iterdir()] == ["POSCAR.GaAs_x0.5"]


def test_a_poscar_named_as_a_file_of_the_tree(tmp_path: Path) -> None:
    settings = VASP | {"scheduler": "sge"}
    file = poscar(tmp_path / "POSCAR.INCAR.relax")
    with pytest.raises(UsageError, match=r"INCAR\.relax will not do as a folder's name here"):
        init("vasp-relax-static", tmp_path / "p", settings, [file])
    assert not (tmp_path / "p").exists()


# --- the scripts, for each batch system --------------------------------------------------------


@pytest.mark.parametrize("scheduler", SYSTEMS)
@pytest.mark.parametrize("name", NAMES)
def test_the_scripts(tmp_path: Path, name: str, scheduler: str) -> None:
    made = make(name, tmp_path / "p", scheduler=scheduler, cores="4", walltime="2:30:00")
    found = scripts(made)
    check(made / "init")
    for n, (key, text) in enumerate(found.items()):
        job_id = key.rpartition(".")[2]
        assert text.startswith("#!/bin/sh\n")
        assert script.writes_marker(text, job_id)
        assert not script.marks_unconditionally(text, job_id)
        assert text.rstrip().endswith(f"qsub.finished.{job_id}"), "the marker is the last act"
        head = text[: text.index("set -e")]
        asked = [line for line in head.splitlines() if line.startswith(f"#{PREFIX[scheduler]} ")]
        assert any("2:30:00" in line for line in asked)
        assert any("4" in line for line in asked)
        if scheduler != "pjm" and "array" not in key:
            assert directives.read(text).cores == 4
        (tmp_path / f"script{n}").write_text(text)
    written = sorted(tmp_path.glob("script*"))
    for path in written:
        for shell in ("sh", "bash"):
            subprocess.run([shell, "-n", str(path)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", "-s", "sh", *map(str, written[-3:])], check=True)


TASK = {"slurm": "SLURM_ARRAY_TASK_ID", "pbs": "PBS_ARRAY_INDEX"} | {
    "sge": "SGE_TASK_ID",
    "pjm": "PJM_BULKNUM",
}


@pytest.mark.parametrize("scheduler", SYSTEMS)
def test_the_last_task_writes_the_marker_of_an_array(tmp_path: Path, scheduler: str) -> None:
    text = scripts(make("array", tmp_path / "p", scheduler=scheduler, tasks="6"))["array/qsub.0"]
    (tmp_path / "script").write_text(text)
    there = tmp_path / "there"
    there.mkdir()

    def task(n: int) -> subprocess.Popen[bytes]:
        more = {TASK[scheduler]: str(n), "PBS_O_WORKDIR": str(there)}
        cwd = "/" if scheduler == "pbs" else there  # PBS starts jobs elsewhere
        return subprocess.Popen(["sh", tmp_path / "script"], cwd=cwd, env=os.environ | more)

    marker = there / "qsub.finished.0"
    for n in (5, 2):
        assert task(n).wait() == 0
        assert not marker.exists()
    (there / "part.4").mkdir()  # its task cannot write a file of that name
    together = {n: task(n) for n in (1, 3, 4, 6)}
    assert {n: t.wait() != 0 for n, t in together.items()} == {
        1: False,
        3: False,
        4: True,
        6: False,
    }
    assert not marker.exists(), "a task has failed"
    (there / "part.4").rmdir()
    assert task(4).wait() == 0
    assert marker.exists()
    marker.unlink()
    results = {p.name: p.stat().st_mtime_ns for p in there.glob("result.*")}
    assert task(1).wait() == 0
    assert marker.exists(), "all is there: a new attempt has nothing to do"
    assert {p.name: p.stat().st_mtime_ns for p in there.glob("result.*")} == results


# --- runs --------------------------------------------------------------------------------------


def test_chain_runs(hurried: Callable[..., tuple[Path, str]]) -> None:
    run, printed = hurried("chain", "--set", "folders=a,b", "--set", "steps=2")
    assert "warning" not in printed
    assert status(run)["counts"] == {"finished": 4}
    assert (run / "b/result.1").read_text().startswith("step 1 of b on ")


def test_python_sweep_runs(hurried: Callable[..., tuple[Path, str]]) -> None:
    grid = "grid=a=1,2;b=0.5;word=pbe,hse"
    run, printed = hurried("python-sweep", "--set", grid, "--set", f"python={sys.executable}")
    assert "warning" not in printed
    assert status(run)["counts"] == {"finished": 5}
    assert (run / "gather/results.csv").read_text().splitlines() == [
        "a,b,word,sum",
        *("1,0.5,pbe,1.5", "1,0.5,hse,1.5", "2,0.5,pbe,2.5", "2,0.5,hse,2.5"),
    ]
    assert not list(run.rglob("*.part"))


def test_a_result_may_not_hide_a_parameter(tmp_path: Path) -> None:
    made = make("python-sweep", tmp_path / "p", grid="a=1")
    program = made / "init/sweep.py"
    program.write_text(program.read_text().replace('{"sum": sum', '{"a": sum'))
    for folder, step, code in (("a1", "point", 0), ("gather", "gather", 1)):
        done = subprocess.run(
            [sys.executable, "-B", "../sweep.py", step],
            cwd=made / "init" / folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
    assert done.stderr == "a result has the name of a parameter: a\n"
    assert not (made / "init/gather/results.csv").exists()


def potcars(folder: Path) -> Path:
    for name in ("Ga_d", "As", "Si"):
        (folder / name).mkdir(parents=True)
        (folder / name / "POTCAR").write_text(f" PAW_PBE\n TITEL = PAW_PBE {name}\n")
    return folder


def test_vasp_runs(tmp_path: Path, hurried: Callable[..., tuple[Path, str]]) -> None:
    files = [
        poscar(tmp_path / "POSCAR.GaAs"),
        poscar(tmp_path / "POSCAR.far", "unconverged"),
        poscar(tmp_path / "POSCAR.broken", "crash"),
        poscar(tmp_path / "POSCAR.loop", "scf", "Si", "2"),
        poscar(tmp_path / "POSCAR.In", symbols="In As"),
    ]
    sets = {
        "binpath": STANDIN,
        "potcars": potcars(tmp_path / "pot 'paw'"),
        "variants": "Ga=Ga_d",
        "mpirun": "env",
        "cores": 1,
        "scheduler": "local",
    }
    words = [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
    run, printed = hurried("vasp-relax-static", "--poscar", *files, *words, code=1)
    assert "warning" not in printed
    seen = status(run)
    assert seen["counts"] == {"finished": 2, "failed": 4, "blocked": 4}
    reasons = {key: job["reason"] for key, job in seen["job"].items() if job["state"] == "failed"}
    assert "relax: not relaxed: NSW was not enough" in reasons["far/qsub.relax"]
    assert "relax: VASP did not come to its end" in reasons["broken/qsub.relax"]
    assert "NELM was not enough" in reasons["loop/qsub.relax"]
    assert "no POTCAR of In in the folder potcars" in reasons["In/qsub.relax"]

    home = {str(p.relative_to(run / "GaAs")) for p in (run / "GaAs").rglob("*") if p.is_file()}
    for step in ("relax", "static"):
        assert {f"{step}/{n}" for n in ("OUTCAR", "OSZICAR", "CONTCAR", "vasprun.xml")} <= home
        assert f"qsub.finished.{step}" in home
    assert not [n for n in home if n.endswith(("WAVECAR", "CHGCAR", "POTCAR"))]
    there = tmp_path / "far" / run.name / "GaAs"
    assert (there / "static/WAVECAR").exists()
    assert (there / "static/POTCAR").read_text().count("TITEL") == 2
    assert (there / "static/POSCAR").read_text() == (there / "relax/CONTCAR").read_text()

    # A new attempt goes on from the CONTCAR that the last one left.
    went_on = tmp_path / "far" / run.name / "far" / "relax" / "CONTCAR"
    went_on.write_text(went_on.read_text().replace("unconverged", "nearer"))
    jobmon("retry", "--run", run, "far/qsub.relax", code=0)
    jobmon("--ldir", run, code=1)
    assert status(run)["state"]["far/qsub.static"] == "finished"
    assert (went_on.parent / "started.vasp").read_text() == "unconverged\nnearer\n"
    assert count(run, "submitting") == 8
