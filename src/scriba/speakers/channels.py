"""A speaker in every channel: each speaks where there is speech in the channel that is no echo of another.

Speech of one microphone is heard in the others, too, more quietly. So a channel counts where it is not much
quieter than the loudest one at that moment, after allowance for a microphone that is always quieter. One
whose level always follows another's is that sound once more, louder or quieter: mono in two channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.audio.samples import Sound
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import InvalidOptionError
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn, speaker_name
from scriba.speakers.frames import FRAME_STEP, WINDOW_FRAMES, Activity
from scriba.speakers.naming import turns
from scriba.speakers.networks import Networks
from scriba.speakers.port import Diarizer, NetworkProvider, Source, Steps, Tell
from scriba.speakers.timeline import Placed, stretches
from scriba.speakers.waiting import in_order
from scriba.speakers.windows import PAUSE_SECONDS, sliding

MAX_CHANNELS = 16
_HOP_SAMPLES = 5 * SAMPLE_RATE
_ECHO_DB = 6.0
"""How much quieter than the loudest a channel is that only echoes it."""
_QUIETER_DB = 6.0
"""The most that is allowed for a microphone that is always quieter."""
_FAINT_DB = 25.0
"""How much quieter than speech usually is in a channel what is none of it."""
_SAME_DB = 2
"""How far the difference of two channels may move from its median where one is a copy of the other."""
_SAME_SHARE = 0.995
"""Share of speech in which it stays there."""
_SILENCE_DB = -100.0
_SMOOTH = 15
"""Frames of 17 ms."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """A window: where each channel has speech (frames, channels), and its level in dB as int8, alike."""

    sample: int
    speech: NDArray[np.uint8]
    level: NDArray[np.int8]

    @property
    def activity(self) -> Activity:
        channels = self.level.shape[1]
        flat = np.unpackbits(self.speech, count=WINDOW_FRAMES * channels)
        activity: Activity = flat.reshape(WINDOW_FRAMES, channels).astype(np.bool_)
        return activity


class ChannelDiarizer:
    """Implements ``scriba.speakers.port.Diarizer``: channels where they are asked for, else what is given.

    Args:
        others: asked where nobody asks for channels.
    """

    def __init__(
        self, networks: NetworkProvider, others: Diarizer, limits: DecodeLimits | None = None
    ) -> None:
        self._networks = networks
        self._others = others
        self._limits = limits or DecodeLimits()

    def run(
        self, source: Source, options: SpeakerOptions, steps: Steps, cancel: CancelToken, tell: Tell
    ) -> list[SpeakerTurn]:
        if not options.channels:
            return self._others.run(source, options, steps, cancel, tell)
        with (
            self._networks.acquire(cancel) as networks,
            open_recording(source, self._limits, Sound(each=True)) as recording,
        ):
            windows: list[_Heard] = []
            sliced = sliding(_several(recording.blocks(cancel)), lambda _: _HOP_SAMPLES)
            works = (partial(_hear, networks, sample, audio) for sample, audio in sliced)
            for heard in in_order(works, steps, cancel):
                windows.append(heard)
                tell(heard.sample / SAMPLE_RATE, recording.info.duration)
            duration = recording.seconds_decoded
        channels = windows[0].level.shape[1]
        found = stretches(_placed(windows, cancel), channels, duration)
        names = {channel: speaker_name(channel) for channel in range(channels)}
        return turns(found, names, pause=PAUSE_SECONDS)


def _several(blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        if not 2 <= len(block) <= MAX_CHANNELS:
            raise InvalidOptionError(
                f"speaker_channels wants a recording of 2 to {MAX_CHANNELS} channels; "
                f"this one has {len(block)}.",
                field="speaker_channels",
            )
        yield block


def _hear(networks: Networks, sample: int, audio: NDArray[np.float32]) -> _Heard:
    speech = np.stack([networks.segment(channel).any(axis=1) for channel in audio], axis=1)
    speech[max(0, audio.shape[1] // FRAME_STEP) :] = False  # nobody speaks after the end
    return _Heard(sample, np.packbits(speech), _levels(audio))


def _levels(audio: NDArray[np.float32]) -> NDArray[np.int8]:
    """(frames, channels) in dB of full scale."""
    padded = np.zeros((len(audio), WINDOW_FRAMES * FRAME_STEP), np.float32)
    length = min(audio.shape[1], padded.shape[1])
    padded[:, :length] = audio[:, :length]
    power = np.square(padded).reshape(len(audio), WINDOW_FRAMES, FRAME_STEP).mean(axis=2)
    decibels = 10 * np.log10(np.maximum(power, 10 ** (_SILENCE_DB / 10)))
    levels: NDArray[np.int8] = np.clip(np.rint(decibels), _SILENCE_DB, 20).T.astype(np.int8)
    return levels


def _placed(windows: Sequence[_Heard], cancel: CancelToken) -> Iterator[Placed]:
    usual = _usual_levels(windows)
    own_sound = ~_copies(windows, cancel)
    spoken = usual[usual > _SILENCE_DB]
    allowance = np.clip((spoken.max() if len(spoken) else _SILENCE_DB) - usual, 0.0, _QUIETER_DB)
    everyone = tuple(range(len(usual)))
    for window in windows:
        cancel.check()
        own = _smooth(window.level)
        level = own + allowance
        near = (level >= level.max(axis=1, keepdims=True) - _ECHO_DB) & (own >= usual - _FAINT_DB)
        yield Placed(window.sample, window.activity & near & own_sound, everyone)


def _smooth(level: NDArray[np.int8]) -> NDArray[np.float64]:
    """The level of a quarter of a second: a pause between two syllables is no change of speaker."""
    power = np.pad(10.0 ** (level / 10.0), ((_SMOOTH // 2 + 1, _SMOOTH // 2), (0, 0)), "edge")
    sums = np.cumsum(power, axis=0)
    mean = (sums[_SMOOTH:] - sums[:-_SMOOTH]) / _SMOOTH
    smooth: NDArray[np.float64] = 10.0 * np.log10(np.maximum(mean, 10.0 ** (_SILENCE_DB / 10)))
    return smooth


def _copies(windows: Sequence[_Heard], cancel: CancelToken) -> NDArray[np.bool_]:
    """Which channels are another one's sound, of which that one counts: the louder, or the first."""
    channels = windows[0].level.shape[1]
    pairs = list(combinations(range(channels), 2))
    counts = np.zeros((len(pairs), 512), np.int64)
    for window in windows:
        cancel.check()
        activity, level = window.activity, window.level.astype(np.int64)
        for pair, (one, other) in enumerate(pairs):
            spoken = activity[:, one] | activity[:, other]
            counts[pair] += np.bincount(level[spoken, one] - level[spoken, other] + 256, minlength=512)
    copies = np.zeros(channels, np.bool_)
    for (one, other), count in zip(pairs, counts, strict=True):
        total = int(count.sum())
        median = int(np.searchsorted(count.cumsum(), 0.5 * total))
        if total and count[median - _SAME_DB : median + _SAME_DB + 1].sum() >= _SAME_SHARE * total:
            copies[other if median >= 256 else one] = True
    return copies


def _usual_levels(windows: Sequence[_Heard]) -> NDArray[np.float64]:
    """How loud speech is in each channel: the 90th percentile of its level there."""
    channels = windows[0].level.shape[1]
    counts = np.zeros((channels, 256), np.int64)
    for window in windows:
        activity = window.activity
        for channel in range(channels):
            levels = window.level[activity[:, channel], channel].astype(np.int64)
            counts[channel] += np.bincount(levels + 128, minlength=256)
    usual = np.full(channels, _SILENCE_DB)
    for channel, count in enumerate(counts):
        if count.sum():
            usual[channel] = float(np.searchsorted(count.cumsum(), 0.9 * count.sum())) - 128
    return usual
