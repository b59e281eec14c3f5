"""Broken, lying and hostile files: the right result, or one clear error of our own."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from scriba.audio.decode import open_recording
from scriba.domain.errors import EmptyMediaError, ScribaError, UnsupportedMediaError
from tests.audio.decoding import decode
from tests.audio.media import encode, frequency_of, pcm16, sine, video_only, wav

SPEECH = pcm16(sine(3, 16_000))
NOT_MEDIA = "The file is not media that can be decoded: it is of an unknown kind, or corrupt."


def error_of(data: bytes) -> ScribaError:
    with pytest.raises(ScribaError) as caught:
        decode(data)
    assert caught.value.field == "file"
    assert "/" not in caught.value.message
    assert "av." not in caught.value.message
    return caught.value


def _opus_of_an_unknown_mapping() -> bytearray:
    data = bytearray(encode(sine(1, 48_000, channels=6), 48_000, "webm", "libopus"))
    data[data.index(b"OpusHead") + 18] = 3
    return data


NO_MEDIA = {
    "text": b"hello world\n" * 500,
    "html": b"<!DOCTYPE html><html><body>hello</body></html>" * 20,
    "json": b'{"audio": true}' * 100,
    "subtitles": b"1\n00:00:01,000 --> 00:00:02,000\nhello\n\n" * 20,
    "random": np.random.default_rng(0).bytes(200_000),
    "zeros": bytes(200_000),
    "ones": b"\xff" * 200_000,
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "half a header": b"RIFF",
    "rate 0": wav(SPEECH, rate=0),
    "rate 1 Hz": wav(SPEECH, rate=1),
    "rate 4 GHz": wav(SPEECH, rate=4_000_000_000),
    "no channels": wav(SPEECH, channels=0),
    "65535 channels": wav(SPEECH, channels=65_535),
    "unknown codec": wav(SPEECH, tag=0x1234),
    "video only": video_only(),
    "video only, matroska": video_only("matroska"),
    "a codec that does not open": bytes(_opus_of_an_unknown_mapping()),
    "mp4 without its index": encode(sine(3, 44_100), 44_100, "mp4", "aac")[:20_000],
}


@pytest.mark.parametrize("name", NO_MEDIA)
def test_what_is_no_sound_is_refused(name: str) -> None:
    assert isinstance(error_of(NO_MEDIA[name]), UnsupportedMediaError)


def test_no_audio_track_says_so() -> None:
    assert error_of(video_only()).message == "The file has no audio track."


@pytest.mark.parametrize("data", [b"", wav(b"")], ids=["no bytes", "a header and no samples"])
def test_empty_is_its_own_error(data: bytes) -> None:
    assert isinstance(error_of(data), EmptyMediaError)


def test_a_missing_file_is_an_error_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMediaError) as caught:
        open_recording(tmp_path / "absent.wav")
    assert str(tmp_path) not in caught.value.message


def _referring(target: str) -> dict[str, bytes]:
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode(),
        "m3u": f"#EXTM3U\n#EXTINF:10,song\n{target}\n".encode(),
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "dash": (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT3S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
            '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        ).encode(),
    }


@pytest.mark.parametrize("kind", ["hls", "m3u", "ffconcat", "dash"])
@pytest.mark.parametrize("how", ["relative", "absolute", "file:"])
def test_a_file_that_names_other_files_is_refused(kind: str, how: str, working_folder: Path) -> None:
    """What it names is real media beside the working folder, so only a refusal to look can refuse it."""
    secret = working_folder / "secret.ts"
    secret.write_bytes(encode(sine(3, 48_000), 48_000, "mpegts", "mp2"))
    target = {"relative": secret.name, "absolute": str(secret), "file:": f"file:{secret}"}[how]
    playlist = working_folder / f"list.{kind}"
    playlist.write_bytes(_referring(target)[kind])
    assert error_of(playlist.read_bytes()).message == NOT_MEDIA
    with pytest.raises(UnsupportedMediaError):
        open_recording(playlist)


@pytest.mark.parametrize("name", ["text", "subtitles", "picture", "session"])
def test_only_containers_of_sound_are_looked_into(name: str) -> None:
    """A demuxer would take the last three; the refusal comes before it is asked."""
    session = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
    assert error_of({**NO_MEDIA, "session": session}[name]).message == NOT_MEDIA


@pytest.mark.parametrize("claimed", [0, 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_a_header_that_lies_about_its_size(claimed: int) -> None:
    samples = decode(wav(SPEECH, claimed_bytes=claimed))
    assert len(samples) == 48_000
    assert frequency_of(samples) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("aiff", "pcm_s16be"),
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
        ("adts", "aac"),
    ],
)
def test_a_file_cut_short_keeps_what_is_there(container: str, codec: str, share: float) -> None:
    data = encode(sine(10, 48_000), 48_000, container, codec)
    samples = decode(data[: int(len(data) * share)])
    assert 10 * share - 1.05 <= len(samples) / 16_000 <= 10 * share + 0.2  # ogg pages hold a second
    assert frequency_of(samples) == pytest.approx(440, abs=1)


def test_a_hole_in_a_lossy_file_becomes_silence_and_the_rest_keeps_its_time() -> None:
    sound = sine(10, 48_000)
    sound[:, : 48_000 * 9] *= 0.1  # loud in the last second
    data = bytearray(encode(sound, 48_000, "ogg", "libopus"))
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    samples = decode(bytes(data))
    assert np.flatnonzero(np.abs(samples) > 0.2)[0] / 16_000 == pytest.approx(9, abs=0.05)


def test_a_flac_whose_frames_fail_is_corrupt() -> None:
    data = bytearray(encode(sine(10, 44_100, amplitude=0.3), 44_100, "flac", "flac"))
    noise = np.random.default_rng(1)
    for at in range(len(data) // 4, len(data) - 64, len(data) // 40):
        data[at : at + 16] = noise.bytes(16)
    error = error_of(bytes(data))
    assert isinstance(error, UnsupportedMediaError)
    assert "corrupt" in error.message


def test_a_flac_with_a_damaged_last_frame_is_corrupt_but_a_cut_one_is_not() -> None:
    data = bytearray(encode(sine(3, 44_100), 44_100, "flac", "flac"))
    cut = decode(bytes(data[: len(data) // 2]))
    assert 1 < len(cut) / 16_000 < 2
    with pytest.raises(UnsupportedMediaError, match="corrupt"):
        decode(bytes(data[:-20]))


def test_a_mostly_broken_lossy_file_is_corrupt() -> None:
    clean = encode(sine(10, 44_100), 44_100, "adts", "aac")
    data = bytearray(clean)
    noise = np.random.default_rng(2)
    position = 0
    while position + 7 < len(clean):  # keep the frame headers, replace every other frame's content
        length = ((clean[position + 3] & 3) << 11) | (clean[position + 4] << 3) | (clean[position + 5] >> 5)
        if noise.random() < 0.5:
            data[position + 7 : position + length] = noise.bytes(length - 7)
        position += length
    assert "corrupt" in error_of(bytes(data)).message


def test_samples_that_are_no_numbers_become_silence() -> None:
    sound = sine(1, 16_000)[0].astype("<f4")
    sound[100:200] = np.nan
    sound[300:400] = np.inf
    sound[500] = 1e30
    samples = decode(wav(sound.tobytes(), bits=32, tag=3))
    assert np.abs(samples).max() <= 4
    assert not samples[100:200].any()


class _Pipe(io.BytesIO):
    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        raise io.UnsupportedOperation("underlying stream is not seekable")


class _FailingDisk(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error", "/var/lib/uploads/1234")


@pytest.mark.parametrize("kind", [_Pipe, _FailingDisk])
def test_a_stream_that_cannot_be_read_says_no_more_than_that(kind: type[io.BytesIO]) -> None:
    with pytest.raises(UnsupportedMediaError) as caught:
        open_recording(kind(wav(SPEECH)))
    assert caught.value.message == "The file could not be read."


def test_a_closed_or_spent_recording_says_so() -> None:
    recording = open_recording(io.BytesIO(wav(SPEECH)))
    list(recording.blocks())
    with pytest.raises(ValueError, match="closed"):
        list(recording.blocks())


def test_nothing_is_written_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    for data in NO_MEDIA.values():
        with pytest.raises(ScribaError):
            decode(data)
    assert capfd.readouterr().err == ""
