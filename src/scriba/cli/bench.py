"""``scriba bench``: measure what this machine and these models do."""

from __future__ import annotations

import typer

app = typer.Typer(
    help="Measure accuracy and speed on recordings.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def bench() -> None:
    """Measure accuracy and speed on recordings."""
