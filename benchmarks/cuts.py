"""Short clips cut out of longer speech at its pauses, each with the words that are said in it.

Which words those are is known by aligning the reference text to the sound (cross-attention, tiny.en). A clip
is cut only in silence that the alignment, too, puts between two words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from benchmarks.recordings import Samples, Speech, write_wav
from benchmarks.weights import find_weights
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.transcript import Task
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.port import WINDOW_SAMPLES, AlignedWord, Phrase
from scriba.engine.tokenizer import WhisperTokenizer

LENGTHS = (2, 3, 5, 10, 20)
"""Seconds."""
_FRAME = SAMPLE_RATE // 50
_PAUSE_FRAMES = 6
"""0.12 s of silence is a pause."""
_QUIET, _NOISE, _AUDIBLE = 0.05, 2.5, 0.1
"""Silence is under the first share of the loud frames (the 95th percentile), or under so many times the
noise (the 5th), but never over the last share of the loud ones."""
_SHORTEST, _ENOUGH, _LONGEST = 0.8, 0.95, 1.1
"""Shares of the length asked for that a clip may have; from the second on nothing is added."""


class Aligner:
    """Finds when each word of a reference is said. Holds a model until it is closed."""

    def __init__(self) -> None:
        folder = find_weights("tiny.en").folder
        self._engine = CTranslate2Engine(folder, model="tiny.en")
        self._tokenizer = WhisperTokenizer(folder / "tokenizer.json", multilingual=False)

    def words(self, speech: Speech) -> list[AlignedWord]:
        """The words with their times; none where the text is not known or the speech is too long."""
        if not speech.text or len(speech.samples) > WINDOW_SAMPLES:
            return []
        tokens = tuple(self._tokenizer.encode(" " + speech.text.strip()))
        phrase = Phrase(0.0, speech.seconds, speech.text, tokens)
        [words] = self._engine.align(self._engine.encode(speech.samples), [phrase], "en", Task.TRANSCRIBE)
        return words

    def close(self) -> None:
        self._engine.close()


def pauses(samples: Samples) -> list[float]:
    """The middle of every silence inside the speech, in seconds."""
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    loudness = np.sqrt(np.mean(np.square(frames), axis=1))
    if not len(loudness):
        return []
    noise, loud = np.percentile(loudness, 5), np.percentile(loudness, 95)
    silent = loudness < min(_AUDIBLE * loud, max(_QUIET * loud, _NOISE * noise))
    found: list[float] = []
    position = 0
    for quiet, run in groupby(silent.tolist()):
        length = len(list(run))
        inside = position > 0 and position + length < len(silent)
        if quiet and inside and length >= _PAUSE_FRAMES:
            found.append((position + length / 2) * _FRAME / SAMPLE_RATE)
        position += length
    return found


def pieces(speech: Speech, words: Sequence[AlignedWord]) -> list[Speech]:
    """The speech cut at every pause that is no word's; without words, the text of the pieces is not known."""
    places = [place for place in pauses(speech.samples) if not any(_within(place, word) for word in words)]
    edges = [0.0, *places, speech.seconds]
    found: list[Speech] = []
    for start, end in pairwise(edges):
        said = "".join(word.text for word in words if start <= (word.start + word.end) / 2 < end).strip()
        samples = speech.samples[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        found.append(Speech(f"{speech.name}@{start:.2f}", samples, said if words else None, speech.speaker))
    return found


def _within(place: float, word: AlignedWord) -> bool:
    """Whether a cut there would be in the middle half of the word."""
    margin = (word.end - word.start) / 4
    return word.start + margin < place < word.end - margin


def pack(parts: Sequence[Speech], seconds: float) -> list[Speech]:
    """Neighbouring pieces of one speaker put together until they last about so long; each is used once."""
    clips: list[Speech] = []
    for _, group in groupby(parts, key=lambda part: part.speaker):
        held: list[Speech] = []
        for part in group:
            held.append(part)
            while held and _seconds(held) > _LONGEST * seconds:
                fits = held[:-1]
                if _seconds(fits) >= _SHORTEST * seconds:
                    clips.append(_together(fits))
                    held = held[-1:]
                else:
                    held = held[1:]
            if held and _seconds(held) >= _ENOUGH * seconds:
                clips.append(_together(held))
                held = []
    return clips


def _seconds(parts: Iterable[Speech]) -> float:
    return sum(part.seconds for part in parts)


def _together(parts: Sequence[Speech]) -> Speech:
    texts = [part.text for part in parts]
    text = None if None in texts else " ".join(text for text in texts if text)
    return Speech(parts[0].name, np.concatenate([part.samples for part in parts]), text, parts[0].speaker)


def cut_clips(speeches: Sequence[Speech], lengths: Sequence[float] = LENGTHS) -> dict[float, list[Speech]]:
    """Clips by length. A clip in which nothing is said is left out."""
    aligner = Aligner()
    try:
        cut = [piece for speech in speeches for piece in pieces(speech, aligner.words(speech))]
    finally:
        aligner.close()
    return {
        length: [clip for clip in pack(cut, length) if clip.text is None or clip.text] for length in lengths
    }


def write_clips(folder: Path, clips: Sequence[Speech], length: float) -> list[tuple[Path, Speech]]:
    """A WAV file for each clip."""
    return [
        (write_wav(folder / f"{length:g}s-{number:03}.wav", clip.samples), clip)
        for number, clip in enumerate(clips)
    ]
