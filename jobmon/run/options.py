"""What the settings of a run are, their defaults, and what each of them wants.

Only the table: where values come from is ``settings.py``'s. Importing this costs pydantic:
commands do it when they need it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from jobmon.core.address import Remote, parse_remote
from jobmon.core.site import COMMANDS, Site
from jobmon.run.notify import WANTS, parse
from jobmon.run.script import PLACEHOLDERS
from jobmon.run.usage import UsageError

LOCAL = "local"
"""The ``remote`` that is this machine."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")


def _one_line(text: str) -> str:
    if not text or re.search(r"[\n\r\0]", text):
        raise ValueError("empty, or more than one line")
    return text


def _host(text: str) -> str:
    if text != LOCAL:
        parse_remote(text)
    return text


def _user(text: str) -> str:
    if re.search(r"[\s/:]", text) or text.startswith("-"):
        raise ValueError(f"{text!r} is no user name")
    return text


def folder_there(text: str) -> str:
    """``~/x`` means what ``x`` means: relative to the home folder on the cluster."""
    if text == "~" or text.startswith("~/"):
        text = text[2:].lstrip("/") or "."
    if text.startswith("~"):
        raise ValueError("the home folder of somebody else")
    return text


def _names(values: object) -> object:
    """Write user placeholders' names bare: ``__nk__`` and ``nk`` are the same."""
    if not isinstance(values, Mapping):
        return values
    bare: dict[object, object] = {}
    for key, value in values.items():
        name = re.sub(r"^__(.*)__$", r"\1", str(key))
        if not _NAME.fullmatch(name):
            raise ValueError(f"{key!r} is no name; letters and digits, beginning with a letter")
        if name in PLACEHOLDERS:
            raise ValueError(f"'__{name}__' is jobmon's own; choose another name")
        if name in {"name", "main", "file", "init"}:  # scripts hold Python
            raise ValueError(f"'__{name}__' is Python's own word; choose another name")
        if name in bare:
            raise ValueError(f"'{name}' is named twice")
        bare[name] = value
    return bare


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("not absolute")
    return path


Line = Annotated[str, AfterValidator(_one_line)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Here = Annotated[Path, AfterValidator(_absolute)]


def _words(text: str) -> str:
    if not shlex.split(_one_line(text)):
        raise ValueError("no word")
    return text


def _command(name: str) -> str:
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, 1) or COMMANDS
        raise ValueError(f"{name!r} is no command that jobmon calls there; {_meant(near)}")
    return name


def _meant(near: Sequence[str]) -> str:
    return f"did you mean {near[0]!r}?" if len(near) == 1 else f"there are {', '.join(near)}"


Words = Annotated[str, AfterValidator(_words)]


class SiteTable(BaseModel):
    """What stands under ``site:``, as it is written there."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    shell: Words | None = Field(default=None, description="a command that runs sh on its input")
    prologue: str | None = Field(default=None, description="lines of sh")
    commands: dict[Annotated[str, AfterValidator(_command)], Words] = Field(
        default={}, description="lines 'command: words', the words on one line and well quoted"
    )
    user: Annotated[Line, AfterValidator(_user)] | None = Field(
        default=None, description="a user name on the cluster"
    )


class Settings(BaseModel):
    """All settings of a run. A description says what its setting wants, for messages and pages."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    remote: Annotated[Line, AfterValidator(_host)] = Field(
        description="'local' or [user@]host[:port]"
    )
    user: Annotated[Line, AfterValidator(_user)] | None = Field(
        default=None, description="a user name on the cluster"
    )
    rdir: Annotated[Line, AfterValidator(folder_there)] | None = Field(
        default=None,
        description="a folder on the cluster, absolute or relative to the home folder there",
    )
    binpath: Line | None = Field(default=None, description="a folder on the cluster")
    pythonpath: Line | None = Field(default=None, description="an interpreter on the cluster")
    maxqsub: int = Field(default=4, ge=1, description="a whole number, 1 or more")
    maxcore: int = Field(default=16, ge=1, description="a whole number, 1 or more")
    qsubheader: Here | None = Field(default=None, description="a file on this machine")
    results: list[Line] = Field(
        default=[], description="a list of rsync patterns, such as ['*.out', 'bands/']"
    )
    scheduler: Literal["auto", "slurm", "sge", "pbs", "pjm", "local"] = Field(
        default="auto", description="auto, slurm, sge, pbs, pjm or local"
    )
    ssh: Literal["fabric", "openssh"] = Field(default="fabric", description="fabric or openssh")
    ssh_config: Here | None = Field(default=None, description="a file on this machine")
    interval: Seconds = Field(default=10.0, description="a number of seconds above 0")
    placeholders: Annotated[dict[str, str], BeforeValidator(_names)] = Field(
        default={}, description="lines 'name: text', one for each __name__ in the scripts"
    )
    grace: Seconds = Field(default=60.0, description="a number of seconds above 0")
    pulls_every: Seconds = Field(default=60.0, description="a number of seconds above 0")
    retries: int = Field(default=0, ge=0, description="a whole number, 0 or more")
    site: SiteTable | None = Field(
        default=None, description="a table of shell, prologue, commands and user"
    )
    notify: Annotated[dict[str, list[str]], BeforeValidator(parse)] = Field(
        default={}, description=WANTS
    )

    @model_validator(mode="after")
    def _one_user(self) -> Settings:
        named = None if self.remote == LOCAL else parse_remote(self.remote)
        if named and named.user and self.user and named.user != self.user:
            raise ValueError(f"user {self.user} contradicts remote {self.remote}; give one of them")
        return self

    @property
    def target(self) -> Remote | None:
        """Where to log in, the user's name from either setting; None for this machine."""
        if self.remote == LOCAL:
            return None
        named = parse_remote(self.remote)
        return Remote(named.host, named.user or self.user, named.port)

    @property
    def at_site(self) -> Site:
        """``site``, its words taken apart."""
        table = self.site or SiteTable()
        return Site(
            tuple(shlex.split(table.shell or "")),
            (table.prologue or "").strip(),
            {name: tuple(shlex.split(words)) for name, words in table.commands.items()},
            table.user or "",
        )


PATHS = frozenset({"qsubheader", "ssh_config"})
"""The settings that name a file on this machine."""

TABLES = frozenset({"site"})
"""The settings that are a table, in which there may be tables."""


def build(values: Mapping[str, Any], place: Callable[[str], str]) -> Settings:
    """Make Settings; the first thing wrong is a UsageError that begins with ``place(setting)``."""
    try:
        return Settings.model_validate(dict(values))
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
    words = str(first.get("ctx", {}).get("error", ""))
    if not first["loc"]:  # the settings contradict each other
        raise UsageError(f"{place('user')}: {words}")
    name = str(first["loc"][0])
    if name == "site" and len(first["loc"]) > 1:
        raise UsageError(_in_site([str(part) for part in first["loc"][1:]], words, place))
    if name in {"placeholders", "notify"} and words:  # no address of notify is ever shown
        raise UsageError(f"{place(name)}: {words}")
    wanted = Settings.model_fields[name].description
    raise UsageError(f"{place(name)}: {name} wants {wanted}, not {_shown(values[name])}")


def _in_site(inside: Sequence[str], words: str, place: Callable[[str], str]) -> str:
    """What is wrong with an entry under ``site:``: ``inside`` is the way to it."""
    name, *more = [part for part in inside if part != "[key]"]
    at = place(".".join(["site", name, *more]))
    if name not in SiteTable.model_fields:
        known = list(SiteTable.model_fields)
        return (
            f"{at}: 'site:' has no {name!r}; {_meant(get_close_matches(name, known, 1) or known)}"
        )
    if inside[-1] == "[key]":
        return f"{at}: {words}"
    why = f" ({words})" if words else ""
    wanted = SiteTable.model_fields[name].description
    return f"{at}: site: {'.'.join([name, *more])} wants {wanted}{why}"


def _shown(value: object) -> str:
    text = repr(str(value)) if isinstance(value, str | Path) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
