"""The catalogue and the model store that the settings describe."""

from __future__ import annotations

from pathlib import Path

from scriba.domain.errors import ModelNotFoundError, ScribaError
from scriba.models.catalogue import DEFAULT as CATALOGUE_DEFAULT
from scriba.models.catalogue import Catalogue, CatalogueEntry
from scriba.models.installed import entry_of
from scriba.models.sources.folder import FolderSource
from scriba.models.sources.order import build_sources
from scriba.models.store import ModelStore
from scriba.server.setting_sources import SettingsError
from scriba.server.settings import DEFAULT, Settings


def models_dir(settings: Settings) -> Path:
    return settings.data_dir / "models"


def build_models(settings: Settings) -> tuple[Catalogue, ModelStore]:
    """Names and weights as the settings have them. Touches no network.

    Raises:
        SettingsError: the default model, an alias's target or a folder is no model.
    """
    folders = {name: Path(path).expanduser() for name, path in settings.model_folders.items()}
    default = settings.model
    if _is_path(default):
        folder = Path(default).expanduser().absolute()
        default = folder.stem if folder.suffix == ".pt" else folder.name
        folders[default] = folder
    token = settings.hf_token.get_secret_value() if settings.hf_token is not None else None
    root = models_dir(settings)
    sources = build_sources(root, [source.value for source in settings.model_sources], hub_token=token)
    try:
        catalogue = _catalogue(settings, default, root, folders)
        return catalogue, ModelStore(root, catalogue, sources, folders)
    except ModelNotFoundError as error:
        raise SettingsError(f"SCRIBA_MODEL or SCRIBA_MODEL_ALIASES: {error.message}") from None
    except ScribaError as error:
        raise SettingsError(f"SCRIBA_MODEL or SCRIBA_MODEL_FOLDERS: {error.message}") from None


def _catalogue(settings: Settings, default: str, root: Path, folders: dict[str, Path]) -> Catalogue:
    aliases = {
        alias: CATALOGUE_DEFAULT if target == DEFAULT else target
        for alias, target in settings.model_aliases.items()
    }
    source = FolderSource(folders, list)
    own: dict[str, CatalogueEntry] = {name: source.entry(name, None) for name in folders}
    # Models that were converted under a name of the operator's own may be the default too.
    for model in ModelStore(root, Catalogue("base"), []).installed():
        own.setdefault(model.name, entry_of(model))
    known = {entry.name for entry in Catalogue("base").entries()}
    own = {name: entry for name, entry in own.items() if name not in known}
    return Catalogue(default, aliases, own=own)


def _is_path(model: str) -> bool:
    path = Path(model).expanduser()
    return (path.is_absolute() or model.startswith(".") or path.suffix == ".pt") and path.exists()
