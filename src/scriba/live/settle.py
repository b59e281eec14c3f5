"""Which words of a hearing may be settled: by evidence, since a settled word never changes.

Three kinds of evidence count. Alignment: the word ends well before the edge of the audio, and the model is
sure of it. Agreement: the hearing before, over less audio, said the same there; words that the model doubts
need more room, since it often makes the same mistake twice. A pause: nothing follows that could change it.
Agreement alone is not enough, since a loop agrees with itself: a repetition, words without any time of their
own, and text faster than speech are never settled before the utterance ends.
"""

from __future__ import annotations

from collections.abc import Sequence

from scriba.engine.port import AlignedWord
from scriba.live.hearing import Hearing
from scriba.live.options import SettlePolicy
from scriba.transcribe.guards import find_loop
from scriba.transcribe.stock_phrases import COMMON_PHRASES, CREDITS
from scriba.transcribe.text import normalise

_NO_TIME = 0.03
_IMPROBABLE = -1.0
_FASTEST = 8.0
"""Words a second that nobody says for long."""
_SILENT = 0.6


def settled_count(
    hearing: Hearing,
    before: Sequence[AlignedWord],
    earlier: Sequence[AlignedWord],
    policy: SettlePolicy,
) -> int:
    """How many of the hearing's words may be settled now.

    Args:
        before: the last words settled already.
        earlier: what the hearing before said behind them.
    """
    if not is_trusted(hearing, before):
        return 0
    count = 0
    agreeing = True
    for index, word in enumerate(hearing.words):
        agreeing = agreeing and index < len(earlier) and _same(word, earlier[index])
        room = hearing.seconds - word.end
        evidence = (
            (room >= policy.clear and word.probability >= policy.sure)
            or (agreeing and room >= policy.agreed_room(word.probability))
            or room >= policy.patience
        )
        timeless = word.end - word.start < _NO_TIME
        if not evidence or timeless:
            break
        count += 1
    return count


def is_trusted(hearing: Hearing, before: Sequence[AlignedWord]) -> bool:
    """False when something beside the words speaks against them: then they wait for more audio."""
    if not is_shown(hearing, before) or hearing.decoded.avg_logprob < _IMPROBABLE:
        return False
    # Invented thanks and credits come whole and alone: speech soon goes on behind them.
    text = normalise("".join(word.text for word in hearing.words))
    return bool(before) or text not in COMMON_PHRASES | CREDITS


def is_shown(hearing: Hearing, before: Sequence[AlignedWord]) -> bool:
    """Whether the words may be shown as a guess: a loop and words of a silence may not."""
    words = hearing.words
    if not words or hearing.decoded.no_speech_prob > _SILENT:
        return False
    if find_loop([normalise(word.text) for word in (*before, *words)]) is not None:
        return False
    seconds = words[-1].end - words[0].start
    return len(words) < 6 or len(words) <= _FASTEST * max(seconds, 0.1)


def _same(first: AlignedWord, second: AlignedWord) -> bool:
    return normalise(first.text) == normalise(second.text)
