"""What a person is told of an error that ended a command: one line, with the way out."""

from __future__ import annotations

import logging
import traceback

from jobmon.cluster.base import ClusterError
from jobmon.core.text import clean
from jobmon.run.journal import JournalError
from jobmon.run.names import BadFile
from jobmon.run.owner import OwnerError
from jobmon.run.usage import UsageError

EXPECTED = (UsageError, BadFile, OwnerError, JournalError, ClusterError, OSError)


def explain(error: Exception) -> str:
    """The line, fit for a terminal. An error that nobody foresaw is logged and named as such."""
    return clean(_line(error))


def _line(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, EXPECTED[:-1]):
        return f"{error.filename or 'a file'}: {error.strerror or error}; mend that and start again"
    if isinstance(error, EXPECTED):
        return str(error)
    logging.getLogger(__name__).debug("unforeseen", exc_info=error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"an error that should not happen: {type(error).__name__}: {error} "
        f"(in {where.name}, line {where.lineno}); nothing was lost: start it again, and report "
        "what JOBMON_TRACEBACK=1 shows"
    )
