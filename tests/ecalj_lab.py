"""Projects of the ecalj templates to be tried with stand-ins of ecalj's programs: POSCARs, scripts
filled in for this machine, and the way of the stand-ins to another account.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from conftest import TestCluster

from jobmon.act.init import init
from jobmon.run.script import fill

STANDINS = Path(__file__).parent / "standins/ecalj/bin"


def poscar(*symbols: str) -> str:
    """A structure with one atom of each of ``symbols``."""
    positions = "".join(f"0.{n} 0.{n} 0.{n}\n" for n in range(1, len(symbols) + 1))
    return (
        "a structure\n5.65\n0 .5 .5\n.5 0 .5\n.5 .5 0\n"
        f"{' '.join(symbols)}\n{' '.join('1' for _ in symbols)}\nDirect\n{positions}"
    )


def project(template: str, target: Path, materials: Mapping[str, str], **values: str) -> Path:
    """A project made from POSCAR files of ``materials``, texts by name, in a folder beside it."""
    files = target.parent / f"{target.name} POSCARs"
    files.mkdir()
    for name, text in materials.items():
        (files / f"POSCAR.{name}").write_text(text)
    init(template, target, values, sorted(files.iterdir()))
    return target


def try_job(
    folder: Path, id: str, bin: Path = STANDINS, shell: Sequence[str] = ("/bin/sh",)
) -> subprocess.CompletedProcess[str]:
    """Run ``qsub.ID`` of ``folder`` as a batch system does, its placeholders filled in."""
    header = (folder.parent.parent / "headers/slurm.sh").read_text()
    values = {"HEADER": header, "binpath": str(bin), "maxcore": "4", "cwd": str(folder)}
    values["walltime"] = "1:00:00"
    script = folder / f"filled.{id}"
    script.write_bytes(fill((folder / f"qsub.{id}").read_bytes(), values))
    return subprocess.run(
        [*shell, str(script)], cwd="/", capture_output=True, text=True, check=False, timeout=60
    )


def carry_standins(cluster: TestCluster, host: str, folder: str) -> str:
    """Put the stand-ins into ``folder`` of the account there; returns their absolute path."""
    text = f"mkdir -p {folder} && cd {folder} || exit 1\n"
    for file in STANDINS.iterdir():
        text += f"cat >{file.name} <<'THE_END'\n{file.read_text()}THE_END\nchmod 755 {file.name}\n"
    done = cluster.run(host, "sh -s", stdin=text)
    assert done.returncode == 0, done.stderr
    return str(cluster.home(host) / folder)
