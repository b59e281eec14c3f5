"""Transcripts to write, and strategies that make them."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from scriba.domain.transcript import Segment, Task, Transcript, Word

WORD_JOINER = "\u2060"


def segment(
    text: str, start: float = 0.0, end: float = 1.0, *, number: int = 0, language: str = "en", **more: object
) -> Segment:
    return Segment(id=number, start=start, end=end, text=text, language=language, **more)  # type: ignore[arg-type]


def spoken(*words: tuple[str, float, float], language: str = "en") -> Segment:
    """A segment with word times; every word but the first brings its space in its text."""
    made = tuple(Word(start, end, text, 0.9) for text, start, end in words)
    text = "".join(word.text for word in made).strip()
    return segment(text, made[0].start, made[-1].end, language=language, words=made)


def transcript(*segments: Segment, language: str | None = "en", **more: object) -> Transcript:
    fields: dict[str, object] = {
        "duration": segments[-1].end if segments else 0.0,
        "language_probability": 0.98,
        "task": Task.TRANSCRIBE,
        "model": "tiny.en",
    } | more
    return Transcript(segments=segments, language=language, **fields)  # type: ignore[arg-type]


def without_space(text: str) -> str:
    """What must survive: everything but white space, control characters, and what only joins words."""
    cleaned = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    return "".join(
        char
        for char in cleaned
        if not char.isspace()
        and not (ord(char) < 32 or 127 <= ord(char) < 160)
        and char not in "\u2060\ufeff"
    )


any_text = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=st.sampled_from("ab .,!?-<>&{}[]\\\"':\n\t0123456789"), max_size=40),
    st.text(alphabet=st.sampled_from("日本語の字幕、。「」っー ab１２"), max_size=40),
    st.text(alphabet=st.sampled_from("ภาษาไทยเขียนติดกัน ำะๆ"), max_size=40),
    st.text(alphabet=st.sampled_from("e\u0301 👩\u200d💻❤\ufe0f🇫🇷🏽한글ᄒ\u1161\u11ab क्षि"), max_size=40),
)

seconds = st.floats(min_value=0, max_value=400_000, allow_nan=False)


@st.composite
def segments(draw: st.DrawFn, text: st.SearchStrategy[str] = any_text) -> list[Segment]:
    """Segments in order of start, of any length, touching, apart or overlapping; some with word times."""
    made: list[Segment] = []
    at = draw(st.floats(min_value=0, max_value=370_000))
    for number in range(draw(st.integers(0, 3))):
        start = max(0.0, at + draw(st.sampled_from([-2.0, 0.0, 0.0007, 3.3])))
        if made:
            start = max(start, made[-1].start)
        end = start + draw(st.sampled_from([0.0, 0.0004, 0.3]) | st.floats(min_value=0, max_value=40))
        content = draw(text)
        words = timed_words(draw, content, start, end) if draw(st.booleans()) else None
        made.append(segment(content, start, end, number=number, words=words))
        at = end
    return made


def timed_words(draw: st.DrawFn, text: str, start: float, end: float) -> tuple[Word, ...]:
    """The text's own words, at times that rise through the segment, with pauses between."""
    parts = text.split()
    chance = random.Random(draw(st.integers(0, 2**16)))
    cuts = sorted(chance.random() for _ in range(2 * len(parts)))
    length = end - start
    return tuple(
        Word(start + length * cuts[2 * n], start + length * cuts[2 * n + 1], f" {part}", 0.5)
        for n, part in enumerate(parts)
    )
