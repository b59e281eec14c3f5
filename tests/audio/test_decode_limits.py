"""Bounds are counted while decoding; work stops at once when cancelled; nothing stays behind."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

from scriba.audio.decode import DecodeLimits, Recording, open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError, MediaTooLargeError
from tests.audio.decoding import decode
from tests.audio.media import encode, frequency_of, pcm16, sine, wav


def listen(
    recording: Recording, cancel: CancelToken | None = None, after_each: Callable[[], None] = lambda: None
) -> None:
    """Decode to the end."""
    with recording:
        for _ in recording.blocks(cancel):
            after_each()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Ten minutes of silence in a few kilobytes: a long recording that looks like a small file."""
    return encode(np.zeros((1, 48_000 * 600), np.float32), 48_000, "ogg", "libopus", bit_rate=500)


def test_a_small_file_that_is_long_stops_at_the_seconds_allowed(bomb: bytes) -> None:
    assert len(bomb) < 600_000
    recording = open_recording(io.BytesIO(bomb), DecodeLimits(max_seconds=60))
    with pytest.raises(MediaTooLargeError, match=r"longer than the 60 seconds allowed: it has at least 60\."):
        listen(recording)
    assert 50 < recording.seconds_decoded <= 60


def test_decoded_bytes_are_bounded(bomb: bytes) -> None:
    with pytest.raises(
        MediaTooLargeError, match="decodes to more than the 1000000 bytes allowed: to at least 1"
    ):
        decode(bomb, DecodeLimits(max_decoded_bytes=1_000_000))


def test_bytes_are_bounded_before_anything_is_read() -> None:
    data = wav(pcm16(sine(3, 16_000)))
    message = f"larger than the 1000 bytes allowed: it has at least {len(data)}"
    with pytest.raises(MediaTooLargeError, match=message):
        open_recording(io.BytesIO(data), DecodeLimits(max_bytes=1_000))
    assert len(decode(data, DecodeLimits(max_bytes=len(data)))) == 48_000


class _Growing(io.BytesIO):
    """Says it is small when asked, and goes on when read."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return 1_000 if whence == io.SEEK_END else super().seek(offset, whence)


def test_bytes_are_counted_while_reading_too() -> None:
    stream = _Growing(wav(pcm16(sine(60, 16_000))))
    recording = open_recording(stream, DecodeLimits(max_bytes=500_000))
    with pytest.raises(MediaTooLargeError, match="larger than the 500000 bytes"):
        listen(recording)


def test_a_recording_within_all_limits_passes() -> None:
    data = wav(pcm16(sine(3, 16_000)))
    limits = DecodeLimits(max_bytes=len(data), max_seconds=3, max_decoded_bytes=96_000)
    assert len(decode(data, limits)) == 48_000


def test_cancel_stops_between_blocks(bomb: bytes) -> None:
    cancel = CancelToken()
    recording = open_recording(io.BytesIO(bomb))
    with pytest.raises(CancelledByUserError):
        listen(recording, cancel, after_each=cancel.cancel)
    assert recording.seconds_decoded <= 2


def test_cancel_from_another_thread_stops_within_a_second(bomb: bytes) -> None:
    cancel = CancelToken()
    threading.Timer(0.05, cancel.cancel).start()
    recording = open_recording(io.BytesIO(bomb))
    with pytest.raises(CancelledByUserError):
        listen(recording, cancel, after_each=lambda: time.sleep(0.01))
    assert recording.seconds_decoded < 300


def test_an_abandoned_iterator_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(wav(pcm16(sine(10, 16_000))))
    blocks = open_recording(path).blocks()
    next(blocks)
    assert str(path) in {opened.path for opened in psutil.Process().open_files()}
    blocks.close()  # type: ignore[attr-defined]
    assert str(path) not in {opened.path for opened in psutil.Process().open_files()}


def test_a_refused_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"no sound" * 100)
    with pytest.raises(Exception, match="not media"):
        open_recording(path)
    assert str(path) not in {opened.path for opened in psutil.Process().open_files()}


def test_many_threads_decode_different_files_at_once() -> None:
    kinds = [("flac", "flac", 44_100), ("ogg", "libopus", 48_000), ("mp4", "aac", 44_100)] * 4
    files = [
        (300 + 50 * number, encode(sine(3, rate, frequency=300 + 50 * number), rate, container, codec))
        for number, (container, codec, rate) in enumerate(kinds)
    ]
    with ThreadPoolExecutor(8) as pool:
        for (frequency, _), samples in zip(files, pool.map(decode, [data for _, data in files]), strict=True):
            assert frequency_of(samples) == pytest.approx(frequency, abs=1)


MEASURE = """
import sys, psutil
from pathlib import Path
from scriba.audio.decode import open_recording
from scriba.audio.speech import SpeechDetector
process, detector, early, peak = psutil.Process(), SpeechDetector(), 0, 0
with open_recording(Path(sys.argv[1])) as recording:
    for number, block in enumerate(recording.blocks()):
        if number % 10 == 0:
            detector.push(block)
        if number % 60 == 59:
            used = process.memory_info().rss
            early = early or used
            peak = max(peak, used)
print(recording.seconds_decoded, (peak - early) / 2**20)
"""


@pytest.mark.slow
def test_two_hours_need_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:  # sparse: 230 MB of silence take no room
        file.write(wav(b"", claimed_bytes=7_200 * 32_000))
        file.truncate(44 + 7_200 * 32_000)
    output = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], check=True, capture_output=True, text=True, timeout=250
    ).stdout
    seconds, grown = map(float, output.split())
    assert seconds == 7_200
    assert grown < 20  # megabytes; two hours of samples would be 460
