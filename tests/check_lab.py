"""A login node of a test's own: real sshd, spoken to through a ProxyCommand, with a path of its own.

What stands in that path is the test's to choose: no rsync, a clock that is wrong, a site with limits.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import TestCluster

TOOLS = ("sh", "bash", "date", "df", "head", "id", "ls", "ps", "rsync", "sed", "sleep", "timeout")


class OwnNode:
    """``ssh_config`` knows it as ``own``; ``bin`` is its path."""

    def __init__(self, folder: Path, cluster: TestCluster) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            self.link(tool)
        user = cluster.user("hpc") if os.geteuid() == 0 else getpass.getuser()
        ssh = cluster.folder / "ssh"
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host_key")]
        subprocess.run(made, check=True)
        (folder / "sshd_config").write_text(
            f"HostKey {folder}/host_key\nAuthorizedKeysFile {ssh}/authorized_keys\n"
            f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            f"PrintMotd no\nAllowUsers {user}\nSetEnv PATH={self.bin}\n"
        )
        key = " ".join((folder / "host_key.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"own {key}\n")
        self.ssh_config = folder / "ssh_config"
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "/usr/sbin/sshd"
        self.ssh_config.write_text(
            f"Host own\n  User {user}\n  ProxyCommand {sshd} -i -f {folder}/sshd_config\n"
            f"  IdentityFile {ssh}/id_ed25519\n  IdentitiesOnly yes\n  BatchMode yes\n"
            f"  UserKnownHostsFile {folder}/known_hosts\n"
        )

    def link(self, tool: str) -> None:
        """Put one of this machine's programs into its path."""
        found = shutil.which(tool, path="/usr/local/bin:/usr/bin:/bin")
        assert found is not None, tool
        (self.bin / tool).symlink_to(found)

    def program(self, name: str, text: str) -> None:
        """Put a program of a test's own there, in place of what it has."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


@contextmanager
def own_node(cluster: TestCluster) -> Iterator[OwnNode]:
    """The account over there must be able to enter it: pytest's own folders are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="jmnode", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield OwnNode(folder, cluster)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
