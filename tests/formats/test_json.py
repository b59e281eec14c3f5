"""The JSON bodies against the vendor's own types."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from openai.types.audio import TranscriptionVerbose
from openai.types.audio.transcription import Transcription

from scriba.domain.errors import InvalidOptionError
from scriba.domain.transcript import Segment, Suppressed, SuppressionReason, Task
from scriba.formats import Format, RenderOptions, render, stream, verbose_json_body
from tests.formats.transcripts import segment, segments, spoken, transcript

SAID = transcript(
    spoken(("Hello", 0.5, 0.9), (" world.", 1.0004, 1.5)),
    segment("Bonjour.", 2, 3, number=1, language="fr", tokens=(50364, 12), seek=200, avg_logprob=-0.25),
    duration=3.2,
    suppressed=(Suppressed(4.0, 5.0, "Thank you.", SuppressionReason.NO_SPEECH),),
)


def test_json_is_the_text_alone() -> None:
    assert json.loads(render(SAID, Format.JSON)) == {"text": "Hello world. Bonjour."}


def test_verbose_json_is_what_the_vendors_types_ask_for() -> None:
    text = render(SAID, Format.VERBOSE_JSON, options=RenderOptions(words=True))
    read = TranscriptionVerbose.model_validate_json(text, strict=True)
    assert (read.language, read.duration, read.text) == ("english", 3.2, "Hello world. Bonjour.")
    assert read.usage is not None
    assert (read.usage.type, read.usage.seconds) == ("duration", 4)
    assert [(word.word, word.start, word.end) for word in read.words or ()] == [
        ("Hello", 0.5, 0.9),
        ("world.", 1.0, 1.5),
    ]
    second = (read.segments or [])[1]
    assert (second.id, second.seek, second.start, second.end, second.tokens, second.avg_logprob) == (
        1,
        200,
        2.0,
        3.0,
        [50364, 12],
        -0.25,
    )
    assert "".join(one.text for one in read.segments or ()).strip() == read.text


def test_scribas_own_fields() -> None:
    body = verbose_json_body(SAID)
    assert body["task"] == "transcribe"
    assert body["language_code"] == "en"
    assert body["languages"] == [{"code": "en"}, {"code": "fr"}]
    assert [one["language"] for one in body["segments"]] == ["en", "fr"]
    assert body["suppressed"] == [{"start": 4.0, "end": 5.0, "text": "Thank you.", "reason": "no_speech"}]
    Transcription.model_validate(body)  # ``languages`` has the shape the vendor gives it there


def test_granularities() -> None:
    assert "words" not in verbose_json_body(SAID)
    only_words = verbose_json_body(SAID, segments=False, words=True)
    assert "segments" not in only_words
    assert len(only_words["words"]) == 2


def test_a_translation_is_in_english_and_silence_has_no_language() -> None:
    translated = transcript(segment("Hello.", language="fr"), language="fr", task=Task.TRANSLATE)
    body = verbose_json_body(translated)
    assert (body["task"], body["language"], body["language_code"]) == ("translate", "english", "fr")
    silent = verbose_json_body(transcript(language=None, duration=0.0))
    assert (silent["language"], silent["language_code"], silent["segments"]) == ("unknown", None, [])
    assert silent["usage"] == {"type": "duration", "seconds": 0}


def test_japanese_segments_have_no_leading_space() -> None:
    body = verbose_json_body(transcript(segment("はい。", language="ja"), language="ja"))
    assert body["segments"][0]["text"] == "はい。"


def test_what_json_cannot_hold_is_null() -> None:
    said = transcript(segment("x", avg_logprob=-math.inf, compression_ratio=math.nan))
    read = json.loads(render(said, Format.VERBOSE_JSON))
    assert read["segments"][0]["avg_logprob"] is None
    assert read["segments"][0]["compression_ratio"] is None


@given(segments())
def test_any_transcript_is_valid_json(said: list[Segment]) -> None:
    whole = transcript(*said)
    read = json.loads(render(whole, Format.VERBOSE_JSON, options=RenderOptions(words=True)))
    assert read["text"] == whole.text
    assert [one["id"] for one in read["segments"]] == [one.id for one in said]


@pytest.mark.parametrize("fmt", [Format.JSON, Format.VERBOSE_JSON])
def test_json_cannot_be_streamed(fmt: Format) -> None:
    assert not fmt.streams
    with pytest.raises(InvalidOptionError, match=fmt.value):
        stream((), fmt)


@pytest.mark.parametrize("fmt", list(Format))
def test_every_format_has_a_type_and_an_extension(fmt: Format) -> None:
    assert "/" in fmt.media_type
    assert fmt.extension.startswith(".")
    assert Format.parse(f" {fmt.value.upper()} ") is fmt


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(InvalidOptionError, match=r"response_format must be one of json, .*, not 'docx'\."):
        Format.parse("docx", field="response_format")
    with pytest.raises(InvalidOptionError) as refused:
        Format.parse("x" * 10_000)
    assert len(refused.value.message) < 200
