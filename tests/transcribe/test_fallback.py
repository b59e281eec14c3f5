"""The temperature ladder."""

import numpy as np

from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.fake import FakeEncoded, FakeEngine, says
from scriba.engine.port import Decoded, DecodeRequest
from scriba.engine.steps import run_inline
from scriba.transcribe.fallback import decode_with_fallback, is_silence

SOUND = FakeEncoded(np.zeros(16_000, dtype=np.float32), 1.0)


def climb(by_temperature: dict[float, Decoded], **options: object) -> tuple[Decoded, list[float]]:
    engine = FakeEngine(script=lambda _, request: by_temperature[request.temperature])
    request = DecodeRequest("en", Task.TRANSCRIBE, DecodingOptions(**options), 0.0)  # type: ignore[arg-type]
    decoded = run_inline(decode_with_fallback(SOUND, request), engine)
    return decoded, [asked.temperature for asked in engine.requests]


def test_a_good_pass_is_the_only_one() -> None:
    decoded, asked = climb({0.0: says("fine")})
    assert decoded.phrases[0].text == " fine"
    assert asked == [0.0]


def test_repetition_and_doubt_climb_until_it_looks_right() -> None:
    decoded, asked = climb(
        {
            0.0: says("so so so", compression_ratio=9.0),
            0.2: says("mumble", avg_logprob=-2.0),
            0.4: says("good"),
        }
    )
    assert decoded.phrases[0].text == " good"
    assert asked == [0.0, 0.2, 0.4]


def test_when_all_look_wrong_the_likeliest_without_repetition_is_taken() -> None:
    bad = {t: says(f"bad {t}", avg_logprob=-3.0) for t in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)}
    bad[0.2] = says("least bad", avg_logprob=-1.5)
    bad[0.4] = says("loop", avg_logprob=-0.1, compression_ratio=8.0)
    decoded, asked = climb(bad)
    assert decoded.phrases[0].text == " least bad"
    assert len(asked) == 6


def test_silence_is_not_decoded_again() -> None:
    decoded, asked = climb({0.0: says("Thanks for watching!", avg_logprob=-1.5, no_speech_prob=0.9)})
    assert asked == [0.0]
    assert is_silence(decoded, DecodingOptions())


def test_confident_text_is_no_silence_whatever_the_model_thinks_of_speech() -> None:
    assert not is_silence(says("hello", no_speech_prob=0.95), DecodingOptions())


def test_thresholds_can_be_turned_off() -> None:
    decoded, asked = climb(
        {0.0: says("x", avg_logprob=-5.0, compression_ratio=9.0)},
        log_prob_threshold=None,
        compression_ratio_threshold=None,
    )
    assert asked == [0.0]
    assert decoded.avg_logprob == -5.0
