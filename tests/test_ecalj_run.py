"""The seed users' day: fifty POSCARs, LDA, QSGW iterations and bands, over real SSH on the real
Slurm and Grid Engine, with stand-ins of ecalj's programs given by --binpath.

Of one material LDA does not converge, of another the second iteration runs out of time: both fail
with their reasons, what is behind them is blocked, and the other forty-eight come to their end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from conftest import TestCluster
from ecalj_lab import carry_standins, poscar
from session import FAST, agree, jobmon, only_run, status

ELEMENTS = ["C", "Si", "Ge", "Sn", "Al", "Ga", "In", "P", "As", "Sb", "Zn", "Cd"]
TIME = {
    # Slurm's own words may come into the job's file after it was seen to have ended.
    "slurm": "out of time (limit 00:0*); last words: *",
    "sge": "out of time (limit h_rt=45, used *s), killed by signal 9 (Killed)",
}
LIMIT = {
    "slurm": "00:02:00",
    "sge": "00:00:45",
}  # on Slurm the stand-in has its own end come sooner


def materials(folder: Path) -> list[Path]:
    """POSCAR files of fifty materials, one of which lies in a folder named after it."""
    names: dict[str, tuple[str, ...]]
    names = {f"mp-{n}": (ELEMENTS[n % 12], ELEMENTS[n // 12]) for n in range(44)}
    names |= {f"GaAs_x{x}": ("Ga", "As") for x in ("0.25", "0.5", "0.50")}
    names |= {"two words": ("Si",), "cerium": ("Ce",), "uranium": ("U",)}
    for name, symbols in names.items():
        (folder / f"POSCAR.{name}").write_text(poscar(*symbols))
    plain = folder / "mp-0" / "POSCAR"
    plain.parent.mkdir()
    (folder / "POSCAR.mp-0").rename(plain)
    return sorted(p for p in folder.rglob("POSCAR*") if p.is_file())


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("host", "scheduler"), [("hpc", "slurm"), ("sge", "sge")])
def test_fifty_materials(
    testcluster: TestCluster,
    remote_dir: Callable[[str], str],
    tmp_path: Path,
    host: str,
    scheduler: str,
) -> None:
    (tmp_path / "given").mkdir()
    files = materials(tmp_path / "given")
    project, far = tmp_path / "project", remote_dir(host)
    sets = ("niter=2", "nk=6", f"scheduler={scheduler}", f"walltime={LIMIT[scheduler]}")
    words = [word for value in sets for word in ("--set", value)]
    made = jobmon("init", "ecalj-qsgw", project, "--poscar", *files, *words, code=0)
    assert "200 jobs in 50 folders" in made.stdout
    with (project / "jobmon.yaml").open("a") as file:
        file.write(FAST)

    jobmon(
        *("--ldir", project, "--rdir", f"{far}/runs", "--remote", host),
        *("--binpath", carry_standins(testcluster, host, f"{far}/bin")),
        *("--maxqsub=20", "--maxcore=1", "--ssh-config", testcluster.ssh_config),
        code=1,
        timeout=380,
    )

    run = only_run(project)
    seen = status(run)
    assert seen["counts"] == {"finished": 194, "failed": 2, "blocked": 4}
    job = seen["job"]
    assert job["cerium/qsub.0"]["reason"] == (
        "exit code 1; last words: qsub.0: lmf did not converge within nit iterations: save.cerium "
        "ends with 'x ehf(eV)=-100.5 ehk(eV)=-100.1 sev(eV)=-1.0'; see llmf"
    )
    assert fnmatchcase(job["uranium/qsub.2"]["reason"], TIME[scheduler])
    assert job["uranium/qsub.2"]["cause"] == "time"
    for key in ("cerium/qsub.1", "cerium/qsub.2", "cerium/qsub.3", "uranium/qsub.3"):
        assert job[key]["state"] == "blocked", key

    twin = testcluster.home(host) / far / "runs" / run.name
    home = (
        "gap.0",
        "gap.2",
        "QPU.2run",
        "bnd001.spin1",
        "bandplot.isp1.glt",
        "llmf.2run",
        "lgwsc.2",
    )
    away = ("rst.*", "sigm*", "__*", "QSGW.*", "SEBK", "START", "atmpnu*")
    folders = [p for p in run.iterdir() if (p / "POSCAR").exists()]
    assert len(folders) == 50
    for folder in folders:
        if folder.name not in {"cerium", "uranium"}:
            assert [name for name in home if not (folder / name).stat().st_size] == []
            gap = re.search(r"gap = ([0-9.]+)", (folder / "gap.2").read_text())
            assert gap and float(gap[1]) == 0.3
        assert [p.name for pattern in away for p in folder.glob(pattern)] == []
    assert (run / "two words/save.two_words").exists()
    assert (run / "cerium/llmf").exists() and (run / "uranium/lgwsc.2").exists()
    assert (twin / "GaAs_x0.25/rst.GaAs_x0_25").stat().st_size == 65536
    assert (twin / "GaAs_x0.50/QSGW.2run/sigm.GaAs_x0_50").exists()
    agree(run)
