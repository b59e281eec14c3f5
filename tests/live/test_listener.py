"""What a listener settles, when, and that it does not depend on how the audio came."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.engine.port import LanguageGuess
from scriba.engine.steps import run_inline
from scriba.live.events import (
    Flushed,
    LanguageHeard,
    LiveEvent,
    Partial,
    SegmentFinal,
    Settled,
    SpeechPaused,
    SpeechStarted,
)
from scriba.live.listener import Listener
from scriba.live.options import EndpointOptions, LiveOptions
from scriba.live.pace import Effort
from scriba.live.work import Kind
from tests.live.doubles import RATE, ByHeart, recording


@pytest.fixture(scope="module")
def audio(two_cities: Path) -> NDArray[np.float32]:
    return np.concatenate((recording(two_cities, 20.0), np.zeros(RATE, np.float32)))


def listen(
    audio: NDArray[np.float32], chunk: int = 1600, *, restart_every: int = 0, unsure: float = 0.2
) -> list[tuple[float, LiveEvent]]:
    """Feed it all in chunks; each event with the seconds of audio that had come by then."""
    engine = ByHeart(audio, unsure=unsure)
    options = LiveOptions()
    listener = Listener(options, frozenset({"en"}))
    events: list[tuple[float, LiveEvent]] = []
    steps = 0
    for start in range(0, len(audio) + 1, chunk):
        if start + chunk > len(audio):
            listener.hear(audio[start:])
            listener.end_utterance()
        else:
            listener.hear(audio[start : start + chunk])
        while (work := listener.next_work()) is not None:
            listener.take(work, run_inline(work.flow(), engine))
            steps += 1
            events += [((start + chunk) / RATE, event) for event in listener.events()]
            if restart_every and steps % restart_every == 0:
                state = listener.state()
                listener = Listener(options, frozenset({"en"}))
                listener.restore(state)
                end = min(start + chunk, len(audio))
                listener.hear(audio[listener.received : end])
                if start + chunk > len(audio):
                    listener.end_utterance()
        events += [((start + chunk) / RATE, event) for event in listener.events()]
    return events


def text(events: list[tuple[float, LiveEvent]]) -> str:
    return "".join(word.text for _, event in events if isinstance(event, Settled) for word in event.words)


def test_every_word_is_settled_once_and_in_order(audio: NDArray[np.float32]) -> None:
    said = "".join(word.text for word in ByHeart(audio).words)

    assert text(listen(audio)) == said


def test_segments_hold_exactly_the_settled_words(audio: NDArray[np.float32]) -> None:
    events = listen(audio)
    segments = [event.segment for _, event in events if isinstance(event, SegmentFinal)]

    assert " ".join(segment.text for segment in segments) == text(events).strip()
    assert [segment.id for segment in segments] == list(range(len(segments)))
    assert all(a.end <= b.start for a, b in pairwise(segments))


def test_words_are_settled_soon_after_they_end(audio: NDArray[np.float32]) -> None:
    lags = [
        came - word.end for came, event in listen(audio) if isinstance(event, Settled) for word in event.words
    ]

    assert np.percentile(lags, 50) <= 0.9
    assert max(lags) <= 1.7


def test_partials_come_soon_after_speech_begins(audio: NDArray[np.float32]) -> None:
    events = listen(audio)
    started = next(event.at for _, event in events if isinstance(event, SpeechStarted))
    shown = next(came for came, event in events if isinstance(event, Partial) and event.text)

    assert shown - started <= 0.6


@pytest.mark.parametrize("chunk", [160, 777, 4000, 16_000, 400_000])
def test_what_is_settled_does_not_depend_on_how_the_audio_came(
    audio: NDArray[np.float32], chunk: int
) -> None:
    usual = [event for _, event in listen(audio) if not isinstance(event, Partial)]
    other = [event for _, event in listen(audio, chunk) if not isinstance(event, Partial)]

    assert other == usual


@pytest.mark.parametrize("every", [1, 3, 7])
def test_a_restart_at_any_step_changes_nothing(audio: NDArray[np.float32], every: int) -> None:
    usual = [event for _, event in listen(audio)]
    restarted = [event for _, event in listen(audio, restart_every=every)]

    assert restarted == usual


@pytest.mark.parametrize("every", [1, 2, 5])
def test_a_restart_while_something_is_heard_loses_nothing(audio: NDArray[np.float32], every: int) -> None:
    """The process ends between the asking and the answer: what was asked for is asked for again."""
    engine = ByHeart(audio)
    listener = Listener(LiveOptions(), frozenset({"en"}))
    events: list[LiveEvent] = []
    asked = 0
    for start in range(0, len(audio), 1600):
        listener.hear(audio[start : start + 1600])
        if start + 1600 >= len(audio):
            listener.end_utterance()
        while (work := listener.next_work()) is not None:
            events += listener.events()
            asked += 1
            if asked % (every + 1) == 0:
                state = listener.state()
                listener = Listener(LiveOptions(), frozenset({"en"}))
                listener.restore(state)
                listener.hear(audio[listener.received : start + 1600])
                if start + 1600 >= len(audio):
                    listener.end_utterance()
                continue
            listener.take(work, run_inline(work.flow(), engine))
            events += listener.events()
    events += listener.events()

    assert text([(0.0, event) for event in events]) == "".join(word.text for word in engine.words)


def test_silence_costs_nothing_and_says_nothing() -> None:
    noise = np.random.default_rng(1).normal(0, 1e-3, 30 * RATE).astype(np.float32)
    listener = Listener(LiveOptions(), frozenset({"en"}))
    for start in range(0, len(noise), 1600):
        listener.hear(noise[start : start + 1600])
        assert listener.next_work() is None
        assert listener.window.audio.end - listener.window.audio.start < 4 * RATE

    assert listener.events() == []


def test_the_window_stays_bounded_in_speech_without_a_pause(audio: NDArray[np.float32]) -> None:
    engine = ByHeart(audio)
    listener = Listener(LiveOptions(), frozenset({"en"}))
    for start in range(0, len(audio), 1600):
        listener.hear(audio[start : start + 1600])
        while (work := listener.next_work()) is not None:
            listener.take(work, run_inline(work.flow(), engine))
    assert max(engine.windows) < 20


def test_a_client_may_end_an_utterance_itself(audio: NDArray[np.float32]) -> None:
    listener = Listener(LiveOptions(), frozenset({"en"}))
    engine = ByHeart(audio)
    listener.hear(audio[: 3 * RATE])
    listener.end_utterance()
    kinds = []
    while (work := listener.next_work()) is not None:
        kinds.append(work.kind)
        listener.take(work, run_inline(work.flow(), engine))
    events = listener.events()

    assert kinds[-1] is Kind.FINAL
    assert isinstance(events[-2], SpeechPaused)
    assert isinstance(events[-1], Flushed)
    assert any(isinstance(event, Settled) for event in events)


def test_the_language_is_found_out_and_changes_with_two_sure_utterances(
    audio: NDArray[np.float32],
) -> None:
    sure = ["de", "fr", "de", "fr", "fr"]
    utterances = 0
    languages: list[tuple[int, str]] = []

    def guess(_: object) -> LanguageGuess:
        return LanguageGuess(((sure[min(max(utterances - 1, 0), len(sure) - 1)], 0.9), ("en", 0.1)))

    engine = ByHeart(audio, guess=guess)
    heard: list[str] = []
    endpoint = EndpointOptions(pause=0.3, end=0.4)
    listener = Listener(LiveOptions(endpoint=endpoint), frozenset({"en", "de", "fr"}))
    for start in range(0, len(audio), 1600):
        listener.hear(audio[start : start + 1600])
        if start + 1600 >= len(audio):
            listener.end_utterance()
        while (work := listener.next_work()) is not None:
            found = listener.events()
            heard += [event.language for event in found if isinstance(event, LanguageHeard)]
            utterances += sum(isinstance(event, SpeechStarted) for event in found)
            listener.take(work, run_inline(work.flow(), engine))
            languages.append((utterances, engine.requests[-1].language))
    heard += [event.language for event in listener.events() if isinstance(event, LanguageHeard)]

    assert utterances > 5
    # One utterance that sounds like another language changes nothing; two do, for what follows.
    assert {language for number, language in languages if number < 5} == {"de"}
    assert {language for number, language in languages if number > 5} == {"fr"}
    assert heard == ["de", "fr"]


def test_in_a_hurry_fewer_hearings_settle_the_same_words(audio: NDArray[np.float32]) -> None:
    said = "".join(word.text for word in ByHeart(audio).words)
    hearings = []
    for hurry in (False, True):
        engine = ByHeart(audio)
        listener = Listener(LiveOptions(), frozenset({"en"}))
        events: list[LiveEvent] = []
        for start in range(0, len(audio), 3 * RATE):  # late: it comes three seconds at a time
            listener.hear(audio[start : start + 3 * RATE])
            if start + 3 * RATE >= len(audio):
                listener.end_utterance()
            while (work := listener.next_work(Effort(hurry=hurry))) is not None:
                listener.take(work, run_inline(work.flow(), engine))
            events += listener.events()
        hearings.append(len(engine.requests))
        assert text([(0.0, event) for event in events]) == said

    assert hearings[1] < hearings[0] / 2


HURRY = Effort(hurry=True, greedy=True, thrift=True)


def fed(audio: NDArray[np.float32], seconds: float) -> Listener:
    listener = Listener(LiveOptions(), frozenset({"en"}))
    listener.hear(audio[: round(seconds * RATE)])
    return listener


def test_a_hearing_that_waited_for_its_turn_hears_what_came_meanwhile(audio: NDArray[np.float32]) -> None:
    listener, at_once = fed(audio, 2.0), fed(audio, 4.0)
    early = listener.next_work(HURRY)
    assert early is not None
    assert early.kind is Kind.TICK
    listener.hear(audio[2 * RATE : 4 * RATE])

    late, expected = listener.renew(early, HURRY), at_once.next_work(HURRY)

    assert late is not None
    assert expected is not None
    assert early.end < 2 * RATE < late.end == expected.end
    np.testing.assert_array_equal(late.request.audio, expected.request.audio)
    assert listener.state() == at_once.state()


def test_with_room_a_hearing_stays_what_it_was(audio: NDArray[np.float32]) -> None:
    listener = fed(audio, 2.0)
    work = listener.next_work()
    assert work is not None
    listener.hear(audio[2 * RATE : 4 * RATE])

    assert listener.renew(work, Effort()) is work


def test_the_end_of_an_utterance_is_heard_whatever_came_meanwhile(audio: NDArray[np.float32]) -> None:
    listener = fed(audio, 4.0)
    listener.end_utterance()
    engine = ByHeart(audio)
    while (work := listener.next_work(HURRY)) is not None and work.kind is not Kind.FINAL:
        listener.take(work, run_inline(work.flow(), engine))
    assert work is not None
    listener.hear(audio[4 * RATE : 8 * RATE])

    assert listener.renew(work, HURRY) is work


def test_late_hearings_settle_the_same_words(audio: NDArray[np.float32]) -> None:
    """Every piece of work waits for half a second of audio, pauses and ends among it."""
    engine = ByHeart(audio)
    listener = Listener(LiveOptions(), frozenset({"en"}))
    events: list[LiveEvent] = []
    waiting, renewed = None, 0
    half = RATE // 2
    for start in range(0, len(audio) + 20 * half, half):
        listener.hear(audio[start : start + half])
        if start <= len(audio) < start + half:
            listener.end_utterance()
        if waiting is not None:
            work = listener.renew(waiting, HURRY)
            renewed += work is not waiting
            waiting = None
            if work is not None:
                listener.take(work, run_inline(work.flow(), engine))
        waiting = waiting or listener.next_work(HURRY)
        events += listener.events()

    assert text([(0.0, event) for event in events]) == "".join(word.text for word in engine.words)
    assert renewed > 5
