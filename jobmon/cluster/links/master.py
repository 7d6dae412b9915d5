"""One ``ssh`` that holds a connection for others (ControlMaster), and its login.

The master is a child in a session of its own; everything it makes lies in a private folder that
goes away with it. What it wants to know it asks through askpass.py, and the questions are put by
the thread that opens the connection.
"""

from __future__ import annotations

import itertools
import os
import select
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jobmon.cluster.base import ClusterError, ConnectionLost, HostKeyRefused, LoginFailed
from jobmon.cluster.links import private
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.sshconfig import HOPS, KEEPALIVE, UNANSWERED, Host, gateway, ring
from jobmon.core.text import printable

_ASKPASS = Path(__file__).with_name("askpass.py")
_TICK = 0.03
_LOGIN = 180.0  # seconds of silence in a login; a server gives up after 120 by itself
# What a user's configuration may say that has no place in a connection without a terminal.
_PLAIN = (
    "ClearAllForwardings=yes",
    "ControlPersist=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "LogLevel=ERROR",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
)
# The connection ends with whoever opened it, however that ends: a watcher waits for the end of
# our pipe, and then ends the process that still has this socket's path ($0) in its words.
_GUARD = (
    'exec 3<&0; (cat <&3 >/dev/null; ps -o args= -p $$ | grep -qF -- "$0" && kill $$)'
    ' >/dev/null 2>&1 & exec 3<&-; exec "$@" </dev/null'
)
_REFUSALS = (
    "permission denied",
    "host key verification failed",
    "too many authentication failures",
    "bad configuration option",
    "bad owner or permissions",
    "unable to negotiate",
)


class Master:
    """A connection that is open from the constructor to ``close``.

    Raises ConnectionLost or LoginFailed, and what ``ask`` raises.
    """

    logins = 1

    def __init__(self, host: Host, ask: Ask, config: Path | None, port: int | None) -> None:
        self._host = host
        self._folder = private.make()
        self.path = self._folder / "m"
        self._errors = self._folder / "errors"
        self._numbers = itertools.count()
        self._child: subprocess.Popen[bytes] | None = None
        try:
            with private.listen(self._folder / "a") as questions:
                self._child = self._start(config, port)
                self._wait(questions, ask)
        except BaseException:
            self.close()
            raise

    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None and self.path.exists()

    def client(self) -> list[str]:
        """The words of an ssh that can use this connection and can never make one of its own."""
        return [
            *("ssh", "-F", "/dev/null", "-T", "-S", str(self.path)),
            *("-o", "ControlMaster=no", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"),
            *("-o", "ProxyCommand=false"),
        ]

    @contextmanager
    def log(self) -> Iterator[Path]:
        """A file for a client's own messages, gone at the end."""
        path = self._folder / f"e{next(self._numbers)}"
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        child, self._child = self._child, None
        if child and child.poll() is None:
            if self.path.exists():
                self._control("exit")
            if child.stdin:
                child.stdin.close()
            for end in (child.terminate, child.kill):
                try:
                    child.wait(2)
                    break
                except subprocess.TimeoutExpired:
                    end()
            child.wait()
        if child and child.stdin:
            child.stdin.close()
        private.remove(self._folder)

    def check(self) -> bool:
        """Whether the master answers on its socket."""
        return self.alive() and self._control("check") == 0

    def _control(self, act: str) -> int:
        try:
            return subprocess.run(  # noqa: S603 (no shell; words of this program)
                [*self.client(), "-O", act, "cluster"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=10,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            return 255

    def _start(self, config: Path | None, port: int | None) -> subprocess.Popen[bytes]:
        host = self._host
        command = ["ssh", "-M", "-N", "-T", "-S", str(self.path)]
        command += ["-F", str(config)] if config else []
        for option in (
            *_PLAIN,
            f"ServerAliveInterval={min(host.alive, KEEPALIVE)}",
            f"ServerAliveCountMax={UNANSWERED}",
            f"ConnectTimeout={int(host.timeout)}",
        ):
            command += ["-o", option]
        command += _over_jump(host, config)
        command += ["-l", host.user, *(["-p", str(port)] if port else []), "--", host.name]
        with self._errors.open("wb") as errors:
            return subprocess.Popen(  # noqa: S603 (the shell text is fixed)
                ["/bin/sh", "-c", _GUARD, str(self.path), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self._environment(),
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        helper = self._folder / "ask"
        words = [sys.executable, "-S", "-E", str(_ASKPASS), str(self._folder / "a")]
        helper.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', encoding="utf-8")
        helper.chmod(0o700)
        # Before OpenSSH 8.4 a DISPLAY, and no terminal, is what makes ssh use the helper.
        return {
            "DISPLAY": "jobmon:0",
            **os.environ,
            "SSH_ASKPASS": str(helper),
            "SSH_ASKPASS_REQUIRE": "force",
            "LC_ALL": "C",
        }

    def _wait(self, questions: socket.socket, ask: Ask) -> None:
        """Until the login is done: ssh binds its socket after that."""
        until = time.monotonic() + _LOGIN
        while self._child is not None and self._child.poll() is None:
            if self.path.exists():
                if self._control("check") == 0:
                    return
                time.sleep(_TICK)
            if select.select([questions], [], [], _TICK)[0]:
                sock, _ = questions.accept()
                with sock:
                    self._relay(sock, ask)
                until = time.monotonic() + _LOGIN
            if time.monotonic() > until:
                raise ConnectionLost(
                    f"{self._host.where}: nothing was heard for {_LOGIN:g} s during the login"
                )
        raise self._failure()

    def _relay(self, sock: socket.socket, ask: Ask) -> None:
        sock.settimeout(10)
        with sock.makefile("rb") as reader:
            prompt = reader.read().decode("utf-8", "replace")
        answer = ask(printable(prompt), False)
        with suppress(OSError):  # ssh may have given up meanwhile, and says so itself
            sock.sendall(answer.encode() + b"\n")

    def _failure(self) -> ClusterError:
        host = self._host
        said = printable(self._errors.read_bytes()[-2000:])
        low = said.lower()
        if "host key verification failed" in low:
            changed = "has changed" in low
            way = (
                f"if the site says that it did change, 'ssh-keygen -R' it, then once: ssh "
                f"{host.name}"
                if changed
                else f"run once: ssh {host.name}, to look at the key and accept it"
            )
            what = "has CHANGED" if changed else "is not known"
            return HostKeyRefused(f"{host.where}: the host key {what}; {way}. ssh said: {said}")
        if any(word in low for word in _REFUSALS):
            return LoginFailed(f"{host.where}: {said}. See whether 'ssh {host.name}' gets in")
        return ConnectionLost(f"{host.where}: no connection: {said or 'ssh ended without a word'}")


def _over_jump(host: Host, config: Path | None, depth: int = 0) -> list[str]:
    """What ProxyJump means, written out: ssh would not check the jump hosts' keys strictly."""
    via = gateway(host, config)
    if via is None:
        return []
    if depth > HOPS:
        raise ring(host)
    # Each ssh on the way replaces the tokens of its own ProxyCommand only.
    before = [word.replace("%", "%%") for word in _over_jump(via, config, depth + 1)]
    words = ["ssh", *(["-F", str(config)] if config else []), *before]
    for option in ("ControlMaster=no", "LogLevel=ERROR", "StrictHostKeyChecking=yes"):
        words += ["-o", option]
    words += ["-l", via.user, "-p", str(via.port), "-W", "[%h]:%p", "--", via.name]
    return ["-o", f"ProxyCommand={shlex.join(words)}"]
