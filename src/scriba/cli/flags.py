"""Flags that several commands have, and settings read with flags on top."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from scriba.server.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="Where models are kept.", show_default=False),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="DEVICE", help="cpu, cuda or auto.", show_default=False),
]
ComputeType = Annotated[
    str | None,
    typer.Option(
        "--compute-type",
        metavar="TYPE",
        help="CTranslate2's, such as int8, float16 or auto.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", metavar="N", help="Threads of each worker.", show_default=False)
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A name such as base, small or turbo (see: scriba models list), or a folder.",
        show_default=False,
    ),
]


def read_settings(**flags: Any) -> Settings:
    """The settings in force with these flags; a flag that is None was not given.

    Raises:
        SettingsError: a setting is wrong.
    """
    from scriba.server.setting_sources import load_settings

    return load_settings(flags)
