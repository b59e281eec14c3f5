"""What the person at the terminal is told when something fails: one line, and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from functools import cache

from scriba.domain.errors import InvalidOptionError, ScribaError
from scriba.models.failures import ModelSourceError

FAILED = 1
WRONG_USAGE = 2


@cache
def debugging() -> bool:
    """Whether stack traces are wanted. The variable is taken away: it is no setting of the server."""
    return os.environ.pop("SCRIBA_DEBUG", "").lower() not in {"", "0", "false", "no"}


def say(message: str, *, detail: str = "") -> None:
    """One line on the standard error, whatever the message holds, and ``detail`` below it."""
    sys.stderr.write(f"scriba: {' '.join(message.split())}\n")
    sys.stderr.writelines(f"    {line.rstrip()}\n" for line in detail.splitlines() if line.strip())


def describe(error: Exception) -> tuple[str, int]:
    """What to say about ``error``, and the exit status it stands for."""
    if isinstance(error, InvalidOptionError):
        return error.message, WRONG_USAGE
    if isinstance(error, ScribaError):
        return error.message, FAILED
    if type(error).__name__ == "SettingsError":
        # Named, not imported: reading the settings costs more than most failures that come before it.
        return str(error), WRONG_USAGE
    if isinstance(error, OSError):
        return _of_the_system(error), FAILED
    if isinstance(error, MemoryError):
        return "There is not enough memory. A smaller model needs less.", FAILED
    kind = type(error).__name__
    return f"This should not have happened ({kind}). Set SCRIBA_DEBUG=1 to see where it did.", FAILED


def detail_of(error: Exception) -> str:
    """What only the person at the terminal may see: paths, and what another program said."""
    return error.detail if isinstance(error, ModelSourceError) else ""


def explain(error: Exception) -> int:
    """Say what happened; the exit status."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone, as `head` does: nothing is wrong, and nobody is listening.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    message, status = describe(error)
    say(message, detail=detail_of(error))
    return status


def _of_the_system(error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    if error.errno == errno.ENOSPC:
        reason = "the disk is full"
    return f"{error.filename}: {reason}." if error.filename else f"{reason}."
