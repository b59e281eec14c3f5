"""Opening a media container that somebody else made, safely.

What a file may make FFmpeg do is bounded here: only real containers (no playlist, no manifest, no device, no
script format, whose content may name other files or addresses), no protocol at all besides the bytes handed
in, only audio codecs, and bounded frames.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

import av
import av.codec
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard

from scriba.audio.layouts import plain_layout
from scriba.audio.source import ByteSource
from scriba.domain.errors import UnsupportedMediaError
from scriba.domain.media import MediaInfo

# FFmpeg writes to standard error by itself unless told not to; what matters comes as exceptions.
av.logging.set_level(None)
av.logging.set_libav_level(av.logging.PANIC)

CONTAINERS = ",".join(
    (
        "3gp,aa,aac,aax,ac3,ac4,aea,aiff,alaw,amr,amrnb,amrwb,ape,asf,asf_o,ast,au,avi,avr,caf,codec2,daud",
        "dhav,dsf,dss,dts,dtshd,dv,eac3,flac,flv,gsm,gxf,hcom,iamf,iff,ilbc,ircam,ivf,kux,lc3,live_flv,loas",
        "lvf,m4a,matroska,webm,mlp,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,obu",
        "ogg,oma,osq,paf,pva,qcp,qoa,rka,rm,rso,sbc,sds,shn,sol,sox,spdif,swf,tak,truehd,tta,ty,voc,vqf,w64",
        "wav,wavarc,wsd,wtv,wv,xwma",
    )
)
"""Demuxers that read one self-contained file. Left out on purpose: hls, dash, concat, sdp, imf, image
sequences, subtitles, game formats, capture devices and every raw format that has no header to be known by."""

MAX_SAMPLES_PER_FRAME = 1 << 22
"""Samples a channel that one packet may decode to (87 s at 48 kHz): the largest real ones (Monkey's Audio)
have 1.2 million."""


WAVE_PROBE_PACKETS = 4
"""Packets of a WAV file that are searched for DTS in disguise: at the rates that has, 64 KiB, which hold a
dozen of its frames. FFmpeg's own bound has it search far more, again with every doubling: 10 to 20 ms."""


@cache
def _audio_codecs() -> str:
    """Names of all audio decoders: so probing never opens a video or subtitle decoder on hostile bytes."""
    names = []
    for name in sorted(av.codec.codecs_available):
        try:
            codec = av.codec.Codec(name, "r")
        except ValueError:  # encoder only
            continue
        if codec.type == "audio":
            names.append(name)
    return ",".join(names)


def _refuse_to_open(url: str, flags: int, options: dict[str, str]) -> object:  # noqa: ARG001
    raise PermissionError("media may not open other files")


_BUFFER_BYTES = 1 << 16
_LIVE_PROBE_BYTES = 1 << 12


class ByteStream(Protocol):
    """Bytes that come one after the other, without end in sight."""

    def read(self, size: int = -1) -> bytes:
        """Some bytes, waiting for the first; ``b""`` at the end."""
        ...


def open_live_container(stream: ByteStream) -> InputContainer:
    """As ``open_container``, for bytes that are still coming: no more is read than the headers need.

    Raises:
        UnsupportedMediaError: they are no media of a kind in ``CONTAINERS``.
    """
    options = _options() | {"probesize": str(_LIVE_PROBE_BYTES), "analyzeduration": "0"}
    try:
        return av.open(
            stream,
            mode="r",
            metadata_errors="ignore",
            io_open=_refuse_to_open,
            buffer_size=_BUFFER_BYTES,
            container_options=options,
        )
    except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
        raise UnsupportedMediaError(
            "The audio is not a media stream that can be decoded: it is of an unknown kind, or corrupt.",
            field="audio",
        ) from error


def _options() -> dict[str, str]:
    return {
        "format_whitelist": CONTAINERS,
        "protocol_whitelist": "none",
        "codec_whitelist": _audio_codecs(),
        "max_streams": "64",
    }


def open_container(source: ByteSource) -> InputContainer:
    """Probe the bytes and read the headers.

    Raises:
        UnsupportedMediaError: they are no media of a kind in ``CONTAINERS``, or too corrupt to tell.
        ScribaError: what reading ``source`` raised.
    """
    options = _options()
    if _is_wave(source):
        options["max_probe_packets"] = str(WAVE_PROBE_PACKETS)
    try:
        container = av.open(
            source,
            mode="r",
            metadata_errors="ignore",
            io_open=_refuse_to_open,
            buffer_size=_BUFFER_BYTES,
            container_options=options,
        )
    except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
        source.raise_stashed()
        raise UnsupportedMediaError(
            "The file is not media that can be decoded: it is of an unknown kind, or corrupt.", field="file"
        ) from error
    try:
        source.raise_stashed()
    except BaseException:
        container.close()
        raise
    return container


def _is_wave(source: ByteSource) -> bool:
    start = source.read(12)
    source.seek(0)
    return start[:4] in {b"RIFF", b"RF64"} and start[8:] == b"WAVE"


def choose_audio(container: InputContainer) -> AudioStream:
    """The audio track that a player would choose, ready to decode; every other stream is discarded.

    Raises:
        UnsupportedMediaError: there is none, or none whose codec can be decoded.
    """
    tracks = container.streams.audio
    if not tracks:
        raise UnsupportedMediaError("The file has no audio track.", field="file")
    best = container.streams.best("audio")
    chosen = best if isinstance(best, AudioStream) else tracks[0]
    if chosen.codec_context is None:
        raise UnsupportedMediaError("The codec of the file's audio track cannot be decoded.", field="file")
    for stream in container.streams:
        if stream.index != chosen.index:
            stream.discard = Discard.all
    # One thread a file: several files are decoded at once, and the engine wants the other cores.
    chosen.codec_context.thread_count = 1
    chosen.codec_context.options = {"max_samples": str(MAX_SAMPLES_PER_FRAME)}
    plain_layout(chosen)
    return chosen


def describe(container: InputContainer, stream: AudioStream) -> MediaInfo:
    """What the headers say, as far as it makes sense at all."""
    duration = container.duration
    context = stream.codec_context
    return MediaInfo(
        container=container.format.name,
        codec=context.codec.canonical_name,
        sample_rate=context.sample_rate or 0,
        channels=context.channels or 0,
        duration=duration / av.time_base if duration is not None and duration > 0 else None,
    )
