"""``site:``: a prologue and a shell around every program, and words of the site's own for commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from session import chain, hurry, jobmon, only_run, put, status
from shell_lab import RUN_ID, SHELLS, Lab
from test_batch_contract import ACCEPTED
from test_docs import blocks

from jobmon.cluster import rsync
from jobmon.cluster.base import Batch, ConnectionLost, LookFailed, call
from jobmon.cluster.batch import NAMES, batch
from jobmon.cluster.ledger import GIVEN_UP
from jobmon.cluster.links.local import LocalLink
from jobmon.cluster.probe import QUESTIONS, Probe, probe
from jobmon.cluster.wrapped import SiteLink, at_site, called, unused
from jobmon.core.model import Accepted, Attempt, JobID, Key, NotRun, Refused, Unclear
from jobmon.core.site import COMMANDS, Site
from jobmon.run.options import SiteTable
from jobmon.run.settings import Identity, Settings, UsageError, load, read_run_file, write_run_file

JOB = JobID("7")


def asked(system: Batch) -> list[list[str]]:
    """Every command that a batch system's file makes."""
    return [
        system.list_command("me"),
        system.submit_command("", "t-1"),
        *system.find_commands("me"),
        *system.confirm_commands(JOB),
        system.delete_command([JOB]),
    ]


# --- words ---------------------------------------------------------------------------------

REAL = [name for name in NAMES if name != "local"]
every = pytest.mark.parametrize("name", REAL)
WORDS = {name: ("sudo", "-u", "chem", f"/opt/x y/my-{name}", "--more") for name in COMMANDS}


def test_a_site_may_rename_whatever_is_called() -> None:
    called_there = {command[0] for name in REAL for command in asked(batch(name))}
    called_there |= {words[0] for words in QUESTIONS.values()}
    assert called_there <= set(COMMANDS)


@every
def test_every_command_of_a_batch_system_is_called_in_the_sites_words(name: str) -> None:
    plain, here = batch(name), called(batch(name), Site(commands=WORDS, user="chem"))
    assert here.name == name
    for mine, theirs in zip(asked(plain), asked(here), strict=True):
        assert theirs[:5] == list(WORDS[mine[0]])
        assert [w.replace("chem", "me") for w in theirs[5:]] == mine[1:]


@every
def test_a_batch_system_says_the_same_under_another_name(name: str) -> None:
    here = called(batch(name), Site(commands=WORDS))
    taken = ACCEPTED[name].format("12")
    assert isinstance(here.accepted(0, taken), Accepted)
    assert here.accepted(0, taken) == batch(name).accepted(0, taken)
    assert isinstance(here.accepted(0, ""), Unclear)
    silent = [(0, "", "") for _ in here.confirm_commands(JOB)]
    assert not here.verdict(JOB, silent).gone
    with pytest.raises(LookFailed):
        here.find([(1, "", "no") for _ in here.find_commands("me")])


def test_where_nothing_is_renamed_nothing_is_between() -> None:
    system = batch("slurm")
    assert called(system, Site(("x",), "y")) is system
    link = LocalLink()
    assert at_site(link, Site(commands=WORDS)) is link


def test_the_own_name_is_put_back_into_what_a_command_says() -> None:
    slurm = called(batch("slurm"), Site(commands={"sbatch": ("/opt/submit-here", "--nice")}))
    no = "submit-here: error: Batch job submission failed: Invalid partition name specified"
    assert slurm.accepted(1, no) == Refused("Invalid partition name specified")
    asks = {"squeue": ("/opt/list-here",), "scontrol": ("/opt/show-here",)}
    slurm = called(batch("slurm"), Site(commands=asks))
    denied = (1, "", "slurm_load_jobs error: Invalid job id specified\n")
    assert slurm.verdict(JOB, [denied, denied, (0, "", "")]).gone


@pytest.mark.parametrize("shell", SHELLS)
def test_a_renamed_command_that_is_not_there_was_not_run(shell: str, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.write_text("#!/bin/sh\n")
    shut.chmod(0o644)
    inner = tmp_path / "wrapper"
    inner.write_text("#!/bin/sh\nnosuchcommand\n")
    inner.chmod(0o755)

    def answer(*words: str) -> object:
        argv = [*SHELLS[shell], "-c", 'exec "$@"', "sh", *words, "qsub.0"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        here = called(batch("sge"), Site(commands={"qsub": words}))
        return here.accepted(done.returncode, done.stdout + done.stderr)

    assert isinstance(answer("/nonexistent/my-qsub", "-x"), NotRun)
    assert isinstance(answer("my-qsub-nowhere"), NotRun)
    assert isinstance(answer("nice", "-n", "5", "/nonexistent/q"), NotRun)
    assert isinstance(answer(str(shut)), NotRun)
    assert isinstance(answer(str(inner)), Unclear), "what it did before that nobody knows"


@pytest.mark.parametrize(
    "said",
    [
        "sudo: a password is required",
        "sudo: a terminal is required to read the password; either use the -S option to read "
        "from standard input or configure an askpass helper\nsudo: a password is required",
        "sudo: /opt/pbs/bin/qsub: command not found",
        "Sorry, user alice is not allowed to execute '/opt/pbs/bin/qsub' as chem on login1.",
        "sudo: unknown user chem",
    ],
)
def test_what_sudo_would_not_run_was_not_run(said: str) -> None:
    here = called(batch("sge"), Site(commands={"qsub": ("/usr/bin/sudo", "-u", "chem", "qsub")}))
    assert isinstance(here.accepted(1, said), NotRun)
    assert isinstance(here.accepted(1, said + "\nqsub: something else"), Unclear)
    assert isinstance(batch("sge").accepted(1, said), Unclear)


def test_a_command_of_another_batch_system_is_named() -> None:
    here = Site(commands={"qsub": ("a",), "sbatch": ("b",), "rsync": ("c",)})
    assert unused(batch("slurm"), here) == ["qsub"]
    assert unused(batch("sge"), here) == ["sbatch"]


# --- the prologue and the shell --------------------------------------------------------------


def ask(shell: str = "sh", prologue: str = "", **more: tuple[str, ...]) -> Probe:
    site = Site(more.get("words", tuple(SHELLS[shell])), prologue)
    return probe(SiteLink(LocalLink(), site), systems=False, site=site)


HARMLESS = {
    "variables": "PATH=/site/bin:$PATH",
    "noise": "echo Welcome; echo trouble >&2; printf 'no end of line'",
    "options": "set -u; set -f; set -C; set -a; set -x",
    "errexit that holds": "set -e; true",
    "aliases": "alias printf=false cd=false id=false",
    "functions": 'cd() { command cd "$@" && ls; }; id() { echo nobody; }; sleep() { :; }',
    "IFS": "IFS=/",
    "a folder": "cd /",
    "arguments": "set -- a b c",
    "a trap": "trap 'echo bye' EXIT",
    "reading": "cat; read -r line || true",
    "quotes": "x='it'\"'\"'s'; : \"$x\" `true` $(true)",
    "a comment": "true # and } what not",
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_prologue_may_do(shell: str, name: str) -> None:
    plain, found = ask(shell), ask(shell, HARMLESS[name])
    assert (found.user, found.home) == (plain.user, plain.home)
    assert found.path == ("/site/bin:" + plain.path if name == "variables" else plain.path)


BROKEN = {
    "exits": ("echo no such module >&2; exit 3", "no such module"),
    "exits well": ("exit 0", ""),
    "its last command fails": ("echo no such module >&2; false", "no such module exit code 1"),
    "a failure under set -e": ("set -e; ls /nonexistent; true", "/nonexistent"),
    "a syntax error": ("if then fi", "yntax"),
    "a brace": ("}; echo 1; {", "}"),
    "an open quote": ("echo 'a", ""),
    "another program": ("exec true", ""),
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", BROKEN)
def test_a_prologue_that_fails_is_one_clear_line(shell: str, name: str) -> None:
    text, said = BROKEN[name]
    with pytest.raises(LookFailed) as caught:
        ask(shell, text)
    message = str(caught.value)
    assert "the prologue under site: in jobmon.yaml failed or exited" in message
    assert said in message and message.isprintable()


NASTY = """
set -eufC; set -a; alias printf=false true=false read=false; IFS=/; umask 077
export token=x name=x record=/x limit=0 clock=/x sums=x ours=yes deadline=0 began=9 there=x code=7
for f in cd cat cksum date kill ls rm sleep stat tail true; do eval "$f() { echo $f; }"; done
trap 'echo bye' EXIT; set -- a b c; cd /; (sleep 1 >/dev/null 2>&1 &)
echo 'jm BEGIN'; printf 'no end of line'
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_a_prologue_does_not_touch_exactly_once(shell: str, tmp_path: Path) -> None:
    """Claims, the record, recovery, the listing and a deletion, behind all that it may do."""
    lab = Lab(tmp_path, SHELLS[shell])
    plain = lab.cluster.link
    lab.cluster = lab.over(SiteLink(plain, Site(prologue=NASTY)))
    one, two = lab.order("m/qsub.0"), lab.order("it's/qsub.1", needs="absent\n")
    first = lab.submit(one, two)
    assert first[one.attempt] == Accepted(JobID("1"))
    assert first[two.attempt] == NotRun("it's/absent changed meanwhile")
    assert lab.submit(one) == {one.attempt: None}, "the claim is another's"
    assert lab.cluster.recover([one.attempt]) == {one.attempt: Accepted(JobID("1"))}
    never = Attempt(Key("m/qsub.0"), 2)
    assert lab.cluster.recover([never]) == {never: GIVEN_UP}
    assert len(lab.cluster.records()) == 3
    lab.mode("die-after")
    third = lab.order("m/qsub.2")
    with suppress(LookFailed, ConnectionLost):
        lab.submit(third)
    lab.mode("ok")
    assert lab.cluster.recover([third.attempt]) == {third.attempt: Accepted(JobID("2"))}
    assert len(lab.calls()) == len(lab.jobs()) == 2
    (lab.twin / "m" / "made").touch()
    seen = lab.cluster.look(["m/made", "m/not"])
    assert sorted(seen.queue) == ["1", "2"]
    assert set(seen.files) == {"m/made"}
    assert "deleted 1" in lab.cluster.delete([JobID("1")])
    lab.cluster = lab.over(SiteLink(plain, Site(prologue=f"{NASTY}\nexit 1")))
    fourth = lab.order("m/qsub.3")
    with pytest.raises(LookFailed):
        lab.submit(fourth)
    assert lab.entry(fourth) is None
    assert len(lab.calls()) == 2


@pytest.mark.parametrize("words", [("/nonexistent/sh",), ("true",), ("cat",), ("sh", "-c", "exit")])
def test_a_shell_that_is_none_is_one_clear_line(words: tuple[str, ...]) -> None:
    with pytest.raises(LookFailed, match=f"'{shlex.join(words)}' started no shell") as caught:
        ask(words=words)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_program_cut_anywhere_does_not_begin_its_prologue(shell: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Cut(LocalLink):
        """Sends as much as ``left`` says."""

        left = 0

        def stream(self, command: str, stdin: bytes, limit: float) -> Iterator[bytes]:
            return super().stream(command, stdin[: self.left], limit)

    link = Cut()
    site = SiteLink(link, Site(tuple(SHELLS[shell]), f"touch {ran}\ntrue }}; {{ true\n: {ran}"))
    for left in [*range(0, 300, 23), 500, 900]:
        link.left = left
        with pytest.raises(LookFailed):
            list(call(site, "probe", ["rsync"]))
        assert not ran.exists(), left


def test_a_prologue_that_hangs_is_named() -> None:
    site = SiteLink(LocalLink(), Site(prologue="sleep 60"))
    with pytest.raises(
        ConnectionLost, match=r"the prologue under site: in jobmon\.yaml had not ended"
    ):
        list(site.stream("exec /bin/sh", b"{ exit; }\n", 0.3))


def test_the_locale_of_a_prologue_is_the_jobs_and_not_the_programs() -> None:
    def said(prologue: str) -> list[bytes]:
        link = SiteLink(LocalLink(), Site(prologue=prologue))
        steps = [["x", "/bin/sh", "-c", "echo $LC_ALL"]]
        return list(call(link, "ask", ["", RUN_ID, "10"], steps))

    assert b"C" in said("export LC_ALL=xx_XX")


# --- the table -------------------------------------------------------------------------------

KNOWN = "did you mean"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("site: x", "1: site wants a table of shell, prologue, commands and user, not 'x'"),
        ("site:\n  comands: {}", "2: 'site:' has no 'comands'; did you mean 'commands'?"),
        (
            "site:\n  shell: sh\n  zz: y",
            "3: 'site:' has no 'zz'; there are shell, prologue, commands, user",
        ),
        (
            "remote: h\nsite:\n  commands:\n    squeue: a\n    qsubb: b",
            "5: 'qsubb' is no command that jobmon calls there; did you mean 'qsub'?",
        ),
        (
            "site:\n  commands:\n    mpirun: b",
            "3: 'mpirun' is no command that jobmon calls there; there are " + ", ".join(COMMANDS),
        ),
        (
            "site:\n  commands:\n    qsub: it's",
            "3: site: commands.qsub wants lines 'command: words', the words on one line and well "
            "quoted (No closing quotation)",
        ),
        (
            "site:\n  commands:\n    qsub: ' '",
            "3: site: commands.qsub wants lines 'command: words', the words on one line and well "
            "quoted (no word)",
        ),
        (
            "site:\n  commands: qsub",
            "2: site: commands wants lines 'command: words', the words on one line and well quoted",
        ),
        ("site:\n  commands:\n    qsub:\n", "3: 'site.commands': a value is missing; write '' for none"),
        ("site:\n  commands:\n    qsub: [a]\n", "3: 'site.commands': plain text is wanted here, no list or table"),
        (
            'site:\n  shell: "a\\nb"',
            "2: site: shell wants a command that runs sh on its input (empty, or more than one line)",
        ),
        ("site:\n  shell:\n    a: b", "2: site: shell wants a command that runs sh on its input"),
        ("site:\n  user: a b", "2: site: user wants a user name on the cluster ('a b' is no user name)"),
        ("site:\n  user: a\n  user: b", "3: 'user' stands in line 2 already; take one of them out"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line_and_the_way_out(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "jobmon.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:{message}"


def test_the_table_is_kept_in_the_run(tmp_path: Path) -> None:
    path = tmp_path / "jobmon.yaml"
    path.write_text(
        "remote: h\nsite:\n  shell: sg chem -c /bin/sh\n  prologue: |\n    a\n    b 'c'\n\n"
        "  commands:\n    qsub: sudo -u chem '/opt/p q/qsub' -W x\n  user: chem\n"
    )
    settings = Settings(**load(path))
    identity = Identity("a", "b@h", "sge", "/r")
    write_run_file(path, settings, identity)
    assert "  prologue: |\n    a\n    b 'c'\n" in path.read_text()
    again, _ = read_run_file(path)
    assert again == settings
    assert again.at_site == Site(
        ("sg", "chem", "-c", "/bin/sh"),
        "a\nb 'c'",
        {"qsub": ("sudo", "-u", "chem", "/opt/p q/qsub", "-W", "x")},
        "chem",
    )
    assert Settings(remote="h").at_site == Site()
    assert Settings(remote="h", site=SiteTable()).at_site == Site()


def test_the_examples_of_the_page_are_settings(tmp_path: Path) -> None:
    page = Path(__file__).parents[1] / "docs" / "site.md"
    examples = [b.text for b in blocks(page) if b.language == "yaml"]
    assert len(examples) == 6
    for text in examples:
        path = tmp_path / "jobmon.yaml"
        path.write_text(text)
        assert load(path)["site"]


def test_the_page_names_all_commands() -> None:
    text = (Path(__file__).parents[1] / "docs" / "site.md").read_text("utf-8")
    (named,) = re.findall(r"The commands that can be named are ([^.]*)\.", text)
    assert sorted(re.findall("`([a-z]+)`", named)) == sorted(COMMANDS)


# --- whole runs on this machine --------------------------------------------------------------


def test_a_run_here_with_a_prologue_and_a_shell(project: Path) -> None:
    put(project / "init", "a/qsub.0", 'echo "$SITE $SHELL_OF_SITE $LC_ALL" > result')
    hurry(
        project,
        "site:",
        "  shell: env SHELL_OF_SITE=chem /bin/sh",
        "  prologue: |",
        "    echo Welcome to the cluster",
        "    export SITE='of materials' LC_ALL=C.UTF-8",
    )
    jobmon("--ldir", project, code=0)
    run = only_run(project)
    assert (run / "a" / "result").read_text() == "of materials chem C.UTF-8\n"
    assert "  shell: env SHELL_OF_SITE=chem /bin/sh\n" in (run / "jobmon.yaml").read_text()


def test_a_wrong_table_makes_no_run(project: Path) -> None:
    put(project / "init", "a/qsub.0")
    hurry(project, "site:", "  commands:", "    qusb: x")
    refused = jobmon("--ldir", project, code=2).stderr.splitlines()
    line = len((project / "jobmon.yaml").read_text().splitlines())
    assert refused == [
        f"jobmon: {project}/jobmon.yaml:{line}: 'qusb' is no command that jobmon calls there; "
        "did you mean 'qsub'?"
    ]
    assert not list(project.glob("2*"))


def test_a_prologue_that_begins_to_fail_loses_and_doubles_nothing(project: Path) -> None:
    broken = project.parent / "broken"
    chain(project / "init", "a", 2, "sleep 0.1")
    hurry(project, "site:", f"  prologue: '[ ! -e {broken} ]'")
    jobmon("--ldir", project, "--initonly", code=0)
    run = only_run(project)
    broken.touch()
    failed = jobmon("--ldir", run, "--once", code=3)
    assert "the prologue under site: in jobmon.yaml failed" in failed.stdout + failed.stderr
    broken.unlink()
    jobmon("--ldir", run, code=0)
    assert status(run)["counts"] == {"finished": 2}
    for started in run.rglob("started.*"):
        assert started.read_text() == "x\n"


def test_a_shell_of_somebody_else_must_say_whose_jobs_are_listed(project: Path) -> None:
    put(project / "init", "a/qsub.0")
    tools = project.parent / "tools"
    tools.mkdir()
    (tools / "id").write_text("#!/bin/sh\necho chem\n")
    (tools / "id").chmod(0o755)
    hurry(project, "site:", f"  shell: env PATH={tools}:/usr/bin:/bin /bin/sh")
    refused = jobmon("--ldir", project, code=2)
    assert "shell: under site: is chem's, not " in refused.stderr
    assert "say 'user: chem' there, too" in refused.stderr
    assert not list(project.glob("2*"))


# --- rsync -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_the_far_end_of_rsync_is_called_in_the_sites_words(shell: str, tmp_path: Path) -> None:
    twin = tmp_path / "it's a $twin"
    twin.mkdir()
    tool = tmp_path / "my 'r sync"
    tool.write_text('#!/bin/sh\necho "$PWD"; printf "[%s]" "$SITE" "$@"\n')
    tool.chmod(0o755)
    site = Site(
        prologue="echo noise; cat; SITE='é $x'; export SITE",
        commands={"rsync": ("env", "A=b c", str(tool), "--more")},
    )
    text = rsync._there(str(twin), "MARK", site)
    assert "'" not in text and "\n" not in text
    argv = [*SHELLS[shell], "-c", text, "rsync", "--server", "a b"]
    done = subprocess.run(argv, capture_output=True, text=True, input="protocol", check=True)
    assert done.stdout == f"MARK{twin}\n[é $x][--more][--server][a b]"
    plain = rsync._there("/t", "MARK", Site())
    assert plain.endswith('printf %s MARK && exec rsync "$@"')
