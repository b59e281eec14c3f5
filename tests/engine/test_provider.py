"""Which model serves a request: the one asked for, its sibling, the fallback, or a clear refusal."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import LanguageNotServedError, ModelNotFoundError, ModelUnavailableError
from scriba.domain.transcript import Task
from scriba.engine.fake import FakeEngine
from scriba.engine.port import Engine
from scriba.engine.provider import ResidentEngines
from scriba.models.catalogue import Catalogue
from scriba.models.installed import InstalledModel
from scriba.models.residency import Residency
from scriba.models.store import ModelStore


@dataclass
class Shelf:
    """A store of these models; others may be had from ``reachable``."""

    here: set[str]
    reachable: set[str] = field(default_factory=set)
    attempts: list[str] = field(default_factory=list)

    def find(self, name: str) -> InstalledModel | None:
        if name not in self.here:
            return None
        multilingual = not name.endswith(".en")
        return InstalledModel(
            name=name,
            path=Path(name),
            source="test",
            multilingual=multilingual,
            translates=multilingual,
            mel_bins=80,
            size_bytes=1,
        )

    def ensure(self, name: str, *, cancel: CancelToken | None = None) -> InstalledModel:
        self.attempts.append(name)
        if name not in self.reachable:
            raise ModelUnavailableError(f"{name} cannot be had.")
        self.here.add(name)
        found = self.find(name)
        assert found is not None
        return found


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def engines(shelf: Shelf, *, may_fetch: bool = True, fallback: str | None = "tiny.en") -> ResidentEngines:
    return ResidentEngines(
        Catalogue("base"),
        cast(ModelStore, shelf),
        Residency[Engine](),
        lambda model: FakeEngine(model=model.name),
        may_fetch=may_fetch,
        fallback=fallback,
        clock=clock,
    )


clock = Clock()


@pytest.fixture(autouse=True)
def rewound() -> None:
    clock.now = 0.0


def served(
    own: ResidentEngines, model: str | None, language: str | None = None, task: Task = Task.TRANSCRIBE
) -> str:
    with own.acquire(model, language=language, task=task) as engine:
        return engine.model


@pytest.mark.parametrize("asked", [None, "whisper-1", "base", "gpt-4o-transcribe"])
def test_the_default_serves_whoever_names_no_other(asked: str | None) -> None:
    assert served(engines(Shelf({"base", "tiny.en"})), asked) == "base"


@pytest.mark.parametrize("task", list(Task))
def test_french_on_an_english_model_goes_to_its_sibling(task: Task) -> None:
    assert served(engines(Shelf({"tiny.en", "tiny"})), "tiny.en", "fr", task) == "tiny"
    assert served(engines(Shelf({"tiny.en"}, {"tiny"})), "tiny.en", "fr", task) == "tiny"


def test_without_the_sibling_the_error_names_what_to_do() -> None:
    with pytest.raises(LanguageNotServedError, match="scriba models pull tiny"):
        served(engines(Shelf({"tiny.en"})), "tiny.en", "fr")
    with pytest.raises(LanguageNotServedError, match="scriba models pull tiny"):
        served(engines(Shelf({"tiny.en"}, {"tiny"}), may_fetch=False), "tiny.en", "fr")


def test_a_language_that_the_models_vocabulary_lacks_is_refused() -> None:
    with pytest.raises(LanguageNotServedError, match="'base' does not know Cantonese"):
        served(engines(Shelf({"base"})), "base", "yue")


def test_a_default_that_cannot_be_had_is_replaced() -> None:
    own = engines(Shelf({"tiny.en"}))
    assert served(own, None) == "tiny.en"
    assert served(own, "whisper-1") == "tiny.en"


def test_but_not_for_whoever_asked_for_it_by_name() -> None:
    with pytest.raises(ModelUnavailableError):
        served(engines(Shelf({"tiny.en"})), "base")


def test_the_replacement_answers_no_french_in_english() -> None:
    with pytest.raises(LanguageNotServedError):
        served(engines(Shelf({"tiny.en"})), None, "fr")
    assert served(engines(Shelf({"tiny.en", "tiny"})), None, "fr") == "tiny"


def test_a_model_that_could_not_be_fetched_is_not_asked_for_at_every_request() -> None:
    shelf = Shelf({"tiny.en"})
    own = engines(shelf)
    for _ in range(5):
        served(own, None)
    assert shelf.attempts == ["base"]
    clock.now = 61.0
    shelf.reachable.add("base")
    assert served(own, None) == "base"


def test_a_server_that_fetches_nothing_says_so() -> None:
    with pytest.raises(ModelUnavailableError, match="fetches none on request"):
        served(engines(Shelf({"base"}, {"small"}), may_fetch=False), "small")


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(ModelNotFoundError):
        served(engines(Shelf({"base"})), "no-such-model")
