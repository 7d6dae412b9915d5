"""What the program says while it works: on the terminal for people, in jobmon.log for later."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

import click

from jobmon import progress
from jobmon.core.text import clean

logging.raiseExceptions = False  # a full disk or a closed pipe under a message is no traceback

LOG = logging.getLogger("jobmon")
MEGABYTE = 1024 * 1024


class _Clean(logging.Formatter):
    """Whatever a name or a cluster puts into a message, no control code comes out of it."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


class _Lines(logging.StreamHandler[TextIO]):
    """A line at a time, with the spinner of ``progress`` out of its way."""

    def emit(self, record: logging.LogRecord) -> None:
        with progress.aside():
            super().emit(record)


def to_terminal(level: int) -> None:
    """Print what is at least of ``level`` to stdout, a line each, with the time of day."""
    handler = _Lines(sys.stdout)
    handler.setFormatter(_Clean("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.setLevel(level)
    LOG.addHandler(handler)
    LOG.setLevel(logging.DEBUG)
    LOG.propagate = False


def say(line: str) -> None:
    """Say ``line`` on the terminal and in the log."""
    LOG.info("%s", line)


def answer(line: str) -> None:
    """Print a line of what a command answers."""
    with progress.aside():
        click.echo(clean(line))


def remark(line: str) -> None:
    """Print a line that is no part of a command's answer."""
    click.echo(clean(line), err=True)


@contextlib.contextmanager
def logged(path: Path) -> Iterator[None]:
    """Keep all that is said in the run's jobmon.log, rotated at 5 MB, three kept."""
    handler = RotatingFileHandler(path, maxBytes=5 * MEGABYTE, backupCount=3, encoding="utf-8")
    handler.setFormatter(
        _Clean("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    )
    LOG.addHandler(handler)
    LOG.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        handler.close()
