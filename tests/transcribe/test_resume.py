"""A transcription that was broken off goes on behind its last finished window, and ends the same."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.events import Event, WindowFinished, WindowHeard
from scriba.domain.options import DecodingOptions, LanguagePolicy, TranscribeOptions
from scriba.domain.resume import HeardWindow, ResumePoint
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.fake import FakeEncoded, FakeEngine, says
from scriba.engine.port import Decoded, DecodeRequest, Engine, LanguageGuess
from scriba.engine.scheduler import Scheduler
from scriba.jobs.checkpoint import heard_document, resume_point, segments_of, window_document
from scriba.transcribe.batch import BatchTranscriber
from scriba.transcribe.heard import passes_from_text, passes_to_text
from scriba.transcribe.recording import RecordingTranscriber
from tests.speech import bundled, two_cities
from tests.transcribe.doubles import OneEngine, spoken, transcript_of

CONDITIONED = TranscribeOptions(decoding=DecodingOptions(condition_on_previous_text=True))


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(2)
    yield scheduler
    scheduler.close()


def run(own: BatchTranscriber, path: Path, options: TranscribeOptions, point: ResumePoint) -> list[Event]:
    return list(own.run(path, options, CancelToken(), point))


def points(events: list[Event]) -> list[ResumePoint]:
    return [event.point for event in events if isinstance(event, WindowFinished)]


def stored(found: list[ResumePoint]) -> list[str]:
    """As the table has them."""
    return [
        window_document(before, after) for before, after in zip([ResumePoint(), *found], found, strict=False)
    ]


@pytest.mark.parametrize("options", [TranscribeOptions(), CONDITIONED], ids=["plain", "conditioned"])
def test_from_every_point_the_end_is_the_same(
    tmp_path: Path, scheduler: Scheduler, options: TranscribeOptions
) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        # What is said hangs on the sound, the language and the text before, so that any slip shows.
        mark = f"{request.language} {len(request.previous)} {float(abs(encoded.audio).sum()):.3f}"
        return says(mark, seconds=encoded.seconds)

    def guess(encoded: FakeEncoded) -> LanguageGuess:
        likely = "en" if float(abs(encoded.audio).sum()) % 2 < 1 else "de"
        other = "de" if likely == "en" else "en"
        return LanguageGuess(((likely, 0.8), (other, 0.2)))

    engine = FakeEngine(script=script, guess=guess)
    own = BatchTranscriber(RecordingTranscriber(OneEngine(engine), scheduler))
    path = spoken(tmp_path / "a.wav", 150)
    events = run(own, path, options, ResumePoint())
    whole, found = transcript_of(events), points(events)
    assert [point.windows for point in found] == list(range(1, len(found) + 1))
    assert len(found) >= 5
    documents = stored(found)
    assert [one for document in documents for one in segments_of(document)] == list(whole.segments)
    for done in range(len(found) + 1):
        engine.requests.clear()
        again = run(own, path, options, resume_point(documents[:done]))
        assert transcript_of(again) == whole
        assert len(points(again)) == len(found) - done
        # Finished windows cost no inference.
        assert len(engine.requests) == len(found) - done


def test_what_was_heard_before_its_turn_is_not_heard_again(tmp_path: Path, scheduler: Scheduler) -> None:
    path = spoken(tmp_path / "a.wav", 150)
    held, go_on = threading.Event(), threading.Event()

    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        mark = f"{float(abs(encoded.audio).sum()):.3f}"
        if not held.is_set():  # the first window takes longer than all the others
            held.set()
            assert go_on.wait(20)
        return says(mark, seconds=encoded.seconds)

    engine = FakeEngine(script=script)
    own = BatchTranscriber(RecordingTranscriber(OneEngine(engine), scheduler))
    options = TranscribeOptions(language=LanguagePolicy("en"))
    heard: list[HeardWindow] = []
    running = own.run(path, options, CancelToken(), ResumePoint())
    for event in running:
        assert isinstance(event, WindowHeard), event
        heard.append(event.window)
        if len(heard) == 2:
            break
    go_on.set()
    running.close()  # type: ignore[attr-defined]
    assert all(window.number > 0 for window in heard)
    documents = [heard_document(window) for window in heard]
    whole = run(own, path, options, ResumePoint())
    engine.requests.clear()
    again = run(own, path, options, resume_point(documents))
    assert transcript_of(again) == transcript_of(whole)
    assert len(engine.requests) == len(points(whole)) - 2
    # Heard in another language than is held to be spoken now, it counts for nothing.
    engine.requests.clear()
    other = [replace(window, language="de") for window in heard]
    run(own, path, options, resume_point([heard_document(window) for window in other]))
    assert len(engine.requests) == len(points(whole))


def test_nobody_is_told_of_points_who_did_not_ask(tmp_path: Path, scheduler: Scheduler) -> None:
    own = RecordingTranscriber(OneEngine(FakeEngine()), scheduler)
    assert points(list(own.run(spoken(tmp_path / "a.wav", 60), TranscribeOptions()))) == []


def test_real_speech_goes_on_and_ends_the_same() -> None:
    engine = CTranslate2Engine(bundled(), model="tiny.en")
    scheduler = Scheduler(engine.capabilities.parallelism)
    own = BatchTranscriber(RecordingTranscriber(OneEngine(cast(Engine, engine)), scheduler))
    events = run(own, two_cities(), TranscribeOptions(words=True), ResumePoint())
    found = points(events)
    assert len(found) >= 2
    for event in events:
        if isinstance(event, WindowHeard):
            passes = passes_from_text(event.window.text)
            assert passes_to_text(passes) == event.window.text
    for done in range(1, len(found)):
        again = run(own, two_cities(), TranscribeOptions(words=True), resume_point(stored(found)[:done]))
        assert transcript_of(again) == transcript_of(events)
    scheduler.close(timeout=30)
    engine.close()
