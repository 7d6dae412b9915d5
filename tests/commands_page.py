"""Write docs/commands.md from what ``--help`` says: ``python tests/commands_page.py``.

The examples of a help text become command lines, which ``test_docs.py`` parses.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from jobmon.cli import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "commands.md"

HEAD = """\
# Commands

Made from what `--help` says, by `python tests/commands_page.py`.

A run is named by `--run DIR`: a run folder, or a project folder, whose latest run is meant. Without
it the current folder is meant. KEYS name jobs: by key (`mp-149/qsub.0`), by folder (`mp-149`; `.` is
the whole run), or by pattern (`'mp-*/qsub.3'`; the quotes keep it from your shell). `--state failed`
takes of these only the jobs in that [state](watch-and-mend.md#the-states), or of all jobs if no KEYS
are given. What changes something has `--dry-run`: it says what would be done, and does nothing.

## Completion

Your shell can complete commands, flags, states, templates, and the folders and jobs of the run. Put
the line of your shell into its start file.

bash 4.4 or later, `~/.bashrc`:

```sh
eval "$(_JOBMON_COMPLETE=bash_source jobmon)"
```

zsh, `~/.zshrc`:

```sh
eval "$(_JOBMON_COMPLETE=zsh_source jobmon)"
```

fish, `~/.config/fish/config.fish`:

```sh
_JOBMON_COMPLETE=fish_source jobmon | source
```
"""

EXAMPLES = re.compile(r"\n *Examples?:\n(?P<lines>(?: {4}.*\n)+)")

HELP = re.compile(r"(\n\nOptions:)?\n +(?:-h, )?--help .*\n$")
"""The line on --help itself, which every command has."""


def text_of(name: str, command: click.Command) -> str:
    """The section of one command."""
    context = click.Context(command, info_name=f"jobmon {name}", terminal_width=92)
    told = HELP.sub("\n", f"{command.get_help(context)}\n")
    found = EXAMPLES.search(told)
    assert found is not None, f"'jobmon {name} --help' has no example"
    lines = re.sub(r"(?m)^ +", "", found["lines"])
    rest = told[: found.start()] + told[found.end() :]
    return f"\n## jobmon {name}\n\n```text\n{rest.strip()}\n```\n\n```sh\n{lines}```\n"


def page() -> str:
    """The whole page."""
    shown = sorted((n, c) for n, c in cli.commands.items() if not c.hidden)
    return HEAD + "".join(text_of(name, command) for name, command in shown)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
