"""A site that calls things otherwise: a Link around a Link, and a Batch around a Batch.

``SiteLink`` runs each program in the site's shell, behind its prologue. The prologue stands in the
program's own brace group: what was not heard whole does nothing. It is a text for ``eval``, so that
no quote or brace of it can end that group; it reads nothing and what it prints is passed over; and
what it may have done to the shell's ways (options, aliases, IFS) is undone before the program. One
that fails or exits ends the call before anything was claimed or asked: that is a failed look.

``SiteBatch`` puts the site's words in place of a command's name, and the name back into what the
command says of itself, by which a batch system's file knows a refusal.
"""

from __future__ import annotations

import posixpath
import re
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set

from jobmon.cluster.base import Batch, ConnectionLost, Link, LookFailed, Spent
from jobmon.cluster.batch import clip
from jobmon.core.model import Accepted, Answer, JobID, NotRun, Phase, Unclear, Verdict
from jobmon.core.site import Site
from jobmon.core.text import printable

Output = tuple[int, str, str]

_HEARD = 1 << 16  # bytes of what is printed before the program that are kept
_OURS = "cat cd cksum date id kill ls mkdir ps read rm sleep stat tail true wait"
"""What the programs of ``sh/`` call: no function of the prologue may stand for it."""

# What sudo itself says; it has run nothing then.
_SUDO = re.compile(
    r"(?:sudo: (?:.*: command not found|.*: No such file or directory|a password is required"
    r"|a terminal is required .*|no tty present .*|unknown user:? .*|sorry, .*)"
    r"|Sorry, user .* is not allowed to execute .*|.* is not in the sudoers file\..*)",
)


def at_site(link: Link, site: Site) -> Link:
    """The link, as the site wants it to be used."""
    return SiteLink(link, site) if site.shell or site.prologue else link


def called(batch: Batch, site: Site) -> Batch:
    """The batch system, as the site calls its commands."""
    return SiteBatch(batch, site) if site.commands or site.user else batch


def unused(batch: Batch, site: Site) -> list[str]:
    """The commands that the site calls otherwise and that this batch system does not have."""
    job = JobID("1")
    asked = [
        batch.list_command("u"),
        batch.submit_command("", "t"),
        batch.delete_command([job]),
        *batch.find_commands("u"),
        *batch.confirm_commands(job),
    ]
    return sorted(site.commands.keys() - {command[0] for command in asked} - {"rsync"})


class SiteLink:
    """A ``Link`` (see ``base``)."""

    def __init__(self, link: Link, site: Site) -> None:
        self.where = link.where
        self._link = link
        self._site = site

    def open(self) -> None:
        self._link.open()
        self.where = self._link.where

    def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
        """See ``Link``. Raises LookFailed, too, where the prologue does not come to its end."""
        mark = "jm" + secrets.token_hex(8)
        if self._site.shell:
            command = f"exec {shlex.join(self._site.shell)}"
        before = _before(self._site.prologue, mark).encode("utf-8", "surrogateescape")
        chunks = self._link.stream(command, before + stdin + b"}\n", limit)
        ready = f"\n{mark} ready\n".encode()
        began = f"\n{mark} shell\n".encode()
        head = b""
        begun = False
        try:
            for chunk in chunks:
                head += chunk
                if not begun and began in head:
                    begun, head = True, head.partition(began)[2]
                if begun and ready in head:
                    yield head.partition(ready)[2]
                    break
                head = head[-_HEARD:]
            else:
                raise LookFailed(self._trouble(begun, head, mark))
        except ConnectionLost as error:
            if not begun:
                raise
            what = "the prologue under site: in jobmon.yaml had not ended"
            raise ConnectionLost(f"{error} ({what})") from error
        yield from chunks

    def _trouble(self, begun: bool, head: bytes, mark: str) -> str:
        said = printable(head.replace(f"{mark} failed ".encode(), b"exit code ")[-300:])
        words = f"; it said: {said}" if said else ""
        if not begun:
            shell = shlex.join(self._site.shell) or "/bin/sh"
            return (
                f"{self.where}: '{shell}' started no shell{words}; see shell: under site: in "
                f"jobmon.yaml, and try by hand: echo id | {shell}"
            )
        return (
            f"{self.where}: the prologue under site: in jobmon.yaml failed or exited{words}; "
            "see that its last command ends with exit code 0"
        )

    def shell(self, limit: float) -> None:
        return None

    def rsync_shell(self, mark: str = "") -> tuple[list[str], str] | None:
        return self._link.rsync_shell(mark)

    def spent(self) -> Spent:
        return self._link.spent()

    def close(self) -> None:
        self._link.close()


def _before(prologue: str, mark: str) -> str:
    """What stands before a program, up to ``ready``; the brace it opens is for the caller to close.

    Not ``eval ... || failed``: there ``set -e`` of the prologue would not hold. Aliases count in
    ``$(...)`` of an older bash, IFS where a hung command's children are read.
    """
    done = f"{{ eval {shlex.quote(prologue)}\n}} </dev/null 2>&1\n" if prologue else ":\n"
    return (
        f"{{ printf '\\n%s shell\\n' {mark}\n"
        f"{done}"
        f'set -- "$?"; set +aCefmuvx; unalias -a; unset IFS; unset -f {_OURS} 2>/dev/null\n'
        f"[ $1 = 0 ] || {{ printf '\\n%s failed %s' {mark} $1; exit; }}\n"
        f"set --; printf '\\n%s ready\\n' {mark}\n"
    )


class SiteBatch:
    """A ``Batch`` (see ``base``)."""

    def __init__(self, batch: Batch, site: Site) -> None:
        self.name = batch.name
        self._batch = batch
        self._site = site

    def list_command(self, user: str) -> list[str]:
        return self._site.words(self._batch.list_command(self._site.user or user))

    def parse(self, listing: str) -> Mapping[JobID, Phase]:
        return self._batch.parse(listing)

    def submit_command(self, script: str, token: str) -> list[str]:
        return self._site.words(self._batch.submit_command(script, token))

    def accepted(self, code: int, text: str) -> Answer:
        """See ``Batch``. What the shell could not run, or sudo would not, has reached nobody."""
        name = self._batch.submit_command("", "")[0]
        words = self._site.commands.get(name, (name,))
        answer = self._batch.accepted(code, _named(name, words, text))
        if isinstance(answer, Accepted) or name not in self._site.commands:
            return answer
        if code in (126, 127):
            if _absent(words).search(text):
                return NotRun(f"'{name}' cannot be run there: {clip(text)}")
            # Something within it could not be run, and what it did before nobody knows.
            return Unclear(f"'{name}' ended with exit code {code}: {clip(text) or 'no word'}")
        lines = text.strip().split("\n")
        if code == 1 and _is_sudo(words) and all(map(_SUDO.fullmatch, lines)):
            return NotRun(f"'{name}' was not run: {clip(text)}")
        return answer

    def find_commands(self, user: str) -> list[list[str]]:
        return [
            self._site.words(words) for words in self._batch.find_commands(self._site.user or user)
        ]

    def find(self, outputs: Sequence[Output]) -> Mapping[str, JobID]:
        return self._batch.find(self._heard(self._batch.find_commands(""), outputs))

    def place_commands(self, outputs: Sequence[Output], known: Set[JobID]) -> list[list[str]]:
        heard = self._heard(self._batch.find_commands(""), outputs)
        return [self._site.words(words) for words in self._batch.place_commands(heard, known)]

    def places(
        self, asked: Sequence[Sequence[str]], outputs: Sequence[Output]
    ) -> Mapping[JobID, str]:
        name = self._batch.list_command("")[0]
        words = self._site.commands.get(name, (name,))
        heard = [(code, out, _named(name, words, err)) for code, out, err in outputs]
        return self._batch.places(asked, heard)

    def confirm_commands(self, jobid: JobID) -> list[list[str]]:
        return [self._site.words(words) for words in self._batch.confirm_commands(jobid)]

    def verdict(self, jobid: JobID, outputs: Sequence[Output]) -> Verdict:
        heard = self._heard(self._batch.confirm_commands(jobid), outputs)
        return self._batch.verdict(jobid, heard)

    def delete_command(self, jobids: Sequence[JobID]) -> list[str]:
        return self._site.words(self._batch.delete_command(jobids))

    def _heard(self, commands: Sequence[Sequence[str]], outputs: Sequence[Output]) -> list[Output]:
        """The outputs of these commands with the commands' own names in their errors."""
        names = [command[0] for command in commands]
        if len(names) != len(outputs):
            return list(outputs)
        words = (self._site.commands.get(name, (name,)) for name in names)
        return [
            (code, out, _named(name, called_as, err))
            for name, called_as, (code, out, err) in zip(names, words, outputs, strict=True)
        ]


def _is_sudo(words: Sequence[str]) -> bool:
    return posixpath.basename(words[0]) == "sudo"


def _absent(words: Sequence[str]) -> re.Pattern[str]:
    """What a shell says of one of these words, which it cannot run; not of another word."""
    either = "|".join(re.escape(word) for word in words if not word.startswith("-"))
    no = r"(?:cannot execute: )?(?:command )?(?:not found|No such file|[Pp]ermission denied)"
    return re.compile(rf"(?<![\w./-])(?:{either})['\"\u2019]?: {no}")


def _named(name: str, words: Sequence[str], text: str) -> str:
    """``text`` with ``name: `` where a line begins with the name that the program has here."""
    programs = {posixpath.basename(word) for word in words[_is_sudo(words) :]} - {name, ""}
    here = "|".join(re.escape(program) for program in programs if not program.startswith("-"))
    return re.sub(rf"^(?:\S*/)?(?:{here})(?=: )", name, text, flags=re.M) if here else text
