"""Histories for ``conformance_lab``: the words to tell them in, and one for each branch of a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from conformance_lab import RUN_ID, TWIN, Call, Fake, History, Tree

from jobmon.cluster.base import Step
from jobmon.cluster.ledger import Order, record_name, steps
from jobmon.cluster.probe import QUESTIONS, questions
from jobmon.core.model import Attempt, Key, Need
from jobmon.core.site import Site

SCRIPT = b"#!/bin/sh\ntrue \xff\n"
WEIRD = "-a 'b\" $HOME `x` éÁ日;*\\ %s\t\x01\x7f\udc81\udcff"
Asked = tuple[Order, Sequence[str]]
ACCEPTS = {"qsub": Fake(b"node07 says hello\n\naccepted 7\n\n")}


# --- words for histories ------------------------------------------------------------------


def tree(files: Tree | None = None, **more: bytes | None) -> dict[str, bytes | None]:
    """A twin with a record and ``files``; ``run`` and ``record`` change what it has of its own."""
    own = {".jobmon/run": more.get("run", RUN_ID.encode() + b"\n"), ".jobmon/record": None}
    if "record" in more:
        own[".jobmon/record"] = more["record"]
    return {f"{TWIN}/{path}": data for path, data in {**own, **(files or {})}.items()}


def attempt(
    key: str = "m/qsub.0",
    n: int = 1,
    needs: Sequence[Need] = (),
    again: bool = False,
    text: bytes = SCRIPT,
    command: tuple[str, ...] = ("qsub",),
) -> Asked:
    """An attempt that is asked for."""
    folder, _, script = key.rpartition("/")
    marker = script.replace("qsub.", "qsub.finished.")
    return (Order(Attempt(Key(key), n), folder, script, text, marker, tuple(needs), again), command)


def wants(*paths: str) -> list[Need]:
    """``!PATH``: it must be absent."""
    return [Need(path.removeprefix("!"), path.startswith("!")) for path in paths]


def name_of(key: str = "m/qsub.0", n: int = 1) -> str:
    return f".jobmon/record/{record_name(Attempt(Key(key), n))}"


def submit(*asked: Asked) -> Call:
    """The clock is ``date``, which a history can set."""
    return Call("submit", ("{twin}", RUN_ID, "60", "60", "no file"), tuple(steps(asked)))


def recover(*asked: Step | str) -> Call:
    return Call("recover", ("{twin}", RUN_ID), _steps(asked))


def claim(key: str = "m/qsub.0", n: int = 1) -> Step:
    return ["r", record_name(Attempt(Key(key), n)), key]


def ask(*asked: Step | str, twin: str = "{twin}") -> Call:
    """A step may be written as one string, where its words have no spaces."""
    return Call("ask", (twin, RUN_ID, "60"), _steps(asked))


def files(*asked: Step | str) -> Call:
    return Call("files", ("{twin}", RUN_ID), _steps(asked))


def make(mode: str, place: str = "{twin}") -> Call:
    return Call("twin", (place, RUN_ID, mode))


def probe(*systems: str) -> Call:
    asked = tuple(["a", name, *QUESTIONS[name]] for name in systems)
    return Call("probe", ("rsync",), asked)


def first() -> Call:
    """Who is first is asked, not all who answer."""
    return Call("probe", ("rsync",), tuple(questions(Site(), first=True)))


def _steps(asked: tuple[Step | str, ...]) -> tuple[Step, ...]:
    return tuple(step.split(" ") if isinstance(step, str) else step for step in asked)


JOB: Tree = {"m/qsub.0": SCRIPT}
MARKED: Tree = {**JOB, "m/qsub.finished.0": b""}

# --- histories, one for each branch -------------------------------------------------------

SUBMITTED = (
    {
        "accepted, then lost": History(
            [submit(attempt()), submit(attempt(), attempt(n=2)), recover(claim(), "q")],
            tree(JOB),
            ACCEPTS,
        ),
        "several at once, each for itself": History(
            [
                submit(
                    attempt(needs=wants("nowhere", "!m")),
                    attempt("m/qsub.0", 2, again=True),
                    attempt("m/none"),
                    attempt("qsub.top", needs=wants("m/qsub.0", "!m/x")),
                    attempt(n=2),
                    attempt(
                        f"{WEIRD}/qsub.1",
                        needs=wants(f"{WEIRD}/qsub.1", f"!{WEIRD}"),
                        command=("odd", "-n"),
                    ),
                    attempt(
                        f"{WEIRD}/qsub.1",
                        2,
                        wants(f"{WEIRD}/qsub.1"),
                        command=("odd", *WEIRD.split()),
                    ),
                ),
                recover("l", "q"),
            ],
            tree({**MARKED, "qsub.top": SCRIPT, f"{WEIRD}/qsub.1": SCRIPT}),
            {**ACCEPTS, "odd": Fake(b"jmT said\nkey\nend", b"\n\n\xff\x01\x81 e\0e\\n\n\0\n", 255)},
        ),
        "it says nothing": History([submit(attempt())], tree(JOB), {"qsub": Fake(code=1)}),
        "it says blanks": History([submit(attempt())], tree(JOB), {"qsub": Fake(b" \n \t\r\n\n")}),
        "it says empty lines": History([submit(attempt())], tree(JOB), {"qsub": Fake(b"\n\n\n")}),
        "it says much": History(
            [submit(attempt()), recover(claim())], tree(JOB), {"qsub": Fake(b"%n\\0 -e\n" * 5000)}
        ),
        "it makes the next one's file": History(
            [
                submit(
                    attempt(),
                    attempt("m/qsub.1", needs=wants("m/made")),
                    attempt("m/qsub.2", needs=wants("!m/made")),
                )
            ],
            tree({"m/qsub.0": SCRIPT, "m/qsub.1": SCRIPT, "m/qsub.2": SCRIPT}),
            {"qsub": Fake(b"accepted", makes="made")},
        ),
        "marked": History([submit(attempt())], tree(MARKED), ACCEPTS),
        "many demands, none of them the next one's": History(
            [submit(attempt(needs=wants(*["m/qsub.0"] * 900, "no")), attempt(n=2), attempt(n=3))],
            tree(JOB),
            ACCEPTS,
        ),
        "an earlier attempt's marker": History(
            [submit(attempt(again=True))], tree(MARKED), ACCEPTS
        ),
        "again, no marker": History([submit(attempt(again=True))], tree(JOB), ACCEPTS),
        "a marker is kept where demands are unmet": History(
            [submit(attempt(again=True, needs=wants("no")))], tree(MARKED), ACCEPTS
        ),
        "a folder as marker": History(
            [submit(attempt(), attempt(n=2, again=True))],
            tree({**JOB, "m/qsub.finished.0": None}),
            ACCEPTS,
        ),
        "another script": History(
            [submit(attempt(text=b"#!/bin/sh\ntrue \xfe\n"), attempt(text=b""), attempt())],
            tree(JOB),
            ACCEPTS,
        ),
        "an empty script": History([submit(attempt(text=b""))], tree({"m/qsub.0": b""}), ACCEPTS),
        "a folder as script": History([submit(attempt())], tree({"m/qsub.0": None}), ACCEPTS),
        "no folder": History([submit(attempt())], tree(), ACCEPTS),
        "the first unmet demand is told": History(
            [
                submit(
                    attempt(needs=wants("m", "!m/a b", "m/x", "!m")),
                    attempt(n=2, needs=wants("m", "!m/x y", "!m/a b")),
                )
            ],
            tree({**JOB, "m/a b": b""}),
            ACCEPTS,
        ),
        "the record is a file": History([submit(attempt())], tree(JOB, record=b""), ACCEPTS),
        "a folder in the record": History(
            [submit(attempt())], tree({**JOB, name_of(): None}), ACCEPTS
        ),
        "an empty record": History([submit(attempt())], tree({**JOB, name_of(): b""}), ACCEPTS),
        "a full disk": History([submit(attempt(), attempt(n=2))], tree(JOB), ACCEPTS, full=True),
        "the login node dies": History(
            [
                submit(attempt(), attempt(n=2)),
                submit(attempt()),
                recover(claim(), claim(n=2), "q"),
            ],
            tree(JOB),
            {"qsub": Fake(b"accepted 1", dies=True)},
        ),
    }
    | {
        f"late: {clock}": History(
            [submit(attempt(), attempt(n=2))], tree(MARKED), ACCEPTS, clock=tuple(clock.split(","))
        )
        for clock in (
            "1000,1061,1060",
            "1000,999,1000",
            "1000,,1000",
            ",1000,1000",
            "1000,1061,999",
        )
    }
    | {
        f"late after the claim: {clock}": History(
            [submit(attempt(), attempt(n=2))], tree(JOB), ACCEPTS, clock=tuple(clock.split(","))
        )
        for clock in ("1000,1060,1061,1060,1060", "1000,1010,999,1000,1000", "1000,1010,,1060,")
    }
)

RECOVERED = {
    "won, for ever": History(
        [recover(claim(), "q"), submit(attempt()), recover(claim(), claim(n=2))],
        tree(JOB),
        ACCEPTS,
    ),
    "won for a weird key": History([recover(claim(f"{WEIRD}/qsub.0"), "q")], tree()),
    "a torn record": History(
        [recover(claim(), claim("a/qsub.1"), claim("a/qsub.1", 2), claim("a/qsub.1", 3), "q")],
        tree(
            {
                name_of(): b"key m/qsub.0\n",
                name_of("a/qsub.1"): b"key a/qs",
                name_of("a/qsub.1", 2): b"",
                name_of("a/qsub.1", 3): b"key a/qsub.1\nran 0\n\xff\0\x01\\n%s\n\n\nend\n",
            }
        ),
    ),
    "every record": History(
        [recover("l", "q"), recover("q", "l"), recover("l", "l")],
        tree(
            {
                f".jobmon/record/{name}": name.encode("utf-8", "surrogateescape")
                for name in (
                    "b",
                    "a",
                    "é",
                    "\udcff",
                    "\udc81",
                    ".hidden",
                    "Z",
                    "1.10",
                    "1.9",
                    "*",
                    "a b",
                )
            }
            | {".jobmon/record/folder": None}
        ),
    ),
    "no records": History([recover("l", "q")], tree()),
    "no record folder": History([recover("l", claim(), "q")], tree(record=b"file")),
    "a full disk": History([recover(claim(), claim(), "q")], tree(), full=True),
}

ASKED = {
    "commands with both outputs": History(
        [
            ask(["x", "say", "", " x ", "-n", WEIRD, "*", "$HOME"]),
            ask("x say", "d . made", "d m made m", "x quiet", "x say", "q"),
            ask("x say", "x quiet", "q", twin=""),
        ],
        tree(JOB),
        {
            "say": Fake(b"a\0b\n\xff", b"\n\ne\0rr\xfe\n\n", 7, makes="made"),
            "quiet": Fake(),
        },
    ),
    "output like the frame's": History(
        [ask("x say", "q")], tree(), {"say": Fake(b"said\njm END\nwhole\n", b"x\njm said\ny")}
    ),
    "limits": History([ask("x say", "q")], tree(), {"say": Fake()}, limited="logged"),
    "much": History([ask("x say", "q")], tree(), {"say": Fake(b"%n\\0 -e\n" * 20000)}),
    "files, sizes and times": History(
        [
            ask(
                *["d . m nothing", "d m qsub.0 .. n", ["d", WEIRD, WEIRD], ["d", ".", WEIRD]],
                *[
                    "d no no",
                    "d m/deep x",
                    ["d", "m", "deep/x", ""],
                    "d .",
                    ["d", "m", "a b", "-n"],
                ],
                *["s ./m/qsub.0 ./no ./m/no", ["s", f"./{WEIRD}/{WEIRD}", "./m/deep/x"], "q"],
            )
        ],
        tree({**JOB, "m/deep/x": b"12345", f"{WEIRD}/{WEIRD}": b""}),
    ),
    "many files": History(
        [
            ask(
                ["d", "m", *["qsub.0", "no"] * 300], ["d", "m", *["qsub.0"] * 9], "d m qsub.0", "q"
            ),
            ask(
                "d m qsub.0 no",
                ["g", *["no", "m/qsub.0"] * 300],
                ["g", "./m/qsub.0", "-n", f"{WEIRD}/x", "m"],
                "q",
            ),
        ],
        tree(JOB),
    ),
    "last lines": History(
        [
            ask("e . .e1", "e m .e1 .none", "e no .e1", ["e", WEIRD, ".e1"]),
            ask(["e", "m", "", "*"], "e m [ab].e1", "q"),
        ],
        tree(
            {
                "top.e1": b"only\n",
                "m/a b.e1": b"\n".join(b"%d" % i for i in range(100)) + b"\xff",
                "m/b.e1": b"\n" * 30,
                "m/long.e1": b"x" * 5000,
                "m/lines.e1": b"0123456789\n" * 700,
                "m/nul.e1": b"a\0b\n\n",
                "m/empty.e1": b"",
                "m/folder.e1/x": b"x",
                "m/.hidden.e1": b"x",
                "m/.e1": b"x",
                "m/x.e12": b"another's",
                f"{WEIRD}/{WEIRD}.e1": b"weird\n",
            }
        ),
    ),
    "the twin is not asked": History([ask("q", "d . x", twin="")], {"x": b""}),
}

FILES = {
    "names": History(
        [files("l m", "l .", "l no", ["l", WEIRD], "l m/deep", "l m/qsub.0", "q"), files("l m")],
        tree(
            {**JOB, "m/.x": b"", "m/deep/.y": b"", "top": b"", f"{WEIRD}/{WEIRD}": b"", "m/-n": b""}
        ),
    ),
    "pieces": History(
        [
            files(
                *["t m/a 0 100", "t m/a 3 4", ["t", "m/a", "", "5"], ["t", "m/a", "", "50"]], "q"
            ),
            files(
                "t m/a 10 5", "t m/a 11 5", "t m/no 0 5", "t m 0 5", "t m/nul 0 9", "t m/empty 0 9"
            ),
            files(["t", f"{WEIRD}/{WEIRD}", "1", "2"], "q"),
        ],
        tree(
            {"m/a": b"0123\n56\n8\n", "m/nul": b"a\0b\xff\n\n", "m/empty": b""}
            | {f"{WEIRD}/{WEIRD}": b"weird\n"}
        ),
    ),
    "clearing": History(
        [
            files(["c", "abc.2", "m", "a", "nothing", "deep", "-n", WEIRD], "c abc.2 . top", "q"),
            files("c claimed.1 m b b", "c abc.2 m b", "c abc.2 no b", "q"),
        ],
        tree(
            {"m/a": b"", "m/b": b"", "m/-n": b"", "m/deep/x": b"", f"m/{WEIRD}": b"", "top": b"x"}
            | {".jobmon/record/claimed.1": b""}
        ),
    ),
}

STRANGE: Mapping[str, Tree] = {
    "missing": {},
    "without id": {f"{TWIN}/m/qsub.0": SCRIPT},
    "of another": tree(JOB, run=b"r-12\n"),
    "of a torn id": tree(JOB, run=b"r-1"),
    "that is a file": {TWIN: b""},
    "of an empty id": tree(JOB, run=b""),
    "with blanks around": tree(JOB, run=b" \tr-1 \nr-2\n"),
    "with a carriage return": tree(JOB, run=b"r-1\r\n"),
}
ENTERED = {
    f"{proc}, a twin {state}": History([one], STRANGE[state], ACCEPTS)
    for proc, one, states in [
        ("ask", ask("x qsub", "q"), list(STRANGE)),
        ("submit", submit(attempt()), list(STRANGE)[:4]),
        ("recover", recover(claim(), "q"), list(STRANGE)[:4]),
        ("files", files("l m", "c abc.2 m qsub.0", "q"), list(STRANGE)[:4]),
    ]
    for state in states
}

PLACES: Mapping[str, Tree] = {
    "missing": {},
    "empty": {TWIN: None},
    "foreign": {f"{TWIN}/.a file": b""},
    "a file": {TWIN: b"x"},
    "other": tree(run=b"r-12\n"),
    "a torn id": {f"{TWIN}/.jobmon/run": b"r-1"},
    "an empty id": {f"{TWIN}/.jobmon/run": b""},
    "an empty id among files": tree(JOB, run=b""),
    "cut off": {f"{TWIN}/.jobmon/record": None},
    "used": tree({name_of(): b""}),
    "no record folder": {f"{TWIN}/.jobmon/run": b"r-1\n"},
    "the record a file": tree(record=b""),
}
MADE = {
    f"{mode}, {state}": History([make(mode)], files)
    for mode in ("new", "known", "adopt")
    for state, files in PLACES.items()
} | {
    "deep down": History([make("new", "{twin}/up é/-x/run")], {}),
    "below a file": History(
        [make("new", "{twin}/f/x"), make("adopt", "{twin}/f/x/y")], {f"{TWIN}/f": b""}
    ),
    "on a full disk": History([make("new"), make("new"), make("known")], {}, full=True),
}

BOTH = {"squeue": Fake(), "qstat": Fake(b"SGE 8.1.9\n"), "qconf": Fake()}
PROBED = {
    "all": History(
        [probe(*QUESTIONS), probe()],
        {},
        {
            "rsync": Fake(b"rsync  version 3.2.7\nmore\n", b"noise\n"),
            "squeue": Fake(b"b", b"no controller\n", 3),
            "qstat": Fake(b"SGE 8.1.9\nusage: qstat\n\n"),
            "qconf": Fake(),
        },
    ),
    "one": History([probe(*QUESTIONS)], {}, {"qconf": Fake(code=255)}, limited="logged"),
    "none": History([probe(*QUESTIONS)], {}, {}, limited="not"),
    "first, beside it": History([first()], {}, BOTH),
    "first, before it": History([first()], {}, BOTH, ["qstat"]),
    "first, behind it": History([first()], {}, BOTH, ["squeue"]),
    "first, half of it before": History([first()], {}, BOTH, ["squeue", "qstat"]),
    "first, but silent": History([first()], {}, {**BOTH, "squeue": Fake(code=10)}),
    "first, alone": History([first()], {}, {"squeue": Fake()}, ["squeue"]),
    "first, not there": History([first()], {}, {"qconf": Fake()}),
}  # fmt: skip

HISTORIES: Mapping[str, History] = {
    f"{proc}: {name}": history
    for proc, histories in {
        "submit": SUBMITTED,
        "recover": RECOVERED,
        "ask": ASKED,
        "enter": ENTERED,
        "twin": MADE,
        "probe": PROBED,
        "files": FILES,
    }.items()
    for name, history in histories.items()
}
