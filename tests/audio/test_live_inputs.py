"""Raw samples and container streams that come piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from scriba.audio.decode import open_recording
from scriba.audio.live_container import LiveContainer
from scriba.audio.live_pcm import LivePcm, PcmEncoding, PcmFormat
from scriba.domain.errors import InvalidOptionError, UnsupportedMediaError


def tone(rate: int, seconds: float = 1.0) -> NDArray[np.float32]:
    at = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)


def s16(samples: NDArray[np.float32]) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def f32(samples: NDArray[np.float32]) -> bytes:
    return samples.astype("<f4").tobytes()


def fed(stream: LivePcm | LiveContainer, data: bytes, piece: int) -> NDArray[np.float32]:
    parts = [stream.push(data[at : at + piece]) for at in range(0, len(data), piece)]
    parts.append(stream.finish())
    stream.close()
    return np.concatenate(parts)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize(("encoding", "encode"), [(PcmEncoding.S16LE, s16), (PcmEncoding.F32LE, f32)])
def test_any_rate_becomes_16_khz(
    rate: int, encoding: PcmEncoding, encode: Callable[[NDArray[np.float32]], bytes]
) -> None:
    heard = fed(LivePcm(PcmFormat(encoding, rate)), encode(tone(rate)), 1000)

    assert abs(len(heard) - 16_000) <= 40
    # The same tone, wherever the resampler's delay has put its phase.
    spectrum = np.abs(np.fft.rfft(heard[2000:14_000]))
    assert np.argmax(spectrum) * 16_000 / 12_000 == pytest.approx(440, abs=2)
    assert np.abs(heard[2000:14_000]).max() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_what_comes_out_does_not_depend_on_the_pieces(rate: int) -> None:
    data = s16(tone(rate))
    usual = fed(LivePcm(PcmFormat(sample_rate=rate)), data, 3200)
    for piece in (1, 7, 999, len(data)):
        assert np.array_equal(fed(LivePcm(PcmFormat(sample_rate=rate)), data, piece), usual)


def test_two_channels_are_averaged() -> None:
    left = tone(16_000)
    data = s16(np.stack([left, np.zeros_like(left)], axis=1).reshape(-1))
    heard = fed(LivePcm(PcmFormat(channels=2)), data, 3201)

    assert np.abs(heard - left / 2).max() < 1e-3


@pytest.mark.parametrize(
    ("encoding", "codec"), [(PcmEncoding.PCMU, "pcm_mulaw"), (PcmEncoding.PCMA, "pcm_alaw")]
)
def test_telephone_codes_are_those_of_ffmpeg(encoding: PcmEncoding, codec: str) -> None:
    codes = bytes(range(256)) * 63  # at 16 kHz nothing is resampled
    decoder = av.CodecContext.create(codec, "r")
    decoder.sample_rate = 16_000  # type: ignore[attr-defined]
    decoder.layout = "mono"  # type: ignore[attr-defined]
    [frame] = decoder.decode(av.Packet(codes))  # type: ignore[attr-defined]

    heard = fed(LivePcm(PcmFormat(encoding)), codes, 1000)
    assert np.array_equal(heard, frame.to_ndarray()[0] / np.float32(32768))


def test_numbers_that_are_none_do_no_harm() -> None:
    data = np.array([np.nan, np.inf, -np.inf, 1e30, 0.25] * 100, "<f4").tobytes()
    heard = fed(LivePcm(PcmFormat(PcmEncoding.F32LE)), data, 64)

    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 4


@pytest.mark.parametrize(
    "values", [{"sample_rate": 3999}, {"sample_rate": 192_001}, {"channels": 0}, {"channels": 9}]
)
def test_bounds(values: dict[str, int]) -> None:
    with pytest.raises(InvalidOptionError, match=r"must be between"):
        PcmFormat(**values)  # type: ignore[arg-type]


def container(path: Path, format_: str, codec: str) -> bytes:
    """As a recorder writes it, without a length in its header."""
    with av.open(str(path), "w", format=format_) as opened:
        stream: Any = opened.add_stream(codec, rate=48_000)
        stream.layout = "mono"
        frame = AudioFrame.from_ndarray(
            (tone(48_000, 3.0) * 32767).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            opened.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("format_", "codec"),
    [
        ("webm", "libopus"),
        ("ogg", "libopus"),
        ("mp3", "libmp3lame"),
        ("adts", "aac"),
        ("wav", "pcm_s16le"),
    ],
)
def test_a_container_is_decoded_as_it_comes(tmp_path: Path, format_: str, codec: str) -> None:
    data = container(tmp_path / "recording", format_, codec)
    with open_recording(tmp_path / "recording") as recording:
        whole = np.concatenate(list(recording.blocks()))
    usual = fed(LiveContainer(), data, 500)

    # Nothing is lost of the beginning: an encoder's own delay is all they differ by.
    assert abs(len(usual) - len(whole)) < 16_000 * 0.1
    for piece in (97, len(data)):
        assert np.array_equal(fed(LiveContainer(), data, piece), usual)
    # Not only at the end: most of it is there before the last bytes.
    early = LiveContainer()
    heard = [early.push(data[at : at + 500]) for at in range(0, len(data) * 3 // 4, 500)]
    early.close()
    assert sum(map(len, heard)) > len(usual) / 2


def test_what_is_no_container_is_told() -> None:
    stream = LiveContainer()
    with pytest.raises(UnsupportedMediaError):
        fed(stream, b"this is no media at all. " * 1000, 1000)
    stream.close()


def test_a_container_that_ends_at_once_is_told() -> None:
    stream = LiveContainer()
    with pytest.raises(UnsupportedMediaError):
        stream.finish()
    stream.close()
