#!/usr/bin/env python3
"""Stand-in of ecalj's program of this name: see README.md in the folder above."""

import subprocess
import sys
from pathlib import Path

name, *words = sys.argv[1:]
given = {"--nk1": "8", "--nspin": "1", "--xcfun": "vwn"}
for word in words:
    option, _, value = word.partition("=")
    if option not in given:
        print(f"ARGUMENT ERROR, unknown arg:  {word}", file=sys.stderr)
        sys.exit(255)
    given[option] = value
int(given["--nk1"]), int(given["--nspin"])
if given["--xcfun"] not in {"vwn", "pbe", "bh"}:
    sys.exit(255)

ctrls = Path(f"ctrls.{name}").read_text()
Path("ctrl.tmp").write_text(ctrls)
subprocess.run("lmchk --getwsr tmp >llmchk_getwsr", shell=True, check=False)  # noqa: S602
if not Path("rmt.tmp").exists():
    print("Error! lmchk --getwsr tmp: Maybe numerical problem of crystal symmetry.")
    sys.exit()  # with exit code 0, as the real one does
nk = given["--nk1"]
Path(f"ctrlgenM1.ctrl.{name}").write_text(
    f"{ctrls}% const pwemax=3 nk1={nk} nk2={nk} nk3={nk} nit=80 nspin={given['--nspin']}\n"
    "%const b=0.2 umix=0.2\n"
)
print(f"=== End of ctrlgenM1.py. OK! A template of ctrl file, ctrlgenM1.ctrl.{name}, is generated.")
for pattern in ("*.tmp", "*.tmp2", "ves*", "llm*", "exit*", "atomlist*"):
    for file in Path().glob(pattern):
        file.unlink()
