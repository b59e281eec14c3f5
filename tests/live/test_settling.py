"""Which words of a hearing may be settled, on made-up hearings."""

from dataclasses import replace

import pytest

from scriba.engine.port import AlignedWord, Decoded
from scriba.live.hearing import Hearing
from scriba.live.options import Delay, SettlePolicy
from scriba.live.settle import settled_count

BEFORE = (AlignedWord(0.0, 0.3, " Once", 0.9, (1,)),)
POLICY = SettlePolicy(clear=1.2, sure=0.9, agreed_clear=0.4, agreed_sure=0.8, agreed_far=1.0, patience=1.8)


def word(end: float, probability: float, text: str = " upon") -> AlignedWord:
    return AlignedWord(end - 0.3, end, text, probability, (2,))


def hearing(*words: AlignedWord, seconds: float = 5.0) -> Hearing:
    return Hearing(words, Decoded((), seconds, 0.0, -0.3, 1.0, 0.0), "en", None, seconds)


@pytest.mark.parametrize(
    ("room", "probability", "agrees", "settled"),
    [
        (0.5, 0.85, True, True),
        (0.5, 0.7, True, False),  # doubted: the same mistake may have been made twice
        (1.1, 0.7, True, True),
        (0.3, 0.99, True, False),
        (1.1, 0.99, False, False),
        (1.3, 0.95, False, True),
        (1.3, 0.8, False, False),
        (1.9, 0.1, False, True),
    ],
)
def test_the_evidence_that_settles_a_word(
    room: float, probability: float, agrees: bool, settled: bool
) -> None:
    own = word(5.0 - room, probability)
    earlier = (own,) if agrees else (replace(own, text=" open"),)
    assert settled_count(hearing(own), BEFORE, earlier, POLICY) == settled


def test_a_word_that_waits_holds_up_those_behind_it() -> None:
    unsure, sure = word(4.0, 0.5), word(4.4, 0.99, " a")
    assert settled_count(hearing(unsure, sure), BEFORE, (unsure, sure), POLICY) == 2
    near, behind = word(4.2, 0.5), word(4.5, 0.99, " a")
    assert settled_count(hearing(near, behind), BEFORE, (near, behind), POLICY) == 0


@pytest.mark.parametrize("delay", list(Delay))
def test_agreement_never_needs_less_room_than_its_level_says(delay: Delay) -> None:
    policy = SettlePolicy.for_delay(delay)
    own = word(5.0 - policy.agreed_clear + 0.05, 0.85)
    assert settled_count(hearing(own), BEFORE, (own,), policy) == 0
    # A little behind it, at the latest where agreement is enough for a word that is doubted.
    far = word(5.0 - max(policy.agreed_clear, policy.agreed_far) - 0.05, 0.5)
    assert settled_count(hearing(far), BEFORE, (far,), policy) == 1
