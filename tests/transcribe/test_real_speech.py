"""Recordings of every kind through the real model: right words, or none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from scriba.bench import score
from scriba.domain.events import WindowFinished
from scriba.domain.options import LanguagePolicy, TranscribeOptions, VadOptions
from scriba.domain.resume import ResumePoint
from scriba.domain.transcript import SuppressionReason, Transcript
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.port import Engine
from scriba.engine.scheduler import Scheduler
from scriba.transcribe.recording import RecordingTranscriber
from tests.speech import TWO_CITIES_TEXT, bundled, recordings, two_cities
from tests.transcribe.doubles import OneEngine, transcript_of


@pytest.fixture(scope="module")
def own() -> Iterator[RecordingTranscriber]:
    engine = CTranslate2Engine(bundled(), model="tiny.en")
    scheduler = Scheduler(engine.capabilities.parallelism)
    yield RecordingTranscriber(OneEngine(cast(Engine, engine)), scheduler)
    scheduler.close(timeout=30)
    engine.close()


def hear(own: RecordingTranscriber, path: object, options: TranscribeOptions | None = None) -> Transcript:
    return transcript_of(list(own.run(path, options or TranscribeOptions())))  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [False, True])
def test_a_reading_is_heard_in_sentences_with_rising_times(own: RecordingTranscriber, words: bool) -> None:
    transcript = hear(own, two_cities(), TranscribeOptions(words=words))
    rate = score([(TWO_CITIES_TEXT, transcript.text)], "en").wer
    assert rate is not None
    assert rate < 0.05
    assert len(transcript.segments) >= 6
    end = 0.0
    for segment in transcript.segments:
        assert end <= segment.start < segment.end <= transcript.duration + 0.05
        assert segment.end - segment.start <= 12.5
        end = segment.end
        if words:
            assert segment.words
            assert "".join(word.text for word in segment.words).strip() == segment.text
            assert segment.start <= segment.words[0].start <= segment.words[-1].end <= segment.end


def test_windows_are_as_long_and_as_many_at_once_as_was_asked(own: RecordingTranscriber) -> None:
    options = TranscribeOptions(chunk_length=10, batch_size=1)
    points = [
        event.point
        for event in own.run(two_cities(), options, resume=ResumePoint())
        if isinstance(event, WindowFinished)
    ]
    usual = [
        event
        for event in own.run(two_cities(), TranscribeOptions(), resume=ResumePoint())
        if isinstance(event, WindowFinished)
    ]
    assert len(points) > len(usual)
    text = " ".join(segment.text for segment in points[-1].segments)
    rate = score([(TWO_CITIES_TEXT, text)], "en").wer
    assert rate is not None
    assert rate < 0.1


def test_the_transcript_says_where_speech_is(own: RecordingTranscriber) -> None:
    transcript = hear(own, two_cities())
    assert transcript.speech
    assert all(0 <= start < end <= transcript.duration + 0.01 for start, end in transcript.speech)
    assert transcript.speech[0][0] <= transcript.segments[0].start + 0.5
    everything = hear(own, two_cities(), TranscribeOptions(vad=VadOptions(enabled=False)))
    assert everything.speech == ()


@pytest.mark.speech
@pytest.mark.parametrize("guarded_only", [False, True])
def test_noise_and_music_give_no_words(own: RecordingTranscriber, guarded_only: bool) -> None:
    """By voice activity, and by the guards alone when everything is let through to the model."""
    silent = [found for found in recordings("noise-music") if not found.text]
    assert silent
    for found in silent:
        options = TranscribeOptions()
        if guarded_only:
            if found.duration > 60:
                continue
            options = TranscribeOptions(vad=options.vad.__class__(enabled=False))
        assert hear(own, found.path, options).text == "", found.path.name


@pytest.mark.speech
def test_an_english_model_is_silent_about_other_languages_unless_told(own: RecordingTranscriber) -> None:
    [path] = [found.path for found in recordings("multilingual") if found.path.stem == "picovoice_de_test_de"]
    transcript = hear(own, path)
    assert transcript.text == ""
    assert {entry.reason for entry in transcript.suppressed} == {SuppressionReason.NOT_ENGLISH}
    assert hear(own, path, TranscribeOptions(language=LanguagePolicy(language="en"))).text
