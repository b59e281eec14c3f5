"""``scriba serve``."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from scriba.cli import flags


def serve(
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen.", show_default=False)
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", metavar="PORT", help="0 takes a free one.", show_default=False),
    ] = None,
    model: flags.Model = None,
    data_dir: flags.DataDir = None,
    device: flags.Device = None,
    compute_type: flags.ComputeType = None,
    workers: flags.Workers = None,
    threads: flags.Threads = None,
    log_level: Annotated[
        str | None,
        typer.Option(
            "--log-level", metavar="LEVEL", help="debug, info, warning or error.", show_default=False
        ),
    ] = None,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="Take jobs, and leave them to `scriba worker`.")
    ] = False,
) -> None:
    """Start the server. Every setting is also read from SCRIBA_* variables and a file .env."""
    settings = flags.read_settings(
        host=host,
        port=port,
        model=model,
        data_dir=data_dir,
        device=device,
        compute_type=compute_type,
        workers=workers,
        threads=threads,
        log_level=log_level,
    )
    if no_worker:
        jobs = settings.jobs.model_copy(update={"worker": False})
        settings = settings.model_copy(update={"jobs": jobs})
    from scriba.server.run import serve as run

    # uvicorn ends its work first, and then raises the signal again: Ctrl-C is how a server ends.
    with suppress(KeyboardInterrupt):
        run(settings)
