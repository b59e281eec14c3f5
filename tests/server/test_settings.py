"""Settings: where they come from, what is refused, and that each is documented."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scriba.domain.options import DecodingOptions, LanguagePolicy, TranscribeOptions, VadOptions
from scriba.server.setting_sources import MASK, SettingsError, effective, load_settings, setting_fields
from scriba.server.settings_page import settings_markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("SCRIBA_"):
            monkeypatch.delenv(name)


def test_the_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_markdown(), (
        'docs/settings.md is out of date: python -c "from scriba.server.settings_page import '
        "settings_markdown; open('docs/settings.md', 'w').write(settings_markdown())\""
    )


def test_every_setting_is_documented() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for field in setting_fields():
        assert field.info.description, field.name
        assert page.count(f"| `{field.env}` |") == 1, field.env


def test_the_defaults_of_requests_are_the_domains() -> None:
    options = load_settings().transcribe_options()
    assert options == TranscribeOptions(
        decoding=DecodingOptions(), vad=VadOptions(), language=LanguagePolicy()
    )


def test_flags_go_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SCRIBA_PORT=1\nSCRIBA_HOST=h\nSCRIBA_MODEL=small\nOTHER=x\n")
    monkeypatch.setenv("SCRIBA_PORT", "2")
    monkeypatch.setenv("SCRIBA_HOST", "i")
    monkeypatch.setenv("SCRIBA_DECODING__BEAM_SIZE", "3")
    flags = {"port": 3, "log_level": None}
    settings = load_settings(flags)
    assert (settings.port, settings.host, settings.model) == (3, "i", "small")
    rows = {row.name: row for row in effective(settings, flags)}
    assert rows["port"].source == "flag"
    assert rows["host"].source == "environment"
    assert rows["model"].source == ".env"
    assert rows["docs"].source == "default"
    beam = rows["decoding.beam_size"]
    assert (beam.env, beam.value, beam.source) == ("SCRIBA_DECODING__BEAM_SIZE", "3", "environment")


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret_token")
    monkeypatch.setenv("SCRIBA_API_KEYS", "first-secret-key,second-secret-key")
    settings = load_settings()
    assert settings.hf_token is not None
    assert settings.hf_token.get_secret_value() == "hf_secret_token"
    rows = {row.name: row.value for row in effective(settings)}
    assert rows["hf_token"] == MASK
    assert rows["api_keys"] == f"{MASK},{MASK}"
    assert "secret_token" not in repr(settings)
    assert "secret-key" not in repr(settings)


def test_lists_pairs_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBA_CORS_ORIGINS", "https://a.example, https://b.example")
    monkeypatch.setenv("SCRIBA_MODEL_SOURCES", '["hub", "npm"]')
    monkeypatch.setenv("SCRIBA_MODEL_ALIASES", "whisper-1=small, mine=default")
    monkeypatch.setenv("SCRIBA_LANGUAGE__ALLOWED", "French,de")
    monkeypatch.setenv("SCRIBA_MODEL_FALLBACK", "none")
    monkeypatch.setenv("SCRIBA_DECODING__TEMPERATURES", "0,0.5")
    settings = load_settings()
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert [source.value for source in settings.model_sources] == ["hub", "npm"]
    assert settings.model_aliases == {"whisper-1": "small", "mine": "default"}
    assert settings.model_fallback is None
    assert settings.transcribe_options().language.allowed == ("fr", "de")
    assert settings.transcribe_options().decoding.temperatures == (0.0, 0.5)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SCRIBA_PORT", "abc", ["SCRIBA_PORT", "'abc'"]),
        ("SCRIBA_PORT", "70000", ["SCRIBA_PORT", "65535"]),
        ("SCRIBA_PROT", "1", ["SCRIBA_PROT", "SCRIBA_PORT?"]),
        ("SCRIBA_DECODING__BEAM_SIZE", "0", ["SCRIBA_DECODING__BEAM_SIZE:", "beam_size must be"]),
        ("SCRIBA_DECODING__BEEM", "1", ["SCRIBA_DECODING__BEEM", "BEAM_SIZE?"]),
        ("SCRIBA_VAD__THRESHOLD", "7", ["SCRIBA_VAD__THRESHOLD:", "threshold must be between 0 and 1"]),
        ("SCRIBA_VAD", "{x", ["SCRIBA_VAD", "JSON"]),
        ("SCRIBA_LANGUAGE__ALLOWED", "klingon", ["SCRIBA_LANGUAGE", "klingon"]),
        ("SCRIBA_MODEL_SOURCES", "npm,moon", ["SCRIBA_MODEL_SOURCES", "moon"]),
        ("SCRIBA_MODEL_ALIASES", "a", ["SCRIBA_MODEL_ALIASES", "name=model"]),
        ("SCRIBA_CORS_ORIGINS", "[a", ["SCRIBA_CORS_ORIGINS", "JSON"]),
        ("SCRIBA_API_KEYS", "short", ["SCRIBA_API_KEYS", "8 characters"]),
        ("SCRIBA_ROOT_PATH", "scriba/", ["SCRIBA_ROOT_PATH"]),
        ("SCRIBA_DEVICE", "tpu", ["SCRIBA_DEVICE", "tpu"]),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_wrong_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRIBA_API_KEYS", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)


def test_a_wrong_flag_is_named_as_a_flag() -> None:
    with pytest.raises(SettingsError, match="--log-level"):
        load_settings({"log_level": "loud"})
