"""Settings: every mistake is one line with file, line and way out; what is written reads back."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmon.run.settings import (
    Identity,
    Settings,
    UsageError,
    check_flags,
    header_text,
    load,
    merge,
    read_run_file,
    resume,
    write_run_file,
)

IDENTITY = Identity("3fa85f64", "takao@hpc.example.org", "slurm", "/home/takao/r/20261120_173102")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(text: str | bytes) -> str:
    """What ``load`` says of a ``jobmon.yaml`` in the current folder."""
    path = Path("jobmon.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_with_everything(here: Path) -> None:
    (here / "jobmon.yaml").write_text(
        """
# a project
remote: takao@hpc:2222
rdir: ~/runs
binpath: /opt/bin
pythonpath: /usr/bin/python3
maxqsub: 8
maxcore: 010            # ten; YAML alone would say eight
qsubheader: headers/slurm.sh
results: ['*.out', bands/]
scheduler: slurm
ssh: openssh
ssh_config: /etc/x
interval: 2.5
placeholders:
  nk: 6
  __tag__: yes
  empty: ''
grace: 1e1
pulls_every: 30
user:
"""
    )
    assert load(Path("jobmon.yaml")) == {
        "remote": "takao@hpc:2222",
        "rdir": "runs",
        "binpath": "/opt/bin",
        "pythonpath": "/usr/bin/python3",
        "maxqsub": 8,
        "maxcore": 10,
        "qsubheader": here / "headers/slurm.sh",
        "results": ["*.out", "bands/"],
        "scheduler": "slurm",
        "ssh": "openssh",
        "ssh_config": Path("/etc/x"),
        "interval": 2.5,
        "placeholders": {"nk": "6", "tag": "yes", "empty": ""},
        "grace": 10.0,
        "pulls_every": 30.0,
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff", "user:\n", "remote: ~\n"])
def test_a_file_with_nothing(here: Path, text: str) -> None:
    (here / "jobmon.yaml").write_text(text)
    assert load(here / "jobmon.yaml") == {}


COUNT = "a whole number, 1 or more"
SECONDS = "a number of seconds above 0"
PATTERNS = "a list of rsync patterns, such as ['*.out', 'bands/']"
QUOTES = "a value that begins with * & % @ ` or ! needs quotes: '*.out'"
LINES = "lines 'name: value' are wanted; a value with ': ' or ' #' in it needs quotes"
FOLDER = "a folder on the cluster, absolute or relative to the home folder there"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nremote: h\nmaxqsubs: 3\n", "3: no setting is called 'maxqsubs'; did you mean 'maxqsub'?"),
        ("ssh-config: x", "1: no setting is called 'ssh-config'; did you mean 'ssh_config'?"),
        ("result: x", "1: no setting is called 'result'; did you mean 'results'?"),
        ("remote: h\nmaxqsub: four", f"2: maxqsub wants {COUNT}, not 'four'"),
        ("maxqsub: 0", f"1: maxqsub wants {COUNT}, not '0'"),
        ("maxqsub: 1.5", f"1: maxqsub wants {COUNT}, not '1.5'"),
        ("maxcore: true", f"1: maxcore wants {COUNT}, not 'true'"),
        ("maxcore:\n  - 1", f"1: maxcore wants {COUNT}, not ['1']"),
        ("interval: 0", f"1: interval wants {SECONDS}, not '0'"),
        ("interval: .inf", f"1: interval wants {SECONDS}, not '.inf'"),
        ("grace: nan", f"1: grace wants {SECONDS}, not 'nan'"),
        ("\n\nscheduler: lsf", "3: scheduler wants auto, slurm, sge, pbs, pjm or local, not 'lsf'"),
        ("ssh: putty", "1: ssh wants fabric or openssh, not 'putty'"),
        ("remote: -oProxyCommand=x", "1: remote wants 'local' or [user@]host[:port], not '-oProxyCommand=x'"),
        ("remote: a b", "1: remote wants 'local' or [user@]host[:port], not 'a b'"),
        ("remote: h:99999", "1: remote wants 'local' or [user@]host[:port], not 'h:99999'"),
        ("remote: ''", "1: remote wants 'local' or [user@]host[:port], not ''"),
        ("remote: a@h\nuser: b", "2: user b contradicts remote a@h; give one of them"),
        ("user: a b", "1: user wants a user name on the cluster, not 'a b'"),
        ('rdir: "a\\nb"', f"1: rdir wants {FOLDER}, not 'a\\nb'"),
        ("rdir: ~bob/x", f"1: rdir wants {FOLDER}, not '~bob/x'"),
        ("results: x", f"1: results wants {PATTERNS}, not 'x'"),
        ("results: ['']", f"1: results wants {PATTERNS}, not ['']"),
        ("results:\n- a\n- [b]", "3: 'results': plain text is wanted here, no list or table"),
        ("results:\n- a\n-", "3: 'results': a value is missing; write '' for none"),
        ("results:\n- *.out", f"2: expected alphabetic or numeric character, but found '.'; {QUOTES}"),
        ("qsubheader: ''", "1: qsubheader wants a file on this machine, not ''"),
        ("placeholders: x", "1: placeholders wants lines 'name: text', one for each __name__ in the scripts, not 'x'"),
        ("placeholders:\n  cwd: x", "1: '__cwd__' is jobmon's own; choose another name"),
        ("placeholders:\n  __name__: x", "1: '__name__' is Python's own word; choose another name"),
        ("placeholders: {a b: x}", "1: 'a b' is no name; letters and digits, beginning with a letter"),
        ("placeholders: {nk: 1, __nk__: 2}", "1: 'nk' is named twice"),
        ("placeholders:\n  nk: 1\n  nk: 2", "3: 'nk' stands in line 2 already; take one of them out"),
        ("placeholders:\n  nk:", "2: 'placeholders': a value is missing; write '' for none"),
        ("placeholders:\n  nk: [1]", "2: 'placeholders': plain text is wanted here, no list or table"),
        ("run:\n  id: 1", "1: 'run:' stands only in a run folder's file; take it out here"),
        ("remote: a\n\nremote: b", "3: 'remote' stands in line 1 already; take one of them out"),
        ("- a", "1: the file wants lines 'name: value'"),
        ("remote", "1: the file wants lines 'name: value'"),
        ("? [a]\n: b", "1: a name is wanted before the colon"),
        ("remote: a: b", f"1: mapping values are not allowed here; {LINES}"),
        ("remote: a\n\tuser: b", "2: found character '\\t' that cannot start any token; indent with spaces, not tabs"),
        ("remote: a\n---\nb: c", "2: but found another document; one document a file: take the line '---' out"),
        ("remote: h\nuser: !!python/name:os.system x", "2: 'user': no tags such as 'tag:yaml.org,2002:python/name:os.system'; plain text only"),
        ("placeholders: !!python/object:x {a: b}", "1: 'placeholders' wants lines 'name: value'"),
        ("remote: *there", f"1: found undefined alias 'there'; {QUOTES}"),
        ("results: &a [*a]", "1: 'results': plain text is wanted here, no list or table"),
        ("<<: {remote: a}", "1: no setting is called '<<'; there are remote, user, rdir, binpath, pythonpath, maxqsub, maxcore, qsubheader, results, scheduler, ssh, ssh_config, interval, placeholders, grace, pulls_every, retries, site, notify"),
        (b"remote: h\nuser: \xff", "2: not UTF-8; save the file as UTF-8"),
        ("remote: h\nuser: \x01", "2: a control character; take it out"),
        ('user: "\\UFFFFFFFF"', f"1: a value YAML cannot read; {LINES}"),
        ("[" * 5000, "1: nested too deep; lines 'name: value' are wanted"),
    ],
)  # fmt: skip
@pytest.mark.fault("Input: a jobmon.yaml with a wrong key, type, duplicate or tag")
def test_a_mistake_names_its_line_and_the_way_out(
    here: Path, text: str | bytes, message: str
) -> None:
    assert refused(text) == f"jobmon.yaml:{message}"


def test_a_file_that_cannot_be_read(here: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.yaml: cannot be read \(No such file"):
        load(here / "no.yaml")
    with pytest.raises(UsageError, match=r"cannot be read \(Is a directory"):
        load(here)


@given(st.binary(max_size=200))
@pytest.mark.fault("Input: a jobmon.yaml of any bytes")
def test_no_file_makes_load_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    try:
        load(path)
    except UsageError as err:
        assert str(err).startswith(f"{path}:")


def test_defaults() -> None:
    settings = merge({}, {"remote": "local"})
    assert (settings.maxqsub, settings.maxcore, settings.interval) == (4, 16, 10.0)
    assert (settings.scheduler, settings.ssh, settings.grace) == ("auto", "fabric", 60.0)
    assert (settings.results, settings.placeholders, settings.target) == ([], {}, None)
    with pytest.raises(ValueError, match="frozen"):
        settings.maxqsub = 5


def test_a_flag_wins_and_what_is_not_given_does_not(here: Path) -> None:
    file = {"remote": "h", "maxqsub": 8, "results": ["a", "b"], "qsubheader": Path("/p/head")}
    flags: dict[str, Any] = {"maxqsub": 2, "maxcore": None, "result": ("c",), "rdir": "/r"}
    settings = merge(file, flags)
    assert settings.maxqsub == 2
    assert settings.maxcore == 16
    assert settings.results == ["c"]
    assert settings.qsubheader == Path("/p/head")
    assert settings.rdir == "/r"
    assert merge(file, {"result": ()}).results == ["a", "b"]
    assert merge(file, {"qsubheader": Path("x")}).qsubheader == here / "x"
    assert merge(file, {"qsubheader": "x"}, Path("/base")).qsubheader == Path("/base/x")


@pytest.mark.parametrize(
    ("file", "flags", "where"),
    [
        ({"remote": "h", "user": "a"}, {}, "a@h"),
        ({"remote": "a@h"}, {"user": "b"}, "b@h"),
        ({"remote": "a@h:22"}, {"user": "b"}, "b@h:22"),
        ({"remote": "h", "user": "a"}, {"remote": "b@g"}, "b@g"),
        ({"remote": "h", "user": "a"}, {"remote": "g"}, "a@g"),
        ({}, {"remote": "a@h", "user": "a"}, "a@h"),
        ({"remote": "h"}, {}, "h"),
    ],
)
def test_who_logs_in_where(file: dict[str, Any], flags: dict[str, Any], where: str) -> None:
    assert str(merge(file, flags).target) == where


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {},
            "no cluster is named; give --remote [user@]host or --remote local for this machine, "
            "or write 'remote:' into jobmon.yaml",
        ),
        ({"remote": "h", "maxqsub": 0}, f"--maxqsub: maxqsub wants {COUNT}, not 0"),
        ({"remote": "h", "ssh": "x"}, "--ssh: ssh wants fabric or openssh, not 'x'"),
        ({"remote": "h", "result": ["a\nb"]}, f"--result: results wants {PATTERNS}, not ['a\\nb']"),
        ({"remote": "a@h", "user": "b"}, "--user: user b contradicts remote a@h; give one of them"),
    ],
)
def test_a_flag_that_will_not_do(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        merge({}, flags)
    assert str(caught.value) == message


def test_the_header(here: Path) -> None:
    assert header_text(merge({}, {"remote": "h"})) is None
    settings = merge({}, {"remote": "h", "qsubheader": "head"})
    with pytest.raises(UsageError, match=r"head: the header cannot be read \(No such file"):
        header_text(settings)
    (here / "head").write_bytes(b"#$ -N x\r\n\xff")
    text = header_text(settings)
    assert text is not None
    assert text.encode("utf-8", "surrogateescape") == b"#$ -N x\r\n\xff"


def test_the_run_folders_file(here: Path) -> None:
    path = here / "jobmon.yaml"
    settings = merge({}, {"remote": "hpc", "rdir": "r", "result": ["*.out"]})
    write_run_file(path, settings, IDENTITY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in here.iterdir()] == ["jobmon.yaml"]
    assert (
        path.read_text()
        == """\
# Written by jobmon at the start of this run; a resume reads it. 'run:' names the run.
remote: hpc
rdir: r
maxqsub: 4
maxcore: 16
results:
- '*.out'
scheduler: auto
ssh: fabric
interval: 10.0
grace: 60.0
pulls_every: 60.0
retries: 0
run:
  id: 3fa85f64
  where: takao@hpc.example.org
  scheduler: slurm
  rdir: /home/takao/r/20261120_173102
"""
    )
    assert read_run_file(path) == (settings, IDENTITY)


words = st.text(min_size=1).filter(lambda t: not set(t) & set("\n\r\0"))
names = st.from_regex(r"[A-Z][A-Za-z0-9]{0,5}", fullmatch=True).filter(lambda n: n != "HEADER")


@given(
    binpath=words,
    results=st.lists(words),
    placeholders=st.dictionaries(names, st.text()),
    header=words.map(lambda t: Path("/") / t),
    interval=st.floats(1e-6, 1e9),
    rdir=words,
)
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory,
    binpath: str,
    results: list[str],
    placeholders: dict[str, str],
    header: Path,
    interval: float,
    rdir: str,
) -> None:
    path = tmp_path_factory.getbasetemp() / "jobmon.yaml"
    settings = Settings(
        remote="h",
        binpath=binpath,
        results=results,
        placeholders=placeholders,
        qsubheader=header,
        interval=interval,
    )
    identity = Identity("010", "yes", "null", "/" + rdir)
    write_run_file(path, settings, identity)
    assert read_run_file(path) == (settings, identity)


def test_odd_names_read_back(here: Path) -> None:
    odd = b"/x/\xff\xc3\xa4".decode("utf-8", "surrogateescape")
    settings = Settings(remote="h", binpath=odd, qsubheader=Path(odd))
    write_run_file(here / "jobmon.yaml", settings, IDENTITY)
    assert read_run_file(here / "jobmon.yaml")[0] == settings


WAY_OUT = "put it back from a copy, or start a new run"
RUN = "run: {id: a, where: local, scheduler: local, rdir: /r}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("remote: h\n", f"1: no run's identity under 'run:'; {WAY_OUT}"),
        ("remote: h\nrun: x\n", f"2: no run's identity under 'run:'; {WAY_OUT}"),
        ("remote: h\nrun: {id: a}\n", f"2: 'run:': 'where' is not given; {WAY_OUT}"),
        ("remote: h\n" + RUN.replace("}", ", x: y}"), f"2: 'run:': 'x' is not known; {WAY_OUT}"),
        ("remote: h\n" + RUN.replace("/r", "r"), f"2: 'run:': rdir is not absolute; {WAY_OUT}"),
        (RUN, f"1: 'remote' is not given; {WAY_OUT}"),
        (RUN + "maxqsub: x\n", f"1: 'remote' is not given; {WAY_OUT}"),
        ("remote: h\n" + RUN + "maxqsub: x\n", f"3: maxqsub wants {COUNT}, not 'x'"),
    ],
)
def test_a_run_file_that_was_spoiled(here: Path, text: str, message: str) -> None:
    (here / "jobmon.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_run_file(Path("jobmon.yaml"))
    assert str(caught.value) == f"jobmon.yaml:{message}"


STARTED = Settings(remote="hpc", user="takao", rdir="r", maxqsub=8, results=["*.out"])


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"remote": "hpc"},
        {"remote": "takao@hpc"},
        {"remote": "hpc.example.org", "user": "takao"},
        {"remote": "takao@hpc.example.org"},
        {"rdir": "/home/takao/r/"},
        {"rdir": "/home/takao/r/20261120_173102"},
        {"rdir": "~/r"},
        {"scheduler": "slurm"},
        {"scheduler": "auto"},
        {"maxqsub": 2},
    ],
)
def test_a_flag_that_agrees_with_the_run(flags: dict[str, Any]) -> None:
    check_flags(STARTED, IDENTITY, flags)
    assert resume(STARTED, IDENTITY, flags).remote == "hpc"


@pytest.mark.parametrize(
    ("flags", "fact"),
    [
        ({"remote": "other"}, "--remote other: this run is on takao@hpc.example.org"),
        ({"remote": "local"}, "--remote local: this run is on takao@hpc.example.org"),
        ({"remote": "bob@hpc"}, "--remote bob@hpc: this run is on takao@hpc.example.org"),
        ({"remote": "hpc:23"}, "--remote hpc:23: this run is on takao@hpc.example.org"),
        ({"remote": "a b"}, "--remote a b: this run is on takao@hpc.example.org"),
        ({"user": "bob"}, "--user bob: this run is on takao@hpc.example.org"),
        ({"rdir": "/scratch"}, "--rdir /scratch: this run is in /home/takao/r/20261120_173102"),
        ({"rdir": "~bob"}, "--rdir ~bob: this run is in /home/takao/r/20261120_173102"),
        ({"scheduler": "sge"}, "--scheduler sge: this run is on slurm"),
    ],
)
def test_a_flag_that_contradicts_the_run(flags: dict[str, Any], fact: str) -> None:
    with pytest.raises(UsageError) as caught:
        resume(STARTED, IDENTITY, flags)
    assert str(caught.value) == (
        f"{fact}, which cannot change; leave the flag out, or start a new run"
    )


def test_a_resume_changes_what_may_change() -> None:
    settings = resume(STARTED, IDENTITY, {"maxqsub": 2, "interval": 1.0, "result": ("a",)})
    assert (settings.maxqsub, settings.interval, settings.results) == (2, 1.0, ["a"])
    assert (settings.remote, settings.rdir, settings.user) == ("hpc", "r", "takao")
    assert resume(STARTED, IDENTITY, {}) == STARTED


def test_a_run_on_this_machine() -> None:
    local = Identity("a", "local", "local", "/p/20261120_173102")
    check_flags(Settings(remote="local"), local, {"remote": "local", "user": "me"})
    with pytest.raises(UsageError, match="this run is on local"):
        check_flags(Settings(remote="local"), local, {"remote": "localhost"})
