"""The commands about a run that is there: each names the run by ``--run`` and jobs by KEYS.

As in ``cli.py``: words in, a call, an exit code out, and heavy imports where they are used.
"""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from jobmon import notices
from jobmon.core.rows import STATES


def _complete_keys(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.run.usage import UsageError  # noqa: PLC0415
    from jobmon.show.complete import keys  # noqa: PLC0415

    try:
        return keys(run_meant(ctx.params.get("run") or Path()), incomplete)
    except (UsageError, OSError):
        return []


_RUN = click.option(
    "--run",
    type=click.Path(path_type=Path),
    default=Path(),
    help="A run folder, or a project folder, whose latest run is meant.",
)
_KEYS = click.argument("keys", nargs=-1, shell_complete=_complete_keys)
_KEY = click.argument("key", shell_complete=_complete_keys)
_STATES = click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    metavar="STATE",
    help="Only jobs in this state, as 'failed'; repeatable.",
)
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what it would do, and do nothing.")
_JSON = click.option("--json", "as_json", is_flag=True, help="All of it, for programs.")


@click.command()
@_RUN
@_JSON
@_STATES
@_KEYS
def status(run: Path, as_json: bool, states: tuple[str, ...], keys: tuple[str, ...]) -> None:
    """Count the jobs by state and name those that need a person; or list the jobs KEYS.

    \b
    Examples:
      jobmon status
      jobmon status mp-149
      jobmon status --state failed --state killed
    """
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.show import status as shown  # noqa: PLC0415
    from jobmon.show.read import view  # noqa: PLC0415
    from jobmon.show.select import meant  # noqa: PLC0415

    folder, now = run_meant(run), datetime.now().astimezone()
    if not (as_json or states or keys):
        shown.as_table(folder, now, notices.answer)
        return
    if as_json:
        seen = view(folder)
        wanted = meant(seen, keys, states) if keys or states else list(seen.jobs)
        click.echo(shown.as_json(seen, wanted, now))
        return
    for line in shown.as_list(shown.listed(folder, keys, states), now):
        notices.answer(line)


@click.command()
@_RUN
@_JSON
@_KEY
def explain(run: Path, as_json: bool, key: str) -> None:
    """Tell everything about one job: its life, what it waits for and why, and what can be done.

    \b
    Example:
      jobmon explain mp-149/qsub.2
    """
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.show import explain_text  # noqa: PLC0415
    from jobmon.show.explain import explain as found  # noqa: PLC0415
    from jobmon.show.read import view  # noqa: PLC0415
    from jobmon.show.select import one  # noqa: PLC0415

    seen = view(run_meant(run))
    it = found(seen, one(seen, key, "explain"), datetime.now().astimezone())
    if as_json:
        click.echo(explain_text.as_json(it))
        return
    for line in explain_text.lines(it, seen.run if run != Path() else None):
        notices.answer(line)


@click.command()
@_RUN
def watch(run: Path) -> None:
    """Watch a run on the whole screen: counts, grid, table, explain, output; '?' tells the keys.

    \b
    Example:
      jobmon watch
    """
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.act.watch import watch as act  # noqa: PLC0415

    folder = run_meant(run)
    act(folder, folder if run != Path() else None)


@click.command()
@_RUN
@click.option("-n", "--lines", default=100, metavar="N", help="Last lines of each file. [100]")
@click.option("-f", "--follow", is_flag=True, help="Go on printing what comes, until it ends.")
@_KEY
def logs(run: Path, lines: int, follow: bool, key: str) -> None:
    """Print the end of a job's output: from here, or while it runs from the cluster.

    \b
    Examples:
      jobmon logs mp-149/qsub.2
      jobmon logs -f mp-149/qsub.2
    """
    from jobmon.act import logs as act  # noqa: PLC0415
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415

    def write(text: str) -> None:
        click.echo(text, nl=False)

    sys.exit(
        act.logs(
            run_meant(run),
            key,
            lines=max(1, lines),
            follow=follow,
            ask=ask_terminal,
            say=notices.answer,
            write=write,
        )
    )


@click.command()
@_RUN
@_DRY_RUN
def stop(run: Path, dry_run: bool) -> None:
    """End the daemon of a run; its jobs go on in the batch system.

    \b
    Example:
      jobmon stop
    """
    from jobmon.act import stop as act  # noqa: PLC0415
    from jobmon.act.place import run_meant  # noqa: PLC0415

    if dry_run:
        notices.answer(act.would(run_meant(run)))
        return
    sys.exit(0 if act.stop(run_meant(run), notices.answer) else 1)


@click.command()
@_RUN
@click.option("--hold", is_flag=True, help="Keep them stopped until 'jobmon release'.")
@_STATES
@_DRY_RUN
@_KEYS
def kill(
    run: Path, hold: bool, states: tuple[str, ...], dry_run: bool, keys: tuple[str, ...]
) -> None:
    """Delete jobs of a run; without KEYS all, after stopping its daemon.

    KEYS are job keys, folders or patterns: mp-149/qsub.0, mp-149, 'mp-*/qsub.3'.

    \b
    Examples:
      jobmon kill
      jobmon kill --hold mp-149
      jobmon kill --state running 'mp-*/qsub.3'
    """
    from jobmon.act import kill as act  # noqa: PLC0415
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415

    folder, say = run_meant(run), notices.answer
    sys.exit(act.kill(folder, keys, states, hold=hold, dry=dry_run, ask=ask_terminal, say=say))


@click.command()
@_RUN
@_STATES
@_DRY_RUN
@_KEYS
def hold(run: Path, states: tuple[str, ...], dry_run: bool, keys: tuple[str, ...]) -> None:
    """Keep jobs from being submitted, until 'jobmon release'.

    Jobs that are in the batch system already go on: 'jobmon kill --hold' ends those.

    \b
    Examples:
      jobmon hold mp-149
      jobmon hold --state ready .
    """
    from jobmon.act import mend as act  # noqa: PLC0415
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415

    folder, say = run_meant(run), notices.answer
    sys.exit(act.hold(folder, keys, states, dry=dry_run, ask=ask_terminal, say=say))


@click.command()
@_RUN
@_STATES
@_DRY_RUN
@_KEYS
def release(run: Path, states: tuple[str, ...], dry_run: bool, keys: tuple[str, ...]) -> None:
    """Let held or killed jobs go again.

    \b
    Examples:
      jobmon release mp-149
      jobmon release --state held
    """
    from jobmon.act import mend as act  # noqa: PLC0415
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415

    folder, say = run_meant(run), notices.answer
    sys.exit(act.release(folder, keys, states, dry=dry_run, ask=ask_terminal, say=say))


@click.command()
@_RUN
@_STATES
@click.option("--set", "sets", multiple=True, help="name=value of a placeholder, for these only.")
@click.option("--clean", multiple=True, metavar="PATTERN", help="Delete these files first.")
@_DRY_RUN
@_KEYS
def retry(
    run: Path,
    states: tuple[str, ...],
    sets: tuple[str, ...],
    clean: tuple[str, ...],
    dry_run: bool,
    keys: tuple[str, ...],
) -> None:
    """Begin a new attempt of failed or killed jobs.

    KEYS are job keys, folders or patterns: mp-149/qsub.0, mp-149, 'mp-*/qsub.3'.

    --clean deletes what fits in their job folders, here and on the cluster: never a script,
    dependency file or marker, nor what init/ has.

    \b
    Examples:
      jobmon retry 'mp-*/qsub.3'
      jobmon retry --state failed --set maxcore=32
      jobmon retry mp-149 --clean '*.tmp' --clean core --dry-run
    """
    from jobmon.act import retry as act  # noqa: PLC0415
    from jobmon.act.init import parse_sets  # noqa: PLC0415
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415

    folder, say = run_meant(run), notices.answer
    change = act.Change(parse_sets(sets), clean)
    sys.exit(act.retry(folder, keys, states, change, dry=dry_run, ask=ask_terminal, say=say))


@click.command()
@_RUN
@click.option("--lost", is_flag=True, help="It is nowhere in the batch system, and will not be.")
@click.option("--jobid", help="It is in the batch system, or was, under this job ID.")
@_DRY_RUN
@_KEY
def resolve(run: Path, lost: bool, jobid: str | None, dry_run: bool, key: str) -> None:
    """End the doubt about an unclear job, as you found it in the batch system.

    \b
    Examples:
      jobmon resolve mp-149/qsub.0 --lost
      jobmon resolve mp-149/qsub.0 --jobid 353143
    """
    from jobmon.act import mend as act  # noqa: PLC0415
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.cluster.links.login import ask_terminal  # noqa: PLC0415
    from jobmon.run.usage import UsageError  # noqa: PLC0415

    if lost == (jobid is not None):
        raise UsageError("jobmon resolve KEY wants either --lost or --jobid ID")
    folder, say = run_meant(run), notices.answer
    sys.exit(act.resolve(folder, key, jobid, dry=dry_run, ask=ask_terminal, say=say))


@click.command()
@_RUN
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The page to write. [report-RUN.html]",
)
@_STATES
@_KEYS
def report(run: Path, output: Path | None, states: tuple[str, ...], keys: tuple[str, ...]) -> None:
    """Write one HTML page about a run: charts, failures, slowest jobs, core hours, settings.

    KEYS and --state limit it to some jobs. Needs the extra 'report'.

    \b
    Examples:
      jobmon report
      jobmon report 'mp-*/qsub.3' -o third.html
    """
    from jobmon.act.place import run_meant  # noqa: PLC0415
    from jobmon.show import report as shown  # noqa: PLC0415

    page = shown.write(run_meant(run), output, keys, states)
    notices.answer(f"report: {page}")


COMMANDS = (status, explain, watch, logs, report, stop, kill, hold, release, retry, resolve)
