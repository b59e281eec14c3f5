"""What is answered to OpenAI's clients."""

from __future__ import annotations

from scriba.domain.options import TranscribeOptions
from scriba.domain.speakers import KnownSpeaker, SpeakerOptions
from scriba.doors.openai.replies import Letters, letters_for


def test_speakers_without_a_name_are_letters_in_order() -> None:
    letters = Letters()
    assert [letters(f"SPEAKER_{number:02d}") for number in (3, 0, 3, 1)] == ["A", "B", "A", "C"]
    many = Letters()
    assert [many(f"SPEAKER_{number:02d}") for number in range(28)][-3:] == ["Z", "AA", "AB"]


def test_a_known_speakers_name_is_nobody_elses() -> None:
    known = tuple(KnownSpeaker(name, b"clip") for name in ("A", "SPEAKER_00"))
    letters = letters_for(TranscribeOptions(speakers=SpeakerOptions(known=known)))
    heard = [letters(name) for name in ("SPEAKER_01", "A", "SPEAKER_00", "SPEAKER_02")]
    assert heard == ["B", "A", "SPEAKER_00", "C"]
