"""A stand-in for OpenPBS 23.06: its formats, texts and exit codes, over jobmon's local queue.

It is no PBS. What runs a script is the local queue; what is printed is held against what a real
server printed (``tests/goldens/pbs``) by ``test_batch_pbs.py``. As there, a
job starts in the home folder, with ``PBS_O_WORKDIR`` for the folder of qsub.

Its state is ``$PBS_STANDIN``: a file ``history``, ``down``, ``hung`` or ``jump`` there means what its
name says; ``lost``: the next qsub is accepted, and the shell that called it dies before it hears so.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SERVER = "vm"
LINE = 78  # columns of qstat -f
HEAD = (
    f"\n{SERVER}: \n{' ' * 60}Req'd  Req'd   Elap\n"
    "Job ID          Username Queue    Jobname    SessID NDS TSK Memory Time  S Time\n"
    "--------------- -------- -------- ---------- ------ --- --- ------ ----- - -----\n"
)
ESCAPED = re.compile(r"([,'\"\\])")
Job = dict[str, Any]


class Said(Exception):
    """An end with an exit code and words for stderr."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code


def full(jobid: str, fields: Mapping[str, Any]) -> str:
    """A job as ``qstat -f`` prints it; ``fields`` are those of ``qstat -f -F json``."""
    lines = [f"Job Id: {jobid}\n"]
    for name, value in fields.items():
        if name == "Variable_List" and isinstance(value, dict):
            pairs = (f"{key}={one}" for key, one in value.items())
            lines.append(field(name, ",".join(ESCAPED.sub(r"\\\1", pair) for pair in pairs)))
        elif isinstance(value, dict):
            lines += [field(f"{name}.{key}", str(one)) for key, one in value.items()]
        else:
            lines.append(field(name, str(value)))
    return "".join(lines) + "\n"


def field(name: str, value: str) -> str:
    """One attribute, broken behind commas where it can be, else wherever a line is full."""
    out, column = f"    {name} = ", len(name) + 7
    for i, part in enumerate(value.split(",")):
        out += "," if i else ""
        if column + len(part) < LINE:
            out += part
            column += len(part)
            continue
        if i:
            out += "\n\t"
            column = 9
        for letter in part:
            out += letter
            column += 1
            if column > LINE:
                out += "\n\t"
                column = 8
    return out + "\n"


def row(jobid: str, user: str, name: str, state: str, session: str = " -- ", cores: int = 1) -> str:
    """A line of ``qstat -u``."""

    def cut(text: str, width: int) -> str:
        return text if len(text) <= width else f"{text[: width - 1]}*"

    elapsed = "00:00" if state in "RE" else " -- "
    return (
        f"{cut(jobid, 15):<15} {cut(user, 8):<8} {'workq':<8} {cut(name, 10):<10} {session:>6} "
        f"{'1':>3} {cores:>3} {' -- ':>6} {' -- ':>5} {state} {elapsed:>5}\n"
    )


class Server:
    """The state folder, and the local queue behind it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self._phases: dict[str, str] | None = None
        (top / "jobs").mkdir(parents=True, exist_ok=True)

    def has(self, name: str) -> bool:
        return (self.top / name).exists()

    @contextmanager
    def locked(self) -> Iterator[None]:
        with (self.top / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def number(self) -> int:
        """The next job's; after a restart it is about a thousand further on."""
        path = self.top / "next"
        number = int(path.read_text()) if path.exists() else 2304
        if self.has("jump"):
            (self.top / "jump").unlink()
            number = (number // 1000 + 1) * 1000
        path.write_text(str(number + 1))
        return number

    def jobs(self) -> list[Job]:
        found = [json.loads(path.read_text()) for path in (self.top / "jobs").glob("*.json")]
        return sorted(found, key=lambda job: int(job["number"]))

    def named(self, jobid: str) -> Job | None:
        """The job of this ID, the server's name left out or not."""
        whole = jobid if "." in jobid else f"{jobid}.{SERVER}"
        return next((job for job in self.jobs() if job["id"] == whole), None)

    def queue(self, *words: str, folder: Path | None = None) -> str:
        """What the local queue answers."""
        argv = [sys.executable, "-I", os.environ["PBS_STANDIN_QUEUE"], *words]
        here = folder or self.top
        done = subprocess.run(argv, cwd=here, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def phases(self) -> dict[str, str]:
        """What the local queue says of all tasks, asked once."""
        if self._phases is None:
            tasks = [str(number) for job in self.jobs() for number in job["local"]]
            shown = self.queue("show", *tasks) if tasks else ""
            self._phases = dict(re.findall(r"^job (\d+) (\w+)", shown, re.M))
        return self._phases

    def states(self, job: Job) -> list[tuple[str, int | None]]:
        """State and exit status of each task (one for a job that is no array)."""
        phases = self.phases()
        found: list[tuple[str, int | None]] = []
        for index, local in enumerate(job["local"]):
            end = self.top / "jobs" / str(job["number"]) / f"end.{index}"
            phase = phases.get(str(local), "ended")
            if end.exists() and end.read_text().strip():
                found.append(("F", int(end.read_text())))
            elif phase == "ended":
                found.append(("F", 271 if (end.parent / "deleted").exists() else -4))
            else:
                found.append(("R" if phase == "running" else "Q", None))
        return found

    def state(self, job: Job) -> tuple[str, int | None]:
        tasks = self.states(job)
        letters = {letter for letter, _ in tasks}
        if letters == {"F"}:
            return "F", next((code for _, code in tasks if code), 0)
        if not job["array"]:
            return tasks[0]
        return ("Q" if letters == {"Q"} else "B"), None

    def fields(self, job: Job) -> dict[str, Any]:
        """The attributes of ``qstat -f``, as far as a reader here needs them, in their order."""
        state, status = self.state(job)
        deleted = self.top / "jobs" / str(job["number"]) / "deleted"
        says = "failed" if status else "finished"
        says = "exceeded resource walltime" if status == -29 else says
        if status == 271 and deleted.exists():
            says = f"terminated by {deleted.read_text()}@localhost"
        began = f"Job run at {job['when']} on ({SERVER}:ncpus=1)"
        more: dict[str, Any] = {}
        if state == "F":
            more = {"Stageout_status": 1, "Exit_status": status}
            began += f" and {says}"
        limit = job["walltime"]
        used = {} if state == "Q" else {"resources_used": {"mem": "0kb", "walltime": "00:00:00"}}
        if status == -29:
            used = {"resources_used": {"mem": "6940kb", "walltime": limit}}
        return {
            "Job_Name": job["name"],
            "Job_Owner": f"{job['user']}@localhost",
            **used,
            "job_state": state,
            "queue": "workq",
            "server": SERVER,
            "ctime": job["ctime"],
            "Error_Path": f"localhost:{job['err']}",
            "Output_Path": f"localhost:{job['out']}",
            "Resource_List": {"ncpus": 1} | ({"walltime": limit} if limit else {}),
            "Variable_List": {
                "PBS_O_HOME": os.environ.get("HOME", "/"),
                "PBS_O_LOGNAME": job["user"],
                "PBS_O_PATH": "/opt/pbs/bin:/usr/local/bin:/usr/bin:/bin",
                "PBS_O_WORKDIR": job["folder"],
                "PBS_O_SYSTEM": "Linux",
                "PBS_O_QUEUE": "workq",
                "PBS_O_HOST": "localhost",
            },
            "comment": began,
            **more,
            "Submit_arguments": job["args"],
            "project": "_pbs_project_default",
            "Submit_Host": "localhost",
        }


def user() -> str:
    return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


def options(script: str, argv: list[str]) -> dict[str, str]:
    """The options that matter here, those of the command before those of the script."""
    words = [
        word
        for line in script.splitlines()
        if line.startswith("#PBS")
        for word in shlex.split(line[4:], comments=True)
    ]
    found: dict[str, str] = {}
    for some in (words, argv):
        rest = iter(some)
        for word in rest:
            if re.match(r"-[NJoejlqW]", word):
                name, value = word[1], word[2:] or next(rest, "")
                key, _, limit = value.partition("=")
                found[key if name == "l" and key == "walltime" else name] = (
                    limit if name == "l" and key == "walltime" else value
                )
    return found


def qsub(server: Server, argv: list[str]) -> str:
    """Accept the script that ends the arguments, and have the local queue run it."""
    try:
        script = Path(argv[-1]).read_text(errors="surrogateescape")
    except (IndexError, OSError):
        raise Said(1, "qsub: script file:: No such file or directory\n") from None
    wants = options(script, argv[:-1])
    if wants.get("q", "workq") != "workq":
        raise Said(170, "qsub: Unknown queue\n")
    folder = os.environ.get("PWD") or str(Path.cwd())
    if not Path(folder).samefile("."):
        folder = str(Path.cwd())
    first, _, last = wants.get("J", "").partition("-")
    indices = range(int(first), int(last.partition(":")[0]) + 1) if last else range(1)
    with server.locked():
        number = server.number()
    place = server.top / "jobs" / str(number)
    place.mkdir()
    (place / "script").write_text(script, errors="surrogateescape")
    name = wants.get("N") or Path(argv[-1]).name
    tail = ".^array_index^" if last else ""
    job: Job = {
        "number": number,
        "id": f"{number}{'[]' if last else ''}.{SERVER}",
        "array": bool(last),
        "name": name,
        "user": user(),
        "folder": folder,
        "args": " ".join(argv),
        "walltime": wants.get("walltime", ""),
        "out": f"{folder}/{name}.o{number}{tail}",
        "err": f"{folder}/{name}.e{number}{tail}",
        "ctime": time.ctime(),
        "when": time.strftime("%a %b %d at %H:%M"),
        "local": [],
    }
    for at, index in enumerate(indices):
        task = place / f"task.{at}"
        task.write_text(_task(job, at, index), errors="surrogateescape")
        said = server.queue("submit", task.name, folder=place)
        taken = re.search(r"^Your job (\d+) ", said, re.M)
        if taken is None:
            raise Said(188, f"qsub: {said}")
        job["local"].append(int(taken[1]))
    beside = place.with_suffix(".new")
    beside.write_text(json.dumps(job))
    beside.rename(place.with_suffix(".json"))
    if server.has("lost"):
        (server.top / "lost").unlink()
        os.kill(os.getppid(), signal.SIGKILL)
    return f"{job['id']}\n"


def _task(job: Job, at: int, index: int) -> str:
    """What the local queue runs: the script in the home folder, in PBS's environment."""
    jobid = job["id"].replace("[]", f"[{index}]")
    array = {"PBS_ARRAY_INDEX": str(index), "PBS_ARRAY_ID": job["id"]} if job["array"] else {}
    env = {"PBS_JOBID": jobid, "PBS_O_WORKDIR": job["folder"], "PBS_JOBNAME": job["name"], **array}
    out, err = (job[end].replace("^array_index^", str(index)) for end in ("out", "err"))
    seconds = 0
    for part in job["walltime"].split(":") if job["walltime"] else ():
        seconds = seconds * 60 + int(part)
    limit = f"timeout -k 1 {seconds} " if seconds else ""
    place = shlex.quote(f"end.{at}")
    return (
        "#!/bin/bash\n#PBS -o task.out -e task.err\nhere=$PWD\n"
        + "".join(f"export {key}={shlex.quote(value)}\n" for key, value in env.items())
        + f'(cd "$HOME" && exec {limit}/bin/bash "$here/script" >{shlex.quote(out)} '
        f"2>{shlex.quote(err)} </dev/null)\ncode=$?\n"
        + ("[ $code != 124 ] || code=-29\n" if seconds else "")
        + f'echo $code >"$here"/{place}.new && mv "$here"/{place}.new "$here"/{place}\n'
    )


def qstat(server: Server, argv: list[str]) -> str:
    match argv:
        case ["--version"]:
            return "pbs_version = 23.06.99\n"
        case ["-B"]:
            return (
                "Server             Max   Tot   Que   Run   Hld   Wat   Trn   Ext Status\n"
                "---------------- ----- ----- ----- ----- ----- ----- ----- ----- -----------\n"
                f"{SERVER:<16}     0     0     0     0     0     0     0     0 Idle\n"
            )
        case ["-u", name]:
            rows = [
                row(job["id"], job["user"], job["name"], server.state(job)[0])
                for job in server.jobs()
                if job["user"] == name and server.state(job)[0] != "F"
            ]
            return HEAD + "".join(rows) if rows else ""
        case ["-f", *ids]:
            return _in_full(server, ids, past=False)
        case ["-x", "-f", *ids]:
            return _in_full(server, ids, past=True)
    raise Said(2, "usage: \nqstat [-f] [-J] [-p] [-t] [-x] [-E] [-F format | -w] [-D delim]\n")


def _in_full(server: Server, ids: list[str], *, past: bool) -> str:
    out, code = "", 0
    for jobid in ids:
        job = server.named(jobid)
        over = job is not None and server.state(job)[0] == "F"
        if job is None or (over and not server.has("history")):
            bare, _, name = jobid.partition(".")
            sys.stderr.write(f"qstat: Unknown Job Id {bare}.{name or SERVER}\n")
            code = 153
        elif over and not past:
            words = "Job has finished, use -x or -H to obtain historical job information"
            sys.stderr.write(f"qstat: {job['id']} {words}\n")
            code = 35
        else:
            out += full(job["id"], server.fields(job))
    if code:
        _print(out)
        raise Said(code, "")
    return out


def qselect(server: Server, argv: list[str]) -> str:
    name, past = argv[-1], "-x" in argv and server.has("history")
    jobs = [job for job in server.jobs() if job["user"] == name]
    return "".join(f"{job['id']}\n" for job in jobs if past or server.state(job)[0] != "F")


def qdel(server: Server, argv: list[str]) -> str:
    code = 0
    for jobid in argv:
        job = server.named(jobid)
        if job is None or server.state(job)[0] == "F":
            sys.stderr.write(f"qdel: Unknown Job Id {jobid}\n")
            code = 153
            continue
        (server.top / "jobs" / str(job["number"]) / "deleted").write_text(user())
        server.queue("delete", *map(str, job["local"]))
    raise Said(code, "")


def _print(text: str) -> None:
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def main(name: str, argv: list[str]) -> int:
    server = Server(Path(os.environ["PBS_STANDIN"]))
    try:
        if argv != ["--version"]:
            if server.has("hung"):
                time.sleep(3600)
            if server.has("down"):
                words = f"{name}: cannot connect to server {SERVER} (errno=15010)\n"
                raise Said(255 if name == "qstat" else 162, f"Connection refused\n{words}")
        command = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "qselect": qselect}[name]
        _print(command(server, argv))
    except Said as said:
        sys.stderr.write(str(said))
        return said.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
