"""Events survive being written down."""

from __future__ import annotations

import json

import pytest

from scriba.domain.speakers import SpeakerTurn
from scriba.domain.transcript import Segment, Suppressed, SuppressionReason, Word
from scriba.live.events import (
    DURABLE,
    Flushed,
    Lag,
    LanguageHeard,
    Partial,
    Refined,
    SegmentFinal,
    Settled,
    SpeakersFound,
    SpeechPaused,
    SpeechStarted,
    Withheld,
)
from scriba.live.numbered import (
    Acknowledged,
    Failed,
    Finished,
    Numbered,
    SessionEvent,
    from_record,
    to_record,
)

WORDS = (Word(0.5, 0.9, " Grüße", 0.75), Word(1.0, 1.25, ' "x"', 1.0, "SPEAKER_01"))
_ALL: tuple[SessionEvent, ...] = (
    SpeechStarted(0.5),
    SpeechPaused(1.5),
    Flushed(2.0),
    Settled(WORDS, "de"),
    SegmentFinal(Segment(0, 0.5, 1.25, 'Grüße "x"', "de", WORDS, (1, 2, 3))),
    LanguageHeard("de", 0.9),
    Withheld(Suppressed(3.0, 4.0, "Thank you.", SuppressionReason.KNOWN_PHRASE)),
    SpeakersFound((SpeakerTurn(0.5, 1.0, "SPEAKER_00"), SpeakerTurn(0.9, 1.25, "SPEAKER_01"))),
    Refined(
        (Segment(0, 0.5, 1.25, 'Grüße "x"', "de", WORDS, (1, 2, 3)),),
        (Suppressed(3.0, 4.0, "Thank you.", SuppressionReason.KNOWN_PHRASE),),
        "de",
        0.9,
    ),
    Finished(12.5),
    Failed("engine_error", "It broke."),
    Partial(1.0, 2.0, " and"),
    Lag(3.0),
    Acknowledged(64_000, None),
)
EVENTS = [
    Numbered(number, event, kept=isinstance(event, (*DURABLE, Finished, Failed)))
    for number, event in enumerate(_ALL, 1)
]


@pytest.mark.parametrize("numbered", [own for own in EVENTS if own.kept])
def test_written_and_read(numbered: Numbered) -> None:
    assert from_record(json.loads(json.dumps(to_record(numbered)))) == numbered
