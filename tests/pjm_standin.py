"""Stand-ins for pjsub, pjstat and pjdel, which answer as PJM's manuals say. No PJM was at hand.

A job is a folder of the spool: its script runs at once, detached, in the folder it was submitted in.
"""

from __future__ import annotations

import sys
from pathlib import Path

PJSUB = r"""#!/bin/sh
# pjsub [--comment TEXT] SCRIPT
spool=SPOOL
comment=
[ "$1" = --comment ] && { comment=$2; shift 2; }
script=$1
if grep -q '^#PJM.*node=9999' "$script"; then
    echo '[ERR.] PJM 0057 pjsub node=9999 is greater than the upper limit (384).' >&2
    exit 1
fi
id=1000
until mkdir "$spool/$id" 2>/dev/null; do id=$((id + 1)); done
printf '%s\n' "$comment" >"$spool/$id/comment"
PYTHON -c 'import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])' /bin/sh -c '
    echo $$ >"$1/pid"
    /bin/sh "$2" >"$2.$3.out" 2>"$2.$3.err"
    echo "EXT $? 0 0 -" >"$1/end"
' sh "$spool/$id" "$script" "$id" >/dev/null 2>&1 </dev/null &
until [ -s "$spool/$id/pid" ]; do sleep 0.02; done
echo "[INFO] PJM 0000 pjsub Job $id submitted."
"""

PJSTAT = r"""#!/bin/sh
# pjstat [-H] [-v|-s] [--choose ITEMS] [ID...]
spool=SPOOL
history= form=
while [ $# -gt 0 ]; do
    case $1 in
    -H) history=yes ;;
    -s | -v) form=$1 ;;
    --choose) shift ;;
    -*) echo "[ERR.] PJM 0201 pjstat Unknown option" >&2; exit 1 ;;
    *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || set -- $(ls "$spool")
case $history$form in
yes-v) echo 'JOB_ID     ST  EC  PC  SN REASON' ;;
*-s) ;;
*) echo 'JOB_ID     ST' ;;
esac
for id; do
    [ -d "$spool/$id" ] || continue
    ended=
    [ -e "$spool/$id/end" ] && ended=yes
    [ "$ended" = "$history" ] || continue
    case $history$form in
    *-s) printf ' JOB ID                  : %s\n COMMENT                 : %s\n' \
        "$id" "$(cat "$spool/$id/comment")" ;;
    yes-v) printf '%-10s %s\n' "$id" "$(cat "$spool/$id/end")" ;;
    *) printf '%-10s %s\n' "$id" RUN ;;
    esac
done
"""

PJDEL = r"""#!/bin/sh
# pjdel ID...
spool=SPOOL
for id; do
    if [ -d "$spool/$id" ] && [ ! -e "$spool/$id/end" ]; then
        echo "CCL 0 1 9 -" >"$spool/$id/end"
        kill -9 "-$(cat "$spool/$id/pid")"
        echo "[INFO] PJM 0100 pjdel Accepted job $id."
    else
        echo "[ERR.] PJM 0112 pjdel Job $id does not exist." >&2
    fi
done
"""


def install(folder: Path) -> Path:
    """Put the commands and their spool into ``folder``; where the commands are."""
    tools, spool = folder / "bin", folder / "spool"
    for path in (tools, spool):
        path.mkdir(parents=True)
    for name, text in (("pjsub", PJSUB), ("pjstat", PJSTAT), ("pjdel", PJDEL)):
        (tools / name).write_text(
            text.replace("SPOOL", f"'{spool}'").replace("PYTHON", sys.executable)
        )
        (tools / name).chmod(0o755)
    return tools
