"""One shell on the login node for all questions, so that a look starts no more than its commands.

``sh/ask.sh`` only looks, so an answer that was not heard whole may be asked for again; submitting
and claiming keep a channel and a shell of their own for each call. Whatever goes wrong with the
kept shell, it is closed, and the next question opens another.

The shell is told the functions once. Its commands are not run by ``timeout``, which costs as much
as a listing: it is from here that one which hangs is ended, while the shell that waits for it is
still there to be the parent of what is killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jobmon.cluster.base import (
    BYTEWISE,
    LOCALE,
    Link,
    LookFailed,
    NotBegun,
    Shell,
    Silent,
    Step,
    begin,
    body,
    call,
    encoded,
    heard,
    new_token,
    question,
)

_OPENING = 60.0  # seconds in which a channel is opened and the shell answers


@dataclass(frozen=True, slots=True)
class _Kept:
    shell: Shell
    pid: str
    bytewise: bool  # it reads its program byte by byte, a system call each

    def say(self, program: bytes, limit: float) -> Iterator[bytes]:
        if self.bytewise and len(program) > BYTEWISE:
            program = b'eval "$(head -c %d)"\n' % len(program) + program
        return self.shell.say(program, limit)


class Asker:
    """Asks by ``sh/ask.sh``: a kept shell where the link has one, else by a call for each.

    ``limit``: seconds after which a command is ended.
    """

    def __init__(self, link: Link, limit: int) -> None:
        self._link = link
        self._limit = limit
        self._kept: _Kept | None = None

    def ask(self, twin: str, run_id: str, steps: Iterable[Step]) -> Iterator[bytes]:
        """The lines of the answer, as of ``call``. Raises ConnectionLost, LookFailed."""
        args, does = [twin, run_id, str(self._limit)], list(steps)
        old = self._kept is not None and self._kept.shell.alive()
        kept = self._kept if old else self._open()
        if kept is None:
            yield from call(self._link, "ask", args, does, limit=2.0 * self._limit)
            return
        try:
            yield from self._answer(kept, args, does)
        except NotBegun:
            if not old:
                raise
            # It was ended between two questions, which only this one could tell.
            yield from self.ask(twin, run_id, does)

    def _open(self) -> _Kept | None:
        self._close()
        shell = self._link.shell(_OPENING)
        if shell is None:
            return None
        token = new_token()
        try:
            chunks = shell.say(_prelude(token), _OPENING)
            said = b" ".join(heard(self._link.where, "ask", token, chunks)).decode()
        except BaseException:
            shell.close()
            raise
        pid, *bash = said.removeprefix("\0shell ").split()
        self._kept = _Kept(shell, pid, bytewise=bool(bash))
        return self._kept

    def _answer(self, kept: _Kept, args: Sequence[str], steps: Sequence[Step]) -> Iterator[bytes]:
        token = new_token()
        program = encoded(f"{{ {begin(token)}\n{question(args, token, steps)}; }}\n")
        whole = False
        try:
            yield from heard(self._link.where, "ask", token, kept.say(program, self._limit))
            whole = True
        except Silent as error:
            list(call(self._link, "ask", ["", "", str(self._limit)], [["k", kept.pid], ["q"]]))
            raise LookFailed(
                f"{self._link.where}: no answer within {self._limit} s, so it was ended"
            ) from error
        finally:
            if not whole:
                self._close()

    def _close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.shell.close()


def _prelude(token: str) -> bytes:
    """What a kept shell is told first; it answers with its process ID, and whether it is bash."""
    return encoded(
        f"{{ {LOCALE}; {begin(token)}\n{body('ask')}"
        'limited() { shift; exec "$@"; }\n'
        f"printf '%s shell %s %s\\n' {token} $$ ${{BASH_VERSION:+bash}}\n"
        f"printf '\\n%s END\\n' {token}; }}\n"
    )
