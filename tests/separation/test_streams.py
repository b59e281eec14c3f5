"""Sound through the separators, piece by piece."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from scriba.domain.errors import InvalidOptionError, ModelUnavailableError
from scriba.separation import wave_file
from scriba.separation.catalogue import MdxFigures
from scriba.separation.chunks import ChunkStream
from scriba.separation.demucs import DemucsSeparator
from scriba.separation.frames import FrameStream
from scriba.separation.gtcrn import GtcrnSeparator
from scriba.separation.mdx import MdxSeparator
from scriba.separation.port import Samples, Separator
from scriba.separation.store import ASSETS
from scriba.separation.wave_file import WaveWriter
from tests.separation.sounds import RATE, over_music, si_sdr, voice, wav_bytes, write_mdx

GTCRN = ASSETS / "gtcrn.onnx"
NOISE = np.random.default_rng(3)


def through(separator: Separator | FrameStream, sound: Samples, block: int) -> Samples:
    parts = [separator.push(sound[:, at : at + block]) for at in range(0, sound.shape[1], block)]
    return np.concatenate([*parts, separator.finish()], axis=1)


@pytest.mark.parametrize("samples", [1, 100, 511, 512, 513, 5_000, 20_011])
@pytest.mark.parametrize("block", [37, 512, 4_000])
def test_what_is_not_changed_comes_back_as_it_was(samples: int, block: int) -> None:
    sound = NOISE.standard_normal((2, samples)).astype(np.float32)
    for stream in (
        FrameStream(512, 2, 7, lambda spectra: spectra),
        ChunkStream(3_000, 700, 150, 2, lambda chunk: chunk),
    ):
        back = through(stream, sound, block)
        assert back.shape == sound.shape
        assert np.abs(back - sound).max() < 1e-5


@pytest.mark.parametrize("decibels", [0.0, 5.0])
def test_gtcrn_takes_music_off_real_speech(decibels: float) -> None:
    clean = voice()
    mixed = over_music(clean, decibels)
    found = through(GtcrnSeparator(GTCRN, RATE, 1), mixed[None], RATE)[0]
    assert found.shape == clean.shape
    assert si_sdr(found, clean) > si_sdr(mixed, clean) + 3


def test_gtcrn_leaves_clean_speech_nearly_alone() -> None:
    clean = voice()
    found = through(GtcrnSeparator(GTCRN, RATE, 1), clean[None], RATE)[0]
    assert si_sdr(found, clean) > 12


def test_gtcrn_hears_the_same_whatever_the_pieces_and_the_rate() -> None:
    clean = over_music(voice(3.0), 5.0)
    whole = through(GtcrnSeparator(GTCRN, RATE, 1), clean[None], len(clean))
    for block, at_once in ((999, 256), (16_000, 3)):
        assert np.allclose(
            through(GtcrnSeparator(GTCRN, RATE, 1, at_once=at_once), clean[None], block), whole, atol=1e-5
        )
    # Three samples for one, twice: the mean of each three is close to what the network hears at 16 kHz.
    fine = np.repeat(clean, 3)
    stereo = through(GtcrnSeparator(GTCRN, 3 * RATE, 2), np.stack([fine, fine]), 48_000)
    assert stereo.shape == (2, len(fine))
    assert np.array_equal(stereo[0], stereo[1])
    assert si_sdr(stereo[0].reshape(-1, 3).mean(axis=1), whole[0]) > 10


@pytest.mark.parametrize(("gives_voice", "expected"), [(True, 0.5), (False, 0.5)])
def test_an_mdx_model_of_the_right_shape(tmp_path: Path, gives_voice: bool, expected: float) -> None:
    """Half of each bin is half of the sound, but for what the network's top bins do not reach."""
    model = write_mdx(tmp_path / "m.onnx", bins=1025, frames=64)
    at = np.arange(150_000) / 44_100
    sound = np.stack([np.sin(2 * np.pi * 440 * at), np.sin(2 * np.pi * 660 * at)]).astype(np.float32)
    found = through(MdxSeparator(model, MdxFigures(2048, 1.0, gives_voice)), sound, 44_100)
    assert found.shape == sound.shape
    assert np.abs(found - expected * sound).max() < 1e-3


def test_an_mdx_model_takes_segments_as_it_can(tmp_path: Path) -> None:
    figures = MdxFigures(2048, 1.0, gives_voice=True)
    free = write_mdx(tmp_path / "free.onnx", bins=1025, frames="frames")
    sound = NOISE.standard_normal((2, 60_000)).astype(np.float32)
    assert through(MdxSeparator(free, figures, frames=32), sound, 10_000).shape == sound.shape
    with pytest.raises(InvalidOptionError, match="segment_size must be at least 6"):
        MdxSeparator(free, figures, frames=2)
    fixed = write_mdx(tmp_path / "fixed.onnx", bins=1025, frames=64)
    with pytest.raises(InvalidOptionError, match="segment_size must be 64 for this model, not 32"):
        MdxSeparator(fixed, figures, frames=32)


def test_files_that_are_no_such_model(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ModelUnavailableError, match="no ONNX file"):
        GtcrnSeparator(broken, RATE, 1)
    with pytest.raises(ModelUnavailableError, match="no MDX-Net model"):
        MdxSeparator(GTCRN, MdxFigures(2048, 1.0, gives_voice=True))
    with pytest.raises(ModelUnavailableError, match="bins"):
        MdxSeparator(write_mdx(tmp_path / "m.onnx", bins=4000), MdxFigures(2048, 1.0, gives_voice=True))
    with pytest.raises(ModelUnavailableError, match="HTDemucs"):
        DemucsSeparator(write_mdx(tmp_path / "m.onnx", bins=1025))


def test_a_wav_file_is_written_in_pieces_and_clipped() -> None:
    out = io.BytesIO()
    writer = WaveWriter(out, 8_000, 2)
    writer.write(np.array([[0.0, 0.5], [-0.5, 3.0]], np.float32))
    writer.write(np.array([[1.0], [-1.0]], np.float32))
    writer.close()
    out.seek(0)
    with wave.open(out) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8_000, 2, 3)
        samples = np.frombuffer(file.readframes(3), "<i2").tolist()
    assert samples == [0, -16384, 16384, 32767, 32767, -32767]
    assert len(out.getvalue()) == wave_file.DATA_OFFSET + 12


def test_a_file_beyond_four_gigabytes_says_so_in_rf64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wave_file, "_LIMIT", 100)
    out = io.BytesIO()
    writer = WaveWriter(out, 8_000, 1)
    writer.write(np.zeros((1, 200), np.float32))
    writer.close()
    data = out.getvalue()
    assert (data[:4], data[8:16]) == (b"RF64", b"WAVEds64")
    assert int.from_bytes(data[20:28], "little") == len(data) - 8
    assert int.from_bytes(data[28:36], "little") == 400
    assert int.from_bytes(data[36:44], "little") == 200
    assert wav_bytes(np.zeros(1, np.float32))[:4] == b"RIFF"
