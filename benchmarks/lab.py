"""The loopback cluster as these benchmarks use it: a shell there, folders for both sides.

Everything of a measurement lies below one folder in memory where there is one (``/dev/shm``): what
is compared is programs, not disks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAB = Path(
    os.environ.get("JOBMON_TESTCLUSTER") or Path(tempfile.gettempdir()) / "jobmon-testcluster"
)
CONFIG = LAB / "ssh_config"
JOBMON = [sys.executable, "-m", "jobmon"]


def need_cluster() -> None:
    """Start the loopback cluster if it does not run. Raises CalledProcessError."""
    tool = str(ROOT / "scripts" / "testcluster")
    if subprocess.run([tool, "status"], capture_output=True, check=False).returncode:
        subprocess.run([tool, "start"], check=True, stdout=sys.stderr)


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """A folder for one measurement that every account may use, in memory if possible."""
    memory = Path("/dev/shm")
    above = memory if "TMPDIR" not in os.environ and memory.is_dir() else None
    with tempfile.TemporaryDirectory(
        prefix=f"jobmon-{name}-", dir=above, ignore_cleanup_errors=True
    ) as path:
        Path(path).chmod(0o777)
        yield Path(path)


def there(command: str, host: str = "hpc", *, check: bool = True) -> str:
    """Run a shell command on the cluster by a login of its own; what it printed."""
    argv = ["ssh", "-F", str(CONFIG), host, "sh -s"]
    return subprocess.run(
        argv, input=command, capture_output=True, text=True, check=check, timeout=600
    ).stdout


def jobmon(*words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
    """The real command line of this checkout."""
    return subprocess.run(
        [*JOBMON, *words], capture_output=True, text=True, cwd=ROOT, check=check, timeout=900
    )


def seconds(argv: Sequence[str]) -> float:
    """Wall time of a command that must succeed. Raises CalledProcessError."""
    began = time.monotonic()
    subprocess.run(argv, capture_output=True, check=True, timeout=900)
    return time.monotonic() - began
