"""Cutting a recording into windows that end in pauses and fill the model's 30 s.

Silence between stretches of speech is left out, so a window may be made of pieces from different places of
the recording; the window knows where each piece came from and restores every time exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from scriba.audio.speech import SpeechDetector, SpeechRegion
from scriba.audio.vad import SpeechProbability
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import VadOptions
from scriba.engine.port import WINDOW_SAMPLES, Audio

_JOIN_GAP = 3 * SAMPLE_RATE
"""A pause shorter than this stays as it is: speakers mean their pauses, and words beside a cut get lost."""
_FRAME = 512
_FRAME_SECONDS = _FRAME / SAMPLE_RATE
_SURE = 0.5
_VOICED = 0.35
"""Probability from which a frame counts as voice when a segment's edges are trimmed."""
LEAST_MISSED = 1.5
"""Seconds of voice that no word covers, from which words are taken to be missing."""
_REACH = 0.3
"""Seconds beyond a word's times that are taken to belong to it."""
_AIR_BEFORE, _AIR_AFTER = 0.1, 0.2
"""Seconds kept beyond the first and last voiced frame: soft sounds at a word's edges are rated low."""
_SEARCH = 10 * SAMPLE_RATE
"""Without voice activity detection, the quietest place in a window's last 10 s is where it ends."""


@dataclass(frozen=True, slots=True)
class Piece:
    """``length`` samples at ``source`` of the recording, standing at ``target`` of the window."""

    source: int
    target: int
    length: int


@dataclass(frozen=True, slots=True)
class Speech:
    """Seconds within the window, and the mean probability of speech there.

    ``frames`` are the probabilities of frames of 32 ms, the first of them at ``heard_from`` seconds.
    """

    start: float
    end: float
    probability: float
    heard_from: float = 0.0
    frames: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """At most 30 s of sound to be decoded at once. ``audio`` is float32 of shape ``(n,)``."""

    index: int
    audio: Audio
    pieces: tuple[Piece, ...]
    speech: tuple[Speech, ...]

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE

    @property
    def start(self) -> float:
        """Seconds from the start of the recording to the first sample."""
        return self.pieces[0].source / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Seconds from the start of the recording to behind the last sample."""
        last = self.pieces[-1]
        return (last.source + last.length) / SAMPLE_RATE

    def restore(self, seconds: float, *, ends: bool = False) -> float:
        """The time in the recording of a time in the window.

        Where two pieces meet, one time of the window is two of the recording: what ``ends`` there belongs to
        the earlier piece, what starts there to the later.
        """
        return self._piece_at(seconds, ends=ends)[1]

    def restore_span(self, start: float, end: float) -> tuple[float, float]:
        """Times of something short (a word) that lies in one piece: the one that holds its middle."""
        piece, _ = self._piece_at((start + end) / 2, ends=False)
        low = piece.target / SAMPLE_RATE
        high = (piece.target + piece.length) / SAMPLE_RATE
        shift = (piece.source - piece.target) / SAMPLE_RATE
        return min(max(start, low), high) + shift, min(max(end, low), high) + shift

    def _piece_at(self, seconds: float, *, ends: bool) -> tuple[Piece, float]:
        sample = seconds * SAMPLE_RATE
        chosen = self.pieces[0]
        for piece in self.pieces[1:]:
            if sample < piece.target or (ends and sample == piece.target):
                break
            chosen = piece
        within = min(max(sample - chosen.target, 0.0), chosen.length)
        return chosen, (chosen.source + within) / SAMPLE_RATE

    def crosses_cut(self, start: float, end: float) -> bool:
        """True when silence was left out between two seconds of the window."""
        return any(start < piece.target / SAMPLE_RATE < end for piece in self.pieces[1:])

    def speech_after(self, seconds: float) -> float:
        """Seconds of speech later than ``seconds`` of the window."""
        return sum(max(0.0, speech.end - max(speech.start, seconds)) for speech in self.speech)

    def speech_probability(self, start: float, end: float) -> float:
        """Mean probability of speech between two seconds of the window, counting what lies between
        stretches of speech as none."""
        total = sum(
            max(0.0, min(end, speech.end) - max(start, speech.start)) * speech.probability
            for speech in self.speech
        )
        return min(1.0, total / (end - start)) if end > start else 0.0

    def voiced_frames(self, threshold: float) -> list[float]:
        """Seconds of the window at which a frame of 32 ms begins that is speech with this probability."""
        return [
            speech.heard_from + index * _FRAME_SECONDS
            for speech in self.speech
            for index, probability in enumerate(speech.frames)
            if probability >= threshold
        ]

    def voiced_seconds(self, start: float, end: float) -> float:
        """Seconds of voice between two seconds of the window."""
        return sum(start <= at < end for at in self.voiced_frames(_SURE)) * _FRAME_SECONDS

    def uncovered(self, spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        """Stretches with at least ``LEAST_MISSED`` seconds of voice that lie in none of the spans."""
        covered = sorted((start - _REACH, end + _REACH) for start, end in spans)
        free: list[float] = []
        position = 0
        furthest = float("-inf")
        for at in self.voiced_frames(_SURE):
            while position < len(covered) and covered[position][0] <= at:
                furthest = max(furthest, covered[position][1])
                position += 1
            if at > furthest:
                free.append(at)
        stretches: list[list[float]] = []
        for at in free:
            if stretches and at - stretches[-1][-1] <= _REACH * 2:
                stretches[-1].append(at)
            else:
                stretches.append([at])
        return [
            (own[0], own[-1] + _FRAME_SECONDS)
            for own in stretches
            if len(own) * _FRAME_SECONDS >= LEAST_MISSED
        ]

    def trim(self, start: float, end: float) -> tuple[float, float]:
        """The part of a span from its first to its last frame of speech, with a little air at both ends; the
        span itself where there is none."""
        inside = [at for at in self.voiced_frames(_VOICED) if start - _FRAME_SECONDS < at < end]
        if not inside:
            return start, end
        first = min(max(start, inside[0] - _AIR_BEFORE), end)
        return first, max(first, min(end, inside[-1] + _FRAME_SECONDS + _AIR_AFTER))


class AudioBuffer:
    """The part of the recording that may still be needed, addressed by absolute sample."""

    def __init__(self) -> None:
        self._blocks: list[Audio] = []
        self._base = 0
        self._end = 0

    @property
    def end(self) -> int:
        return self._end

    def append(self, block: Audio) -> None:
        self._blocks.append(block)
        self._end += len(block)

    def slice(self, start: int, end: int) -> Audio:
        """Samples ``start`` to ``end``, as a new array."""
        parts: list[Audio] = []
        position = self._base
        for block in self._blocks:
            following = position + len(block)
            if following > start and position < end:
                parts.append(block[max(0, start - position) : end - position])
            position = following
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

    def discard_before(self, sample: int) -> None:
        while self._blocks and self._base + len(self._blocks[0]) <= sample:
            self._base += len(self._blocks.pop(0))


def plan_windows(
    blocks: Iterable[Audio], options: VadOptions, *, window_samples: int = WINDOW_SAMPLES
) -> Iterator[Window]:
    """Windows of a recording, in order, each as soon as its last sample is known.

    At most a window, the pause that ends it and a block are held at once.
    """
    if options.enabled:
        return _plan_by_speech(blocks, options, window_samples)
    return _plan_everything(blocks, window_samples)


def _plan_by_speech(blocks: Iterable[Audio], options: VadOptions, window_samples: int) -> Iterator[Window]:
    detector = SpeechDetector(_bounded(options, window_samples))
    buffer = AudioBuffer()
    group: list[SpeechRegion] = []
    index = 0

    def packed() -> Iterator[Window]:
        nonlocal group, index
        if group:
            yield _pack(index, group, buffer)
            index += 1
            group = []

    def accept(regions: list[SpeechRegion]) -> Iterator[Window]:
        for region in regions:
            if group and _cost([*group, region]) > window_samples:
                yield from packed()
            group.append(region)

    for block in blocks:
        buffer.append(block)
        yield from accept(detector.push(block))
        needed = detector.earliest_pending
        buffer.discard_before(min(needed, group[0].start) if group else needed)
    yield from accept(detector.finish())
    yield from packed()


def _bounded(options: VadOptions, window_samples: int) -> VadOptions:
    """Speech without a pause is cut where a window is full, so that the buffer stays bounded."""
    longest = window_samples / SAMPLE_RATE
    return replace(options, max_speech_duration_s=min(options.max_speech_duration_s, longest))


def _pieces(regions: list[SpeechRegion]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for region in regions:
        if spans and region.start - spans[-1][1] < _JOIN_GAP:
            spans[-1] = (spans[-1][0], max(region.end, spans[-1][1]))
        else:
            spans.append((region.start, region.end))
    return spans


def _cost(regions: list[SpeechRegion]) -> int:
    return sum(end - start for start, end in _pieces(regions))


def _pack(index: int, regions: list[SpeechRegion], buffer: AudioBuffer) -> Window:
    pieces: list[Piece] = []
    parts: list[Audio] = []
    target = 0
    for start, end in _pieces(regions):
        audio = buffer.slice(start, end)
        pieces.append(Piece(start, target, len(audio)))
        parts.append(audio)
        target += len(audio)
    spans = tuple(pieces)

    def inside(sample: int) -> float:
        for piece in spans:
            if piece.source <= sample <= piece.source + piece.length:
                return (piece.target + sample - piece.source) / SAMPLE_RATE
        return target / SAMPLE_RATE

    speech = tuple(
        Speech(inside(r.start), inside(r.end), r.probability, inside(r.heard_from), r.frames) for r in regions
    )
    return Window(index, np.concatenate(parts), spans, speech)


def _plan_everything(blocks: Iterable[Audio], window_samples: int) -> Iterator[Window]:
    """Every sample in some window; cut where speech is least likely, so that words stay whole."""
    buffer = AudioBuffer()
    probability = SpeechProbability()
    probabilities: list[float] = []
    start = 0
    index = 0

    def window(end: int) -> Window:
        first = start // _FRAME
        inside = probabilities[first : max(first + 1, -(-end // _FRAME))]
        seconds = (end - start) / SAMPLE_RATE
        mean = float(np.mean(inside)) if inside else 0.0
        audio = buffer.slice(start, end)
        heard_from = (first * _FRAME - start) / SAMPLE_RATE
        speech = Speech(0.0, seconds, mean, heard_from, tuple(inside))
        return Window(index, audio, (Piece(start, 0, len(audio)),), (speech,))

    for block in blocks:
        buffer.append(block)
        probabilities.extend(probability.push(block).tolist())
        while buffer.end - start > window_samples and len(probabilities) * _FRAME >= start + window_samples:
            low = (start + window_samples - min(_SEARCH, window_samples // 2)) // _FRAME
            high = (start + window_samples) // _FRAME
            smooth = np.convolve(probabilities[low:high], np.ones(9) / 9, mode="same")
            end = (low + int(np.argmin(smooth))) * _FRAME + _FRAME // 2
            yield window(end)
            index += 1
            start = end
            buffer.discard_before(start)
    probabilities.extend(probability.flush().tolist())
    if buffer.end > start:
        yield window(buffer.end)
