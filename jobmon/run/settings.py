"""Where a run's settings come from: flags over the project's ``jobmon.yaml`` over defaults.

The run folder's own ``jobmon.yaml`` holds what won, and the run's identity, which no later flag
may contradict. Every error is a ``UsageError`` of one line, ``FILE:LINE: what; way out``. Files
are read by ``yaml.compose``: plain values only, nothing is ever constructed from a tag.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from jobmon.core.address import parse_remote
from jobmon.run.atomic import write_atomically
from jobmon.run.options import LOCAL, PATHS, TABLES, Settings, build, folder_there
from jobmon.run.usage import UsageError

__all__ = [
    "Identity",
    "Settings",
    "UsageError",
    "check_flags",
    "header_text",
    "load",
    "merge",
    "read_run_file",
    "resume",
    "write_run_file",
]

_HEAD = "# Written by jobmon at the start of this run; a resume reads it. 'run:' names the run.\n"
_TEXT_TAGS = frozenset(
    f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "timestamp")
)
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a run this run; fixed at its first start.

    ``where`` is ``user@host`` as resolved, or ``local``; ``rdir`` the absolute remote folder.
    """

    id: str
    where: str
    scheduler: str
    rdir: str


class _Dumper(yaml.SafeDumper):
    """Writes text of many lines as such, and with YAML's rarer line breaks in quotes; read back
    bare, they turn to spaces."""


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = re.search("[\x85\u2028\u2029]", text)
    style = '"' if quoted else "|" if "\n" in text.strip("\n") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represented)


def load(path: Path) -> dict[str, Any]:
    """The settings that ``path``, a project's ``jobmon.yaml``, names, checked, with their types.

    Relative paths in it are relative to its folder. Raises UsageError.
    """
    values, lines = _read(path)
    if "run" in values:
        raise UsageError(
            f"{path}:{lines['run']}: 'run:' stands only in a run folder's file; take it out here"
        )
    return _checked(path, values, lines)


def read_run_file(path: Path) -> tuple[Settings, Identity]:
    """Read a run folder's own ``jobmon.yaml``. Raises UsageError."""
    values, lines = _read(path)
    way_out = "put it back from a copy, or start a new run"
    run = values.pop("run", None)
    if not isinstance(run, dict):
        raise UsageError(f"{path}:{lines.get('run', 1)}: no run's identity under 'run:'; {way_out}")
    names = list(Identity.__dataclass_fields__)
    wrong = [n for n in names if not run.get(n)] + [n for n in run if n not in names]
    if wrong:
        what = "is not given" if wrong[0] in names else "is not known"
        raise UsageError(f"{path}:{lines['run']}: 'run:': {wrong[0]!r} {what}; {way_out}")
    identity = Identity(**run)
    if not identity.rdir.startswith("/"):
        raise UsageError(f"{path}:{lines['run']}: 'run:': rdir is not absolute; {way_out}")
    if "remote" not in values:
        raise UsageError(f"{path}:1: 'remote' is not given; {way_out}")
    return Settings(**_checked(path, values, lines)), identity


def write_run_file(path: Path, settings: Settings, identity: Identity) -> None:
    """Write a run folder's own ``jobmon.yaml``, at once and whole, for its owner only.

    Raises OSError.
    """
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in settings.model_dump(exclude_none=True).items()
        if value is not None and value not in ([], {})
    }
    values["run"] = asdict(identity)
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    write_atomically(path, _HEAD + text, 0o600)  # placeholders may be nobody else's business


def merge(
    project_file: Mapping[str, Any], flags: Mapping[str, Any], base: Path | None = None
) -> Settings:
    """What counts: ``flags`` over what ``load`` gave; a flag that is None or empty is not given.

    ``result`` is another name of ``results`` and replaces the file's list. Relative paths in
    flags are relative to ``base``, the current folder by default. Raises UsageError.
    """
    given = _given(flags, base or Path.cwd())
    values = {**project_file, **given}
    if "remote" not in values:
        raise UsageError(
            "no cluster is named; give --remote [user@]host or --remote local for this machine, "
            "or write 'remote:' into jobmon.yaml"
        )
    # A user in one of the flags puts aside the one the file names in either way.
    if "user" in project_file and "user" not in given and "@" in str(given.get("remote", "")):
        del values["user"]
    if "user" in given and "remote" not in given and "@" in values["remote"]:
        values["remote"] = values["remote"].rpartition("@")[2]
    return build(values, lambda name: "--result" if name == "results" else _flag(name))


def check_flags(settings: Settings, identity: Identity, flags: Mapping[str, Any]) -> None:
    """Refuse, by UsageError, a flag that contradicts what makes ``identity``'s run this run."""
    remote, user, rdir = (str(flags.get(name) or "") for name in ("remote", "user", "rdir"))
    if remote and not _same_place(remote, settings, identity):
        raise _contradiction("remote", remote, f"is on {identity.where}")
    account = identity.where.rpartition("@")[0]
    if user and account and user != account:
        raise _contradiction("user", user, f"is on {identity.where}")
    if rdir and not _same_folder(rdir, settings, identity):
        raise _contradiction("rdir", rdir, f"is in {identity.rdir}")
    scheduler = flags.get("scheduler")
    if scheduler and scheduler not in {"auto", identity.scheduler}:
        raise _contradiction("scheduler", scheduler, f"is on {identity.scheduler}")


def resume(
    settings: Settings, identity: Identity, flags: Mapping[str, Any], base: Path | None = None
) -> Settings:
    """What counts in a resumed run: its own settings, and what flags may change in them.

    Raises UsageError as ``check_flags`` and ``merge`` do.
    """
    check_flags(settings, identity, flags)
    free = {k: v for k, v in flags.items() if k not in {"remote", "user", "rdir", "scheduler"}}
    return merge(settings.model_dump(), free, base)


def header_text(settings: Settings) -> str | None:
    """The contents of ``qsubheader``, bytes kept by surrogates. Raises UsageError."""
    if settings.qsubheader is None:
        return None
    try:
        return settings.qsubheader.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as err:
        raise UsageError(
            f"{settings.qsubheader}: the header cannot be read ({err.strerror}); see --qsubheader"
        ) from err


def local_path(text: str | Path, base: Path) -> Path:
    """The absolute path of a file here that a person names as seen from ``base``."""
    try:
        return base.absolute() / Path(text).expanduser()
    except RuntimeError:  # no such user: then the name is taken as it stands
        return base.absolute() / text


def _given(flags: Mapping[str, Any], base: Path) -> dict[str, Any]:
    named = {("results" if k == "result" else k): v for k, v in flags.items()}
    given = {k: v for k, v in named.items() if v is not None and v not in ((), [])}
    for name in PATHS & given.keys():
        given[name] = local_path(given[name], base)
    if "results" in given:
        given["results"] = list(given["results"])
    return given


def _same_place(remote: str, settings: Settings, identity: Identity) -> bool:
    """Whether ``remote`` names the run's account: by what it resolved to, or as at the start."""
    started = settings.target
    if remote == LOCAL or started is None:
        return remote == LOCAL and started is None
    try:
        named = parse_remote(remote)
    except ValueError:
        return False
    account, _, host = identity.where.rpartition("@")
    return (
        named.user in {None, account, started.user}
        and named.host in {host, started.host}
        and named.port in {None, started.port}
    )


def _same_folder(rdir: str, settings: Settings, identity: Identity) -> bool:
    """Whether ``rdir`` is the run's twin, the folder above it, or what the start was given."""
    twin = PurePosixPath(identity.rdir)
    try:
        named = PurePosixPath(folder_there(rdir))
    except ValueError:
        return False
    return named in {twin, twin.parent, PurePosixPath(settings.rdir or identity.rdir)}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _contradiction(name: str, value: object, fact: str) -> UsageError:
    return UsageError(
        f"{_flag(name)} {value}: this run {fact}, which cannot change; "
        "leave the flag out, or start a new run"
    )


def _checked(path: Path, values: dict[str, Any], lines: Mapping[str, int]) -> dict[str, Any]:
    """``values`` with their types, or a UsageError that names the line."""
    for name in values:
        if name not in Settings.model_fields:
            raise UsageError(f"{path}:{lines[name]}: no setting is called {name!r}; {_near(name)}")
    for name in PATHS & values.keys():
        if isinstance(values[name], str) and values[name]:
            values[name] = local_path(values[name], path.parent)
    settings = build({"remote": "local", **values}, lambda name: f"{path}:{_line(lines, name)}")
    return {name: getattr(settings, name) for name in values}


def _line(lines: Mapping[str, int], name: str) -> int:
    """The line of ``site.commands.qsub``, or of the nearest above it that has one."""
    while name not in lines and "." in name:
        name = name.rpartition(".")[0]
    return lines.get(name, 1)


def _near(name: str) -> str:
    known = list(Settings.model_fields)
    if near := get_close_matches(name.replace("-", "_").lower(), known, 1):
        return f"did you mean {near[0]!r}?"
    return f"there are {', '.join(known)}"


def _read(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """A file's top level: name -> text, list of texts or table of texts; name -> line, also of
    the names in tables (``site.shell``).

    A scalar is the text as it stands, whatever YAML would make of it (``010``, ``yes``,
    ``2026-01-01``): what it must be is the setting's to say. An empty value is no setting.
    """
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    root = _compose(path)
    if root is None or root.tag == _NULL:
        return values, lines
    for key, node in _pairs(path, root, "the file"):
        value = _plain(path, key.value, node, lines)
        if value is not None:
            values[key.value] = value
            lines[key.value] = key.start_mark.line + 1
    return values, lines


def _compose(path: Path) -> yaml.Node | None:
    try:
        data = path.read_bytes()
    except OSError as err:
        raise UsageError(f"{path}: cannot be read ({err.strerror})") from err
    try:
        return yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise UsageError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from err
    except yaml.reader.ReaderError as err:
        line = data.decode("utf-8-sig").count("\n", 0, err.position) + 1
        raise UsageError(f"{path}:{line}: a control character; take it out") from err
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = mark.line + 1 if mark else 1
        raise UsageError(f"{path}:{line}: {err.problem}; {_yaml_way_out(err)}") from err
    except (ValueError, OverflowError) as err:  # PyYAML on "\\UFFFFFFFF", which is no letter
        raise UsageError(f"{path}:1: a value YAML cannot read; {_yaml_way_out(None)}") from err
    except RecursionError as err:
        raise UsageError(f"{path}:1: nested too deep; lines 'name: value' are wanted") from err


def _yaml_way_out(err: yaml.MarkedYAMLError | None) -> str:
    said = f"{err.context} {err.problem}" if err else ""
    if "\\t" in said:
        return "indent with spaces, not tabs"
    if "alias" in said or "anchor" in said or "cannot start any token" in said:
        return "a value that begins with * & % @ ` or ! needs quotes: '*.out'"
    if "single document" in said:
        return "one document a file: take the line '---' out"
    return "lines 'name: value' are wanted; a value with ': ' or ' #' in it needs quotes"


def _pairs(path: Path, node: yaml.Node, what: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
    """The keys and values of a table; keys are text and stand there once."""
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        line = node.start_mark.line + 1
        raise UsageError(f"{path}:{line}: {what} wants lines 'name: value'")
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag == _NULL:
            raise UsageError(f"{path}:{line}: a name is wanted before the colon")
        if key.value in seen:
            raise UsageError(
                f"{path}:{line}: {key.value!r} stands in line {seen[key.value]} already; "
                "take one of them out"
            )
        seen[key.value] = line
    return list(node.value)


def _plain(path: Path, name: str, node: yaml.Node, lines: dict[str, int]) -> Any:
    """A value as text, list of texts, or table of texts; None where nothing stands."""
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_text(path, name, item) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        return _table(path, name, node, lines)
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        return None
    return _text(path, name, node)


def _table(path: Path, name: str, node: yaml.Node, lines: dict[str, int]) -> dict[str, Any]:
    """A table of texts; in one of TABLES, of tables too; in ``notify``, of lists of texts."""
    found: dict[str, Any] = {}
    for key, value in _pairs(path, node, f"{name!r}"):
        inside = f"{name}.{key.value}"
        lines[inside] = key.start_mark.line + 1
        deeper = name in TABLES and isinstance(value, yaml.MappingNode)
        if name == "notify" and isinstance(value, yaml.SequenceNode):
            found[key.value] = [_text(path, name, item) for item in value.value]
        elif deeper:
            found[key.value] = _table(path, inside, value, lines)
        else:
            found[key.value] = _text(path, name, value)
    return found


def _text(path: Path, name: str, node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag in _TEXT_TAGS:
        return str(node.value)
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        raise UsageError(f"{path}:{line}: {name!r}: a value is missing; write '' for none")
    if isinstance(node, yaml.ScalarNode):
        raise UsageError(f"{path}:{line}: {name!r}: no tags such as {node.tag!r}; plain text only")
    raise UsageError(f"{path}:{line}: {name!r}: plain text is wanted here, no list or table")
