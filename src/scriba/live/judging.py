"""The last word on an utterance: what of it nobody said is withheld (``scriba.transcribe.guards``)."""

from __future__ import annotations

from scriba.domain.media import SAMPLE_RATE
from scriba.domain.options import DecodingOptions
from scriba.domain.transcript import Suppressed, Word
from scriba.engine.port import AlignedWord
from scriba.live.hearing import Hearing
from scriba.live.options import LiveOptions
from scriba.live.voice import Endpointer
from scriba.transcribe.drafts import Draft
from scriba.transcribe.fallback import is_silence
from scriba.transcribe.guards import Guards


def judge(
    hearing: Hearing, words: tuple[AlignedWord, ...], voice: Endpointer, options: LiveOptions
) -> tuple[tuple[AlignedWord, ...], list[Suppressed]]:
    """The words to be settled, and what is withheld. Times are seconds of the session."""
    if not words:
        return (), []
    if not options.guards:
        return words, []
    start, end = words[0].start, words[-1].end
    draft = Draft(
        start=round(start, 3),
        end=round(end, 3),
        text="".join(word.text for word in words).strip(),
        words=tuple(Word(word.start, word.end, word.text, word.probability) for word in words),
        tokens=(),
        seek=start,
        decoded=hearing.decoded,
        silent=is_silence(hearing.decoded, DecodingOptions()),
        speech_probability=voice.probability_between(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)),
    )
    kept: tuple[AlignedWord, ...] = ()
    withheld: list[Suppressed] = []
    for verdict in Guards().judge([draft]):
        if isinstance(verdict, Suppressed):
            withheld.append(verdict)
        else:
            times = {(word.start, word.end, word.text) for word in verdict.words or ()}
            kept = tuple(word for word in words if (word.start, word.end, word.text) in times)
    return kept, withheld
