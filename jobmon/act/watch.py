"""``jobmon watch``: the live view of ``show/watch/``, given hands: what the other commands do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from jobmon import progress
from jobmon.act.errors import explain
from jobmon.cluster.links import login
from jobmon.core.life import Job
from jobmon.core.model import Key
from jobmon.run.usage import UsageError
from jobmon.show.watch.app import Watch
from jobmon.show.watch.follow import Follower
from jobmon.show.watch.hands import Ask, Closed, Hands, Say

LINES = 200
"""Lines of a job's output that are shown at first."""


def watch(run: Path, named: Path | None) -> None:
    """Show the run until the person leaves. Raises UsageError where no person can."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("jobmon watch wants a terminal; 'jobmon status' does without one")
    progress.silence()  # the whole screen is the view's
    Watch(Follower(run, wall), hands_on(run), wall, named).run()


def wall() -> datetime:
    """The time as the person reads it."""
    return datetime.now().astimezone()


def hands_on(run: Path) -> Hands:
    """What can be done to the jobs of a run; each act says what it did and what went wrong."""

    def do(verb: str, keys: Sequence[Key], dry: bool, ask: Ask, say: Say) -> bool:
        from jobmon.act import mend  # noqa: PLC0415 (these are heavy, and the screen is to open)
        from jobmon.act.kill import kill  # noqa: PLC0415
        from jobmon.act.retry import Change, retry  # noqa: PLC0415

        answered = _answered(ask)
        try:
            match verb:
                case "hold":
                    mend.hold(run, keys, (), dry=dry, ask=answered, say=say)
                case "release":
                    mend.release(run, keys, (), dry=dry, ask=answered, say=say)
                case "retry":
                    retry(run, keys, (), Change(), dry=dry, ask=answered, say=say)
                case _:
                    held = verb == "kill and hold"
                    kill(run, keys, (), hold=held, dry=dry, ask=answered, say=say)
        except Exception as error:  # noqa: BLE001 (it is told; a thread has nobody above it)
            say(explain(error))
            return False
        return True

    def shown(job: Job, ask: Ask, say: Say, write: Say, wait: Callable[[float], None]) -> None:
        from jobmon.act.logs import output  # noqa: PLC0415

        try:
            output(
                run,
                job,
                lines=LINES,
                follow=True,
                ask=_answered(ask),
                say=say,
                write=write,
                wait=wait,
            )
        except Closed:
            pass
        except Exception as error:  # noqa: BLE001 (as above)
            say(explain(error))

    return Hands(do, shown)


def _answered(ask: Ask) -> login.Ask:
    def answer(prompt: str, echo: bool) -> str:
        words = ask(prompt, echo)
        if words is None:
            raise login.nobody(prompt)
        return words

    return answer
