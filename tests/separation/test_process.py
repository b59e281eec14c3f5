"""Separation in its own process: what it makes, and how it ends."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from scriba.audio.decode import DecodeLimits
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import (
    CancelledByUserError,
    EngineError,
    InvalidOptionError,
    MediaTooLargeError,
    ModelUnavailableError,
    UnsupportedMediaError,
    UnsupportedOptionError,
)
from scriba.domain.options import SeparationOptions
from scriba.separation.archive import write_archive
from scriba.separation.process import Parts, SeparationProcess
from scriba.separation.store import SeparationStore
from tests import speech
from tests.separation.sounds import over_music, read_wav, si_sdr, voice, wav_bytes, write_mdx


@pytest.fixture
def process(tmp_path: Path) -> SeparationProcess:
    return own(tmp_path)


def own(tmp_path: Path, limits: DecodeLimits | None = None) -> SeparationProcess:
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    return SeparationProcess(
        SeparationStore(tmp_path / "models", folder), limits or DecodeLimits(), tmp_path / "spool"
    )


def parts_of(
    process: SeparationProcess,
    source: Any,
    options: SeparationOptions | None = None,
    *,
    for_speech: bool = True,
) -> tuple[bytes, bytes, float, list[tuple[float, float | None]]]:
    with process.separate(source, options or SeparationOptions(), for_speech=for_speech) as work:
        told = list(work.steps(CancelToken()))
        parts = work.parts
        return parts.voice.read(), parts.rest.read(), parts.seconds, told


def test_for_speech_the_voice_and_the_whole_lie_sample_for_sample(process: SeparationProcess) -> None:
    clean = voice()
    mixed = over_music(clean, 5.0)
    first, second, seconds, told = parts_of(process, io.BytesIO(wav_bytes(mixed)))
    (found, rate), (whole, _) = read_wav(first), read_wav(second)
    assert (rate, found.shape, whole.shape) == (16_000, (1, len(clean)), (1, len(clean)))
    assert seconds == pytest.approx(len(clean) / 16_000)
    assert np.abs(whole[0] - mixed).max() < 1e-3
    assert si_sdr(found[0], clean) > si_sdr(mixed, clean) + 3
    assert told == sorted(told, key=lambda own: own[0])


def test_stems_are_stereo_at_full_rate_and_add_up(process: SeparationProcess) -> None:
    """Of a file of 48 kHz, so that nothing is resampled."""
    first, second, _, _ = parts_of(process, speech.two_cities(), for_speech=False)
    (found, rate), (rest, _) = read_wav(first), read_wav(second)
    original, _ = read_wav(speech.two_cities().read_bytes())
    assert (rate, len(found)) == (48_000, 2)
    assert np.abs(found[0] + rest[0] - original[0]).max() < 1e-3
    assert si_sdr(found[0], original[0]) > 10


def test_an_mdx_model_from_a_folder(tmp_path: Path) -> None:
    process = own(tmp_path)
    write_mdx(tmp_path / "folder" / "UVR-MDX-NET-Inst_HQ_4.onnx", bins=2560)
    at = np.arange(44_100) / 44_100
    sound = (0.4 * np.sin(2 * np.pi * 440 * at)).astype(np.float32)
    options = SeparationOptions(model="uvr-mdx-net-inst_hq_4")
    first, second, seconds, _ = parts_of(
        process, io.BytesIO(wav_bytes(sound, 44_100)), options, for_speech=False
    )
    (found, rate), (rest, _) = read_wav(first), read_wav(second)
    assert (rate, found.shape, seconds) == (44_100, (2, 44_100), 1.0)
    # The network gives half of what it hears, times UVR's factor, as the music.
    assert np.abs(rest - 0.5 * 1.019 * sound).max() < 5e-3
    assert np.abs(found + rest - sound).max() < 1e-3
    spoken, _, _, _ = parts_of(process, io.BytesIO(wav_bytes(sound, 44_100)), options)
    assert read_wav(spoken)[0].shape == (1, 16_000)
    with pytest.raises(InvalidOptionError, match="segment_size must be 256"):
        parts_of(process, io.BytesIO(wav_bytes(sound)), SeparationOptions(options.model, segment_size=128))


def running(of: int) -> Iterator[psutil.Process]:
    """Separations under way, of this process."""
    for child in psutil.Process(of).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if any("scriba.separation.child" in word for word in child.cmdline()):
                yield child


def memory_of(child: psutil.Process) -> int:
    try:
        return int(child.memory_info().rss)
    except psutil.Error:
        return 0


def long_recording() -> io.BytesIO:
    return io.BytesIO(wav_bytes(np.tile(voice(), 60)))


def test_cancelling_kills_it_within_a_second(process: SeparationProcess) -> None:
    cancel = CancelToken()
    with process.separate(long_recording(), SeparationOptions(), for_speech=True) as work:
        steps = work.steps(cancel)
        while next(steps)[0] == 0:
            pass
        assert list(running(os.getpid()))
        cancel.cancel()
        started = time.monotonic()
        with pytest.raises(CancelledByUserError):
            next(steps)
        assert time.monotonic() - started < 1
    assert not list(running(os.getpid()))


def test_dropping_the_work_kills_it_too(process: SeparationProcess) -> None:
    with process.separate(long_recording(), SeparationOptions(), for_speech=True) as work:
        steps = work.steps(CancelToken())
        next(steps)
        steps.close()  # type: ignore[attr-defined]
    assert not list(running(os.getpid()))


def test_a_crash_is_one_clear_error(process: SeparationProcess) -> None:
    with process.separate(long_recording(), SeparationOptions(), for_speech=True) as work:
        steps = work.steps(CancelToken())
        next(steps)
        for child in running(os.getpid()):
            child.send_signal(signal.SIGKILL)
        with pytest.raises(EngineError, match="its process ended unexpectedly") as caught:
            list(steps)
    assert "/" not in caught.value.message


def test_the_faults_of_a_recording_are_told_as_everywhere(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMediaError):
        parts_of(own(tmp_path), io.BytesIO(b"this is no recording at all" * 40))
    with pytest.raises(MediaTooLargeError):
        parts_of(own(tmp_path, DecodeLimits(max_seconds=1.0)), speech.beckett())


def test_what_cannot_be_done_here_is_refused_with_what_helps(process: SeparationProcess) -> None:
    process.check(SeparationOptions())
    with pytest.raises(UnsupportedOptionError, match="scriba models pull UVR-MDX-NET-Inst_HQ_4"):
        process.check(SeparationOptions(model="UVR-MDX-NET-Inst_HQ_4"), "uvr_model_size")
    with pytest.raises(UnsupportedOptionError, match="personal and research use"):
        process.check(SeparationOptions(model="htdemucs"))
    with pytest.raises(UnsupportedOptionError, match="uvr_model_size must be one of gtcrn") as caught:
        process.check(SeparationOptions(model="nobody"), "uvr_model_size")
    assert caught.value.field == "uvr_model_size"
    with pytest.raises(UnsupportedOptionError, match="uvr_device cannot be cuda"):
        process.check(SeparationOptions(device="cuda"), "uvr_model_size", "uvr_device")
    with (
        pytest.raises(ModelUnavailableError, match="scriba models pull Kim_Vocal_2"),
        process.separate(speech.beckett(), SeparationOptions(model="Kim_Vocal_2"), for_speech=True),
    ):
        pass


def test_an_archive_holds_both_files_under_their_hashes(tmp_path: Path) -> None:
    import hashlib
    import zipfile

    parts = Parts(io.BytesIO(b"voice" * 1000), io.BytesIO(b"music" * 1000), 1.0)
    out = io.BytesIO()
    hashes = write_archive(parts, "song", out, CancelToken())
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == ["song-vocals.wav", "song-instrumental.wav"]
        assert hashlib.sha256(archive.read("song-vocals.wav")).hexdigest() == hashes.vocal
        assert hashlib.sha256(archive.read("song-instrumental.wav")).hexdigest() == hashes.instrumental
        assert archive.testzip() is None
    again = io.BytesIO()
    write_archive(parts, "song", again, CancelToken())
    assert again.getvalue() == out.getvalue()
    cancel = CancelToken()
    cancel.cancel()
    with pytest.raises(CancelledByUserError):
        write_archive(parts, "song", io.BytesIO(), cancel)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording(process: SeparationProcess) -> None:
    """Four minutes take no more than half a one does."""
    peaks = []
    for times in (3, 24):
        recording = io.BytesIO(wav_bytes(np.tile(voice(), times)))
        peak = 0
        with process.separate(recording, SeparationOptions(), for_speech=False) as work:
            for _ in work.steps(CancelToken()):
                peak = max([peak, *map(memory_of, running(os.getpid()))])
        assert peak > 0
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 30_000_000
