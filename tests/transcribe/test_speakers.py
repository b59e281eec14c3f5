"""A dialogue through the real models: words, and who says them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError
from scriba.domain.events import Finished, Progress, SegmentReady, WindowFinished
from scriba.domain.options import TranscribeOptions
from scriba.domain.resume import ResumePoint
from scriba.domain.speakers import SpeakerOptions
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.port import Engine
from scriba.engine.scheduler import Priority, Scheduler
from scriba.jobs.checkpoint import resume_point, window_document
from scriba.speakers.diarizer import NetworkDiarizer
from scriba.speakers.networks import OnnxNetworks
from scriba.transcribe.recording import RecordingTranscriber
from scriba.transcribe.speakers import SpeakerTranscriber
from tests.conftest import SpeakerFolder
from tests.speakers.voices import Own, dialogue, sound, write
from tests.speech import bundled, two_cities
from tests.transcribe.doubles import OneEngine, transcript_of

TOLD_APART = TranscribeOptions(speakers=SpeakerOptions(), words=True)


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[RecordingTranscriber, Scheduler]]:
    engine = CTranslate2Engine(bundled(), model="tiny.en")
    scheduler = Scheduler(engine.capabilities.parallelism)
    yield RecordingTranscriber(OneEngine(cast(Engine, engine)), scheduler), scheduler
    scheduler.close(timeout=30)
    engine.close()


@pytest.fixture(scope="module")
def telling(
    plain: tuple[RecordingTranscriber, Scheduler], speaker_folder: SpeakerFolder
) -> SpeakerTranscriber:
    transcriber, scheduler = plain
    return SpeakerTranscriber(
        transcriber, NetworkDiarizer(Own(OnnxNetworks(speaker_folder.model))), scheduler
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    audio, _ = dialogue()
    return write(tmp_path_factory.mktemp("dialogue") / "two.wav", audio)


def test_every_word_stays_and_has_a_speaker(
    plain: tuple[RecordingTranscriber, Scheduler], telling: SpeakerTranscriber, two: Path
) -> None:
    alone = transcript_of(list(plain[0].run(two, TranscribeOptions(words=True))))
    events = list(telling.run(two, TOLD_APART))
    transcript = transcript_of(events)
    said = [word.text for segment in transcript.segments for word in segment.words or ()]
    assert said == [word.text for segment in alone.segments for word in segment.words or ()]
    assert {segment.speaker for segment in transcript.segments} == {"SPEAKER_00", "SPEAKER_01"}
    assert [segment.id for segment in transcript.segments] == list(range(len(transcript.segments)))
    for segment in transcript.segments:
        assert segment.words
        assert {word.speaker for word in segment.words} == {segment.speaker}
        assert "".join(word.text for word in segment.words).strip() == segment.text
    assert [event.segment for event in events if isinstance(event, SegmentReady)] == list(transcript.segments)
    assert {turn.speaker for turn in transcript.turns} == {"SPEAKER_00", "SPEAKER_01"}
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done)


def test_words_are_told_only_to_who_asked(telling: SpeakerTranscriber, two: Path) -> None:
    transcript = transcript_of(list(telling.run(two, TranscribeOptions(speakers=SpeakerOptions()))))
    assert all(segment.words is None and segment.speaker for segment in transcript.segments)


def test_who_does_not_ask_gets_no_speakers(telling: SpeakerTranscriber, two: Path) -> None:
    transcript = transcript_of(list(telling.run(two, TranscribeOptions())))
    assert transcript.turns == ()
    assert all(segment.speaker is None for segment in transcript.segments)


def test_a_transcription_that_was_broken_off_ends_as_one_that_was_not(
    telling: SpeakerTranscriber, two: Path
) -> None:
    whole = list(telling.run(two, TOLD_APART, CancelToken(), Priority.BATCH, ResumePoint()))
    points = [event.point for event in whole if isinstance(event, WindowFinished)]
    assert len(points) >= 2
    # Through the table's documents, as jobs keep them.
    again = resume_point([window_document(ResumePoint(), points[0])])
    rest = list(telling.run(two, TOLD_APART, CancelToken(), Priority.BATCH, again))
    assert transcript_of(rest) == transcript_of(whole)
    new = [event.segment.id for event in rest if isinstance(event, SegmentReady)]
    assert new == list(range(len(points[0].segments), len(transcript_of(whole).segments)))


@pytest.mark.parametrize("after", [0.3, 2.0])
def test_a_cancel_ends_it_within_a_second(telling: SpeakerTranscriber, tmp_path: Path, after: float) -> None:
    path = write(tmp_path / "long.wav", np.tile(sound(two_cities()), 20))
    cancel = CancelToken()
    cancelled: list[float] = []

    def stop() -> None:
        cancelled.append(time.monotonic())
        cancel.cancel()

    threading.Timer(after, stop).start()
    with pytest.raises(CancelledByUserError):
        list(telling.run(path, TOLD_APART, cancel))
    assert time.monotonic() - cancelled[0] < 1.0


def test_closing_the_events_ends_the_work(telling: SpeakerTranscriber, tmp_path: Path) -> None:
    path = write(tmp_path / "long.wav", np.tile(sound(two_cities()), 20))
    events = telling.run(path, TOLD_APART)
    assert not isinstance(next(events), Finished)
    began = time.monotonic()
    events.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 1.0
