"""The command line: words in, a call of ``act`` or ``show``, an exit code out.

Exit codes: 0 all is well; 1 jobs need a person, or something is left; 2 the command or the
set-up is wrong; 3 the cluster never answered. Heavy imports happen in the commands.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from jobmon import __version__, notices, progress
from jobmon.run_commands import COMMANDS


def _complete_template(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from jobmon.act.init import templates  # noqa: PLC0415

    return [name for name in templates() if name.startswith(incomplete)]


def _one_of(*words: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    return lambda _context, _parameter, incomplete: [w for w in words if w.startswith(incomplete)]


_FULL_SCREEN = {"watch"}
"""The commands that have the whole terminal, where no spinner may come in between."""


class Verbs(click.Group):
    """``jobmon --ldir …`` without a verb is ``jobmon run``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and args[0] not in {"--help", "-h", "--version"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            inner = click.Context(run_command, ctx, info_name="run")
            found += run_command.shell_complete(inner, incomplete)
        return list({item.value: item for item in found}.values())


class TakesFiles(click.Command):
    """``--poscar`` takes all words up to the next option, as a shell's pattern gives them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words: list[str] = []
        taking = False
        for n, word in enumerate(args):
            if word.startswith("-"):
                taking = word == "--poscar"
                alone = n + 1 == len(args) or args[n + 1].startswith("-")
                if taking and alone and not ctx.resilient_parsing:  # a shell completes it
                    raise click.UsageError("--poscar wants one file or more.", ctx)
                if not taking:
                    words.append(word)
            else:
                words += ["--poscar", word] if taking else [word]
        return super().parse_args(ctx, words)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jobmon")
@click.pass_context
def cli(context: click.Context) -> None:
    """Run a tree of batch jobs on a cluster that allows SSH and nothing else."""
    if context.invoked_subcommand not in _FULL_SCREEN:
        progress.on_terminal(notices.remark)


@cli.command("run")
@click.option("--ldir", type=click.Path(path_type=Path), required=True, help="Project or run.")
@click.option("--rdir", help="Folder on the cluster, absolute or relative to the home there.")
@click.option("--remote", help="[user@]host[:port], an SSH alias, or 'local'.")
@click.option("--user", help="User name on the cluster.")
@click.option("--binpath", help="What __binpath__ stands for.")
@click.option("--pythonpath", help="What __pythonpath__ stands for.")
@click.option("--maxqsub", type=int, help="Jobs in the batch system at most. [4]")
@click.option("--maxcore", type=int, help="What __maxcore__ stands for. [16]")
@click.option("--qsubheader", help="File that __HEADER__ stands for.")
@click.option("--result", multiple=True, help="rsync pattern of what comes home; repeatable.")
@click.option(
    "--scheduler",
    help="auto, slurm, sge, pbs, pjm or local. [auto]",
    shell_complete=_one_of("auto", "slurm", "sge", "pbs", "pjm", "local"),
)
@click.option(
    "--ssh", help="fabric or openssh. [fabric]", shell_complete=_one_of("fabric", "openssh")
)
@click.option("--ssh-config", help="An SSH configuration in place of your own.")
@click.option("--interval", type=float, help="Seconds between two looks. [10]")
@click.option("--datedir", help="A run of the project by its name.")
@click.option("--initonly", is_flag=True, help="Make and push the run, submit nothing.")
@click.option("--once", is_flag=True, help="One cycle.")
@click.option("--forever", is_flag=True, help="Wait for new work at the end.")
@click.option("--daemon", is_flag=True, help="Detach once the cluster has answered.")
@click.option("--take-over", is_flag=True, help="Take the run from a process on another host.")
@click.option("--qstatcommand", hidden=True)
@click.option("--quiet", is_flag=True, help="Print warnings only.")
@click.option("-v", "--verbose", is_flag=True, help="Print all that is done.")
def run_command(
    ldir: Path,
    datedir: str | None,
    initonly: bool,
    once: bool,
    forever: bool,
    daemon: bool,
    take_over: bool,
    qstatcommand: str | None,
    quiet: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Make a run of a project, or take one up, and mind it to its end.

    \b
    Examples:
      jobmon --ldir materials --rdir materials --remote user@host --daemon
      jobmon --ldir materials/latest
    """
    import logging  # noqa: PLC0415

    from jobmon.act.start import Wish, start  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415
    from jobmon.run.settings import local_path  # noqa: PLC0415

    if qstatcommand:
        click.echo("jobmon: --qstatcommand is of an older loop; it is not needed and passed over")
    flags = {name: value for name, value in flags.items() if value not in (None, ())}
    for name in {"qsubheader", "ssh_config"} & flags.keys():  # a daemon's folder is another
        flags[name] = local_path(flags[name], Path.cwd())
    ldir = local_path(ldir, Path.cwd())
    wish = Wish(ldir, datedir, flags, initonly, once, forever, take_over)
    if daemon:
        from jobmon.act.detached import start_detached  # noqa: PLC0415

        sys.exit(start_detached(wish))
    progress.silence() if quiet else progress.on_terminal(notices.say)
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    notices.to_terminal(level)
    sys.exit(start(wish, ask_terminal, notices.say))


_OF_ONE_START = {
    *("initonly", "once", "forever", "daemon", "take_over", "qstatcommand", "quiet", "verbose"),
}


@cli.command("check", params=[p for p in run_command.params if p.name not in _OF_ONE_START])
@click.option("--notify", is_flag=True, help="Send a message to each address of 'notify:'.")
@click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")
def check_command(
    ldir: Path, datedir: str | None, notify: bool, as_json: bool, **flags: Any
) -> None:
    """Look at the tree and the cluster before the first run; submit and change nothing.

    Takes the settings of 'jobmon run'. Each line is green, yellow or red, with the way out. Exit
    code: 0 if all is green, 1 if a line is yellow, 2 if one is red.

    \b
    Example:
      jobmon check --ldir materials
    """
    from jobmon.act.check import check  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415
    from jobmon.show import checklist  # noqa: PLC0415

    found = check(ldir, datedir, flags, ask_terminal, notify=notify)
    if as_json:
        text, code = checklist.as_json(found)
        click.echo(text)
        sys.exit(code)
    sys.exit(checklist.as_lines(found))


@cli.command(cls=TakesFiles)
@click.argument("template", required=False, shell_complete=_complete_template)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--poscar",
    "poscars",
    multiple=True,
    metavar="FILES",
    type=click.Path(path_type=Path),
    help="Structures, a job folder for each: all words up to the next option.",
)
@click.option("--set", "sets", multiple=True, help="name=value, as the template's page says.")
@click.option("--list", "listing", is_flag=True, help="List the templates.")
def init(
    template: str | None,
    folder: Path | None,
    poscars: tuple[Path, ...],
    sets: tuple[str, ...],
    listing: bool,
) -> None:
    """Start a project FOLDER from a TEMPLATE.

    \b
    Examples:
      jobmon init --list
      jobmon init ising study
      jobmon init ecalj-qsgw gaas --poscar POSCAR.* --set niter=5 --set nk=6
    """
    from jobmon.act.init import init as act  # noqa: PLC0415
    from jobmon.act.init import parse_sets, templates  # noqa: PLC0415
    from jobmon.run.usage import UsageError  # noqa: PLC0415

    if listing:
        for name, words in templates().items():
            click.echo(f"{name:18} {words}")
        return
    if template is None or folder is None:
        raise UsageError(
            "jobmon init TEMPLATE FOLDER is wanted, before --poscar; --list shows the templates"
        )
    for line in act(template, folder, parse_sets(sets), poscars):
        notices.answer(line)


@cli.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def demo(folder: Path | None) -> None:
    """Run the ising template on this machine, to see how it goes.

    \b
    Example:
      jobmon demo
    """
    from jobmon.act.demo import demo as act  # noqa: PLC0415

    sys.exit(act(folder, notices.answer))


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """The program ``jobmon``. No traceback reaches a user; exit code 2 is a usage error."""
    if sys.getfilesystemencoding() != "utf-8":  # a key must not change with the locale
        itself = [sys.executable, "-P", "-X", "utf8", "-m", "jobmon", *sys.argv[1:]]
        os.execv(sys.executable, itself)  # noqa: S606 (no shell is wanted)
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot show a name shows its code
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(cli.main(prog_name="jobmon", standalone_mode=False))
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        sys.exit(2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "jobmon"
        click.echo(f"jobmon: {error.format_message()} See '{path} --help'.", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort, BrokenPipeError):
        sys.stderr.close()
        sys.exit(130)
    except Exception as error:
        if os.environ.get("JOBMON_TRACEBACK"):
            raise
        from jobmon.act.errors import explain  # noqa: PLC0415

        click.echo(f"jobmon: {explain(error)}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
