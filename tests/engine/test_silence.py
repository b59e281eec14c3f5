"""Cached silence behind the encoding of a short sound."""

import numpy as np
from numpy.typing import NDArray

from scriba.engine.features import Features
from scriba.engine.silence import CachedSilence

BINS = 2


def features(frames: int, positions: int, silence: float) -> Features:
    return Features(
        np.zeros((BINS, frames), np.float32), frames / 100, positions, frames // 2, silence, False
    )


class Encoder:
    """Gives each position the value of its spectrogram; counts its calls."""

    def __init__(self) -> None:
        self.levels: list[float] = []

    def __call__(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        self.levels.append(float(log_mel[0, 0]))
        places = np.arange(log_mel.shape[1] // 2, dtype=np.float32)
        output: NDArray[np.float32] = (places + log_mel[0, 0])[np.newaxis, :, np.newaxis]
        return output


def test_the_silence_that_follows_is_that_of_its_own_place() -> None:
    cached = CachedSilence(Encoder(), BINS)
    whole = cached.behind(np.full((1, 200, 1), 7.0, np.float32), features(400, 500, -0.6))
    assert whole.shape == (1, 500, 1)
    assert (whole[0, :200, 0] == 7.0).all()
    np.testing.assert_allclose(whole[0, 200:, 0], np.arange(200, 500) - 0.6, atol=1e-4)


def test_each_level_is_encoded_once_and_only_where_silence_is_wanted() -> None:
    encoder = Encoder()
    cached = CachedSilence(encoder, BINS)
    sound = np.zeros((1, 200, 1), np.float32)
    assert cached.behind(sound, features(400, 200, -0.6)) is sound
    for level in (-0.61, -0.58, -0.9, -9.0, 0.0, -8.0):
        cached.behind(sound, features(400, 500, level))
    np.testing.assert_allclose(encoder.levels, [-0.6, -0.9, -1.5, -0.3], atol=1e-6)
