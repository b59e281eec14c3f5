"""Forms of the audio routes: valid, or refused by name."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from scriba.domain.errors import InvalidOptionError, ScribaError, UnsupportedOptionError
from scriba.domain.options import LanguagePolicy, SeparationOptions, TranscribeOptions
from scriba.domain.speakers import KnownSpeaker, SpeakerOptions
from scriba.domain.transcript import Task
from scriba.doors.openai.params import AudioRequest, parse_request

DEFAULTS = TranscribeOptions()


def parse(task: Task = Task.TRANSCRIBE, **fields: str | list[str]) -> AudioRequest:
    form = {name: [value] if isinstance(value, str) else value for name, value in fields.items()}
    return parse_request(form, task, DEFAULTS)


def parse_named(fields: dict[str, str | list[str]], task: Task = Task.TRANSCRIBE) -> AudioRequest:
    return parse(task, **fields)


def test_nothing_sent_is_the_servers_default() -> None:
    request = parse()
    assert request == AudioRequest(DEFAULTS, "json")
    assert parse(model="", language=" ", temperature="", response_format="", stream="") == request


def test_separation_is_as_the_server_is_set() -> None:
    wanted = SeparationOptions()
    defaults = replace(DEFAULTS, separation=wanted)
    for task in Task:
        assert parse_request({}, task, defaults).options.separation == wanted


def test_every_field_reaches_its_option() -> None:
    request = parse_named(
        {
            "model": "small",
            "prompt": "Dickens",
            "keywords[]": ["Carton", " Darnay "],
            "temperature": "0.4",
            "languages[]": ["fr", "english"],
            "response_format": "verbose_json",
            "timestamp_granularities[]": ["word"],
            "beam_size": "2",
            "guards": "false",
            "vad_filter": "0",
        }
    )
    options = request.options
    assert options.model == "small"
    assert options.decoding.initial_prompt == "Dickens"
    assert options.decoding.hotwords == "Carton, Darnay"
    assert options.decoding.temperatures == (0.4,)
    assert options.decoding.beam_size == 2
    assert options.language.allowed == ("fr", "en")
    assert options.words
    assert (request.words, request.segments) == (True, False)
    assert (options.guards, options.vad.enabled) == (False, False)


def test_temperature_0_keeps_the_ladder() -> None:
    assert parse(temperature="0").options.decoding.temperatures == DEFAULTS.decoding.temperatures


def test_a_named_language_needs_no_detection() -> None:
    assert parse(language="French").options.language == LanguagePolicy(language="fr")
    assert parse(languages="fr").options.language == LanguagePolicy(language="fr", allowed=("fr",))


def test_granularities() -> None:
    both = parse_named({"response_format": "verbose_json", "timestamp_granularities[]": ["word", "segment"]})
    assert (both.words, both.segments) == (True, True)
    plain = parse(response_format="verbose_json")
    assert (plain.words, plain.segments, plain.options.words) == (False, True, False)


@pytest.mark.parametrize(
    "fields",
    [
        {"chunking_strategy": '{"type":"server_vad","threshold":0.4,"prefix_padding_ms":200}'},
        {
            "chunking_strategy[type]": "server_vad",
            "chunking_strategy[threshold]": "0.4",
            "chunking_strategy[prefix_padding_ms]": "200",
        },
    ],
)
def test_chunking_strategy_sets_voice_activity(fields: dict[str, str | list[str]]) -> None:
    vad = parse_named(fields).options.vad
    assert (vad.enabled, vad.threshold, vad.speech_pad_ms) == (True, 0.4, 200)
    assert vad.min_silence_duration_ms == DEFAULTS.vad.min_silence_duration_ms


CLIP = "data:audio/wav;base64," + base64.b64encode(b"RIFF").decode()


def test_speakers_are_asked_for_by_the_format_or_by_a_field() -> None:
    assert parse_named({}).options.speakers is None
    assert parse_named({"diarize": "false"}).options.speakers is None
    assert parse_named({"response_format": "diarized_json"}).options.speakers == SpeakerOptions()
    assert parse_named({"diarize": "true"}).options.speakers == SpeakerOptions()
    assert parse_named({"num_speakers": "3"}).options.speakers == SpeakerOptions(count=3)
    bounded = parse_named({"min_speakers": "2", "max_speakers": "4"}).options.speakers
    assert bounded == SpeakerOptions(minimum=2, maximum=4)
    assert parse_named({"speaker_channels": "true"}).options.speakers == SpeakerOptions(channels=True)
    named = parse_named({"known_speaker_names[]": "Anna", "known_speaker_references[]": CLIP})
    assert named.options.speakers == SpeakerOptions(known=(KnownSpeaker("Anna", b"RIFF"),))


@pytest.mark.parametrize(
    ("fields", "field", "why"),
    [
        ({"num_speakers": "0"}, "num_speakers", "between 1 and 64"),
        ({"num_speakers": "two"}, "num_speakers", "whole number"),
        ({"min_speakers": "3", "max_speakers": "2"}, "min_speakers", "at most max_speakers"),
        ({"num_speakers": "2", "max_speakers": "3"}, "num_speakers", "without"),
        ({"diarize": "false", "num_speakers": "2"}, "diarize", "num_speakers asks"),
        ({"diarize": "false", "response_format": "diarized_json"}, "diarize", "format asks"),
        ({"known_speaker_names[]": "Anna"}, "known_speaker_references", "1 and 0"),
        ({"known_speaker_references[]": CLIP}, "known_speaker_names", "0 and 1"),
        (
            {"known_speaker_names[]": "Anna", "known_speaker_references[]": "https://example.org/a.wav"},
            "known_speaker_references",
            "data URLs",
        ),
        (
            {"known_speaker_names[]": "Anna", "known_speaker_references[]": CLIP + "*"},
            "known_speaker_references",
            "no valid base64",
        ),
        (
            {"known_speaker_names[]": list("abcde"), "known_speaker_references[]": [CLIP] * 5},
            "known_speaker_names",
            "at most 4",
        ),
        (
            {"known_speaker_names[]": "n" * 65, "known_speaker_references[]": CLIP},
            "known_speaker_names",
            r"1 to 64 printable characters each, not 'n{64}' \(65\)",
        ),
        (
            {"known_speaker_names[]": ["a", "a"], "known_speaker_references[]": [CLIP] * 2},
            "known_speaker_names",
            "differ",
        ),
    ],
)
def test_wishes_about_speakers_that_cannot_be_are_named(
    fields: dict[str, str | list[str]], field: str, why: str
) -> None:
    with pytest.raises(InvalidOptionError, match=why) as raised:
        parse_named(fields)
    assert raised.value.field == field


def test_translations_have_no_speakers() -> None:
    with pytest.raises(InvalidOptionError):
        parse_request({"response_format": ["diarized_json"]}, Task.TRANSLATE, DEFAULTS)
    with pytest.raises(UnsupportedOptionError):
        parse_request({"diarize": ["true"]}, Task.TRANSLATE, DEFAULTS)


def test_line_rules_ask_for_word_times() -> None:
    request = parse(response_format="srt", max_line_chars="40", max_lines="2")
    assert request.rules is not None
    assert (request.rules.max_line_chars, request.rules.max_lines) == (40, 2)
    assert request.options.words


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"include[]": "logprobs"}, "include"),
        ({"stream": "true", "response_format": "srt"}, "stream"),
        ({"chunking_strategy": '{"type":"semantic"}'}, "chunking_strategy"),
        ({"chunking_strategy": '{"type":"server_vad","eagerness":1}'}, "chunking_strategy"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, str | list[str]], field: str) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        parse_named(fields)
    assert caught.value.field == field
    assert field in caught.value.message


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "-0.1"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"language": "klingon"}, "language"),
        ({"languages[]": ["fr", "klingon"]}, "languages"),
        ({"language": "fr", "languages[]": ["de", "en"]}, "language"),
        ({"response_format": "xml"}, "response_format"),
        ({"stream": "perhaps"}, "stream"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"timestamp_granularities[]": "char", "response_format": "verbose_json"}, "timestamp_granularities"),
        ({"model": ["a", "b"]}, "model"),
        ({"beam_size": "0"}, "beam_size"),
        ({"beam_size": "2.5"}, "beam_size"),
        ({"max_lines": "2"}, "max_lines"),
        ({"max_line_chars": "1", "response_format": "vtt"}, "max_line_chars"),
        ({"chunking_strategy": "none"}, "chunking_strategy"),
        ({"chunking_strategy": "[1]"}, "chunking_strategy"),
        ({"chunking_strategy": '{"type":"server_vad","threshold":2}'}, "chunking_strategy"),
        ({"chunking_strategy": '{"type":"server_vad","threshold":"x"}'}, "chunking_strategy"),
        ({"chunking_strategy": '{"type":"server_vad","prefix_padding_ms":1.5}'}, "chunking_strategy"),
        ({"chunking_strategy": '{"type":"server_vad","prefix_padding_ms":-1}'}, "chunking_strategy"),
        ({"chunking_strategy": "auto", "vad_filter": "false"}, "vad_filter"),
    ],
)
def test_wrong_values_name_their_field(fields: dict[str, str | list[str]], field: str) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        parse_named(fields)
    assert caught.value.field == field
    assert field in caught.value.message


def test_a_translation_takes_no_fields_of_a_transcription() -> None:
    assert parse(Task.TRANSLATE, prompt="x").options.task is Task.TRANSLATE
    for fields in ({"stream": "true"}, {"languages[]": "fr"}, {"timestamp_granularities[]": "word"}):
        with pytest.raises(UnsupportedOptionError):
            parse_named(dict(fields), Task.TRANSLATE)


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(ScribaError) as caught:
        parse(response_format="x" * 10_000)
    assert len(caught.value.message) < 300
