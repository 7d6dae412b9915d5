"""jobmon, by its command line, as its README tells it."""

import subprocess

from common import done, read_case, ready

case = read_case()
init = case.work / "project" / "init"
for n in range(case.count):
    folder = init / ("chain" if case.kind == "chain" else f"job{n:03}")
    folder.mkdir(parents=True, exist_ok=True)
    step = n if case.kind == "chain" else 0
    keep = f"mv result.dat result{step}.dat\n" if case.kind == "chain" else ""
    text = f"#!/bin/sh\n#SBATCH -n 1\nset -e\n{case.payload}\n{keep}touch qsub.finished.{step}\n"
    (folder / f"qsub.{step}").write_text(text)
    needs = f"qsub.finished.{step - 1}\n" if step else ""
    (folder / f"qsub.dependency.{step}").write_text(needs)

command = [case.python, "-m", "jobmon", "run", "--ldir", str(case.work / "project")]
command += ["--rdir", case.remote, "--remote", case.host, "--ssh-config", case.ssh_config]
command += ["--maxqsub", "200", "--result", "*.dat"]
if case.interval is not None:
    command += ["--interval", str(case.interval)]

ready()
with (case.work / "jobmon.out").open("wb") as out:
    run = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        run.wait()
    finally:
        run.terminate()
        run.wait()
done(len(list((case.work / "project" / "latest").resolve().rglob("result*.dat"))))
