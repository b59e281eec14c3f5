"""RTTM (NIST's Rich Transcription Time Marked): who speaks when, one turn a line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from scriba.domain.speakers import SpeakerTurn
from scriba.domain.transcript import Transcript

SPEECH = "speech"
"""Who speaks where nobody is told apart."""
_SPACE = re.compile(r"\s+")


def write_rttm(turns: Iterable[SpeakerTurn], name: str = "recording") -> Iterator[str]:
    """One line for each turn, times in seconds with three digits.

    Args:
        name: of the recording. In it and in names of speakers an underscore stands for white space, which
            parts the fields.
    """
    recording = _SPACE.sub("_", name.strip()) or "recording"
    for turn in turns:
        speaker = _SPACE.sub("_", turn.speaker.strip()) or SPEECH
        length = max(0.0, turn.end - turn.start)
        yield f"SPEAKER {recording} 1 {turn.start:.3f} {length:.3f} <NA> <NA> {speaker} <NA> <NA>\n"


def turns_of(transcript: Transcript) -> Iterator[SpeakerTurn]:
    """The turns that were found; without any, the segments' own times and speakers."""
    if transcript.turns:
        yield from transcript.turns
        return
    for segment in transcript.segments:
        yield SpeakerTurn(segment.start, segment.end, segment.speaker or SPEECH)
