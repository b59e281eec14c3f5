"""The whole sound beside the voice that was parted from it: heard too, and the surer hearing counts.

Taking music away also takes from the voice. On speech over music, and on clean speech, the model's own mean
log probability tells well which of the two it understood better (docs/separation.md has the figures).
"""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

import numpy as np

from scriba.domain.options import TranscribeOptions
from scriba.engine.port import Audio, Encoded
from scriba.engine.steps import Flow
from scriba.separation.wave_file import DATA_OFFSET
from scriba.transcribe.listening import Pass, listen
from scriba.transcribe.port import Source
from scriba.transcribe.windows import Window

_CONVINCING_LOGPROB = -0.7
_MARGIN = 0.03
"""By so much the voice must be the surer one: what a model takes away makes a guess sound sure, too."""
_KEPT = 0.3
"""Share of the music that stays where it is louder than the voice, and taking it away hurts most."""
_NOTHING = float("-inf")


class SoundBeside:
    """Voice and whole sound, 16 kHz mono of 16 bits in files of our own, sample for sample beside each other.

    Windows are planned on the whole: what is heard of it is then what is heard without separation.

    Args:
        recording: what both come from, as it was sent, with all of its channels.
    """

    def __init__(self, voice: BinaryIO, whole: BinaryIO, recording: Source | None = None) -> None:
        self._file = voice
        self.whole = whole
        self.recording = recording

    def of(self, window: Window) -> Window:
        """The same window with the voice in it."""
        audio = np.concatenate([self._read(piece.source, piece.length) for piece in window.pieces])
        return replace(window, audio=audio)

    def soften(self, voice: Window, whole: Window) -> Window:
        """The voice with some of the music left in, where the music is the louder of the two."""
        rest = whole.audio - voice.audio
        if float(np.dot(rest, rest)) <= float(np.dot(voice.audio, voice.audio)):
            return voice
        return replace(voice, audio=voice.audio + np.float32(_KEPT) * rest)

    def _read(self, start: int, length: int) -> Audio:
        self._file.seek(DATA_OFFSET + 2 * start)
        samples = np.frombuffer(self._file.read(2 * length), "<i2").astype(np.float32) / np.float32(32767)
        return np.pad(samples, (0, length - len(samples)))


def listen_to_both(
    voice: Window,
    whole: Window,
    encoded: Encoded | None,
    language: str,
    options: TranscribeOptions,
    previous: tuple[int, ...],
    *,
    word_times: bool,
) -> Flow[list[Pass]]:
    """As ``listen``, of two sounds of the same window; what the model is surer of."""
    first = yield from listen(voice, encoded, language, options, previous, word_times=word_times)
    second = yield from listen(whole, None, language, options, previous, word_times=word_times)
    sure, other = sureness(first), sureness(second)
    if sure == _NOTHING:
        # Nobody speaks, says the voice: to believe that somebody does takes more than a guess.
        return second if other > _CONVINCING_LOGPROB and not _doubted(second) else first
    return first if sure > other + _MARGIN else second


def sureness(passes: list[Pass]) -> float:
    """Mean log probability of the tokens that were heard; minus infinity where there are none."""
    total, count = 0.0, 0
    for heard in passes:
        tokens = sum(len(own.phrase.tokens) for own in heard.phrases)
        if tokens and not heard.silent:
            total += heard.decoded.avg_logprob * tokens
            count += tokens
    return total / count if count else _NOTHING


def _doubted(passes: list[Pass]) -> bool:
    return any(
        heard.decoded.no_speech_prob > 0.5 or heard.decoded.compression_ratio > 2.0 for heard in passes
    )
