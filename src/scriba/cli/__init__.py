"""The command line. Everything heavy is imported by the command that needs it, so that starting is quick."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from scriba.engine.allocator import tune_allocator

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program named ``scriba`` and return its exit status.

    0 is success, 1 a failure, 2 wrong usage or settings, 130 an interruption. A failure is told in one line
    on the standard error; a stack trace is shown only where the environment has ``SCRIBA_DEBUG``.

    Args:
        arguments: what follows the program's name; None takes them from the command that started the process.
    """
    # Before any thread exists: a thread keeps the arena it first allocated from, and only the main one grows.
    tune_allocator()
    status = _run(arguments)
    if status == INTERRUPTED and arguments is None:
        # A native thread may still be computing, and Python must not be taken apart under it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _run(arguments: Sequence[str] | None) -> int:
    from scriba.cli.app import app
    from scriba.cli.faults import debugging, explain

    with_traces = debugging()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Every format is UTF-8, whatever the locale; a file name may be no text at all.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        app(arguments, prog_name="scriba")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        if with_traces:
            raise
        return explain(error)
    return 0
