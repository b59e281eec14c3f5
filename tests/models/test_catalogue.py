from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scriba.domain.errors import ModelNotFoundError
from scriba.models.catalogue import DEFAULT_ALIASES, ENTRIES, Catalogue, own_entry

NAMES = [
    "tiny",
    "tiny.en",
    "base",
    "base.en",
    "small",
    "small.en",
    "medium",
    "medium.en",
    "large-v1",
    "large-v2",
    "large-v3",
    "large-v3-turbo",
    "distil-small.en",
    "distil-medium.en",
    "distil-large-v2",
    "distil-large-v3",
    "distil-large-v3.5",
]


def test_every_name_people_use_is_known() -> None:
    catalogue = Catalogue("base")
    assert [entry.name for entry in catalogue.entries()] != []
    assert {entry.name for entry in catalogue.entries()} == set(NAMES)
    for name in NAMES:
        assert catalogue.resolve(name).name == name


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (None, "base"),
        ("", "base"),
        ("  ", "base"),
        ("TINY", "tiny"),
        (" small ", "small"),
        ("large", "large-v3"),
        ("turbo", "large-v3-turbo"),
        ("openai/whisper-base", "base"),
        ("openai/whisper-large", "large-v1"),
        ("openai/whisper-large-v3-turbo", "large-v3-turbo"),
        ("whisper-small.en", "small.en"),
        ("Systran/faster-whisper-medium", "medium"),
        ("faster-whisper-tiny.en", "tiny.en"),
        ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", "large-v3-turbo"),
        ("Systran/faster-distil-whisper-small.en", "distil-small.en"),
        ("distil-whisper/distil-large-v3", "distil-large-v3"),
        ("distil-whisper/distil-large-v3.5-ct2", "distil-large-v3.5"),
        ("whisper-1", "base"),
        ("gpt-4o-transcribe", "base"),
        ("GPT-4o-mini-transcribe", "base"),
        ("gpt-4o-mini-transcribe-2025-12-15", "base"),
    ],
)
def test_names_resolve(asked: str | None, meant: str) -> None:
    assert Catalogue("base").resolve(asked).name == meant


def test_aliases_of_the_operator_win_and_can_name_a_model() -> None:
    catalogue = Catalogue("base", {**DEFAULT_ALIASES, "best": "large-v3", "tiny": "small"})
    assert catalogue.resolve("BEST").name == "large-v3"
    assert catalogue.resolve("tiny").name == "small"
    assert catalogue.aliases["whisper-1"] == "base"
    assert catalogue.aliases["best"] == "large-v3"


@pytest.mark.parametrize(
    "name",
    [
        "huge",
        "/etc/passwd",
        "../tiny",
        "./tiny",
        "C:\\models",
        "someone/whisper-x",
        "file:///tmp",
        "a/b/c",
        "tiny/../base",
        "~",
        "\0",
    ],
)
def test_unknown_names_are_refused_and_the_known_ones_listed(name: str) -> None:
    with pytest.raises(ModelNotFoundError) as refused:
        Catalogue("base").resolve(name)
    assert refused.value.field == "model"
    assert "tiny, base" in refused.value.message.replace("tiny.en, ", "").replace("base.en, ", "")
    assert "turbo" in refused.value.message


def test_a_long_name_is_not_echoed_whole() -> None:
    with pytest.raises(ModelNotFoundError) as refused:
        Catalogue("base").resolve("x" * 5000)
    assert len(refused.value.message) < 1000


def test_hub_names_only_where_allowed() -> None:
    with pytest.raises(ModelNotFoundError):
        Catalogue("base").resolve("someone/whisper-sv")
    entry = Catalogue("base", allow_hub_names=True).resolve("someone/whisper-sv")
    assert (entry.name, entry.hub, entry.from_hub_name) == ("someone/whisper-sv", "someone/whisper-sv", True)
    for wrong in ("someone/..", "../x", "/x", "x/", "a/b/c", "some one/x", "a/b--c"):
        with pytest.raises(ModelNotFoundError):
            Catalogue("base", allow_hub_names=True).resolve(wrong)


def test_the_operator_may_name_a_hub_model_as_default_or_alias() -> None:
    catalogue = Catalogue("someone/whisper-sv", {"nb": "other/whisper-nb"})
    assert catalogue.resolve(None).hub == "someone/whisper-sv"
    assert catalogue.resolve("nb").hub == "other/whisper-nb"
    assert catalogue.resolve("someone/whisper-sv") is catalogue.default


@pytest.mark.parametrize("aliases", [{}, {"x": "nothing"}])
def test_a_wrong_default_or_alias_is_told_at_once(aliases: dict[str, str]) -> None:
    with pytest.raises(ModelNotFoundError, match="noth"):
        Catalogue("base" if aliases else "nothing", aliases)


@pytest.mark.parametrize(
    ("name", "sibling"),
    [
        ("tiny.en", "tiny"),
        ("medium.en", "medium"),
        ("distil-small.en", "small"),
        ("distil-medium.en", "medium"),
        ("distil-large-v3.5", "large-v3"),
        ("tiny", None),
        ("large-v3-turbo", None),
    ],
)
def test_multilingual_siblings(name: str, sibling: str | None) -> None:
    catalogue = Catalogue("base")
    found = catalogue.multilingual_sibling(catalogue.resolve(name))
    assert (found.name if found else None) == sibling


def test_an_own_english_model_has_no_sibling() -> None:
    catalogue = Catalogue("base")
    own = own_entry("mine", multilingual=False, translates=False, mel_bins=80, memory_bytes=1)
    catalogue.add(own)
    assert catalogue.resolve("Mine") is own
    assert catalogue.multilingual_sibling(own) is None


def test_facts_that_clients_rely_on() -> None:
    by_name = {entry.name: entry for entry in ENTRIES}
    assert {name for name, entry in by_name.items() if entry.mel_bins == 128} == {
        "large-v3",
        "large-v3-turbo",
        "distil-large-v3",
        "distil-large-v3.5",
    }
    assert not by_name["large-v3-turbo"].translates
    assert by_name["large-v3-turbo"].multilingual
    assert all(not entry.translates for entry in ENTRIES if not entry.multilingual)


@given(st.text(max_size=40))
def test_any_text_resolves_or_is_refused(name: str) -> None:
    with contextlib.suppress(ModelNotFoundError):
        assert Catalogue("base").resolve(name).name in NAMES
