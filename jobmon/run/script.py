"""What a job script's text says, and how its placeholders are filled in. Text in, text out.

Filling keeps every byte that is no placeholder. ``__HEADER__`` is put in first, since headers hold
placeholders of their own; the rest is one pass, so that what a value holds is never replaced
again. Which lines of a script are directives of a batch system is decided here and nowhere else.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobmon.run.options import Settings

PLACEHOLDERS = frozenset({"binpath", "pythonpath", "maxcore", "jobname", "cwd", "HEADER"})
"""jobmon's own, bare: written ``__binpath__`` in a script."""

PYTHON_WORDS = re.compile(
    "abs|add|all|annotations|author|bool|bytes|call|class|contains|debug|del|delattr|delitem|dict|"
    "dir|doc|enter|eq|exit|file|float|floordiv|format|fspath|ge|get|getattr|getattribute|getitem|"
    "gt|hash|import|index|init|int|invert|iter|le|len|lt|main|matmul|missing|mod|module|mul|name|"
    "ne|neg|new|next|pos|post_init|pow|pycache|qualname|radd|reduce|repr|reversed|rmul|round|set|"
    "setattr|setitem|slots|str|sub|truediv|version|FILE|LINE|DATE|TIME|GNUC|CUDACC"
)
"""Python's (and the C preprocessor's) own ``__words__``: in a script they are no placeholders."""

_WORD = re.compile(
    rb"(?<![A-Za-z0-9_])__([A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*)__(?![A-Za-z0-9_])"
)
_HEREDOC = re.compile(rb"<<-?[ \t]*[\"'\\]?__([A-Za-z0-9_]+)__")
_DIRECTIVE = re.compile(r"#(PBS|\$|SBATCH|PJM)(?=\s|-)[ \t]*(.*)")
OUTPUTS = ("slurm-*.out", "*.[oe][0-9]*", "*.p[oe][0-9]*")
_PERCENT = frozenset({"SBATCH", "PJM"})  # whose names of outputs have %j; a folder's never
PJM_OUTPUTS = ("*.[0-9]*.out", "*.[0-9]*.err", "*.[0-9]*.stats", "*.[0-9]*.out.[0-9]*")
_GUARDS = re.compile(
    r"&&|\|\||\b(if|case|while|exit|exec|raise|assert|trap|set\s+-[a-z]*e[a-z]*|set\s+-o\s+errexit)\b"
    r"|\A#!\S+(\s+\S+)?\s+-[a-z]*e"
)


def values(settings: Settings, jobname: str, cwd: str, header: str | None) -> dict[str, str]:
    """What the placeholders of one job stand for, by bare name; what was not given is left out.

    ``cwd`` is the job folder's absolute path on the cluster, ``header`` the text of the file
    ``qsubheader``.
    """
    own = {
        "HEADER": header,
        "binpath": settings.binpath,
        "pythonpath": settings.pythonpath,
        "maxcore": str(settings.maxcore),
        "jobname": jobname,
        "cwd": cwd,
    }
    return {**settings.placeholders, **{k: v for k, v in own.items() if v is not None}}


def fill(script: bytes, values: Mapping[str, str]) -> bytes:
    """``script`` with ``__name__`` replaced by ``values[name]`` and every other byte kept.

    Names may be given with their underscores. Values are written in UTF-8; surrogate escapes
    become the bytes they stand for.
    """
    if b"__" not in script:
        return script
    table = {
        _marked(name): value.encode("utf-8", "surrogateescape") for name, value in values.items()
    }
    header = table.pop(b"__HEADER__", None)
    if header is not None:
        script = script.replace(b"__HEADER__", header)
    if not table:
        return script
    either = b"|".join(re.escape(word) for word in sorted(table, key=len, reverse=True))
    return re.sub(either, lambda match: table[match[0]], script)


def left_over(script: bytes) -> list[str]:
    """The placeholders that stand in ``script`` still, ``["__binpath__"]``, each once, in order.

    jobmon's own are found wherever they stand. Any other ``__word__`` counts if it stands by
    itself, is none of ``PYTHON_WORDS`` and ends no here-document of the script (``<<__EOF__``).
    """
    if b"__" not in script:
        return []
    ends = set(_HEREDOC.findall(script))
    own = b"|".join(_marked(name) for name in sorted(PLACEHOLDERS))
    found = {match.start(): match[0].decode() for match in re.finditer(own, script)}
    for match in _WORD.finditer(script):
        if match[1] not in ends and not PYTHON_WORDS.fullmatch(match[1].decode()):
            found[match.start()] = match[0].decode()
    return list(dict.fromkeys(found[at] for at in sorted(found)))


def directives(script: str) -> Iterator[tuple[str, list[str]]]:
    """The batch systems' lines: (``"PBS"``, ``"$"``, ``"SBATCH"`` or ``"PJM"``, and its words).

    As they are read there: by Grid Engine everywhere, by the others up to the first command.
    """
    commands = False
    for line in script.splitlines():
        match = _DIRECTIVE.match(line)
        if match and (match[1] == "$" or not commands):
            yield match[1], _words(match[2])
        commands = commands or not re.match(r"\s*(#|$)", line)


def output_patterns(script: str, cwd: str = "") -> list[str]:
    """rsync patterns, relative to the job folder, of the job's output and error files.

    The batch systems' default names always (PJM's, which could be anybody's, where the script has
    lines for it), and what the script's directives name inside the folder (``cwd`` is its absolute
    path on the cluster); their variables become ``*``.
    """
    patterns = list(OUTPUTS)
    for system, words in directives(script):
        if system == "PJM":
            patterns += PJM_OUTPUTS
        for name in _named_outputs(system, words):
            inside = _inside(system, name, cwd)
            if inside is None:
                continue
            pattern = _pattern(system, inside)
            if pattern and system not in _PERCENT:  # there a folder may be named instead of a file
                patterns += [f"{pattern}/{default}" for default in OUTPUTS[1:]]
            if pattern and not inside.endswith("/"):
                patterns.append(pattern)
    return list(dict.fromkeys(patterns))


def writes_marker(script: str, id: str) -> bool:
    """Whether the text mentions ``qsub.finished.ID``, or one whose id is a variable's."""
    return _marker(script, id) is not None


def marks_unconditionally(script: str, id: str) -> bool:
    """Whether nothing before the marker is written could keep the script from writing it.

    A guess for a warning: no ``set -e``, ``if``, ``&&``, ``exit`` or their like stands before it.
    """
    at = _marker(script, id)
    if at is None:
        return False
    lines = script[:at].splitlines()
    return not any(
        _GUARDS.search(line)
        for i, line in enumerate(lines)
        if not line.lstrip().startswith("#") or (i == 0 and line.startswith("#!"))
    )


def _marker(script: str, id: str) -> int | None:
    """Where the script names its marker for the last time, comments apart."""
    at = None
    for match in _names_marker(id).finditer(script):
        line = script[script.rfind("\n", 0, match.start()) + 1 : match.start()]
        if not line.lstrip().startswith("#"):
            at = match.start()
    return at


@lru_cache(maxsize=1024)
def _names_marker(id: str) -> re.Pattern[str]:
    return re.compile(rf"qsub\.finished\.(?:{re.escape(id)}(?![A-Za-z0-9_-])|[$%{{\"'])")


def _marked(name: str) -> bytes:
    bare = name[2:-2] if name.startswith("__") and name.endswith("__") else name
    return f"__{bare}__".encode("utf-8", "surrogateescape")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:  # a quote that is never closed
        return text.split()


def _named_outputs(system: str, words: list[str]) -> Iterator[str]:
    """The values of ``-o`` and ``-e``, joined to the option or behind it."""
    rest = iter(words)
    for word in rest:
        if system in _PERCENT and re.match(r"--(out|err)[a-z]*(=|$)", word):
            yield word.partition("=")[2] if "=" in word else next(rest, "")
        elif word in {"-o", "-e"}:
            yield next(rest, "")
        elif system != "$" and re.match(r"-[oe][^-]", word):
            yield word[2:]


def _inside(system: str, name: str, cwd: str) -> str | None:
    """``name`` relative to the job folder; None if it is elsewhere or nowhere."""
    if system not in _PERCENT:  # host:path
        name = name.partition(":")[2] if ":" in name else name
    name = re.sub(r"\A\$\{?(PBS_O_WORKDIR|SGE_O_WORKDIR|SLURM_SUBMIT_DIR|PWD)\}?/", "", name)
    if cwd and (name + "/").startswith(cwd.rstrip("/") + "/"):
        name = name[len(cwd.rstrip("/")) :].lstrip("/") or "."
    if not name or name.startswith(("/", "~", "$HOME", "${HOME}")):
        return None
    tail = "/" if name.endswith("/") else ""
    path = posixpath.normpath(name)
    if path == ".." or path.startswith("../"):
        return None
    return path + tail if path != "." else None


def _pattern(system: str, path: str) -> str:
    """``path`` for rsync: the batch system's variables as ``*``, other signs as themselves."""
    variable = r"(?<!%)%[0-9]*[A-Za-z]" if system in _PERCENT else r"\$\{?\w+\}?|\^array_index\^"
    fixed = [part.replace("%%", "%") for part in re.split(variable, path.rstrip("/"))]
    # rsync takes a backslash for an escape only where the pattern has a wildcard.
    if len(fixed) > 1 or re.search(r"[*?\[]", fixed[0]):
        fixed = [re.sub(r"([*?\[\\])", r"\\\1", part) for part in fixed]
    # Two variables side by side are one star: "**" would reach into other folders.
    return "*".join([fixed[0], *(p for p in fixed[1:-1] if p), *fixed[1:][-1:]])
