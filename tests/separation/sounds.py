"""Real speech over made-up music, and models of the right shape."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scriba.audio.decode import open_recording
from scriba.models.convert.onnx_graph import GraphBuilder
from tests import speech

Mono = NDArray[np.float32]
RATE = 16_000


def voice(seconds: float | None = None) -> Mono:
    """Real speech, 16 kHz mono."""
    with open_recording(speech.beckett()) as recording:
        samples = np.concatenate(list(recording.blocks()))
    return samples if seconds is None else samples[: int(seconds * RATE)]


def music(samples: int) -> Mono:
    """Chords of a few harmonics each, one a second, 16 kHz mono, without a voice."""
    at = np.arange(samples) / RATE
    out = np.zeros(samples)
    for number, root in enumerate((220.0, 174.6, 130.8, 196.0) * (samples // (4 * RATE) + 1)):
        held = ((at - number) % 1e9 >= 0) & (at - number < 1.0) & (at - number >= 0)
        envelope = np.exp(-2.0 * np.clip(at - number, 0, None)) * held
        for ratio in (1.0, 1.25, 1.5):
            for harmonic in range(1, 6):
                out += envelope * np.sin(2 * np.pi * root * ratio * harmonic * at) / harmonic
    return out.astype(np.float32)


def over_music(clean: Mono, decibels: float) -> Mono:
    """The voice so many decibels above music."""
    tune = music(len(clean))
    gain = np.sqrt(float(clean @ clean) / float(tune @ tune) / 10 ** (decibels / 10))
    return clean + np.float32(gain) * tune


def si_sdr(estimate: Mono, reference: Mono) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019)."""
    estimate, reference = estimate - estimate.mean(), reference - reference.mean()
    target = float(estimate @ reference) / float(reference @ reference) * reference
    error = estimate - target
    return float(10 * np.log10(float(target @ target) / (float(error @ error) + 1e-12)))


def wav_bytes(samples: NDArray[np.float32], rate: int = RATE) -> bytes:
    """Shape (samples,) or (channels, samples) as a 16-bit WAV."""
    channels = np.atleast_2d(samples)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(channels.T, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def read_wav(data: bytes) -> tuple[NDArray[np.float32], int]:
    """Samples of shape (channels, samples), and their rate."""
    with wave.open(io.BytesIO(data)) as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
        samples: NDArray[np.float32] = (raw / np.float32(32767)).reshape(-1, file.getnchannels()).T
        return samples, int(file.getframerate())


def write_mdx(path: Path, *, bins: int, frames: int | str = 256, share: float = 0.5) -> Path:
    """A network of MDX-Net's form that knows nothing: its answer is ``share`` of what it hears."""
    graph = GraphBuilder("mdx")
    heard = graph.input("input", ["batch", 4, bins, frames])
    answer = graph.add("Mul", heard, graph.floats(np.array([share])))
    graph.output(answer, "output", ["batch", 4, bins, frames])
    graph.write(path)
    return path
