"""The one place where a language from outside becomes a code."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scriba.domain import language as module
from scriba.domain.errors import UnknownLanguageError
from scriba.domain.language import LANGUAGES, language_name, normalise_language, require_language

CODES = st.sampled_from(sorted(LANGUAGES))
SPELLINGS = {name: code for code, name in LANGUAGES.items()} | dict(module._ISO_639_3) | dict(module._ALIASES)


@st.composite
def any_case(draw: st.DrawFn, text: st.SearchStrategy[str]) -> str:
    upper = draw(st.integers(0, 2**24))
    return "".join(char.upper() if upper >> (at % 24) & 1 else char for at, char in enumerate(draw(text)))


def test_the_table_is_whispers() -> None:
    assert len(LANGUAGES) == 100
    assert len(set(LANGUAGES.values())) == 100
    assert {code for code in LANGUAGES if len(code) != 2} == {"haw", "yue"}


def test_every_language_has_its_iso_639_3_code() -> None:
    assert set(module._ISO_639_3.values()) == {code for code in LANGUAGES if len(code) == 2}


def test_no_spelling_hides_a_code() -> None:
    assert not set(SPELLINGS) & set(LANGUAGES)
    assert not set(module._ISO_639_3) & set(module._ALIASES)
    assert set(SPELLINGS.values()) <= set(LANGUAGES)


@pytest.mark.parametrize(
    ("spelling", "code"), sorted({**SPELLINGS, **{code: code for code in LANGUAGES}}.items())
)
def test_every_code_name_and_alias_in_any_case(spelling: str, code: str) -> None:
    for text in (
        spelling,
        spelling.upper(),
        spelling.title(),
        f"  {spelling}\n",
        spelling.replace(" ", "  "),
    ):
        assert normalise_language(text) == code


@given(any_case(st.sampled_from(sorted(SPELLINGS))))
def test_mixed_case(spelling: str) -> None:
    assert normalise_language(spelling) == SPELLINGS[spelling.lower()]


def test_whispers_own_aliases() -> None:
    names = (
        "burmese valencian flemish haitian letzeburgesch pushto panjabi moldavian moldovan sinhalese "
        "castilian mandarin"
    )
    codes = [normalise_language(name) for name in names.split()]
    assert codes == ["my", "ca", "nl", "ht", "lb", "ps", "pa", "ro", "ro", "si", "es", "zh"]


@given(CODES)
def test_a_code_is_its_own_normal_form(code: str) -> None:
    assert normalise_language(code) == code
    assert normalise_language(normalise_language(language_name(code))) == code
    require_language(code)


@pytest.mark.parametrize("value", [None, "", "  ", "auto", "AUTO", "Automatic Detection", "detect"])
def test_detection(value: str | None) -> None:
    assert normalise_language(value) is None


@given(
    CODES,
    st.sampled_from(["", "-latn", "_Cyrl", "-Hans"]),
    st.sampled_from(["-BR", "_cn", "-419", "_US"]),
    st.sampled_from(["", ".UTF-8"]),
)
def test_script_and_region_are_cut_off(code: str, script: str, region: str, encoding: str) -> None:
    assert normalise_language(code + script + region + encoding) == code


@pytest.mark.parametrize(
    ("tag", "code"),
    [("pt-BR", "pt"), ("zh-Hant-TW", "zh"), ("zh-yue", "yue"), ("yue-HK", "yue"), ("cmn-Hans-CN", "zh"),
     ("nb-NO", "no"), ("nn-NO", "nn"), ("de-CH-1996", "de"), ("eng-US", "en"), ("jv-ID", "jw")],
)  # fmt: skip
def test_tags_that_clients_send(tag: str, code: str) -> None:
    assert normalise_language(tag) == code


@pytest.mark.parametrize(
    "value",
    [
        "no-one",
        "is-this-a-language",
        "en-",
        "-en",
        "en-x",
        "xx",
        "klingon",
        "fr,de",
        "en/us",
        "e n",
        "eng lish",
    ],
)
def test_what_only_begins_like_a_language_is_unknown(value: str) -> None:
    with pytest.raises(UnknownLanguageError):
        normalise_language(value)


@given(st.text(min_size=1, max_size=5000))
def test_every_unknown_string_raises_with_a_bounded_message(value: str) -> None:
    folded = " ".join(value.lower().split())
    assume(folded and folded not in LANGUAGES and folded not in SPELLINGS and folded not in module._DETECT)
    assume("-" not in folded and "_" not in folded)
    with pytest.raises(UnknownLanguageError) as refused:
        normalise_language(value, field="lang")
    assert refused.value.field == "lang"
    assert refused.value.message.startswith("lang ")
    assert len(refused.value.message) < 700
    assert refused.value.code == "unknown_language"


def test_require_language_takes_codes_alone() -> None:
    with pytest.raises(UnknownLanguageError):
        require_language("french")
    with pytest.raises(UnknownLanguageError) as refused:
        require_language("x" * 100_000)
    assert len(refused.value.message) < 200
