"""What a Whisper model must compute and read for a second of sound, from its dimensions alone.

Dimensions: table 1 of the Whisper paper (arXiv 2212.04356); large-v3 and turbo from their released weights. A
multiply-add is one operation here and two FLOP elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from scriba.models.convert.writer import Dimensions

WINDOW_SECONDS = 30
_FRAMES, _POSITIONS, _KERNEL = 3000, 1500, 3
_FEED_FORWARD = 4
"""The inner width of a feed-forward block, in widths."""
_ENGLISH, _MULTILINGUAL, _V3 = 51_864, 51_865, 51_866

SIZES: dict[str, Dimensions] = {
    "tiny.en": Dimensions(4, 4, 384, 80, _ENGLISH),
    "tiny": Dimensions(4, 4, 384, 80, _MULTILINGUAL),
    "base": Dimensions(6, 6, 512, 80, _MULTILINGUAL),
    "small": Dimensions(12, 12, 768, 80, _MULTILINGUAL),
    "medium": Dimensions(24, 24, 1024, 80, _MULTILINGUAL),
    "large-v3": Dimensions(32, 32, 1280, 128, _V3),
    "large-v3-turbo": Dimensions(32, 4, 1280, 128, _V3),
}


@dataclass(frozen=True, slots=True)
class Work:
    """Multiply-adds and bytes. ``window`` is for 30 s of sound, ``token`` for one token of one sequence.

    ``weights`` are the decoder's, at a byte each; ``cache`` the cross-attention's keys and values of one
    window, at two bytes each, which every token of that sequence reads.
    """

    window: int
    token: int
    weights: int
    cache: int


def work(sizes: Dimensions) -> Work:
    """What one window and one token take. Self-attention over the text so far is left out: it is small."""
    width = sizes.width
    dense = (4 + 2 * _FEED_FORWARD) * width**2
    convolutions = _KERNEL * width * (_FRAMES * sizes.mel_bins + _POSITIONS * width)
    layer = _POSITIONS * dense + 2 * _POSITIONS**2 * width
    keys_and_values = sizes.decoder_layers * _POSITIONS * 2 * width**2
    token_weights = sizes.decoder_layers * (dense + 2 * width**2) + sizes.vocabulary * width
    return Work(
        window=convolutions + sizes.encoder_layers * layer + keys_and_values,
        token=token_weights + sizes.decoder_layers * 2 * _POSITIONS * width,
        weights=token_weights,
        cache=sizes.decoder_layers * 2 * _POSITIONS * width * 2,
    )


def floor_seconds(
    needed: Work, tokens_a_second: float, batch: int, operations_a_second: float, bytes_a_second: float
) -> float:
    """The least time for a second of sound: full windows, ``batch`` of them decoded together.

    The encoder is bound by arithmetic, a step of the decoder by the slower of arithmetic and reading.
    """
    encoding = needed.window / WINDOW_SECONDS / operations_a_second
    arithmetic = needed.token / operations_a_second
    reading = (needed.weights / batch + needed.cache) / bytes_a_second
    return encoding + tokens_a_second * max(arithmetic, reading)
