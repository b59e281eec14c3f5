"""The pipeline over a whole recording: order, parallelism, conditioning, progress, cancel, failure."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, EngineError, UnsupportedMediaError
from scriba.domain.events import Finished, LanguageDetected, Progress, SegmentReady, TextSuppressed
from scriba.domain.options import DecodingOptions, LanguagePolicy, TranscribeOptions
from scriba.engine.fake import FakeEncoded, FakeEngine, says
from scriba.engine.port import Audio, Decoded, DecodeRequest, LanguageGuess, Phrase
from scriba.engine.scheduler import Scheduler
from scriba.transcribe.recording import RecordingTranscriber
from tests.speech import two_cities
from tests.transcribe.doubles import OneEngine, spoken, transcript_of


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler(2)
    yield scheduler
    scheduler.close()


def transcriber(engine: FakeEngine, scheduler: Scheduler) -> tuple[RecordingTranscriber, OneEngine]:
    provider = OneEngine(engine)
    return RecordingTranscriber(provider, scheduler), provider


def test_windows_run_side_by_side_and_come_in_order(tmp_path: Path, scheduler: Scheduler) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        time.sleep(0.1)
        return says(f"{encoded.seconds:.1f} seconds of many words", seconds=encoded.seconds)

    engine = FakeEngine(script=script)
    own, provider = transcriber(engine, scheduler)
    events = list(own.run(spoken(tmp_path / "a.wav", 150), TranscribeOptions()))
    starts = [event.segment.start for event in events if isinstance(event, SegmentReady)]
    assert len(starts) >= 5
    assert starts == sorted(starts)
    assert engine.most_running == 2
    assert provider.held == 0
    transcript = transcript_of(events)
    assert transcript.duration == pytest.approx(150, abs=0.01)
    assert [segment.id for segment in transcript.segments] == list(range(len(starts)))
    assert transcript.model == "fake"


def test_progress_rises_to_the_real_length(tmp_path: Path, scheduler: Scheduler) -> None:
    own, _ = transcriber(FakeEngine(), scheduler)
    events = list(own.run(spoken(tmp_path / "a.wav", 100), TranscribeOptions()))
    progress = [event for event in events if isinstance(event, Progress)]
    done = [event.done for event in progress]
    assert len(done) >= 4
    assert done == sorted(done)
    assert done[-1] == progress[-1].total == pytest.approx(100, abs=0.01)
    assert all(event.total is None or event.done <= event.total for event in progress)


def test_segments_come_before_the_recording_has_been_read(tmp_path: Path, scheduler: Scheduler) -> None:
    engine = FakeEngine(cost=0.01)
    own, _ = transcriber(engine, scheduler)
    iterator = own.run(spoken(tmp_path / "a.wav", 600), TranscribeOptions())
    for event in iterator:
        if isinstance(event, SegmentReady):
            break
    assert len(engine.requests) < 10
    iterator.close()  # type: ignore[attr-defined]


def test_conditioning_decodes_one_after_the_other_with_the_text_before(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    engine = FakeEngine(cost=0.01)
    own, _ = transcriber(engine, scheduler)
    options = TranscribeOptions(decoding=DecodingOptions(condition_on_previous_text=True))
    list(own.run(spoken(tmp_path / "a.wav", 100), options))
    assert engine.most_running == 1
    lengths = [len(request.previous) for request in engine.requests]
    assert lengths[0] == 0
    assert all(later > earlier for earlier, later in pairwise(lengths))


def test_the_prompt_is_reset_after_a_hot_pass(tmp_path: Path, scheduler: Scheduler) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        return says("words here", seconds=encoded.seconds, temperature=0.8)

    engine = FakeEngine(script=script)
    own, _ = transcriber(engine, scheduler)
    options = TranscribeOptions(decoding=DecodingOptions(condition_on_previous_text=True))
    list(own.run(spoken(tmp_path / "a.wav", 100), options))
    assert {request.previous for request in engine.requests} == {()}


def test_what_the_model_left_unfinished_is_decoded_again_from_there(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    seen: list[float] = []

    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        seen.append(encoded.seconds)
        if encoded.seconds > 20:
            return says("first half", seconds=10.0, consumed=10.0)
        return says("the rest", seconds=encoded.seconds)

    own, _ = transcriber(FakeEngine(script=script, parallelism=1), scheduler)
    transcript = transcript_of(list(own.run(spoken(tmp_path / "a.wav", 28), TranscribeOptions())))
    assert [segment.text for segment in transcript.segments] == ["first half", "the rest"]
    assert seen[1] == pytest.approx(seen[0] - 10.0, abs=0.05)
    assert transcript.segments[1].start == pytest.approx(10.0, abs=0.7)


@pytest.mark.parametrize(("seconds", "full"), [(20, [False]), (65, [False, True])])
def test_long_windows_of_a_longer_recording_get_all_of_the_context(
    tmp_path: Path, scheduler: Scheduler, seconds: float, full: list[bool]
) -> None:
    engine = FakeEngine(parallelism=1)
    asked: list[bool] = []
    encode = engine.encode

    def noted(audio: Audio, *, full: bool = False, short: bool = False) -> FakeEncoded:
        asked.append(full)
        return encode(audio, full=full, short=short)

    engine.encode = noted  # type: ignore[method-assign]
    own, _ = transcriber(engine, scheduler)
    list(own.run(spoken(tmp_path / "a.wav", seconds, two_cities()), TranscribeOptions()))
    assert asked[: len(full)] == full


SECOND_HALF = (
    "the second half of it, which goes on and on with as many words as anybody says in ten seconds or so"
)


def hears_late(first: str, again: Decoded) -> FakeEngine:
    """An engine that passes over the first half of a window until it is given that half alone."""

    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        if encoded.seconds < 20:
            return replace(again, phrases=(replace(again.phrases[0], end=encoded.seconds),))
        return Decoded((Phrase(encoded.seconds - 9.5, encoded.seconds, first, ()),), 1e9, 0.0, -0.2, 1.0, 0.0)

    return FakeEngine(script=script)


def test_a_text_is_held_to_the_voice_and_a_missed_stretch_is_not(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    engine = hears_late(" " + SECOND_HALF, says("what was missed"))
    own, _ = transcriber(engine, scheduler)
    list(own.run(spoken(tmp_path / "a.wav", 28, two_cities()), TranscribeOptions()))
    window, *missed = engine.requests
    assert 23.0 < window.spoken_until < 27.0
    assert {request.spoken_until for request in missed} == {0.0}


def test_speech_that_no_phrase_covers_is_heard_again(tmp_path: Path, scheduler: Scheduler) -> None:
    own, _ = transcriber(hears_late(" " + SECOND_HALF, says("what was missed")), scheduler)
    transcript = transcript_of(
        list(own.run(spoken(tmp_path / "a.wav", 28, two_cities()), TranscribeOptions()))
    )
    assert [segment.text for segment in transcript.segments][-2:] == [
        "what was missed",
        SECOND_HALF,
    ]
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    "again",
    [
        says("the second half"),
        says("mumbling", avg_logprob=-0.9),
        says("Thanks for watching!", no_speech_prob=0.7),
    ],
)
def test_a_second_hearing_that_does_not_convince_is_not_kept(
    tmp_path: Path, scheduler: Scheduler, again: Decoded
) -> None:
    own, _ = transcriber(hears_late(" " + SECOND_HALF, again), scheduler)
    transcript = transcript_of(
        list(own.run(spoken(tmp_path / "a.wav", 28, two_cities()), TranscribeOptions()))
    )
    assert [segment.text for segment in transcript.segments] == [SECOND_HALF]
    assert transcript.suppressed == ()


@pytest.mark.parametrize(
    ("short", "expected", "passes"),
    [
        (says("quick and right", seconds=8.0), "quick and right", 1),
        (says("runs away", seconds=8.0, avg_logprob=-1.4), "slow and right", 2),
        (says("runs away", seconds=8.0, compression_ratio=5.0), "slow and right", 2),
        (says("stops early", seconds=3.0, consumed=3.0), "slow and right", 2),
    ],
)
def test_a_short_context_counts_only_if_nothing_speaks_against_it(
    tmp_path: Path, scheduler: Scheduler, short: Decoded, expected: str, passes: int
) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        return says("slow and right", seconds=encoded.seconds) if encoded.full else short

    engine = FakeEngine(script=script, short_context=True)
    own, _ = transcriber(engine, scheduler)
    transcript = transcript_of(list(own.run(spoken(tmp_path / "a.wav", 8), TranscribeOptions())))
    assert transcript.text == expected
    assert len(engine.requests) == passes


def test_withheld_text_is_told_and_listed_and_the_switch_turns_it_off(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        return says("Thanks for watching!", seconds=encoded.seconds, no_speech_prob=0.5)

    path = spoken(tmp_path / "a.wav", 20)
    own, _ = transcriber(FakeEngine(script=script), scheduler)
    events = list(own.run(path, TranscribeOptions()))
    assert any(isinstance(event, TextSuppressed) for event in events)
    transcript = transcript_of(events)
    assert transcript.text == ""
    assert transcript.language is None
    assert [entry.text for entry in transcript.suppressed] == ["Thanks for watching!"]
    kept = transcript_of(list(own.run(path, TranscribeOptions(guards=False))))
    assert kept.text == "Thanks for watching!"
    assert kept.suppressed == ()


def test_a_change_of_language_is_told_and_each_segment_knows_its_own(
    tmp_path: Path, scheduler: Scheduler
) -> None:
    calls = 0

    def guess(_: FakeEncoded) -> LanguageGuess:
        nonlocal calls
        calls += 1
        return LanguageGuess((("en" if calls <= 2 else "de", 0.95),))

    engine = FakeEngine(guess=guess, parallelism=1)
    single = Scheduler(1)
    own, _ = transcriber(engine, single)
    events = list(own.run(spoken(tmp_path / "a.wav", 160), TranscribeOptions()))
    single.close()
    told = [event.language for event in events if isinstance(event, LanguageDetected)]
    assert told == ["en", "de"]
    transcript = transcript_of(events)
    assert transcript.languages == ("en", "de")
    assert transcript.language == "de"


def test_a_named_language_reaches_the_provider_and_the_engine(tmp_path: Path, scheduler: Scheduler) -> None:
    engine = FakeEngine()
    own, provider = transcriber(engine, scheduler)
    options = TranscribeOptions(model="small", language=LanguagePolicy.parse("French"))
    transcript = transcript_of(list(own.run(spoken(tmp_path / "a.wav", 12), options)))
    assert provider.asked[0][:2] == ("small", "fr")
    assert {request.language for request in engine.requests} == {"fr"}
    assert (transcript.language, transcript.language_probability) == ("fr", 1.0)


def test_cancel_stops_within_a_second_and_lets_go_of_the_engine(tmp_path: Path, scheduler: Scheduler) -> None:
    engine = FakeEngine(cost=0.2)
    own, provider = transcriber(engine, scheduler)
    token = CancelToken()
    timer = threading.Timer(0.5, token.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(CancelledByUserError):
        list(own.run(spoken(tmp_path / "a.wav", 600), TranscribeOptions(), token))
    assert time.monotonic() - began < 5
    assert provider.held == 0
    begun = len(engine.requests)
    time.sleep(0.6)
    assert len(engine.requests) <= begun + 1


def test_closing_the_iterator_cancels(tmp_path: Path, scheduler: Scheduler) -> None:
    engine = FakeEngine(cost=0.05)
    own, provider = transcriber(engine, scheduler)
    iterator = own.run(spoken(tmp_path / "a.wav", 300), TranscribeOptions())
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert provider.held == 0
    begun = len(engine.requests)
    time.sleep(0.4)
    assert len(engine.requests) <= begun + 2


def test_an_engine_that_fails_ends_the_work_with_its_error(tmp_path: Path, scheduler: Scheduler) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        raise EngineError("The model failed.")

    own, provider = transcriber(FakeEngine(script=script), scheduler)
    with pytest.raises(EngineError, match="The model failed"):
        list(own.run(spoken(tmp_path / "a.wav", 60), TranscribeOptions()))
    assert provider.held == 0


def test_a_file_that_is_no_medium_never_reaches_a_model(tmp_path: Path, scheduler: Scheduler) -> None:
    path = tmp_path / "a.txt"
    path.write_text("not a recording" * 100)
    own, provider = transcriber(FakeEngine(), scheduler)
    with pytest.raises(UnsupportedMediaError):
        list(own.run(path, TranscribeOptions()))
    assert provider.asked == []


def test_words_are_given_only_when_asked_for(tmp_path: Path, scheduler: Scheduler) -> None:
    def script(encoded: FakeEncoded, request: DecodeRequest) -> Decoded:
        return Decoded((Phrase(0.0, encoded.seconds, " One two. Three four.", ()),), 1e9, 0.0, -0.2, 1.0, 0.0)

    path = spoken(tmp_path / "a.wav", 10)
    own, _ = transcriber(FakeEngine(script=script), scheduler)
    plain = transcript_of(list(own.run(path, TranscribeOptions())))
    assert [segment.text for segment in plain.segments] == ["One two.", "Three four."]
    assert all(segment.words is None for segment in plain.segments)
    timed = transcript_of(list(own.run(path, TranscribeOptions(words=True))))
    assert [word.text for word in timed.segments[0].words or ()] == [" One", " two."]
    assert isinstance(list(own.run(path, TranscribeOptions()))[-1], Finished)
