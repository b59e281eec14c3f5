"""Raw samples behind a header decode to what they are, in every encoding, and end where they end."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
import pytest

from scriba.audio.decode import open_recording
from scriba.audio.headed import HeadedSamples
from scriba.audio.live_pcm import LivePcm, PcmEncoding, PcmFormat

SECONDS = 3.0


def _encoded(form: PcmFormat) -> bytes:
    """A tone of 440 Hz on every channel, as a client would send it."""
    time = np.arange(round(SECONDS * form.sample_rate)) / form.sample_rate
    tone = np.repeat(0.3 * np.sin(2 * np.pi * 440 * time), form.channels)
    if form.encoding is PcmEncoding.F32LE:
        return tone.astype("<f4").tobytes()
    whole = (tone * 32767).astype("<i2")
    if form.encoding is PcmEncoding.S16LE:
        return whole.tobytes()
    codec = av.CodecContext.create("pcm_mulaw" if form.encoding is PcmEncoding.PCMU else "pcm_alaw", "w")
    codec.sample_rate, codec.format, codec.layout = form.sample_rate, "s16", "mono"
    frame = av.AudioFrame.from_ndarray(whole[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = form.sample_rate
    return b"".join(bytes(packet) for packet in codec.encode(frame))


@pytest.mark.parametrize(
    "form",
    [
        PcmFormat(),
        PcmFormat(sample_rate=48_000, channels=2),
        PcmFormat(PcmEncoding.F32LE, 44_100, 1),
        PcmFormat(PcmEncoding.PCMU, 8_000, 1),
        PcmFormat(PcmEncoding.PCMA, 8_000, 1),
        PcmFormat(sample_rate=16_000, channels=6),
    ],
    ids=lambda form: f"{form.encoding} {form.sample_rate} {form.channels}",
)
def test_it_sounds_as_the_stream_did(form: PcmFormat, tmp_path: Path) -> None:
    data = _encoded(form)
    path = tmp_path / "audio"
    path.write_bytes(data + b"\x01" * (form.frame_bytes - 1))  # a sample that never came whole
    stream = LivePcm(form)
    live = np.concatenate((stream.push(data), stream.finish()))

    with HeadedSamples(path, form) as headed, open_recording(cast(BinaryIO, headed)) as recording:
        heard = np.concatenate(list(recording.blocks()))

    assert len(heard) == pytest.approx(SECONDS * 16_000, abs=160)
    middle = slice(8_000, 40_000)
    loudness = [np.sqrt(np.mean(samples[middle] ** 2)) for samples in (heard, live)]
    assert loudness[0] == pytest.approx(loudness[1], rel=0.05)


def test_it_is_read_and_moved_in_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "audio"
    path.write_bytes(bytes(range(100)))
    with HeadedSamples(path, PcmFormat()) as headed:
        whole = headed.read()
        assert whole[-100:] == bytes(range(100))
        assert headed.read(10) == b""
        for start in (0, 3, len(whole) - 100, len(whole) - 3, len(whole) + 5):
            for size in (0, 1, 50, 1000):
                assert headed.seek(start) == headed.tell() == start
                assert headed.read(size) == whole[start : start + size]
        assert headed.seek(-4, io.SEEK_END) == len(whole) - 4
        assert headed.seek(1, io.SEEK_CUR) == len(whole) - 3
        assert headed.seek(-10_000, io.SEEK_CUR) == 0
        buffer = bytearray(7)
        assert headed.readinto(memoryview(buffer)) == 7
        assert bytes(buffer) == whole[:7]
        assert headed.readable()
        assert headed.seekable()


def test_no_sample_has_a_size_too(tmp_path: Path) -> None:
    path = tmp_path / "audio"
    path.write_bytes(b"")
    with HeadedSamples(path, PcmFormat()) as headed:
        assert len(headed.read()) == 44
