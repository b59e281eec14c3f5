"""One window of a stream, step by step: what is asked of the engine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Task
from scriba.engine.port import AlignedWord, Decoded, Phrase
from scriba.engine.steps import Align, Decode, Encode
from scriba.live.hearing import Hearing, HearingRequest, hear

SOUND = np.zeros(16_000, np.float32)


@dataclass(frozen=True)
class Encoding:
    seconds: float
    full: bool


def says(text: str, logprob: float) -> Decoded:
    return Decoded((Phrase(0.0, 1.0, text, (1,)),), 1.0, 0.0, logprob, 1.0, 0.0)


def asked(*, last: bool) -> HearingRequest:
    return HearingRequest(SOUND, (), (), "en", Task.TRANSCRIBE, DecodingOptions(), detect=False, last=last)


@pytest.mark.parametrize(
    ("last", "logprob", "encodings", "text"),
    [
        (True, -0.3, [False], " soon"),
        (True, -1.2, [False, True], " late"),  # improbable: all of the context decides, when nothing follows
        (False, -1.2, [False], " soon"),  # later audio will tell
    ],
)
def test_the_end_of_an_utterance_is_heard_with_all_of_the_context_where_less_is_not_believed(
    last: bool, logprob: float, encodings: list[bool], text: str
) -> None:
    flow = hear(asked(last=last), lambda _: "en")
    full: list[bool] = []
    step = next(flow)
    try:
        while True:
            match step:
                case Encode():
                    full.append(step.full)
                    step = flow.send(Encoding(1.0, step.full))
                case Decode(encoded, _):
                    step = flow.send(says(" late", -0.3) if encoded.full else says(" soon", logprob))
                case Align(encoded, [phrase], _, _):
                    assert encoded.full == full[-1]
                    step = flow.send([[AlignedWord(0.1, 0.9, phrase.text, 0.9, phrase.tokens)]])
                case other:
                    pytest.fail(f"{other} was asked for")
    except StopIteration as stop:
        heard: Hearing = stop.value
    assert full == encodings
    assert [word.text for word in heard.words] == [text]
