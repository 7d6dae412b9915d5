"""One shell on the login node for all looks, so that a look starts little more than its listing.

A look changes nothing, so one that was not heard whole may be asked for again. Whatever goes wrong
with the kept shell, it is closed, and the next look opens another; every other call has a channel
and a shell of its own.

The shell is told the functions once. Its listing is not run by ``timeout``, which costs as much as
the listing does: one that hangs is ended from here, with the shell that waits for it. One that
hangs while the connection is lost is left to itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
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
    """Asks by ``sh/ask.sh`` for looks: a kept shell if the link has one, else by a call for each.

    ``limit``: seconds after which a listing is ended.
    """

    def __init__(self, link: Link, limit: int) -> None:
        self._link = link
        self._limit = limit
        self._kept: _Kept | None = None
        self._deaf = False

    def ask(self, args: Sequence[str], steps: Iterable[Step]) -> Generator[bytes, None, None]:
        """The lines of the answer, as of ``call``; close it if you do not hear it to its end.

        Raises ConnectionLost, LookFailed.
        """
        does = list(steps)
        old = self._kept is not None and self._kept.shell.alive()
        kept = self._kept if old else self._open()
        if kept is None or not kept.shell.alive():  # it may have had to give way at once
            yield from call(self._link, "ask", args, does, limit=2.0 * self._limit)
            return
        try:
            yield from self._answer(kept, args, does)
        except NotBegun:
            if not old:
                raise
            # It was ended between two looks, which only this one could tell.
            yield from self.ask(args, does)

    def _open(self) -> _Kept | None:
        self._close()
        shell = None if self._deaf else self._link.shell(_OPENING)
        if shell is None:
            return None
        token = new_token()
        try:
            chunks = shell.say(_prelude(token), _OPENING)
            said = b" ".join(heard(self._link.where, "ask", token, chunks)).decode()
        except Silent:
            shell.close()
            self._deaf = True  # a login that first hears all there is to hear; a call ends that
            return None
        except BaseException:
            shell.close()
            raise
        pid, *bash = said.removeprefix("\0shell ").split()
        self._kept = _Kept(shell, pid, bytewise=bool(bash))
        return self._kept

    def _answer(self, kept: _Kept, args: Sequence[str], steps: Sequence[Step]) -> Iterator[bytes]:
        token = new_token()
        program = encoded(f"{{ {begin(token)}\n{question(args, token, steps)}; }}\n")
        until = time.monotonic() + 2 * self._limit
        whole = False
        try:
            for line in heard(self._link.where, "ask", token, kept.say(program, self._limit)):
                if time.monotonic() > until:
                    raise Silent(f"{self._link.where}: the answer does not end")
                yield line
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
