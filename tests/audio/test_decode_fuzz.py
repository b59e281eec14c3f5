"""Random damage to valid files gives samples or one of our errors, never anything else."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.domain.errors import ScribaError
from tests.audio.media import encode, sine

SEEDS = [
    ("wav", "pcm_s24le", 44_100, 2),
    ("flac", "flac", 44_100, 2),
    ("ogg", "libopus", 48_000, 1),
    ("webm", "libopus", 48_000, 2),
    ("mp3", "libmp3lame", 44_100, 2),
    ("mp4", "aac", 44_100, 1),
    ("adts", "aac", 44_100, 6),
    ("aiff", "pcm_s16be", 44_100, 8),
    ("mpegts", "mp2", 48_000, 2),
    ("flv", "aac", 44_100, 1),
]
LIMITS = DecodeLimits(max_bytes=1 << 22, max_seconds=120, max_decoded_bytes=1 << 28)


@cache
def _seed(number: int) -> bytes:
    container, codec, rate, channels = SEEDS[number]
    return encode(sine(0.6, rate, channels=channels), rate, container, codec)


edits = st.lists(
    st.tuples(
        st.sampled_from(["set", "cut", "insert", "wipe"]),
        st.floats(0, 1) | st.floats(0, 0.05),  # headers, where the sizes are, more often
        st.binary(min_size=1, max_size=8),
    ),
    max_size=12,
)


@pytest.mark.parametrize("number", range(len(SEEDS)), ids=[f"{seed[0]}-{seed[1]}" for seed in SEEDS])
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits, keep=st.just(1.0) | st.floats(0, 1))
def test_damage_is_heard_or_refused(
    number: int, changes: list[tuple[str, float, bytes]], keep: float
) -> None:
    data = bytearray(_seed(number))
    for kind, place, content in changes:
        at = int(place * len(data))
        if kind == "set":
            data[at : at + len(content)] = content
        elif kind == "cut":
            del data[at : at + 8 * len(content)]
        elif kind == "insert":
            data[at:at] = content
        else:
            data[at : at + len(content)] = bytes(len(content))
    heard = 0
    try:
        with open_recording(io.BytesIO(bytes(data[: int(len(data) * keep)])), LIMITS) as recording:
            for block in recording.blocks():
                assert block.dtype == np.float32
                assert np.isfinite(block).all()
                heard += len(block)
        assert heard
    except ScribaError as error:
        assert error.message  # noqa: PT017
