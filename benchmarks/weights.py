"""The weights that all engines share: CTranslate2 folders from Scriba's own model store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scriba.server.model_settings import build_models
from scriba.server.setting_sources import load_settings


@dataclass(frozen=True, slots=True)
class Weights:
    """One model. ``data_dir`` is where a server finds it under ``name``."""

    name: str
    folder: Path
    data_dir: Path


def find_weights(name: str) -> Weights:
    """The model, fetched first if need be, from wherever ``scriba serve`` would take it.

    Raises:
        ScribaError: there is no such model, or it cannot be had.
    """
    settings = load_settings({"model": name})
    _, store = build_models(settings)
    return Weights(name, store.ensure(name).path, settings.data_dir)
