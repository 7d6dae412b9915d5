"""jobmon check without a cluster: the tree, what answers mean, and how it is shown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from ecalj_lab import poscar
from session import jobmon, put, script
from shell_lab import SHELLS, ShellLink

from jobmon.act import check_tree, make
from jobmon.act.init import init as make_project
from jobmon.cluster import site
from jobmon.cluster.base import LookFailed
from jobmon.cluster.site import Room
from jobmon.core.finding import Finding, Level, exit_code
from jobmon.core.model import Key
from jobmon.core.needs import Needs, parse
from jobmon.core.unmade import behind, downstream, rings, unmade
from jobmon.run import names
from jobmon.run.options import Settings
from jobmon.run.settings import load
from jobmon.run.usage import UsageError

GREEN, YELLOW, RED = Level.GREEN, Level.YELLOW, Level.RED
LOCAL = Settings(remote="local")


def tree_of(init: Path, settings: Settings = LOCAL) -> dict[tuple[str, Level], Finding]:
    """The findings of a tree, by what they are about and how bad it is."""
    found = check_tree.findings(check_tree.look(init, settings, run=False), run=False)
    return {(one.what, one.level): one for one in found}


@pytest.fixture
def init(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "init"
    folder.mkdir(parents=True)
    return folder


def test_the_worst_line_is_the_exit_code() -> None:
    lines = [Finding(level, "x", "y") for level in (GREEN, RED, YELLOW)]
    assert [exit_code(lines[:n]) for n in range(4)] == [0, 0, 2, 2]
    assert exit_code([lines[0], lines[2]]) == 1


# --- what no job makes -----------------------------------------------------------------------


def needs_of(tree: Mapping[str, str | None]) -> dict[Key, Needs]:
    """Key -> the text of its dependency file."""
    return {
        Key(key): None if text is None else parse(text, key.rpartition("/")[0])
        for key, text in tree.items()
    }


def nobody_makes(tree: Mapping[str, str | None], *present: str) -> list[tuple[str, str]]:
    needs = needs_of(tree)
    waiters = behind(needs, names.marker_key)
    found = unmade(needs, set(present), names.marker_key, waiters)
    return [(key, str(need)) for key, need in found]


@pytest.mark.parametrize(
    ("tree", "present", "missing"),
    [
        ({"a/qsub.0": "", "a/qsub.1": "qsub.finished.0"}, (), []),
        ({"a/qsub.1": "qsub.finished.7"}, (), [("a/qsub.1", "a/qsub.finished.7")]),
        ({"a/qsub.1": "qsub.finished.7"}, ("a/qsub.finished.7",), []),
        # a plain file: made by an earlier job of its folder, not by a later one or by nobody
        ({"a/qsub.0": "", "a/qsub.1": "out"}, (), []),
        ({"a/qsub.0": "in"}, (), [("a/qsub.0", "a/in")]),
        ({"a/qsub.0": "in"}, ("a/in",), []),
        ({"a/qsub.0": "in", "a/qsub.1": "qsub.finished.0"}, (), [("a/qsub.0", "a/in")]),
        ({"a/qsub.0": "../b/x", "b/qsub.0": ""}, (), []),
        ({"a/qsub.0": "../c/x", "b/qsub.0": ""}, (), [("a/qsub.0", "c/x")]),
        # what must go away
        ({"a/qsub.0": "not STOP"}, (), []),
        ({"a/qsub.0": "not STOP"}, ("a/STOP",), [("a/qsub.0", "not a/STOP")]),
        ({"a/qsub.0": "not x", "a/qsub.1": ""}, ("a/x",), []),
        ({"a/qsub.0": None}, (), []),
    ],
)
def test_what_no_job_of_the_tree_makes(
    tree: dict[str, str | None], present: tuple[str, ...], missing: list[tuple[str, str]]
) -> None:
    assert nobody_makes(tree, *present) == missing


def test_all_that_come_after_a_job() -> None:
    needs = needs_of({f"a/qsub.{i}": f"qsub.finished.{i - 1}" if i else "" for i in range(5)})
    waiters = behind(needs, names.marker_key)
    assert downstream(Key("a/qsub.2"), waiters) == {f"a/qsub.{i}" for i in (2, 3, 4)}


def test_a_ring_is_named_and_what_is_held_or_missing_is_none() -> None:
    needs = needs_of(
        {
            "a/qsub.0": "../b/qsub.finished.0",
            "b/qsub.0": "../a/qsub.finished.0",
            "c/qsub.0": "../a/qsub.finished.0",
            "d/qsub.0": None,
            "d/qsub.1": "qsub.finished.0\nnowhere",
            "e/qsub.0": "qsub.finished.0",
        }
    )
    found = rings(needs, set(), names.marker_key)
    assert set(found) == {"a/qsub.0", "b/qsub.0", "c/qsub.0", "e/qsub.0"}
    assert found[Key("a/qsub.0")] == "ring: a/qsub.0 waits for b/qsub.0 waits for a/qsub.0"
    assert found[Key("c/qsub.0")] == found[Key("a/qsub.0")]
    assert found[Key("e/qsub.0")] == "ring: e/qsub.0 waits for e/qsub.0"
    assert rings(needs, {"a/qsub.finished.0"}, names.marker_key).keys() == {Key("e/qsub.0")}


# --- the tree ----------------------------------------------------------------------------------


def test_a_good_tree_is_green(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1")
    put(init, "m1/qsub.1", "work || exit 1", "qsub.finished.0\nresult\n")
    (init / "m1" / "qsub.0.o123").write_text("an old output is no stray\n")
    found = tree_of(init)
    assert {level for _, level in found} == {GREEN}
    assert found["jobs", GREEN].words == "2 jobs in 1 folders"
    assert found["dependencies", GREEN].words == "2, each there or made by some job"


def test_an_empty_tree_is_red(init: Path) -> None:
    assert tree_of(init)["jobs", RED].words == "no script qsub.ID is there"


def test_a_held_job_is_named_with_what_lets_it_go(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1", None)
    found = tree_of(init)["jobs", YELLOW]
    assert found.each == ("m1/qsub.0",)
    assert "touch qsub.dependency.ID" in found.way_out


def test_placeholders_of_jobmon_are_red_and_others_yellow(init: Path) -> None:
    put(init, "m1/qsub.0", "__binpath__/lmf || exit 1")
    put(init, "m2/qsub.0", "echo __nk__ || exit 1")
    found = tree_of(init)
    assert found["placeholders", RED].each == (
        "m1/qsub.0: __binpath__ left over; no value was given for it",
    )
    assert found["placeholders", YELLOW].each == (
        "m2/qsub.0: __nk__ left over; no value was given for it",
    )
    given = Settings(remote="local", binpath="/opt", placeholders={"nk": "6"})
    assert tree_of(init, given)["placeholders", GREEN].words == "none is left over"


def test_a_header_that_cannot_be_read_is_said_and_the_rest_is_looked_at(init: Path) -> None:
    put(init, "m1/qsub.0", "__HEADER__")
    found = tree_of(init, Settings(remote="local", qsubheader=init / "none"))
    assert "the header cannot be read" in found["placeholders", RED].each[0]
    assert found["jobs", GREEN].words == "1 jobs in 1 folders"


def test_markers_missing_unconditional_and_there_already(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1")
    (init / "m1" / "qsub.0").write_text(script("true", "0", marker=False))
    put(init, "m2/qsub.0", "true")
    (init / "m2" / "qsub.0").write_text("#!/bin/sh\nwork\ntouch qsub.finished.0\n")
    found = check_tree.look(init, LOCAL, run=False)
    [line] = [one for one in check_tree.findings(found, run=False) if one.what == "markers"]
    assert line.level == YELLOW and line.words == "2 flaws"
    assert "never mentions qsub.finished.0" in line.each[0]
    assert "writes its marker whatever happens" in line.each[1]
    (init / "m2" / "qsub.finished.0").touch()
    lines = list(check_tree.findings(check_tree.look(init, LOCAL, run=False), run=False))
    assert any(
        "count as finished" in one.words and one.each == ("m2/qsub.finished.0",) for one in lines
    )


def test_every_problem_is_named_not_only_the_first(init: Path) -> None:
    for i in range(25):
        put(init, f"m{i:02}/qsub.0", "work || exit 1", "../../outside\n")
    found = tree_of(init)["dependencies", RED]
    assert found.words == "25 flaws"
    assert len(found.each) == 25
    assert (
        "m07/qsub.dependency.0, line 1: '../../outside' is outside the run folder" in found.each[7]
    )
    done = jobmon(
        "check", "--ldir", init.parent, "--remote", "local", "--scheduler", "local", code=2
    )
    assert done.stdout.count("is outside the run folder") == 20
    assert "and 5 more; see --json" in done.stdout


def _newline(init: Path) -> None:
    (init / "a\nb").touch()


def _ours(init: Path) -> None:
    (init / "quelist").touch()


def _folder(init: Path) -> None:
    (init / "m1" / "qsub.dependency.3").mkdir()


def _pipe(init: Path) -> None:
    os.mkfifo(init / "m1" / "pipe")


def _script_folder(init: Path) -> None:
    (init / "m1" / "qsub.5").symlink_to("/nowhere")


def _large(init: Path) -> None:
    (init / "m1" / "qsub.dependency.0").write_text("x\n" * 600_000)


@pytest.mark.parametrize("spoil", [_newline, _ours, _folder, _pipe, _script_folder, _large])
def test_what_a_start_refuses_is_red_in_the_same_words(init: Path, spoil: object) -> None:
    put(init, "m1/qsub.0", "work || exit 1")
    make.check(init)
    assert callable(spoil)
    spoil(init)
    with pytest.raises(UsageError) as refused:
        make.check(init)
    red = [one for (_, level), one in tree_of(init).items() if level == RED]
    assert [one.each for one in red] == [(str(refused.value),)]


def test_names_that_are_almost_a_jobs(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1")
    for name in ("qsub.1.sh", "Qsub.2", "qsub.now", "qsub.dependency.7", "qsub.finish.0"):
        (init / "m1" / name).touch()
    (init / "m2").symlink_to("m1")
    tree = check_tree.look(init, LOCAL, run=False)
    assert sorted(tree.stray) == [
        f"m1/{n}" for n in ("Qsub.2", "qsub.1.sh", "qsub.finish.0", "qsub.now")
    ]
    assert tree.orphans == ["m1/qsub.dependency.7"]
    assert [flaw.words for flaw in tree.flaws] == [
        "m2 is a link to a folder; no job is looked for behind it"
    ]


def test_texts_that_no_shell_reads_as_meant(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1")
    path = init / "m1" / "qsub.0"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert [one.split()[2:5] for one in tree_of(init)["scripts", YELLOW].each] == [
        ["with", "a", "byte-order"],
        ["DOS", "line", "ends"],
    ]


def test_dependencies_that_no_job_makes(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1", "qsub.finished.9\n")
    put(init, "m1/qsub.1", "work || exit 1", "../data/table\n")
    put(init, "m1/qsub.2", "work || exit 1", "not ../STOP\n")
    (init / "STOP").touch()
    found = tree_of(init)
    assert found["dependencies", RED].each == (
        "m1/qsub.0 waits for m1/qsub.finished.9, but there is no script m1/qsub.9",
    )
    assert found["dependencies", YELLOW].each == (
        "m1/qsub.1 waits for data/table, which is not there",
        "m1/qsub.2 waits until STOP is gone, and nothing here removes it",
    )


def test_a_script_that_names_what_is_waited_for_makes_it(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1", "../m2/qsub.finished.9\n../data/table\n")
    put(init, "m2/qsub.0", "write > qsub.9; cp x ../data/table || exit 1")
    assert ("dependencies", GREEN) in tree_of(init)
    # but not whoever waits for it, nor one that comes after that
    put(init, "m2/qsub.0", "use qsub.9 ../data/table || exit 1", "../m1/qsub.finished.0\n")
    found = tree_of(init)
    assert len(found["dependencies", RED].each) == len(found["dependencies", YELLOW].each) == 1


def test_a_ring_is_red(init: Path) -> None:
    put(init, "m1/qsub.0", "work || exit 1", "../m2/qsub.finished.0\n")
    put(init, "m2/qsub.0", "work || exit 1", "../m1/qsub.finished.0\n")
    put(init, "m3/qsub.0", "work || exit 1", "../m1/qsub.finished.0\n")
    found = tree_of(init)["rings", RED]
    assert found.words == "3 jobs can never start"
    assert found.each == ("ring: m1/qsub.0 waits for m2/qsub.0 waits for m1/qsub.0",)


def test_programs_sizes_and_job_names_are_noted(init: Path) -> None:
    put(init, "12 GaAs/qsub.0", "__binpath__/lmf; __binpath__/gw/lm-x.sh; __binpath__ || exit 1")
    text = (init / "12 GaAs" / "qsub.0").read_text()
    (init / "12 GaAs" / "qsub.0").write_text(
        text.replace("#$ -cwd", "#$ -N __jobname__ -cwd\n#PBS -N short")
    )
    tree = check_tree.look(init, LOCAL, run=False)
    assert tree.programs == {"lmf", "gw/lm-x.sh"}
    put(
        init,
        "m/qsub.0",
        '"__binpath__"/vasp_std; bin=__binpath__; "$bin/a" "${bin}"/b $bin; $other/c',
    )
    put(init, "m/qsub.1", "$bin/of_another_folder")
    assert check_tree.look(init, LOCAL, run=False).programs == {
        *("lmf", "gw/lm-x.sh", "vasp_std", "a", "b"),
    }
    assert tree.job_names == [
        ("12 GaAs/qsub.0", "$", "12 GaAs"),
        ("12 GaAs/qsub.0", "PBS", "short"),
    ]


@pytest.mark.parametrize("template", ["chain", "ising", "python-sweep", "ecalj-lda", "ecalj-qsgw"])
def test_a_project_as_init_makes_it_has_no_flaw(template: str, tmp_path: Path) -> None:
    target, values = tmp_path / "new", {"niter": "2"} if template == "ecalj-qsgw" else {}
    structure = tmp_path / "POSCAR.SiGe_x0.5"
    structure.write_text(poscar("Si", "Ge"))
    make_project(template, target, values, [structure] if "ecalj" in template else [])
    settings = load(target / "jobmon.yaml")
    given = Settings(**{"remote": "local", "binpath": "/opt/ecalj/bin"} | settings)
    found = check_tree.look(target / "init", given, run=False)
    assert [one for one in check_tree.findings(found, run=False) if one.level != GREEN] == []
    assert found.programs == ({"lmf"} if "ecalj" in template else set())


# --- check.sh ----------------------------------------------------------------------------------------


@pytest.fixture(params=SHELLS)
def link(request: pytest.FixtureRequest, tmp_path: Path) -> ShellLink:
    return ShellLink(SHELLS[request.param], tmp_path)


def test_room_is_told_of_the_nearest_folder_that_is_there(
    link: ShellLink, weird_path: Path
) -> None:
    here = str(weird_path)

    def room(path: str) -> Room:
        found = site.tell(link, [["room", path]]).room
        assert found is not None
        return found

    found = room(f"{here}/a/b c/d")
    assert (found.there, found.writable, found.run) == (here, True, "")
    assert found.bytes is not None and found.bytes > 0
    (weird_path / "file").touch()
    (weird_path / "nowhere").symlink_to("/does/not/exist")
    assert not room(f"{here}/file/x").writable
    assert not room(f"{here}/nowhere").writable
    (weird_path / ".jobmon").mkdir()
    (weird_path / ".jobmon" / "run").write_text("abc123\n")
    assert room(here).run == "abc123"
    assert room("/no-such-folder-of-the-root").there == "/"
    assert sorted(p.name for p in weird_path.iterdir()) == [".jobmon", "file", "nowhere"]


def test_programs_folders_and_commands_are_told_apart(link: ShellLink, weird_path: Path) -> None:
    (weird_path / "run").write_text("#!/bin/sh\necho version 7 >&2\nexit 3\n")
    (weird_path / "run").chmod(0o755)
    (weird_path / "data").touch()
    paths = [str(weird_path), *(f"{weird_path}/{name}" for name in ("run", "data", "none"))]
    steps = [["file", *paths], ["command_of", "sh"], ["command_of", "no-such-command"]]
    steps += [
        ["says", "20", paths[1]],
        ["says", "20", "no-such-command"],
        ["says", "1", "sleep", "30"],
    ]
    told = site.tell(link, steps)
    assert told.files == dict(zip(paths, ("folder", "program", "other", "missing"), strict=True))
    assert told.commands[0].endswith("/sh") and told.commands[1] == ""
    assert told.outputs[0] == (3, "version 7")
    assert told.outputs[1][0] == 127
    assert told.outputs[2][0] in {124, 137, 143}


def test_what_is_printed_unasked_is_heard(tmp_path: Path) -> None:
    assert site.unasked(ShellLink(["sh"], tmp_path)) == b""
    assert site.unasked(ShellLink(["sh"], tmp_path, b"Welcome\nto node07")) == b"Welcome\nto node07"
    with pytest.raises(LookFailed, match="runs no /bin/sh; it said: nothing"):
        site.unasked(ShellLink(["true"], tmp_path))


# --- the command line --------------------------------------------------------------------------------


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Mode, size and time of all that is below a folder."""
    return {
        str(path.relative_to(folder)): (s.st_mode, s.st_size, s.st_mtime_ns)
        for path in [folder, *folder.rglob("*")]
        for s in [path.lstat()]
    }


def test_a_person_sees_colourless_lines_and_nothing_is_changed(
    project: Path, own_home: Path
) -> None:
    put(project / "init", "m1/qsub.0", "work || exit 1")
    put(project / "init", "m1/qsub.1", "__nk__ || exit 1", "qsub.finished.0\n")
    before = everything(project.parent), everything(own_home)
    done = jobmon("check", "--ldir", project, "--maxqsub", "7", "--pythonpath", "sh", code=2)
    assert (everything(project.parent), everything(own_home)) == before
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    at = lines.index("yellow  placeholders  1 flaw")
    assert lines[at + 1 : at + 3] == [
        "          m1/qsub.1: __nk__ left over; no value was given for it",
        "        way out: give --binpath, --pythonpath, --qsubheader or 'placeholders:' in jobmon.yaml",
    ]
    assert "green   batch system  this machine's own queue" in lines
    assert "green   maxqsub       7; the site tells no limit" in lines
    assert lines[-1].endswith(" red; nothing was submitted or changed")
    assert "\x1b" not in done.stdout


def test_json_holds_all_of_it(project: Path) -> None:
    for i in range(30):
        put(project / "init", f"m{i}/qsub.0", "work || exit 1", "qsub.finished.1\n")
    done = jobmon("check", "--ldir", project, "--json", code=2)
    found = json.loads(done.stdout)
    assert found["exit_code"] == 2
    assert set(found["findings"][0]) == {"level", "what", "words", "way_out", "each"}
    [bad] = [one for one in found["findings"] if one["level"] == "red"]
    assert bad["what"] == "dependencies" and len(bad["each"]) == 30
    assert all(one["way_out"] for one in found["findings"] if one["level"] != "green")


def test_the_exit_code_is_the_worst_line(project: Path) -> None:
    put(project / "init", "m1/qsub.0", "work || exit 1")
    jobmon("check", "--ldir", project, code=0)
    put(project / "init", "m1/qsub.1", "echo", None)
    jobmon("check", "--ldir", project, code=1)
    put(project / "init", "m1/qsub.1", "echo", "qsub.finished.1\n")
    jobmon("check", "--ldir", project, code=2)


def test_colour_on_a_terminal_only_and_no_color_is_honoured(project: Path) -> None:
    put(project / "init", "m1/qsub.0", "work || exit 1")
    forced = os.environ | {"FORCE_COLOR": "1", "TERM": "xterm"}
    shown = jobmon("check", "--ldir", project, env=forced, code=0).stdout
    assert "\x1b[32mgreen" in shown
    plain = jobmon("check", "--ldir", project, env=forced | {"NO_COLOR": "1"}, code=0).stdout
    assert "\x1b[3" not in plain and "green" in plain


def test_bad_settings_end_as_in_a_start(project: Path) -> None:
    put(project / "init", "m1/qsub.0")
    done = jobmon("check", "--ldir", project, "--maxqsub", "0", code=2)
    assert done.stderr == "jobmon: --maxqsub: maxqsub wants a whole number, 1 or more, not 0\n"
    (project / "jobmon.yaml").write_text("remote: local\nmaxqsubs: 3\n")
    done = jobmon("check", "--ldir", project, code=2)
    assert "jobmon.yaml:2: no setting is called 'maxqsubs'; did you mean 'maxqsub'?" in done.stderr
    assert done.stdout == ""


def test_a_run_that_is_there_is_checked_in_its_own_folder(project: Path, tmp_path: Path) -> None:
    put(project / "init", "m1/qsub.0", "true || exit 1")
    jobmon("--ldir", project, "--initonly", code=0)
    run = (project / "latest").resolve()
    before = everything(tmp_path)
    done = jobmon("check", "--ldir", run, code=0)
    assert f"green   settings      {run / 'jobmon.yaml'}" in done.stdout
    assert f"{run.name} is writable" in done.stdout
    assert everything(tmp_path) == before
    [twin] = [p for p in tmp_path.iterdir() if p.name.startswith("far")]
    (twin / run.name / ".jobmon" / "run").write_text("another\n")
    shown = jobmon("check", "--ldir", run, code=2).stdout
    assert "belongs to another run\n        way out: give the path" in shown
    (twin / run.name).rename(tmp_path / "away")
    shown = jobmon("check", "--ldir", run, code=2).stdout
    assert "is missing\n        way out: bring it back" in shown
