"""Settings to models: folders, aliases, the fallback, and what clients then see."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import ModelUnavailableError
from scriba.server.composition import build_services
from scriba.server.model_settings import build_models
from scriba.server.services import Services
from scriba.server.setting_sources import SettingsError
from tests.server.fakes import settings


def bundled(tmp_path: Path) -> Path:
    _, store = build_models(settings(tmp_path, model="tiny.en", model_sources=("bundled",)))
    model = store.find("tiny.en")
    assert model is not None
    return model.path


def ids(services: Services) -> dict[str, str]:
    return {card.id: card.owned_by for card in services.models.models()}


@pytest.fixture
def made() -> Any:
    closing = []

    def build(tmp_path: Path, **values: Any) -> Services:
        services = build_services(settings(tmp_path, **values))
        closing.append(services)
        return services

    yield build
    for services in closing:
        services.close()


def test_a_folder_may_be_the_default_model(tmp_path: Path, made: Any) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(bundled(tmp_path), folder)
    services = made(tmp_path, model=str(folder), model_sources=("hub",), model_fallback=None)
    assert "my-model" in ids(services)
    assert services.models.find("whisper-1") is not None
    assert services.warm(CancelToken()) == "my-model"


def test_folders_have_names_of_their_own(tmp_path: Path, made: Any) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(bundled(tmp_path), folder)
    services = made(
        tmp_path,
        model="mine",
        model_folders={"mine": str(folder)},
        model_sources=("bundled",),
        model_aliases={"whisper-1": "mine", "small-one": "tiny.en"},
    )
    assert set(ids(services)) == {"mine", "tiny.en", "whisper-1", "small-one"}


def test_the_fallback_stands_in_for_a_default_that_cannot_be_had(tmp_path: Path, made: Any) -> None:
    services = made(tmp_path, model="base", model_sources=("bundled",), model_fallback="tiny.en")
    assert services.warm(CancelToken()) == "tiny.en"
    assert "whisper-1" in ids(services)
    assert services.models.find("whisper-1") is not None
    assert services.models.find("small") is None
    assert services.models.find("nosuch") is None


def test_without_fallback_the_failure_is_told(tmp_path: Path, made: Any) -> None:
    services = made(tmp_path, model="base", model_sources=("bundled",), model_fallback=None)
    with pytest.raises(ModelUnavailableError, match="base"):
        services.warm(CancelToken())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "nosuch"}, "nosuch"),
        ({"model_aliases": {"whisper-1": "nosuch"}}, "nosuch"),
        ({"model_folders": {"mine": "/no/such/place"}}, "SCRIBA_MODEL_FOLDERS"),
    ],
)
def test_what_is_no_model_is_a_wrong_setting(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        build_models(settings(tmp_path, **values))
