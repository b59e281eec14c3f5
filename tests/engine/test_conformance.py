"""What every engine must do alike: one suite, run on each adapter, with real weights on real speech."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from scriba.audio.decode import open_recording
from scriba.domain.errors import EngineError
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.context import ContextMode, ContextPolicy
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.layout import Layout
from scriba.engine.openvino.runtime import openvino_available
from scriba.engine.port import WINDOW_SAMPLES, Audio, Decoded, DecodeRequest, Encoded, Engine
from scriba.transcribe.text import normalise
from tests.speech import beckett, bundled, two_cities


@pytest.fixture(scope="module", params=["ctranslate2", "openvino"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    policy = ContextPolicy(ContextMode.FIT)
    if request.param == "ctranslate2":
        own = CTranslate2Engine(bundled(), model="tiny.en", layout=Layout(1, 1), context=policy)
        made = cast(Engine, own)
    else:
        if not openvino_available():
            pytest.skip("openvino is not installed")
        from scriba.engine.openvino.engine import OpenVinoEngine

        made = cast(Engine, OpenVinoEngine(bundled(), model="tiny.en", layout=Layout(1, 1), context=policy))
    yield made
    made.close()


@pytest.fixture(scope="module")
def speech() -> Audio:
    """Twelve seconds of seven short sentences."""
    with open_recording(beckett()) as recording:
        return np.concatenate(list(recording.blocks()))[:WINDOW_SAMPLES]


@pytest.fixture(scope="module")
def windows() -> list[Audio]:
    """Two windows that say different things, 20 s each."""
    with open_recording(two_cities()) as recording:
        audio = np.concatenate(list(recording.blocks()))
    return [audio[: 20 * 16_000], audio[20 * 16_000 : 40 * 16_000]]


def asked(temperature: float = 0.0, **options: Any) -> DecodeRequest:
    decoding = DecodingOptions(**{"beam_size": 1, **options})
    return DecodeRequest("en", Task.TRANSCRIBE, decoding, temperature)


def text(decoded: Decoded) -> str:
    return "".join(phrase.text for phrase in decoded.phrases).lower()


def tokens(decoded: Decoded) -> list[int]:
    return [token for phrase in decoded.phrases for token in phrase.tokens]


@pytest.mark.parametrize("beam", [1, 5])
def test_hears_the_words(engine: Engine, speech: Audio, beam: int) -> None:
    [decoded] = engine.decode([(engine.encode(speech), asked(beam_size=beam))])
    for words in ("ever tried", "ever failed", "no matter", "fail better"):
        assert words in text(decoded)
    assert decoded.avg_logprob > -0.7
    assert decoded.no_speech_prob < 0.5
    assert decoded.compression_ratio < 2.4
    assert decoded.consumed == pytest.approx(len(speech) / 16_000)


@pytest.mark.parametrize("beam", [1, 5])
def test_company_changes_nothing(engine: Engine, windows: list[Audio], beam: int) -> None:
    encoded = [engine.encode(window) for window in windows]
    request = asked(beam_size=beam)
    alone = [engine.decode([(own, request)])[0] for own in encoded]
    order = [1, 0, 1, 1]
    together = engine.decode([(encoded[place], request) for place in order])
    for place, decoded in zip(order, together, strict=True):
        assert text(decoded) == text(alone[place])
        assert [phrase.start for phrase in decoded.phrases] == [p.start for p in alone[place].phrases]
        assert decoded.avg_logprob == pytest.approx(alone[place].avg_logprob, abs=0.02)
        assert decoded.no_speech_prob == pytest.approx(alone[place].no_speech_prob, abs=0.02)


def test_phrases_lie_in_order_inside_the_sound(engine: Engine, windows: list[Audio]) -> None:
    [decoded] = engine.decode([(engine.encode(windows[0]), asked())])
    times = [time for phrase in decoded.phrases for time in (phrase.start, phrase.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= 20
    assert decoded.phrases[0].start < 1.5
    assert decoded.phrases[-1].end > 17


def test_words_have_rising_times_inside_the_sound_and_add_up(engine: Engine, speech: Audio) -> None:
    encoded = engine.encode(speech)
    [decoded] = engine.decode([(encoded, asked(beam_size=5))])
    aligned = engine.align(encoded, decoded.phrases, "en", Task.TRANSCRIBE)
    flat = [word for phrase in aligned for word in phrase]
    assert "".join(word.text for word in flat) == "".join(phrase.text for phrase in decoded.phrases)
    assert all(0 <= word.start <= word.end <= encoded.seconds for word in flat)
    assert [word.start for word in flat] == sorted(word.start for word in flat)
    assert all(0 <= word.probability <= 1 for word in flat)
    assert np.mean([word.probability for word in flat]) > 0.5


def test_engines_agree_on_the_time_of_words(engine: Engine, windows: list[Audio]) -> None:
    """Against times read off the waveform of the opening of A Tale of Two Cities."""
    encoded = engine.encode(windows[0])
    [decoded] = engine.decode([(encoded, asked(beam_size=5))])
    aligned = engine.align(encoded, decoded.phrases, "en", Task.TRANSCRIBE)
    reference = CTranslate2Engine(bundled(), model="tiny.en", layout=Layout(1, 1), compute_type="float32")
    exact = reference.encode(windows[0], full=True)
    expected = reference.align(exact, decoded.phrases, "en", Task.TRANSCRIBE)
    reference.close()
    ours = [word.start for words in aligned for word in words]
    theirs = [word.start for words in expected for word in words]
    assert len(ours) == len(theirs) > 40
    off = np.abs(np.array(ours) - np.array(theirs))
    assert np.median(off) <= 0.02
    assert np.quantile(off, 0.9) <= 0.1


def test_words_asked_for_beforehand_have_the_times_of_those_asked_for_afterwards(
    engine: Engine, windows: list[Audio]
) -> None:
    """Also in company, of which one window's words are not asked for, and where some phrases are left out."""
    encodings = [engine.encode(window) for window in windows]
    requests = [replace(asked(), words=True), asked()]
    decoded = engine.decode(list(zip(encodings, requests, strict=True)))
    later = [engine.encode(window) for window in windows]
    again = engine.decode([(encoded, asked()) for encoded in later])
    assert [text(own) for own in decoded] == [text(own) for own in again]
    for index, own in enumerate(decoded):
        for phrases in (own.phrases, own.phrases[:-1], own.phrases[1:]):
            found, expected = (
                [word for words in engine.align(of[index], phrases, "en", Task.TRANSCRIBE) for word in words]
                for of in (encodings, later)
            )
            assert [word.text for word in found] == [word.text for word in expected]
            apart = [abs(one.start - other.start) for one, other in zip(found, expected, strict=True)]
            assert not apart or float(np.median(apart)) <= 0.04
            assert sum(value > 0.15 for value in apart) <= 0.1 * len(apart)
            chances = [abs(a.probability - b.probability) for a, b in zip(found, expected, strict=True)]
            assert not chances or float(np.median(chances)) < 0.1


def test_no_phrases_have_no_words(engine: Engine, speech: Audio) -> None:
    assert engine.align(engine.encode(speech), (), "en", Task.TRANSCRIBE) == []


@pytest.mark.parametrize("option", ["initial_prompt", "hotwords"])
def test_a_prompt_reaches_the_model(engine: Engine, speech: Audio, option: str) -> None:
    encoded = engine.encode(speech)
    [plain] = engine.decode([(encoded, asked())])
    [prompted] = engine.decode([(encoded, asked(0.0, **{option: "ever tried ever failed no matter"}))])
    assert plain.avg_logprob != prompted.avg_logprob


def test_earlier_text_reaches_the_model(engine: Engine, speech: Audio) -> None:
    encoded = engine.encode(speech)
    [plain] = engine.decode([(encoded, asked())])
    [continued] = engine.decode([(encoded, replace(asked(), previous=tuple(tokens(plain))))])
    assert plain.avg_logprob != continued.avg_logprob


def test_a_prefix_opens_the_text(engine: Engine, speech: Audio) -> None:
    [decoded] = engine.decode([(engine.encode(speech), asked(prefix="Ever tried."))])
    assert "ever failed" in text(decoded)


def test_prompts_longer_than_the_context_are_cut_not_refused(engine: Engine, speech: Audio) -> None:
    long = "word " * 2000
    request = asked(initial_prompt=long, hotwords=long, max_new_tokens=20)
    [decoded] = engine.decode([(engine.encode(speech), request)])
    assert decoded.temperature == 0.0


def test_prompts_stay_with_their_window(engine: Engine, windows: list[Audio]) -> None:
    """Where an engine lets prompts of different length share a batch, each window still hears its own."""
    requests = [asked(initial_prompt="A tale by Mr. Dickens, read aloud."), asked()]
    work = list(zip((engine.encode(window) for window in windows), requests, strict=True))
    if len({engine.batch_key(*own) for own in work}) > 1:
        pytest.skip("this engine batches prompts of one length only")
    together = engine.decode(work)
    for decoded, own in zip(together, work, strict=True):
        [alone] = engine.decode([own])
        assert text(decoded) == text(alone)
        assert decoded.avg_logprob == pytest.approx(alone.avg_logprob, abs=0.02)


def test_earlier_text_of_one_length_stays_with_its_window(engine: Engine, windows: list[Audio]) -> None:
    """Nothing is padded then; once the second window heard what was none of its text."""
    plain = [tokens(engine.decode([(engine.encode(window), asked())])[0]) for window in windows]
    work = [
        (engine.encode(window), replace(asked(), previous=tuple(own[:8])))
        for window, own in zip(windows, plain, strict=True)
    ]
    for decoded, own in zip(engine.decode(work), work, strict=True):
        [alone] = engine.decode([own])
        assert text(decoded) == text(alone)
        assert decoded.avg_logprob == pytest.approx(alone.avg_logprob, abs=0.02)


def test_a_draft_changes_no_text(engine: Engine, windows: list[Audio]) -> None:
    """Be it right, too short, of other words in places, without its times, or of another window."""
    encoded = [engine.encode(window) for window in windows]
    request = replace(asked(), words=True)
    plain = [engine.decode([(own, request)])[0] for own in encoded]
    plain_starts = [
        [word.start for words in engine.align(of, own.phrases, "en", Task.TRANSCRIBE) for word in words]
        for of, own in zip(encoded, plain, strict=True)
    ]
    right = [tokens(own) for own in plain]
    odd = [[7 if place % 9 == 4 else token for place, token in enumerate(own)] for own in right]
    spoken = [[token for token in own if token < 50_256] for own in right]
    drafts = [right, [own[: len(own) // 2] for own in right], odd, spoken, right[::-1], [right[0], []]]
    for written in drafts:
        work = [
            (own, replace(request, draft=tuple(draft))) for own, draft in zip(encoded, written, strict=True)
        ]
        for index, decoded in enumerate(engine.decode(work)):
            # Several tokens at once are rounded otherwise than one by one: a comma may come of it.
            assert normalise(text(decoded)) == normalise(text(plain[index]))
            assert decoded.avg_logprob == pytest.approx(plain[index].avg_logprob, abs=0.05)
            aligned = engine.align(encoded[index], decoded.phrases, "en", Task.TRANSCRIBE)
            starts = [word.start for words in aligned for word in words]
            apart = [abs(one - other) for one, other in zip(starts, plain_starts[index], strict=True)]
            assert float(np.median(apart)) <= 0.04


def test_a_cap_on_tokens_holds(engine: Engine, speech: Audio) -> None:
    [decoded] = engine.decode([(engine.encode(speech), asked(max_new_tokens=4))])
    assert 0 < len(tokens(decoded)) <= 4


def test_suppressed_tokens_are_never_written(engine: Engine, speech: Audio) -> None:
    encoded = engine.encode(speech)
    [plain] = engine.decode([(encoded, asked())])
    unwanted = {token for token in tokens(plain) if token < 50_256}
    for beam in (1, 5):
        request = asked(beam_size=beam, suppress_tokens=(-1, *unwanted))
        [decoded] = engine.decode([(encoded, request)])
        assert not unwanted & set(tokens(decoded))


def test_groups_of_tokens_are_not_repeated_where_that_is_asked(engine: Engine, speech: Audio) -> None:
    [decoded] = engine.decode(
        [(engine.encode(speech), asked(no_repeat_ngram_size=2, without_timestamps=True))]
    )
    written = tokens(decoded)
    pairs = list(itertools.pairwise(written))
    assert len(pairs) == len(set(pairs))


def test_a_penalty_on_repetition_changes_the_text(engine: Engine, speech: Audio) -> None:
    encoded = engine.encode(speech)
    [plain] = engine.decode([(encoded, asked())])
    [penalised] = engine.decode([(encoded, asked(repetition_penalty=2.0))])
    assert text(plain) != text(penalised)


def test_without_timestamps_there_is_one_phrase(engine: Engine, windows: list[Audio]) -> None:
    [decoded] = engine.decode([(engine.encode(windows[0]), asked(without_timestamps=True))])
    [phrase] = decoded.phrases
    assert (phrase.start, phrase.end) == (0.0, 20.0)
    assert all(token < 50_256 for token in phrase.tokens)
    assert "worst of times" in text(decoded)


def test_sampling_tells_its_temperature_and_still_hears(engine: Engine, speech: Audio) -> None:
    [decoded] = engine.decode([(engine.encode(speech), asked(0.2, best_of=3))])
    assert decoded.temperature == 0.2
    assert "ever failed" in text(decoded)


def test_english_models_speak_english(engine: Engine, speech: Audio) -> None:
    assert engine.capabilities.languages == {"en"}
    assert not engine.capabilities.translate
    assert engine.detect_language(engine.encode(speech)).probabilities == (("en", 1.0),)


def test_a_short_window_may_be_encoded_in_less_than_all_of_the_context(engine: Engine, speech: Audio) -> None:
    short = speech[: 3 * 16_000]
    assert not engine.encode(short).full
    assert engine.encode(short, full=True).full
    for full in (False, True):
        [decoded] = engine.decode([(engine.encode(short, full=full), asked())])
        assert "ever tried" in text(decoded)


def test_silence_is_told_apart_from_speech(engine: Engine, speech: Audio) -> None:
    [spoken] = engine.decode([(engine.encode(speech), asked())])
    [silent] = engine.decode([(engine.encode(np.zeros(5 * 16_000, np.float32)), asked())])
    assert silent.no_speech_prob > spoken.no_speech_prob


@pytest.mark.parametrize("samples", [0, WINDOW_SAMPLES + 1])
def test_windows_out_of_bounds_are_refused(engine: Engine, samples: int) -> None:
    with pytest.raises(EngineError, match="window"):
        engine.encode(np.zeros(samples, dtype=np.float32))


def test_encodings_are_the_windows_own(engine: Engine, windows: list[Audio]) -> None:
    """Encoding another window must not change one that was handed out."""
    first: Encoded = engine.encode(windows[0])
    [before] = engine.decode([(first, asked())])
    engine.encode(windows[1])
    [after] = engine.decode([(first, asked())])
    assert text(before) == text(after)
