"""The commands, and the flags they share."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from scriba import __version__
from scriba.cli import bench, jobs, listen, models, serve, settings, transcribe, worker

# Plain help and plain errors: the same in a terminal, a file and a screen reader.
app = typer.Typer(
    name="scriba",
    help="Speech to text on your own machine: a server, and the same from the command line.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"scriba {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Speech to text on your own machine: a server, and the same from the command line."""


app.command("serve")(serve.serve)
app.command("worker")(worker.worker)
app.add_typer(jobs.app, name="jobs")
app.command("transcribe")(transcribe.transcribe)
app.command("listen")(listen.listen)
app.add_typer(models.app, name="models")
app.command("settings")(settings.settings)
app.add_typer(bench.app, name="bench")
