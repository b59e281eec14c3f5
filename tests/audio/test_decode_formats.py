"""Every container and codec gives the right length, pitch and level, at any rate, depth and channel count."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest

from scriba.audio.decode import open_recording
from tests.audio.decoding import decode, decode_with_recording
from tests.audio.media import dts_in_wav, encode, frequency_of, level_of, pcm16, sine, wav

LEVEL = 0.5 / np.sqrt(2)

KINDS = [
    ("wav", "pcm_u8", 44_100),
    ("wav", "pcm_s16le", 16_000),
    ("wav", "pcm_s24le", 44_100),
    ("wav", "pcm_s32le", 48_000),
    ("wav", "pcm_f32le", 48_000),
    ("wav", "pcm_f64le", 44_100),
    ("wav", "pcm_mulaw", 8_000),
    ("wav", "pcm_alaw", 8_000),
    ("w64", "pcm_s16le", 44_100),
    ("aiff", "pcm_s16be", 44_100),
    ("au", "pcm_s16be", 44_100),
    ("caf", "alac", 44_100),
    ("flac", "flac", 44_100),
    ("ogg", "flac", 44_100),
    ("ogg", "libopus", 48_000),
    ("webm", "libopus", 48_000),
    ("matroska", "pcm_s16le", 44_100),
    ("mp3", "libmp3lame", 44_100),
    ("mp4", "aac", 44_100),
    ("ipod", "aac", 44_100),
    ("adts", "aac", 44_100),
    ("mov", "pcm_s16be", 44_100),
    ("mpegts", "mp2", 48_000),
    ("avi", "mp2", 44_100),
    ("flv", "aac", 44_100),
    ("wv", "wavpack", 44_100),
    ("ac3", "ac3", 48_000),
]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "codec", "rate"), KINDS)
def test_a_sine_survives(container: str, codec: str, rate: int, channels: int) -> None:
    samples = decode(encode(sine(3, rate, channels=channels), rate, container, codec))
    assert len(samples) / 16_000 == pytest.approx(3, abs=0.06)  # codecs pad to whole frames
    assert frequency_of(samples) == pytest.approx(440, abs=1)
    assert level_of(samples) == pytest.approx(LEVEL, rel=0.12)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_rate_keeps_length_pitch_and_level(rate: int) -> None:
    samples = decode(encode(sine(3, rate), rate, "wav", "pcm_s16le"))
    assert abs(len(samples) - 48_000) <= 1
    assert frequency_of(samples) == pytest.approx(440, abs=0.5)
    assert level_of(samples) == pytest.approx(LEVEL, rel=0.01)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8])
def test_every_number_of_channels(channels: int) -> None:
    samples = decode(encode(sine(2, 44_100, channels=channels), 44_100, "wav", "pcm_s16le"))
    assert abs(len(samples) - 32_000) <= 1
    assert frequency_of(samples) == pytest.approx(440, abs=1)
    assert level_of(samples) == pytest.approx(LEVEL, rel=0.01)


@pytest.mark.parametrize("container", ["aiff", "caf", "mov"])
@pytest.mark.parametrize("channels", [6, 8])
def test_surround_in_a_custom_channel_order(container: str, channels: int) -> None:
    """These tell the decoder an order of their own, by which the binding frees memory twice."""
    codec = "pcm_s16le" if container == "caf" else "pcm_s16be"
    samples = decode(encode(sine(2, 44_100, channels=channels), 44_100, container, codec))
    assert abs(len(samples) - 32_000) <= 1
    assert level_of(samples) == pytest.approx(LEVEL, rel=0.01)


@pytest.mark.parametrize("container", ["ogg", "webm"])
@pytest.mark.parametrize("channels", [6, 8])
def test_surround_in_planar_frames(container: str, channels: int) -> None:
    """Eight planes and more: the binding looks for a ninth and finds something else."""
    samples = decode(encode(sine(2, 48_000, channels=channels), 48_000, container, "libopus"))
    assert abs(len(samples) - 32_000) <= 16
    assert frequency_of(samples) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("channels", [9, 16, 32])
def test_more_channels_than_any_layout_has(channels: int) -> None:
    data = encode(
        *(sine(2, 48_000, channels=channels), 48_000, "webm", "libopus"),
        layout=f"{channels} channels",
        options={"mapping_family": "255"},
    )
    samples = decode(data)
    assert len(samples) == pytest.approx(32_000, abs=16)
    assert level_of(samples) == pytest.approx(LEVEL, rel=0.02)


def test_not_a_sample_is_lost_at_either_end() -> None:
    """The resampler's own delay must be taken off the front and flushed at the back."""
    sound = sine(2.5, 44_100)
    sound[:, : 44_100 // 2] = 0
    sound[:, -44_100 // 2 :] = 0
    samples = decode(wav(pcm16(sound), rate=44_100))
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    assert len(samples) == 40_000
    assert loud[0] == pytest.approx(8_000, abs=16)
    assert loud[-1] == pytest.approx(32_000, abs=16)


def test_sixteen_kilohertz_mono_comes_out_exactly_as_it_went_in() -> None:
    sound = sine(1.3, 16_000)
    expected = np.round(sound[0] * 32767) / 32768
    np.testing.assert_array_equal(decode(wav(pcm16(sound))), expected.astype(np.float32))


def test_a_video_gives_its_sound() -> None:
    samples = decode(encode(sine(3, 44_100), 44_100, "mp4", "aac", video=True))
    assert len(samples) / 16_000 == pytest.approx(3, abs=0.06)
    assert frequency_of(samples) == pytest.approx(440, abs=1)


def test_a_browsers_recording_without_duration() -> None:
    samples, recording = decode_with_recording(
        encode(sine(3, 48_000), 48_000, "webm", "libopus", seekable=False)
    )
    assert recording.info.duration is None
    assert len(samples) / 16_000 == pytest.approx(3, abs=0.03)


def test_the_headers_are_reported() -> None:
    _, recording = decode_with_recording(encode(sine(2, 44_100, channels=2), 44_100, "flac", "flac"))
    info = recording.info
    assert (info.container, info.codec, info.sample_rate, info.channels) == ("flac", "flac", 44_100, 2)
    assert info.duration == pytest.approx(2, abs=0.01)


def test_a_path_and_a_stream_give_the_same(tmp_path: Path) -> None:
    data = encode(sine(1, 44_100), 44_100, "mp3", "libmp3lame")
    path = tmp_path / "sound.txt"  # the name says nothing
    path.write_bytes(data)
    with open_recording(path) as recording:
        from_path = np.concatenate(list(recording.blocks()))
    np.testing.assert_array_equal(from_path, decode(data))


def test_a_spooled_upload_is_read_from_memory_and_from_disk() -> None:
    data = encode(sine(1, 44_100), 44_100, "flac", "flac")
    for size in (1, 1 << 20):
        with tempfile.SpooledTemporaryFile(max_size=size) as upload:
            upload.write(data)
            with open_recording(cast("BinaryIO", upload)) as recording:
                assert sum(map(len, recording.blocks())) == 16_000


def test_a_stream_is_read_from_its_start_and_left_open() -> None:
    stream = io.BytesIO(encode(sine(1, 44_100), 44_100, "flac", "flac"))
    stream.seek(100)
    with open_recording(stream) as recording:
        assert sum(map(len, recording.blocks())) == 16_000
    assert not stream.closed


def test_blocks_are_about_a_second_long() -> None:
    with open_recording(io.BytesIO(encode(sine(5, 48_000), 48_000, "ogg", "libopus"))) as recording:
        sizes = [len(block) for block in recording.blocks()]
    assert all(8_000 <= size <= 32_000 for size in sizes[:-2])


def test_a_format_that_changes_on_the_way() -> None:
    """Joined ogg files are one legal stream, and each link may have its own rate and channels."""
    first = encode(sine(2, 44_100, channels=2), 44_100, "ogg", "flac")
    second = encode(sine(2, 44_100, channels=2), 44_100, "ogg", "flac")
    samples = decode(first + second)
    assert len(samples) / 16_000 == pytest.approx(4, abs=0.3)
    assert frequency_of(samples) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("frame_bytes", [1_006, 2_048, 8_192])
def test_dts_in_a_wav_file_is_not_taken_for_pcm(frame_bytes: int) -> None:
    with open_recording(io.BytesIO(dts_in_wav(frame_bytes))) as recording:
        assert recording.info.codec == "dts"
