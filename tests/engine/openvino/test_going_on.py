"""A text that goes on as long as somebody speaks, on real speech."""

import re
from dataclasses import replace

import numpy as np
import pytest

from scriba.audio.decode import open_recording
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.port import Audio, Decoded, DecodeRequest
from tests.speech import two_cities

pytest.importorskip("openvino", reason="openvino is not installed")

from scriba.engine.openvino.engine import OpenVinoEngine

ASKED = DecodeRequest("en", Task.TRANSCRIBE, DecodingOptions(beam_size=1), 0.0)


@pytest.fixture(scope="module")
def then_silent() -> Audio:
    """6 s of speech, 16 s of silence: what makes a model end early for sure."""
    with open_recording(two_cities()) as recording:
        speech = np.concatenate(list(recording.blocks()))[: 6 * 16_000]
    return np.concatenate((speech, np.zeros(16 * 16_000, np.float32)))


def words(decoded: Decoded) -> list[str]:
    return re.findall(r"\w+", "".join(phrase.text for phrase in decoded.phrases).lower())


@pytest.mark.parametrize("beam_size", [1, 5])
def test_no_text_ends_at_a_timestamp_before_the_end_of_speech(
    engine: OpenVinoEngine, then_silent: Audio, beam_size: int
) -> None:
    encoded = engine.encode(then_silent, full=True)
    asked = replace(ASKED, options=DecodingOptions(beam_size=beam_size))
    [left], [held] = (engine.decode([(encoded, replace(asked, spoken_until=until))]) for until in (0.0, 15.0))
    assert left.phrases[-1].end < 10.0
    assert held.phrases[-1].end >= 15.0
    # Where a beam cuts one text into phrases, and so its stops and capitals, differs with a CPU's arithmetic.
    assert words(held)[: len(words(left))] == words(left)


def test_over_a_short_context_it_is_not_held(engine: OpenVinoEngine, then_silent: Audio) -> None:
    encoded = engine.encode(then_silent[: 10 * 16_000])
    assert not encoded.full
    [left], [held] = (engine.decode([(encoded, replace(ASKED, spoken_until=until))]) for until in (0.0, 9.0))
    assert held == left
