"""``scriba worker``."""

from __future__ import annotations

from typing import Annotated

import typer

from scriba.cli import flags


def worker(
    slots: Annotated[
        int | None,
        typer.Option("--slots", metavar="N", help="Jobs at the same time.", min=1, show_default=False),
    ] = None,
    model: flags.Model = None,
    data_dir: flags.DataDir = None,
    device: flags.Device = None,
    compute_type: flags.ComputeType = None,
    workers: flags.Workers = None,
    threads: flags.Threads = None,
) -> None:
    """Do queued jobs, as many of these on as many machines as you like. DB_URL names the database."""
    settings = flags.read_settings(
        model=model,
        data_dir=data_dir,
        device=device,
        compute_type=compute_type,
        workers=workers,
        threads=threads,
    )
    if slots is not None:
        jobs = settings.jobs.model_copy(update={"slots": slots})
        settings = settings.model_copy(update={"jobs": jobs})
    from scriba.server.work import work

    work(settings)
