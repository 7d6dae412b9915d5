"""A cluster of shell scripts: any sh by a real pipe, a twin with a weird name, a batch system
that counts its calls and can take the submitting loop down with it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from jobmon.cluster import ledger
from jobmon.cluster.base import SHORT, Link, LookFailed, Silent, Spent, Step, call, frame
from jobmon.cluster.cluster import Cluster
from jobmon.cluster.ledger import Order
from jobmon.cluster.links import child
from jobmon.cluster.transfer import Same
from jobmon.core.model import (
    Accepted,
    Answer,
    Attempt,
    Cause,
    JobID,
    Key,
    Phase,
    Reason,
    Refused,
    Unclear,
    Verdict,
)
from jobmon.core.needs import parse
from jobmon.run import names

SHELLS = {
    name: words
    for name, words in {
        "sh": ["sh"],
        "bash": ["bash"],
        "dash": ["dash"],
        "busybox": ["busybox", "sh"],
    }.items()
    if shutil.which(words[0])
}
RUN_ID = "r-123"

QSUB = r"""#!/bin/sh
# qsub --token TOKEN SCRIPT: as $fake/mode says.
fake=FAKE
token=$2 script=$3
mode=$(cat "$fake/mode" 2>/dev/null)
printf '%s\n' "$token" >>"$fake/calls"
die() { kill -9 "-$(cut -d' ' -f6 /proc/$$/stat)"; exit 9; }
case $mode in
die-before) die ;;
refuse) echo 'refused: no such queue'; exit 1 ;;
odd) echo 'something is wrong'; exit 1 ;;
slow) until [ -e "$fake/go" ]; do sleep 0.1; done ;;
esac
[ -f "$script" ] || { echo "no $script here"; exit 3; }
id=1
until mkdir "$fake/jobs/$id" 2>/dev/null; do id=$((id + 1)); done
pwd >"$fake/jobs/$id/cwd"
[ -e "$fake/no-tokens" ] || printf '%s\n' "$token" >"$fake/jobs/$id/token"
[ "$mode" = die-after ] && die
printf 'node07 says hello\n\naccepted %s\n\n' "$id"
"""

QLIST = r"""#!/bin/sh
fake=FAKE
cat "$fake/noise" 2>/dev/null
echo begin
for job in "$fake/jobs"/*; do [ -e "$job" ] && [ ! -e "$job/gone" ] && echo "job ${job##*/}"; done
[ -e "$fake/half" ] || echo end
exit "$(cat "$fake/list-code" 2>/dev/null || echo 0)"
"""

QFIND = r"""#!/bin/sh
fake=FAKE
for job in "$fake/jobs"/*; do [ -e "$job/token" ] && echo "$(cat "$job/token") ${job##*/}"; done
echo end
"""

QSHOW = r"""#!/bin/sh
fake=FAKE
[ -e "$fake/jobs/$1/gone" ] && { echo "unknown $1" >&2; exit 1; }
echo "job $1"
"""

QDEL = r"""#!/bin/sh
fake=FAKE
for id do touch "$fake/jobs/$id/gone"; echo "deleted $id"; done
echo 'and a warning' >&2
"""


class ShellLink:
    """A ``Link`` whose far end is the shell at hand, with ``path`` before all other commands."""

    where = "me@lab"

    def __init__(self, shell: Sequence[str], path: Path, banner: bytes = b"") -> None:
        self._shell = shlex.join(shell)
        self._env = f"PATH={path}:{os.environ['PATH']}"
        self._banner = banner
        self.cut: int | None = None  # bytes of the answer after which the connection breaks
        self.keeps = False  # whether a shell may be kept
        self.kept: list[KeptShell] = []
        self.calls = 0

    def open(self) -> None: ...

    def command(self, command: str) -> list[str]:
        """What runs ``command`` over there."""
        assert command.startswith("exec /bin/sh")
        return ["env", self._env, "/bin/sh", "-c", command.replace("/bin/sh", self._shell, 1)]

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        self.calls += 1
        if self._banner:
            yield self._banner
        left = self.cut
        for data in child.stream(self.command(command), stdin, limit, self.where):
            if left is not None and len(data) >= left:
                yield data[:left]
                return
            left = left - len(data) if left is not None else None
            yield data

    def shell(self, limit: float) -> KeptShell | None:
        if self.keeps:
            self.kept.append(KeptShell(self.command(SHORT), self._banner))
            return self.kept[-1]
        return None

    def rsync_shell(self, mark: str = "") -> None:
        return None

    def spent(self) -> Spent:
        return Spent()

    def close(self) -> None: ...


class KeptShell:
    """A ``Shell`` at the end of two pipes."""

    def __init__(self, argv: Sequence[str], banner: bytes) -> None:
        self._banner = banner
        self.child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )

    def alive(self) -> bool:
        assert self.child.stdout is not None
        return not self.child.stdout.closed

    def say(self, program: bytes, limit: float) -> Iterator[bytes]:
        to, out = self.child.stdin, self.child.stdout
        assert to is not None and out is not None
        yield self._banner

        def tell() -> None:
            with contextlib.suppress(OSError, ValueError):
                view = memoryview(program)
                while view:
                    view = view[to.write(view) :]

        teller = threading.Thread(target=tell)
        teller.start()
        try:
            while select.select([out], [], [], limit)[0]:
                data = out.read(1 << 16)
                if not data:
                    return
                yield data
            raise Silent(f"nothing was heard for {limit:g} s")
        finally:
            teller.join(10)

    def close(self) -> None:
        assert self.child.stdin is not None and self.child.stdout is not None
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait(20)


class FakeBatch:
    """A ``Batch`` for the commands above."""

    name = "fake"

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_command(self, user: str) -> list[str]:
        return [str(self._path / "qlist"), user]

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        whole = re.search(r"^begin\n((?:job \d+\n)*)end$", listing, re.M)
        if whole is None:
            raise LookFailed("no whole listing")
        return {JobID(i): Phase.RUNNING for i in re.findall(r"\d+", whole[1])}

    def submit_command(self, script: str, token: str) -> list[str]:
        return [str(self._path / "qsub"), "--token", token]

    def accepted(self, code: int, text: str) -> Answer:
        if taken := re.search(r"^accepted (\d+)$", text, re.M):
            return Accepted(JobID(taken[1]))
        if code == 1 and (no := re.search(r"^refused: (.+)$", text, re.M)):
            return Refused(no[1])
        return Unclear(f"{code}: {text}")

    def find_commands(self, user: str) -> list[list[str]]:
        return [[str(self._path / "qfind")]]

    def find(self, outputs: Sequence[tuple[int, str, str]]) -> Mapping[str, JobID]:
        *rows, last = outputs[0][1].rstrip("\n").split("\n")
        if last != "end":
            raise LookFailed("half a find")
        return {token: JobID(job) for token, job in (row.split(" ") for row in rows)}

    def place_commands(
        self, outputs: Sequence[tuple[int, str, str]], known: Set[JobID]
    ) -> list[list[str]]:
        return []

    def places(
        self, asked: Sequence[Sequence[str]], outputs: Sequence[tuple[int, str, str]]
    ) -> Mapping[JobID, str]:
        return {}

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        return [[str(self._path / "qshow"), jobid]]

    def verdict(self, jobid: JobID, outputs: Sequence[tuple[int, str, str]]) -> Verdict:
        code, _, err = outputs[0]
        gone = code == 1 and f"unknown {jobid}" in err
        return Verdict(gone, reason=Reason(Cause.FORGOTTEN, "gone") if gone else None)

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]:
        return [str(self._path / "qdel"), *jobids]


class Lab:
    """A twin at ``twin`` and a batch system beside it, reached through ``shell``."""

    def __init__(self, top: Path, shell: Sequence[str] = ("sh",), banner: bytes = b"") -> None:
        self.top = top
        self.shell = list(shell)
        self.bin = top / "bin"
        self.fake = top / "fake system"
        self.twin = top / "-t 'w\" é$x\\"
        self.record = self.twin / ".jobmon" / "record"
        self.record.mkdir(parents=True)
        (self.fake / "jobs").mkdir(parents=True)
        self.bin.mkdir()
        self.put_id(RUN_ID)
        programs = {"qsub": QSUB, "qlist": QLIST, "qfind": QFIND, "qshow": QSHOW, "qdel": QDEL}
        for name, text in programs.items():
            self.program(name, text.replace("FAKE", shlex.quote(str(self.fake))))
        self.batch = FakeBatch(self.bin)
        self.link = ShellLink(shell, self.bin, banner)
        self.cluster = self.over(self.link)

    def over(self, link: Link) -> Cluster:
        """The same twin and batch system, over a link."""
        return Cluster(link, self.batch, Same(), str(self.twin), RUN_ID, "me")

    def put_id(self, run_id: str) -> None:
        (self.twin / ".jobmon" / "run").write_text(f"{run_id}\n")

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text)
        path.chmod(0o755)

    def mode(self, text: str) -> None:
        """ok, refuse, odd, slow (until ``go`` is there), die-before or die-after."""
        (self.fake / "mode").write_text(text)

    def order(self, key: str = "m/qsub.0", n: int = 1, needs: str = "", **more: bool) -> Order:
        """An order for a job whose script is put into the twin if it is not there yet."""
        folder, job_id = names.split(Key(key))
        path = self.twin / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(b"#!/bin/sh\ntrue \xff\n")
        return Order(
            Attempt(Key(key), n),
            folder,
            names.script_name(job_id),
            path.read_bytes(),
            names.marker_name(job_id),
            parse(needs, folder),
            more.get("again", False),
        )

    def submit(self, *orders: Order) -> dict[Attempt, Answer | None]:
        return dict(self.cluster.submit(orders))

    def steps(self, *orders: Order) -> list[Step]:
        """What a submission asks for."""
        return list(
            ledger.steps(
                [
                    (order, self.batch.submit_command("", ledger.token(RUN_ID, order.attempt)))
                    for order in orders
                ]
            )
        )

    def args(self, seconds: int = 60, limit: int = 60) -> list[str]:
        """The arguments of a submission."""
        return [str(self.twin), RUN_ID, str(seconds), str(limit), ledger.CLOCK]

    def wire(self, *orders: Order) -> bytes:
        """A submission as it goes over the wire."""
        return frame("submit", self.args(), "jmTOKEN", self.steps(*orders))

    def argv(self, command: str = SHORT) -> list[str]:
        """What a link runs."""
        return self.link.command(command)

    def ask(self, proc: str, *args: str, steps: Sequence[Step] = ()) -> list[bytes]:
        return list(call(self.link, proc, args, steps, limit=30))

    def calls(self) -> list[str]:
        """The tokens that the submit command was called with, in order."""
        path = self.fake / "calls"
        return path.read_text().split() if path.exists() else []

    def jobs(self) -> list[str]:
        """The tokens of the jobs that the batch system took."""
        return [path.read_text().strip() for path in self.fake.glob("jobs/*/token")]

    def entry(self, order: Order) -> str | None:
        path = self.record / ledger.record_name(order.attempt)
        return path.read_text("utf-8", "surrogateescape") if path.exists() else None
