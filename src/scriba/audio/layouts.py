"""Channel layouts, and two faults of PyAV's (seen in 18.1) around them by which a file could crash us.

1. A layout in a custom channel order (AIFF, CAF and QuickTime files with surround sound have them) owns
   memory. PyAV copies the pointer and frees it with each copy: a double free. A frame's layout is one.
2. PyAV finds the planes of a frame by looking for a null pointer, which is not there after the eighth.

So no decoder is told a custom order, a frame that has one all the same is never let go of by us twice, and
planar frames of eight and more channels are made interleaved before anything looks at their planes.
"""

from __future__ import annotations

from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream

from scriba.domain.errors import UnsupportedMediaError

PLANES_FOUND_SAFELY = 7

_kept: list[AudioLayout] = []


def _may_own_memory(layout: AudioLayout) -> bool:
    # FFmpeg describes custom orders, and native ones without a name, as "3 channels (FL+FR+BC)".
    return " channels (" in layout.name


def plain_layout(stream: AudioStream) -> None:
    """Before decoding: replace a custom channel order by a mere number of channels."""
    context = stream.codec_context
    layout = context.layout
    if _may_own_memory(layout):
        # The context forgets the old layout, so that this object is the only one to free it.
        context.layout = f"{layout.nb_channels} channels"


def refuse_custom_layouts(frames: list[AudioFrame]) -> None:
    """After decoding a packet.

    Raises:
        UnsupportedMediaError: the decoder itself made a custom channel order (Opus ambisonics, MPEG-H-like).
    """
    custom = [frame.layout for frame in frames if _may_own_memory(frame.layout)]
    if custom:
        _kept.extend(custom)  # a few bytes a file, for good: the frames free what these point to
        raise UnsupportedMediaError(
            f"The file's {custom[0].nb_channels} channels are in an order that cannot be decoded.",
            field="file",
        )


class Interleaver:
    """Makes planar frames of many channels interleaved; leaves others as they are."""

    def __init__(self) -> None:
        self._graph: AudioResampler | None = None

    def __call__(self, frame: AudioFrame) -> list[AudioFrame]:
        """The same samples, in the same channels, at the same rate. All frames have to be of one kind."""
        if not frame.format.is_planar or frame.layout.nb_channels <= PLANES_FOUND_SAFELY:
            return [frame]
        if self._graph is None:
            self._graph = AudioResampler(format="flt", layout=frame.layout.name, rate=frame.sample_rate)
        return self._graph.resample(frame)
