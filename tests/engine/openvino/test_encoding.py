"""Silence that is put together for the decoder, on made-up numbers and on real speech."""

import math

import numpy as np
import pytest

from scriba.audio.decode import open_recording
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.context import looks_wrong
from scriba.engine.openvino.encoding import POOL, Encoding
from scriba.engine.port import Audio, DecodeRequest
from tests.speech import two_cities

pytest.importorskip("openvino", reason="openvino is not installed")

from scriba.engine.openvino.engine import OpenVinoEngine

ASKED = DecodeRequest("en", Task.TRANSCRIBE, DecodingOptions(beam_size=1), 0.0)


def halved(numbers: np.ndarray) -> np.ndarray:
    """bfloat16, as its two bytes."""
    return (np.ascontiguousarray(numbers, np.float32).view(np.uint32) >> 16).astype(np.uint16)


@pytest.fixture(scope="module")
def speech() -> Audio:
    with open_recording(two_cities()) as recording:
        return np.concatenate(list(recording.blocks()))


@pytest.mark.parametrize("half", [False, True])
def test_silence_becomes_its_means_and_each_has_the_weight_of_those_it_stands_for(half: bool) -> None:
    silence = np.repeat(np.arange(2 * POOL + 5, dtype=np.float32)[np.newaxis, :, np.newaxis], 3, axis=2)
    sound = np.full((1, 7, 3), 100.0, np.float32)
    if half:
        silence, sound = halved(silence), halved(sound)
    made = Encoding.of(sound, silence)
    assert made.output.dtype == sound.dtype
    assert made.positions == 7 + 3
    np.testing.assert_array_equal(made.output[:, :7], sound)
    means = made.output[0, 7:, 0]
    told = (means.astype(np.uint32) << 16).view(np.float32) if half else means
    np.testing.assert_allclose(told, [7.5, POOL + 7.5, 2 * POOL + 2], rtol=2**-8)
    assert made.weight.tolist() == pytest.approx([0.0] * 7 + [math.log(POOL)] * 2 + [math.log(5)])


def test_without_silence_nothing_is_changed() -> None:
    sound = np.ones((1, 7, 3), np.float32)
    made = Encoding.of(sound, None)
    assert made.output is sound
    assert not made.weight.any()


def test_a_short_sound_is_heard_over_few_positions(engine: OpenVinoEngine, speech: Audio) -> None:
    pieces = [speech[: 4 * 16_000], speech[20 * 16_000 : 26 * 16_000]]
    for piece in pieces:
        short, full = engine.encode(piece), engine.encode(piece, full=True)
        assert short.encoding.positions < full.encoding.positions / 3
        [heard], [reference] = engine.decode([(short, ASKED)]), engine.decode([(full, ASKED)])
        assert not looks_wrong(heard, len(piece) / 16_000)
        words, expected = (
            "".join(phrase.text for phrase in own.phrases).split() for own in (heard, reference)
        )
        assert len(set(words) & set(expected)) >= 0.8 * len(set(expected))


def test_windows_of_unlike_length_are_decoded_together_as_alone(
    engine: OpenVinoEngine, speech: Audio
) -> None:
    lengths = (3.0, 4.1, 5.5, 2.6)
    starts = (0.0, 9.0, 20.0, 30.0)
    encoded = [
        engine.encode(speech[round(16_000 * start) : round(16_000 * (start + length))])
        for start, length in zip(starts, lengths, strict=True)
    ]
    assert len({own.encoding.positions for own in encoded}) == 3
    assert len({engine.batch_key(own, ASKED) for own in encoded}) == 1
    alone = [engine.decode([(own, ASKED)])[0] for own in encoded]
    together = engine.decode([(own, ASKED) for own in encoded])
    for own, other in zip(together, alone, strict=True):
        assert [phrase.tokens for phrase in own.phrases] == [phrase.tokens for phrase in other.phrases]
        assert own.avg_logprob == pytest.approx(other.avg_logprob, abs=0.02)
