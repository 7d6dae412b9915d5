"""What people put into a project: names of every kind, files by odd editors, and mistakes.

Each either works in a whole run, or is refused in one line before anything is changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TestCluster
from session import FAST, agree, environment, jobmon, only_run, put, ran_once, status, twin_of

from jobmon.core.model import Key
from jobmon.core.needs import parse
from jobmon.run import views
from jobmon.run.settings import UsageError, load
from jobmon.run.tree import LARGEST

GiveDir = Callable[[str], str]
fault = pytest.mark.fault

NAMES = {
    "space": "a  b ",
    "quotes": "q'\"`",
    "$()": "$(touch pwned)",
    ";": "x; touch pwned; &|<>",
    "leading -": "-rf",
    "255 bytes": "n" * 255,
    "255 bytes of another script": "\N{HIRAGANA LETTER A}" * 85,
    "any script": "é 日本 عرب \N{PILE OF POO}",
    "turns the line round": "a\N{RIGHT-TO-LEFT OVERRIDE}b",
    "control characters": "\x01a\tb\rc\x1b[31m\x7f",
    "no UTF-8": "b\udcffd",
    "%": "%41",
    "#": "#x",
    "..x": "..x",
    "not": "not x",
    "patterns": "[*?]",
    "backslash": "a\\b\\",
    "~": "~root",
    "=": "a=b",
    "!": "!x",
    "$HOME": "$HOME",
    "{}": "{a,b}",
    "a key of quelist": "qsub.0 ready@",
}


IN_VAIN = "$HOME"
"""The one name that Grid Engine takes for another: it replaces it in the path of ``-cwd``."""


def everything(init: Path, names: list[str]) -> None:
    """A folder by each name, whose job makes a file of that name; and a job that waits for all."""
    for name in names:
        work = 'echo x >> started.0\necho made > "./${PWD##*/}"'
        put(init, f"{name}/qsub.0", work)
    all_of_them = "".join(f"../{name}/qsub.finished.0\n" for name in names)
    put(init, "join/qsub.0", "echo x >> started.0", "")
    path = init / "join" / "qsub.dependency.0"
    path.write_bytes(os.fsencode(all_of_them))


def judge(run: Path, twin: Path, names: list[str]) -> None:
    seen = status(run)
    wanted = {f"{name}/qsub.0" for name in (*names, "join")}
    assert set(seen["state"]) == wanted
    assert seen["counts"] == {"finished": len(wanted)}, seen["job"]
    for name in names:
        assert (run / name / name).read_text() == "made\n", name
    ran_once(twin)
    agree(run)
    assert not list(run.rglob("pwned")) and not list(twin.rglob("pwned"))
    for name in ("quelist", "qsub.log", "jobmon.log"):
        assert all(line.isprintable() for line in (run / name).read_text("utf-8").split("\n"))


@fault("Input: names of every kind (through a whole run, local queue)")
def test_names_of_every_kind_on_the_local_queue(project: Path) -> None:
    names = list(NAMES.values())
    everything(project / "init", names)
    done = jobmon("--ldir", project, "--maxqsub", "30", code=0)
    judge(only_run(project), twin_of(project), names)
    assert all(line.isprintable() for line in done.stdout.split("\n"))
    jobmon("kill", "--run", only_run(project), "--", NAMES["leading -"], code=0)


@pytest.mark.parametrize(("host", "ssh"), [("hpc", "fabric"), ("sge", "openssh")])
@fault("Input: names of every kind (through a whole run, Slurm and Grid Engine)")
def test_names_of_every_kind_on_a_cluster(
    testcluster: TestCluster, remote_dir: GiveDir, tmp_path: Path, host: str, ssh: str
) -> None:
    project = tmp_path / "project"
    names = [name for name in NAMES.values() if host != "sge" or name != IN_VAIN]
    everything(project / "init", names)
    (project / "jobmon.yaml").write_text(FAST)
    rdir = remote_dir(host)
    jobmon(
        *("--ldir", project, "--rdir", rdir, "--remote", host, "--ssh", ssh),
        *("--ssh-config", testcluster.ssh_config, "--maxqsub", "30"),
        code=0,
    )
    run = only_run(project)
    judge(run, testcluster.home(host) / rdir / run.name, names)


# --- odd files -------------------------------------------------------------------------


def odd_files(init: Path, outside: Path) -> None:
    """A folder for each kind of odd file; what is to become of it is in ``ODD``."""
    for folder in ("ring", "itself", "through", "binary", "crlf", "bom", "empty", "last"):
        (init / folder).mkdir(parents=True)
    put(init, "ring/qsub.0", needs="qsub.finished.1\n")
    put(init, "ring/qsub.1", needs="../ring/qsub.finished.0\n")
    put(init, "itself/qsub.0", needs="./qsub.finished.0\n")
    (outside / "behind").mkdir(parents=True)
    put(outside, "behind/qsub.0")
    put(outside, "shared", "echo __jobname__ > result")
    (init / "linked").symlink_to(outside / "behind")
    put(init, "through/qsub.0", needs="../linked/qsub.0\n")
    (init / "shared").mkdir()
    (init / "shared" / "qsub.shared").symlink_to(outside / "shared")
    (init / "shared" / "qsub.dependency.shared").touch()
    (init / "binary" / "qsub.0").write_bytes(bytes(range(256)) * 40)
    put(init, "crlf/qsub.0")
    script = (init / "crlf" / "qsub.0").read_bytes()
    (init / "crlf" / "qsub.0").write_bytes(script.replace(b"\n", b"\r\n"))
    put(init, "bom/qsub.0")
    (init / "bom" / "qsub.0").write_bytes(b"\xef\xbb\xbf" + script)
    (init / "empty" / "qsub.0").touch()
    put(init, "last/qsub.0", needs="")
    put(init, "last/qsub.1", needs="\ufeff# by an editor\r\nqsub.finished.0\r\nqsub.0")
    (init / "last" / "qsub.1").write_bytes(script.replace(b"finished.0\n", b"finished.1"))
    many = "".join(f"not ../a-folder-with-a-name/file-{i}.dat\n" for i in range(21_000))
    assert LARGEST * 0.8 < len(many) < LARGEST
    put(init, "many/qsub.0", needs=many)
    for folder in ("binary", "bom", "empty"):
        (init / folder / "qsub.dependency.0").touch()


ODD = {
    "ring/qsub.0": ("blocked", "ring: "),
    "ring/qsub.1": ("blocked", "ring: "),
    "itself/qsub.0": ("blocked", "ring: itself/qsub.0 waits for itself/qsub.0"),
    "through/qsub.0": ("finished", ""),
    "shared/qsub.shared": ("finished", ""),
    "binary/qsub.0": ("failed", ""),
    "crlf/qsub.0": ("failed", ""),
    "bom/qsub.0": ("finished", ""),
    "empty/qsub.0": ("failed", ""),
    "last/qsub.0": ("finished", ""),
    "last/qsub.1": ("finished", ""),
    "many/qsub.0": ("finished", ""),
}
"""What becomes of each job, and what its reason says."""


@fault("Input: rings, itself, through a link")
@fault("Input: a binary called qsub.0, CRLF, no final newline, a byte-order mark, an empty script")
@fault("Input: links out of the tree")
@fault("Input: a dependency file of nearly 1 MB")
def test_odd_files_come_to_the_end_that_is_theirs(project: Path, tmp_path: Path) -> None:
    odd_files(project / "init", tmp_path / "outside")
    yaml = project / "jobmon.yaml"
    yaml.write_bytes(b"\xef\xbb\xbf" + yaml.read_bytes().replace(b"\n", b"\r\n").rstrip())
    done = jobmon("--ldir", project, code=1)
    run = only_run(project)
    seen = status(run)
    assert seen["state"] == {key: state for key, (state, _) in ODD.items()}
    for key, (_, words) in ODD.items():
        assert words in seen["job"][key]["reason"], key
    for warning in (
        "linked is a link to a folder; no job is looked for behind it",
        "crlf/qsub.0 has DOS line ends (CRLF)",
        "bom/qsub.0 begins with a byte-order mark",
        "empty/qsub.0 never mentions qsub.finished.0",
        "binary/qsub.0 never mentions qsub.finished.0",
    ):
        assert f"warning: {warning}" in done.stdout
    assert (run / "shared" / "result").read_text() == "shared\n"
    assert not (run / "shared" / "qsub.shared").is_symlink()
    shared = tmp_path / "outside" / "shared"
    assert "__jobname__" in shared.read_text(), "the file behind the link is not touched"
    agree(run)


@pytest.mark.parametrize(
    ("needs", "says"),
    [
        pytest.param(needs, says, marks=fault(f"Input: {name}"), id=name)
        for name, needs, says in [
            ("outside the run (../../x)", "a\n../../x\n", "line 2: '../../x' is outside the run"),
            ("outside the run (absolute)", "/etc/passwd", "line 1: '/etc/passwd' is outside"),
            ("outside the run (not, absolute)", "\n\nnot /x", "line 3: '/x' is outside the run"),
            ("a dependency file with a NUL", "x\0", "line 1: a file name with a NUL byte"),
            ("10 MB of dependency file", "../x/y\n" * 1_500_000, "is larger than 1 MB"),
        ]
    ],
)
def test_a_dependency_file_that_cannot_be_meant_is_refused(
    project: Path, needs: str, says: str
) -> None:
    put(project / "init", "m/qsub.0", needs=needs)
    before = sorted(project.rglob("*"))
    done = jobmon("--ldir", project, code=2)
    assert f"{project}/init/m/qsub.dependency.0" in done.stderr and says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(project.rglob("*")) == before


@fault("Input: a pipe or a folder in place of a script or a dependency file")
@pytest.mark.parametrize("name", ["qsub.dependency.0", "data"])
def test_a_pipe_is_refused_and_not_waited_for(project: Path, name: str) -> None:
    put(project / "init", "m/qsub.0", needs=None)
    os.mkfifo(project / "init" / "m" / name)
    done = jobmon("--ldir", project, code=2)
    assert f"{project}/init/m/{name}: no plain file" in done.stderr
    (project / "init" / "m" / name).unlink()
    (project / "init" / "m" / "qsub.dependency.0").mkdir()
    assert "m/qsub.dependency.0: a folder" in jobmon("--ldir", project, code=2).stderr


@fault("Input: names of every kind, read by another locale at every command")
def test_a_key_is_the_same_in_every_locale(project: Path) -> None:
    put(project / "init", "\N{HIRAGANA LETTER A}/qsub.0", "echo x >> started.0; exit 1")
    jobmon("--ldir", project, code=1)
    run = only_run(project)
    ascii_only = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    jobmon("status", "--run", run, code=0, env=ascii_only)
    jobmon("--ldir", run, code=1, env=ascii_only)
    assert status(run)["counts"] == {"failed": 1}
    ran_once(twin_of(project))
    jobmon("retry", "--run", run, "\N{HIRAGANA LETTER A}", code=0, env=ascii_only)
    agree(run)


@fault("Input: links out of the tree")
def test_a_script_that_is_a_link_to_nowhere_is_refused(project: Path) -> None:
    (project / "init" / "m").mkdir()
    (project / "init" / "m" / "qsub.0").symlink_to("gone")
    done = jobmon("--ldir", project, code=2)
    assert f"{project}/init/m/qsub.0: no plain file, nor a link to one" in done.stderr


@fault("Input: 10 MB of dependency file")
def test_a_line_that_comes_a_million_times_counts_once() -> None:
    began = time.process_time()
    assert len(parse("../x/y\n" * 1_000_000, "m")) == 1
    assert time.process_time() - began < 5


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)  # fmt: skip
MISTAKES = [
    ("a wrong key (say which is meant)", "rdir: x\nmaxqsubs: 3", "2: no setting is called 'maxqsubs'; did you mean 'maxqsub'?"),
    ("a wrong key, in capitals", "MaxQsub: 3", "1: no setting is called 'MaxQsub'; did you mean 'maxqsub'?"),
    ("a wrong type", "maxqsub: [3]", "1: maxqsub wants a whole number, 1 or more, not ['3']"),
    ("a duplicate", "rdir: x\nuser: y\nrdir: z", "3: 'rdir' stands in line 1 already; take one of them out"),
    ("a tag (python)", "user: !!python/object/apply:os.system [id]", "1: 'user': plain text is wanted here, no list or table"),
    ("a tag (python, plain)", "rdir: x\nuser: !!python/name:os.system", "2: 'user': no tags such as 'tag:yaml.org,2002:python/name:os.system'; plain text only"),
    ("a tag (include)", "rdir: !include /etc/passwd", "1: 'rdir': no tags such as '!include'; plain text only"),
    ("aliases of aliases", BOMB, "1: 'b': plain text is wanted here, no list or table"),
    ("an alias of itself", "results: &a [*a]", "1: 'results': plain text is wanted here, no list or table"),
    ("a NUL byte", "rdir: x\nuser: a\0b", "2: a control character; take it out"),
    ("a tab", "rdir: x\n\tuser: y", "2: found character '\\t' that cannot start any token; indent with spaces, not tabs"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(text, says, marks=fault(f"Input: a jobmon.yaml with {name}"), id=name)
        for name, text, says in MISTAKES
    ],
)
def test_a_mistake_in_jobmon_yaml_is_named_with_its_line(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "jobmon.yaml"
    path.write_text(text)
    began = time.process_time()
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:{says}"
    assert time.process_time() - began < 2


@fault("Input: CRLF and a byte-order mark in quelist")
def test_an_editor_s_line_ends_do_not_spoil_an_order() -> None:
    lines = [views.Line(Key(f"m/qsub.{i}"), ()) for i in range(3)]
    text = views.print_quelist(lines)
    head, *rows = text.splitlines()
    edited = "\ufeff" + "\r\n".join([head, *reversed(rows)])
    assert views.reorder(lines, edited) == [Key(f"m/qsub.{i}") for i in (2, 1, 0)]
