"""Recordings made in code: every container and codec worth having, right ones and broken ones.

The sound is a sine (or several), so that a test can tell by its frequency and length what became of it.
"""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

Sound = NDArray[np.float32]
"""Shape (channels, samples), full scale 1."""

LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def sine(
    seconds: float, rate: int, *, frequency: float = 440.0, amplitude: float = 0.5, channels: int = 1
) -> Sound:
    """The same sine on every channel."""
    times = np.arange(round(seconds * rate)) / rate
    wave = (amplitude * np.sin(2 * np.pi * frequency * times)).astype(np.float32)
    return np.tile(wave, (channels, 1))


def frequency_of(samples: NDArray[np.float32], rate: int = 16_000) -> float:
    """The strongest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def level_of(samples: NDArray[np.float32]) -> float:
    """Root mean square of the middle half (encoders fade at the ends)."""
    quarter = len(samples) // 4
    return float(np.sqrt(np.mean(np.square(samples[quarter : 3 * quarter]))))


def _frame(sound: Sound, kind: str, layout: str, rate: int) -> AudioFrame:
    planar = kind.endswith("p")
    scale = {"u8": (127, 128, np.uint8), "s16": (32767, 0, np.int16), "s32": (2147483520, 0, np.int32)}
    base = kind.removesuffix("p")
    if base in scale:
        factor, offset, dtype = scale[base]
        data = np.round(sound.astype(np.float64) * factor + offset).astype(dtype)
    else:
        data = sound.astype(np.float64 if base == "dbl" else np.float32)
    shaped = data if planar else data.T.reshape(1, -1)
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(shaped), format=kind, layout=layout)
    frame.sample_rate = rate
    return frame


class _WriteOnly:
    """A pipe: a muxer cannot go back to fill in the duration."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def encode(
    sound: Sound,
    rate: int,
    container: str,
    codec: str,
    *,
    seekable: bool = True,
    layout: str | None = None,
    gap: tuple[float, float] | None = None,
    video: bool = False,
    bit_rate: int | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """A file. ``gap`` (at, seconds): from ``at`` on, timestamps are that much later."""
    target = io.BytesIO() if seekable else _WriteOnly()
    with av.open(target, "w", format=container) as output:
        picture = _add_video(output) if video else None
        stream = output.add_stream(codec, rate=rate)
        assert isinstance(stream, AudioStream)
        stream.layout = layout or LAYOUTS[sound.shape[0]]
        if bit_rate:
            stream.bit_rate = bit_rate
        stream.codec_context.options = options or {}
        kind = stream.format.name if stream.format else (stream.codec.audio_formats or [])[0].name
        step = max(1, rate // 10)
        if picture:
            picture()
        for start in range(0, sound.shape[1], step):
            frame = _frame(sound[:, start : start + step], kind, layout or LAYOUTS[sound.shape[0]], rate)
            frame.pts, frame.time_base = start, Fraction(1, rate)
            for packet in stream.encode(frame):
                output.mux(_late(packet, gap))
        for packet in stream.encode(None):
            output.mux(_late(packet, gap))
    return target.getvalue() if isinstance(target, io.BytesIO) else bytes(target.data)


def _late(packet: Packet[AudioStream], gap: tuple[float, float] | None) -> Packet[AudioStream]:
    if gap is not None and packet.pts is not None and packet.pts * packet.time_base >= gap[0]:
        late = round(Fraction(gap[1]) / packet.time_base)
        packet.pts += late
        if packet.dts is not None:
            packet.dts += late
    return packet


def _add_video(output: av.container.OutputContainer, frames: int = 25) -> Callable[[], None]:
    stream = output.add_stream("mpeg4", rate=25)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"

    def write() -> None:
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number * 5, np.uint8), format="rgb24")
            for packet in stream.encode(picture):
                output.mux(packet)
        for packet in stream.encode(None):
            output.mux(packet)

    return write


def video_only(container: str = "mp4") -> bytes:
    """A second of pictures without sound."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        _add_video(output)()
    return target.getvalue()


def wav(
    data: bytes,
    *,
    rate: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    claimed_bytes: int | None = None,
    tag: int = 1,
) -> bytes:
    """A RIFF file written by hand, so that its header may lie."""
    size = len(data) if claimed_bytes is None else claimed_bytes
    align = channels * bits // 8
    header = struct.pack("<HHIIHH", tag, channels, rate, (rate * align) & 0xFFFFFFFF, align & 0xFFFF, bits)
    riff = (36 + size) & 0xFFFFFFFF
    return b"".join(
        (
            *(b"RIFF", struct.pack("<I", riff), b"WAVEfmt ", struct.pack("<I", 16), header),
            *(b"data", struct.pack("<I", size & 0xFFFFFFFF), data),
        )
    )


def pcm16(sound: Sound) -> bytes:
    """Interleaved little-endian 16-bit samples."""
    return np.round(sound.T * 32767).astype("<i2").tobytes()


def dts_in_wav(frame_bytes: int, frames: int = 400) -> bytes:
    """A WAV file that says PCM and holds DTS, as discs were copied: right headers, noise in the frames."""
    fields = (1, 1), (31, 5), (0, 1), (15, 7), (frame_bytes - 1, 14), (2, 6), (8, 4), (22, 5), (0, 45)
    header = (0x7FFE8001).to_bytes(4, "big") + int(
        "".join(format(value, f"0{width}b") for value, width in fields), 2
    ).to_bytes(11, "big")
    random = np.random.default_rng(0)
    stream = b"".join(header + random.bytes(frame_bytes - len(header)) for _ in range(frames))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(np.frombuffer(stream, ">i2").astype("<i2").tobytes())
    return out.getvalue()
