"""What the answers of a cluster mean for a first run: values in, findings out; nothing is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from jobmon.cluster.batch.limits import Limit
from jobmon.cluster.links.reach import Reach
from jobmon.cluster.site import Room, Trips
from jobmon.core.finding import Finding, Level
from jobmon.core.text import clean, printable
from jobmon.run.spending import size

ROOM = 10
"""Of how many times the tree's size there should be room: what jobs make is larger."""

SLOW = 5.0
"""Seconds from which on a round trip is worth a word."""

CLOCKS = 60.0
"""Seconds by which two clocks may differ without a word."""

_GRID_ENGINE = re.compile(r"[0-9]|.*[/:@\\*?\s]", re.DOTALL)
"""Job names that a real Grid Engine 8.1.9 refuses."""

_PBS = re.compile(r".*\s|.{231}|[^\w+-]", re.DOTALL)
"""Job names that do not fit qsub(1B) of PBS Professional: printable, no white space, 230 long."""

GREEN, YELLOW, RED = Level.GREEN, Level.YELLOW, Level.RED


def host_name(reach: Reach) -> Finding:
    """Whether the name of the host, or of the first hop to it, means an address."""
    host, first = reach.host, reach.first
    named = host.name if host.name == host.hostname else f"{host.name} is {host.hostname}"
    over = "" if first is host else f", reached over {first.name}"
    if first.proxy:
        return Finding(GREEN, "host name", f"{named}, reached by its ProxyCommand")
    if reach.trouble:
        return Finding(
            RED,
            "host name",
            f"{named}{over}: {first.hostname} has no address: {printable(reach.trouble)}",
            "correct --remote or HostName in the SSH configuration; some names are known only "
            "within the site's own network (VPN)",
        )
    address = ", ".join(reach.addresses[:3])
    is_itself = "" if address == first.hostname else f" at {address}"
    return Finding(GREEN, "host name", f"{named}{over}{is_itself}, port {first.port}")


def host_key(reach: Reach, refused: str, *, entered: bool) -> Finding:
    """Whether the host's key is known. ``refused``: what was said of the key that it showed."""
    host, known = reach.host, reach.known
    if refused:
        return Finding(RED, "host key", refused, "compare it with what the site says its key is")
    if known.keys:
        kinds = ", ".join(dict.fromkeys(key.kind for key in known.keys))
        files = ", ".join(dict.fromkeys(str(key.file) for key in known.keys))
        return Finding(GREEN, "host key", f"{kinds} of {known.name} known from {files}")
    if entered:  # by a certificate authority, say
        return Finding(GREEN, "host key", f"that of {known.name} is known to ssh")
    return Finding(
        YELLOW,
        "host key",
        f"no known_hosts file names {known.name}",
        f"look at the key and accept it: ssh {host.name}",
    )


def login(where: str, asked: Sequence[str], logins: int, seconds: float) -> Finding:
    """A login that succeeded, and what it wanted to know."""
    words = f"{where} in {seconds:.1f} s"
    if logins > 1:
        words += f", {logins} logins in a row"
    if not asked:
        return Finding(GREEN, "login", f"{words}; nothing was asked")
    prompts = ", ".join(f"'{printable(prompt)}'" for prompt in asked)
    times = "once" if len(asked) == 1 else f"{len(asked)} times"
    return Finding(
        GREEN,
        "login",
        f"{words}; asked {times}: {prompts}; 'jobmon run --daemon' asks before it detaches",
    )


def shell(user: str, home: str, noise: bytes) -> Finding:
    """What the remote shell is, and prints unasked."""
    words = f"{user} in {home}"
    if not noise:
        return Finding(GREEN, "shell", f"{words}; nothing is printed unasked")
    first = next((line for line in map(printable, noise.splitlines()) if line), "")
    return Finding(
        YELLOW,
        "shell",
        f"{words}; {len(noise)} bytes are printed unasked, at the beginning: {first[:60]!r}",
        "jobmon passes over them, plain rsync and scp do not: print only where the shell is "
        "interactive, in .bashrc: case $- in *i*) echo … ;; esac",
    )


def rsync(here: str, there: str, where: str, trouble: str) -> Finding:
    """rsync at both ends, by the first lines of its ``--version``, and between them."""
    lacking = [place for said, place in ((here, "this machine"), (there, where)) if not said]
    if lacking:
        return Finding(
            RED,
            "rsync",
            f"missing on {' and on '.join(lacking)}",
            "install it here, ask for it there; there it must be in the path of a shell that is "
            "not interactive",
        )
    if trouble:
        return Finding(RED, "rsync", trouble, "see whether rsync of a file by hand works")
    versions = " and ".join(
        f"{_version(said)} {at}" for said, at in ((here, "here"), (there, "there"))
    )
    return Finding(GREEN, "rsync", f"{versions}; they understand each other")


def _version(line: str) -> str:
    found = re.search(r"\d+(\.\d+)+", line)
    return found[0] if found else printable(line)


def room(where: str, wanted: str, found: Room | None, size_here: int) -> Finding:
    """Whether a run folder can be made in ``wanted``, and a tree of that many bytes put there."""
    if found is None:
        return Finding(YELLOW, "rdir", f"{where}:{wanted}: nothing was told about it")
    place = "" if found.there == wanted else f" is not there yet; {found.there}"
    if not found.writable:
        return Finding(
            RED,
            "rdir",
            f"{where}:{wanted}{place} cannot be written, or is no folder",
            "choose another --rdir, or mend its permissions",
        )
    words = f"{where}:{wanted}{place} is writable"
    if found.bytes is None:
        return Finding(GREEN, "rdir", f"{words}; df does not tell how much room there is")
    words += f", {size(found.bytes)} free"
    if found.bytes < size_here:
        return Finding(
            RED,
            "rdir",
            f"{words}, but the tree has {size(size_here)}",
            "clear up, or choose another",
        )
    if found.bytes < ROOM * size_here:
        return Finding(
            YELLOW,
            "rdir",
            f"{words}, for a tree of {size(size_here)} and all that its jobs make",
            "see that it is enough, your quota, too",
        )
    return Finding(GREEN, "rdir", f"{words} (your quota may be less)")


def clock(ahead: float) -> Finding:
    """``ahead``: seconds by which the clock there is ahead of ours."""
    if abs(ahead) < CLOCKS:
        return Finding(GREEN, "clock", "the same as here, within a minute")
    way = "ahead of" if ahead > 0 else "behind"
    return Finding(
        YELLOW,
        "clock",
        f"{abs(ahead):.0f} s {way} the one here",
        "jobmon never compares the two, but make and people do: set the clock that is wrong",
    )


def round_trip(trips: Trips) -> Finding:
    """How long one empty question takes."""
    words = f"{trips.median * 1000:.0f} ms"
    if trips.median < SLOW:
        return Finding(GREEN, "round trip", words)
    return Finding(
        YELLOW, "round trip", words, "every look waits so long: give a longer --interval"
    )


def folder(given: str, path: str, kinds: Mapping[str, str], programs: Sequence[str]) -> Finding:
    """Whether ``binpath`` is a folder that holds the programs that the scripts name in it."""
    missing = [name for name in programs if kinds.get(f"{path}/{name}") != "program"]
    if kinds.get(path) != "folder":
        return Finding(
            RED, "binpath", f"{given} is no folder there that one can enter", "correct --binpath"
        )
    if missing:
        return Finding(
            RED,
            "binpath",
            f"{given} lacks {len(missing)} of the {len(programs)} programs that the scripts name, "
            "or they are not executable",
            "correct --binpath, or the names in the scripts",
            tuple(missing),
        )
    holds = f", with every program that the scripts name ({len(programs)})" if programs else ""
    return Finding(GREEN, "binpath", f"{given} is there{holds}")


def interpreter(given: str, found: str, code: int, said: str) -> Finding:
    """Whether ``pythonpath`` runs. ``said``: what it said when asked for its version."""
    if not found:
        return Finding(
            RED, "pythonpath", f"{given} is no program there", "correct --pythonpath: a whole path"
        )
    if code:
        return Finding(
            RED,
            "pythonpath",
            f"{given} does not run ({code}): {printable(said)[:200]}",
            "see what '--version' of it says there",
        )
    return Finding(GREEN, "pythonpath", f"{given} runs: {printable(said)[:60]}")


def vague(what: str, given: str) -> Finding:
    """A path that is not the same for every job."""
    return Finding(
        YELLOW,
        what,
        f"{given} is relative, or has a variable: what it means, each job's own shell decides",
        f"give --{what} from / or ~/ on",
    )


def maxqsub(mine: int, limits: Sequence[Limit]) -> Iterator[Finding]:
    """``maxqsub`` against what the site tells of its limits, the smallest first."""
    over = [limit for limit in limits if limit.jobs < mine]
    strict = [limit for limit in over if limit.everywhere]
    told = "; ".join(f"{limit.whose} is {limit.jobs}" for limit in (over or limits)[:3])
    if strict:
        yield Finding(
            YELLOW,
            "maxqsub",
            f"{mine} is more than the site takes: {told}",
            f"--maxqsub {strict[0].jobs}: what is above is refused",
        )
    elif over:
        yield Finding(GREEN, "maxqsub", f"{mine}; mind where your scripts go: {told}")
    else:
        yield Finding(GREEN, "maxqsub", f"{mine}; {told or 'the site tells no limit'}")


def job_names(system: str, names: Sequence[tuple[str, str, str]]) -> Iterator[Finding]:
    """The names (key, directive, name) that ``-N`` gives to jobs, by what their system takes."""
    rule = {"sge": ("$", _GRID_ENGINE), "pbs": ("PBS", _PBS)}.get(system)
    if rule is None:
        return
    mark, refused = rule
    bad = tuple(
        f"{key}: -N {clean(name)}" for key, of, name in names if of == mark and refused.match(name)
    )
    if bad:
        yield Finding(
            RED,
            "job names",
            f"{len(bad)} that {system} refuses",
            "rename the folder, or write another -N: Grid Engine takes none that begins with a "
            "digit or holds / : @ \\ * ? or a space"
            if system == "sge"
            else "rename the folder, or write another -N: without spaces, 230 letters at most",
            bad,
        )
