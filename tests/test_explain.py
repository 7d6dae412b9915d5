"""``jobmon explain KEY``: everything about one job, down to the root of what it waits for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from session import count, daemon, hurry, jobmon, only_run, put, until
from view_lab import FAILED, FINISHED, READY, RUNNING, run_of

from jobmon.core.model import Key, Kind
from jobmon.run.paths import Paths
from jobmon.show.causes import Cause, Tree, roots
from jobmon.show.explain import Explained, explain
from jobmon.show.read import view


def told(run: Path, key: str) -> list[str]:
    return jobmon("explain", "--run", run, key, code=0).stdout.splitlines()


def part(lines: list[str], head: str) -> list[str]:
    """The lines under one heading."""
    if head not in lines:
        return []
    rest = lines[lines.index(head) + 1 :]
    end = next((i for i, line in enumerate(rest) if not line.startswith("  ")), len(rest))
    return [line[2:] for line in rest[:end]]


def found(
    folder: Path, needs: Mapping[str, str | None], lives: Mapping[str, object], key: str
) -> Explained:
    run = run_of(folder, needs, lives)  # type: ignore[arg-type]
    return explain(view(run), Key(key), datetime.now().astimezone())


CHAIN = {
    "a/qsub.0": "",
    "a/qsub.1": "qsub.finished.0\n",
    "a/qsub.2": "qsub.finished.1\n../b/qsub.finished.0\n",
    "b/qsub.0": "",
    "sum/qsub.0": "../a/qsub.finished.2\n../b/qsub.finished.0\nnot STOP\n",
}


def test_a_failed_job_and_what_hangs_on_it(tmp_path: Path) -> None:
    run = run_of(tmp_path, CHAIN, {"a/qsub.0": FAILED, "b/qsub.0": RUNNING})
    lines = told(run, "a/qsub.0")
    assert lines[0] == "a/qsub.0 is failed: exit code 3"
    life = [re.sub(r"^\S+ \S+ +", "", line) for line in part(lines, "its life:")]
    assert re.fullmatch(r"ready +for 10 s", life[0])
    assert re.fullmatch(r"submitted  for 10 s +as \d+", life[1])
    assert re.fullmatch(r"running +for 1 min", life[2])
    assert re.fullmatch(r"failed +exit code 3", life[3])
    assert "3 job(s) wait for it" in lines
    assert part(lines, "to mend it:") == [f"jobmon retry --run {run} a/qsub.0"]
    assert part(lines, "to look closer:")[0] == f"jobmon logs --run {run} a/qsub.0"


def test_what_a_blocked_job_waits_for_as_a_tree_to_its_root(tmp_path: Path) -> None:
    run = run_of(tmp_path, CHAIN, {"a/qsub.0": FAILED, "b/qsub.0": RUNNING})
    lines = told(run, "sum/qsub.0")
    assert lines[0] == "sum/qsub.0 is blocked: waits for a/qsub.0, which failed"
    assert part(lines, "it waits for:") == [
        "a/qsub.2  blocked",
        "  a/qsub.1  blocked",
        "    a/qsub.0  failed: exit code 3",
        "  b/qsub.0  running",
        "b/qsub.0  running, see above",
    ]
    assert part(lines, "to mend it:") == [f"jobmon retry --run {run} a/qsub.0"]
    again = jobmon("explain", "sum/qsub.0", cwd=run, code=0).stdout.splitlines()
    assert part(again, "to mend it:") == ["jobmon retry a/qsub.0"], "the current folder is meant"


def test_files_that_no_job_makes(tmp_path: Path) -> None:
    needs = {"a/qsub.0": "input.dat\nnot STOP\n"}
    run = run_of(tmp_path, needs, {})
    (run / ".jobmon" / "present").write_text("a/STOP\n")
    lines = told(run, "a/qsub.0")
    assert lines[0].startswith("a/qsub.0 is blocked: ")
    assert part(lines, "it waits for:") == [
        "a/input.dat  is missing, and no job of the run is known to make it",
        "not a/STOP  is there, and must not be",
    ]


def test_a_ring_is_shown_once(tmp_path: Path) -> None:
    needs = {"a/qsub.0": "qsub.finished.1\n", "a/qsub.1": "qsub.finished.0\n"}
    lines = told(run_of(tmp_path, needs, {}), "a/qsub.0")
    assert lines[0] == "a/qsub.0 is blocked: ring: a/qsub.0 waits for a/qsub.1 waits for a/qsub.0"
    assert part(lines, "it waits for:") == ["a/qsub.1  blocked", "  a/qsub.0  blocked, see above"]


def test_what_a_command_holds_only_release_lets_go(tmp_path: Path) -> None:
    """The file that it waits by is kept aside: an empty one would let it go too early."""
    run = run_of(tmp_path, {"h/qsub.0": "", "h/qsub.1": None}, {})
    aside = Paths(run).held / "h" / "qsub.dependency.1"
    aside.parent.mkdir(parents=True)
    aside.write_text("qsub.finished.0\n")
    lines = told(run, "h/qsub.1")
    assert lines[0] == "h/qsub.1 is held: 'jobmon release h/qsub.1' lets it go"
    assert part(lines, "to mend it:") == [f"jobmon release --run {run} h/qsub.1"]


def test_a_dependency_file_that_cannot_be_meant_is_told(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"h/qsub.0": "qsub.finished.x\n../../out\n"}, {})
    assert told(run, "h/qsub.0")[0] == (
        f"h/qsub.0 is held: {run}/h/qsub.dependency.0, line 2: '../../out' is outside the run "
        "folder; name a file of this run, relative to this folder"
    )


def test_held_killed_unclear_and_waiting(tmp_path: Path) -> None:
    needs = {"h/qsub.0": None, "k/qsub.0": "", "u/qsub.0": "", "w/qsub.0": "../u/qsub.finished.0\n"}
    killed = (*RUNNING, (50, Kind.KILLED))
    unclear = (*RUNNING, (60, Kind.UNCLEAR, {"reason": "nobody knows"}))
    run = run_of(tmp_path, needs, {"k/qsub.0": killed, "u/qsub.0": unclear})
    held = told(run, "h/qsub.0")
    assert held[0] == "h/qsub.0 is held: touch h/qsub.dependency.0 to let it go"
    assert part(held, "to mend it:") == [f"jobmon release --run {run} h/qsub.0"]
    assert part(held, "its life:") == []
    assert part(told(run, "k"), "to mend it:") == [f"jobmon retry --run {run} k/qsub.0"]
    assert part(told(run, "u"), "to mend it:") == [
        f"jobmon resolve --run {run} u/qsub.0 --lost",
        f"jobmon resolve --run {run} u/qsub.0 --jobid=ID",
    ]
    assert part(told(run, "w"), "it waits for:") == ["u/qsub.0  unclear: nobody knows"]


def test_the_place_in_the_queue_is_that_of_the_quelist(tmp_path: Path) -> None:
    needs = {f"{name}/qsub.0": "" for name in "abcd"}
    run = run_of(tmp_path, needs, {"a/qsub.0": RUNNING, **{f"{n}/qsub.0": READY for n in "bcd"}})
    head, *lines = (run / "quelist").read_text().splitlines()
    (run / "quelist").write_text("\n".join([head, *reversed(lines), ""]))
    assert part(told(run, "b"), "its place:") == [
        "3rd of 3 that are ready; 1 job(s), of at most 2, are in the batch system"
    ]


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        ("9{id}|RUNNING|None|end\n{id}|PENDING|Priority|end\n", "{id}|PENDING|Priority|end"),
        (
            "Job ID   Username SessID S\n--- --- --- -\n{id}.vm you 5992 R\n4711.vm you {id} Q\n",
            "{id}.vm you 5992 R",
        ),
        ("{id}_1 R n1\n{id}_2 PD\n{id}9 R", ""),
        (
            "<a><job_list state='pending'>\n<JB_job_number>{id}</JB_job_number>\n"
            "<JB_owner>you</JB_owner>\n<state>Eqw</state></job_list></a>",
            "{id} you Eqw",
        ),
    ],
)
def test_the_batch_system_s_own_words(tmp_path: Path, listing: str, said: str) -> None:
    run = run_of(tmp_path, {"a/qsub.0": ""}, {"a/qsub.0": RUNNING})
    jobid = view(run).jobs[Key("a/qsub.0")].jobid
    (run / "qstat").write_text("# as seen at TIME\n" + listing.format(id=jobid))
    words = part(told(run, "a"), "the batch system's words, as seen at TIME:")
    assert words == ([said.format(id=jobid)] if said else [])


def test_the_end_of_its_output(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"a/qsub.0": ""}, {"a/qsub.0": FAILED})
    jobid = view(run).jobs[Key("a/qsub.0")].jobid
    (run / "a" / f"qsub.0.o{jobid}").write_text("".join(f"line {i}\n" for i in range(30)))
    (run / "a" / f"qsub.0.e{jobid}").write_bytes(b"\x1b[31mbad\tend\xff")
    (run / "a" / "qsub.0.o7").write_text("of another attempt\n")
    lines = told(run, "a")
    assert part(lines, f"the end of a/qsub.0.o{jobid}:") == [f"| line {i}" for i in range(20, 30)]
    assert part(lines, f"the end of a/qsub.0.e{jobid}:") == ["| \ufffd[31mbad      end\ufffd"]
    assert "another attempt" not in "\n".join(lines)


def test_json_is_the_same_for_programs(tmp_path: Path) -> None:
    run = run_of(tmp_path, CHAIN, {"a/qsub.0": FAILED, "b/qsub.0": FINISHED})
    it = json.loads(jobmon("explain", "--run", run, "sum", "--json", code=0).stdout)
    assert (it["key"], it["state"], it["jobid"]) == ("sum/qsub.0", "blocked", None)
    (top,) = it["needs"]
    assert top["key"] == "a/qsub.2" and top["below"][0]["below"][0]["state"] == "failed"
    assert it["mend"] == [["retry", "a/qsub.0"]]
    failed = json.loads(jobmon("explain", "--run", run, "a/qsub.0", "--json", code=0).stdout)
    assert [m["word"] for m in failed["life"]] == ["ready", "submitted", "running", "failed"]
    assert [m["lasted"] for m in failed["life"]] == [10, 10, 60, None]
    assert failed["behind"] == 3 and failed["cause"] == "exit"


def test_one_job_is_wanted(tmp_path: Path) -> None:
    run = run_of(tmp_path, CHAIN, {})
    several = jobmon("explain", "--run", run, "a", code=2).stderr
    assert several == "jobmon: a means 3 jobs; 'jobmon explain' wants one\n"
    none = jobmon("explain", "--run", run, "x", code=2).stderr
    assert none == f"jobmon: x: no job, folder or pattern of {run} is called so\n"


# --- trees by themselves --------------------------------------------------------------------


def test_a_long_chain_is_cut_in_its_middle(tmp_path: Path) -> None:
    needs = {f"m/qsub.{i}": f"qsub.finished.{i - 1}\n" if i else "" for i in range(400)}
    it = found(tmp_path, needs, {"m/qsub.0": FAILED}, "m/qsub.399")
    (root,) = roots(it.needs)
    assert (root.key, root.state) == ("m/qsub.0", "failed")
    depth, cause, skipped = 1, it.needs[0], 0
    while cause.below:
        skipped += cause.skipped
        depth, cause = depth + 1, cause.below[0]
    assert depth < 10 and depth + skipped == 399
    assert it.mend == (("retry", "m/qsub.0"),)


def test_of_many_needs_the_worst_are_told_first(tmp_path: Path) -> None:
    needs: dict[str, str | None] = {f"m{i}/qsub.0": "" for i in range(30)}
    needs["all/qsub.0"] = "".join(f"../m{i}/qsub.finished.0\n" for i in range(30))
    it = found(tmp_path, needs, {"m7/qsub.0": RUNNING, "m23/qsub.0": FAILED}, "all/qsub.0")
    assert [cause.state for cause in it.needs][:3] == ["failed", "running", "ready"]
    assert len(it.needs) == 8 and it.needs[-1].more == 22


def test_a_wide_tree_ends(tmp_path: Path) -> None:
    needs = {
        f"{level}/qsub.{i}": "".join(f"../{level - 1}/qsub.finished.{j}\n" for j in range(6))
        if level
        else "no.dat\n"
        for level in range(40)
        for i in range(6)
    }
    seen = view(run_of(tmp_path, needs, {}))
    tree = Tree(seen.by_key, seen.missing).of(Key("39/qsub.0"))

    def size(causes: tuple[Cause, ...]) -> int:
        return sum(1 + size(cause.below) for cause in causes)

    assert 6 < size(tree) < 2000


def test_while_it_runs_on_a_queue(project: Path) -> None:
    hurry(project)
    put(project / "init", "m/qsub.0", "until [ -e go ]; do sleep 0.1; done")
    put(project / "init", "m/qsub.1", "true", "qsub.finished.0\n")
    with daemon("--ldir", project, log=project.parent / "out"):
        until(lambda: list(project.glob("2*/qsub.log")), what="a run folder")
        run = only_run(project)
        until(lambda: count(run, "running"), what="the job to run")
        until(lambda: "|running|" in (run / "qstat").read_text(), what="the listing")
        lines = told(run, "m/qsub.0")
        assert lines[0] == "m/qsub.0 is running"
        (words,) = (lines[i + 1] for i, x in enumerate(lines) if x.startswith("the batch system's"))
        assert "|running|" in words
        assert part(lines, "to look closer:")[0] == f"jobmon logs --run {run} -f m/qsub.0"
        waiting = told(run, "m/qsub.1")
        assert part(waiting, "it waits for:") == ["m/qsub.0  running"]
        jobmon("kill", "--run", run, code=0)
