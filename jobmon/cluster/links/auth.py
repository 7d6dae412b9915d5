"""Logging in over a Paramiko transport: keys, one-time codes, passwords, and one after the other.

A server that wants several proofs says after each which come next; they are given until it is
satisfied. Questions are put by the thread that wanted the connection, never by Paramiko's: only
it can be interrupted without leaving a terminal in a strange state.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paramiko

from jobmon.cluster.base import ConnectionLost, LoginFailed
from jobmon.cluster.links.keys import agent_keys, offers
from jobmon.cluster.links.login import Ask
from jobmon.cluster.links.sshconfig import Host
from jobmon.core.text import printable

Fields = list[tuple[str, bool]]

ANSWER = 900.0  # seconds a person has to answer; the server has its own limit


class Login:
    """One attempt to log in; an ``auth_strategy`` of Paramiko."""

    def __init__(self, host: Host, ask: Ask) -> None:
        self._host = host
        self._ask = ask
        self._refused: list[str] = []
        self._asked = 0

    def authenticate(self, transport: paramiko.Transport) -> None:
        """Give proofs until the server is satisfied.

        Raises LoginFailed if it takes none of ours, ConnectionLost if it goes away before any
        was refused, and what ``ask`` raises.
        """
        try:
            with agent_keys(self._host.agent) as held:
                self._prove(transport, held)
        except (paramiko.SSHException, EOFError, OSError) as error:
            refused = isinstance(error, paramiko.AuthenticationException)
            if self._refused or (refused and transport.is_active()):
                raise self._failed(transport, str(error), ()) from error
            raise ConnectionLost(
                f"{self._host.where}: the connection broke during the login: "
                f"{printable(str(error))}"
            ) from error

    def _prove(self, transport: paramiko.Transport, held: list[Any]) -> None:
        host = self._host
        batch = None if host.batch else self._ask_person
        keys = offers(host, held, batch)
        left = {"publickey": 1 << 30, "keyboard-interactive": host.prompts}
        left["password"] = host.prompts
        wanted = self._attempt(lambda: transport.auth_none(host.user), "")
        while wanted:
            usable = [m for m in host.methods if m in wanted and left[m] > 0]
            if host.batch:
                usable = [m for m in usable if m == "publickey"]
            if not usable:
                raise self._failed(transport, "", wanted)
            method = usable[0]
            left[method] -= 1
            if method == "publickey":
                name, key = next(keys, ("", None))
                if key is None:
                    left[method] = 0
                    continue

                def offer(key: Any = key) -> list[str]:
                    return transport.auth_publickey(host.user, key)

                wanted = self._attempt(offer, name, wanted)
            elif method == "keyboard-interactive":
                # Paramiko counts the time that the person takes as the server's.
                usual, transport.auth_timeout = transport.auth_timeout, ANSWER
                wanted = self._attempt(lambda: self._interview(transport), method, wanted)
                transport.auth_timeout = usual
            else:
                word = self._ask_person(f"{host.where}'s password:", False)

                def give(word: str = word) -> list[str]:
                    return transport.auth_password(host.user, word, fallback=False)

                wanted = self._attempt(give, method, wanted)

    def _attempt(
        self, act: Callable[[], list[str]], name: str, wanted: tuple[str, ...] = ()
    ) -> tuple[str, ...]:
        """Give one proof: what the server wants after it, () for nothing more."""
        try:
            return tuple(act())
        except paramiko.BadAuthenticationType as error:
            allowed = tuple(error.allowed_types)
            if name:
                self._refused.append(name)
            return allowed
        except paramiko.AuthenticationException as error:
            if "transport shut down" in str(error) or not name:
                raise
            self._refused.append(name)
            return wanted
        except paramiko.SSHException as error:
            if "cannot be used for signing" not in str(error):
                raise
            self._refused.append(name)  # an agent whose owner said no
            return wanted

    def _interview(self, transport: paramiko.Transport) -> list[str]:
        """One keyboard-interactive exchange; its questions are asked in this thread."""
        with _elsewhere(transport, self._host.user) as questions:
            while True:
                item = questions.get()
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, list):
                    return item
                title, fields, answers = item
                answers.put([self._ask_person(f"{title}{text}", echo) for text, echo in fields])

    def _ask_person(self, prompt: str, echo: bool) -> str:
        self._asked += 1
        return self._ask(f"({self._host.where}) {printable(prompt)}", echo)

    def _failed(
        self, transport: paramiko.Transport, why: str, wanted: tuple[str, ...]
    ) -> LoginFailed:
        host = self._host
        tried = f"; it refused {', '.join(self._refused)}" if self._refused else ""
        wants = f"; it wants {' or '.join(wanted)}" if wanted else ""
        batch = "; BatchMode is on for this host, so nobody is asked" if host.batch else ""
        closed = (
            f" and closed the connection ({printable(why)})"
            if why and not transport.is_active()
            else ""
        )
        return LoginFailed(
            f"{host.where}: permission denied: the server took no proof of ours{closed}{tried}"
            f"{wants}{batch}. See whether 'ssh {host.name}' gets in; name the right key by "
            "IdentityFile in the SSH configuration"
        )


Question = tuple[str, Fields, "queue.SimpleQueue[list[str]]"]


@contextmanager
def _elsewhere(
    transport: paramiko.Transport, user: str
) -> Iterator[queue.SimpleQueue[Question | list[str] | BaseException]]:
    """Run the exchange in a thread of its own and hand its questions out.

    The queue gives questions, and last what the server wants next or the error. Leaving before
    that closes the transport, which ends the thread.
    """
    out: queue.SimpleQueue[Question | list[str] | BaseException] = queue.SimpleQueue()
    waiting: list[queue.SimpleQueue[list[str]]] = []

    def handler(title: str, instructions: str, fields: Fields) -> list[str]:
        if not fields:
            return []
        answers: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        waiting.append(answers)
        said = " ".join(text for text in (title, instructions) if text.strip())
        out.put((f"{said} " if said else "", fields, answers))
        return answers.get()

    def work() -> None:
        try:
            out.put(list(transport.auth_interactive(user, handler)))
        except (paramiko.SSHException, EOFError, OSError) as error:
            out.put(error)

    thread = threading.Thread(target=work, name="jobmon-login", daemon=True)
    thread.start()
    try:
        yield out
    except BaseException:
        if thread.is_alive():
            transport.close()
            for answers in waiting:
                answers.put([])
        raise
    finally:
        thread.join(5)
