"""One job's own process: claims the job, runs its script, waits, records the end.

The claim is on disk before anything of the script runs. The script leads a session of its own,
and says in ``started`` who it is before it becomes the script: so there is always a process
that can be asked for, whichever of runner, shepherd and script is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from jobmon.localqueue.place import MARK
from jobmon.localqueue.spool import Job, Spool

_STALE = ("PBS_ENVIRONMENT", "PBS_ARRAYID", "PBS_ARRAY_INDEX", "SGE_TASK_ID", "SLURM_JOBID")
_RETRIES = (0.0, 1.0, 5.0, 20.0, 60.0, 300.0)  # seconds: a full disk is often soon mended


def environment(job: Job, mark: str, nodefile: str) -> dict[str, str]:
    """The job's environment: the submitter's, and what PBS, Grid Engine and Slurm would say.

    PBS_ENVIRONMENT and SLURM_JOBID stay unset: MPI libraries take them for the real systems.
    """
    number, cores = str(job.id), str(job.cores)
    inherited = {
        key: value
        for key, value in job.env.items()
        if key not in _STALE and not key.startswith("SLURM_ARRAY_")
    }
    return inherited | {
        **{MARK: mark, "JOBMON_JOBID": number, "PWD": job.folder},
        **{"PBS_JOBID": number, "PBS_JOBNAME": job.name, "PBS_O_WORKDIR": job.folder},
        "PBS_NODEFILE": nodefile,
        **{"JOB_ID": number, "JOB_NAME": job.name, "SGE_O_WORKDIR": job.folder, "NSLOTS": cores},
        **{"SLURM_JOB_ID": number, "SLURM_JOB_NAME": job.name, "SLURM_SUBMIT_DIR": job.folder},
        "SLURM_CPUS_ON_NODE": cores,
    }


def run(spool: Spool, number: int) -> None:
    """Run a pending job to its end; does nothing if another has claimed it."""
    for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)  # the end of the script must be recorded
    os.umask(0o077)
    try:
        job = spool.job(number)
    except FileNotFoundError:
        return  # deleted meanwhile
    if spool.claim(number, "shepherd"):
        _record(spool, number, _how(spool, job))


def _how(spool: Spool, job: Job) -> str:
    """Run the script; how it ended."""
    script = spool.script(job.id)
    nodefile = script.with_name("nodes")
    try:
        nodefile.write_text(f"{os.uname().nodename}\n" * job.cores)
        os.chdir(job.folder)
        umask = os.umask(job.umask)
        streams = _streams(job)
        os.umask(umask)
        environ = environment(job, spool.mark(job.id), str(nodefile))
        shepherd = os.getpid()
        pid = os.fork()
    except OSError as error:
        return f"unstarted {error.filename or ''}: {error.strerror}"
    if pid == 0:
        _become(spool, job, [*job.command, str(script)], environ, streams, shepherd)
    _, status = os.waitpid(pid, 0)
    if spool.delete_asked(job.id):
        return "deleted"
    if os.WIFSIGNALED(status):
        return f"signal {os.WTERMSIG(status)}"
    return f"exit {os.WEXITSTATUS(status)}"


def _streams(job: Job) -> tuple[int, int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    paths = [Path(job.stdout), Path(job.stderr)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    out = os.open(paths[0], flags, 0o666)
    return out, out if paths[1] == paths[0] else os.open(paths[1], flags, 0o666)


def _become(
    spool: Spool,
    job: Job,
    command: list[str],
    environ: Mapping[str, str],
    streams: tuple[int, int],
    shepherd: int,
) -> NoReturn:
    """In the child: turn into the script. Never returns."""
    try:
        for name in signal.valid_signals():
            with contextlib.suppress(OSError, ValueError):  # SIGKILL, SIGSTOP and libc's own
                signal.signal(name, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.setsid()
        spool.set_started(job.id)
        # Who is killed before this line can't be told from a shepherd that never got here.
        if os.getppid() != shepherd or spool.delete_asked(job.id):
            os._exit(1)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (streams[0], 1), (streams[1], 2)):
            os.dup2(source, target)
        os.umask(job.umask)
        os.execvpe(command[0], command, environ)  # noqa: S606 (the user's own script)
    except (OSError, ValueError) as error:
        # A shell says the same, with the same exit code.
        text = f"{job.name}: {command[0]} can't be run: {error}\n"
        os.write(2, text.encode("utf-8", "surrogateescape"))
    finally:
        os._exit(127)


def _record(spool: Spool, number: int, how: str) -> None:
    """Write the end, with patience: without it the job would count as lost."""
    for pause in _RETRIES:
        time.sleep(pause)
        try:
            spool.set_end(number, how)
        except OSError as error:
            os.write(2, f"job {number}: its end ({how}) can't be recorded: {error}\n".encode())
        else:
            return
