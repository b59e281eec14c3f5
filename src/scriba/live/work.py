"""What a listener asks for: a stretch of sound to be heard, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scriba.domain.options import DecodingOptions
from scriba.engine.steps import Flow
from scriba.live.hearing import Hearing, HearingRequest, LanguageChooser, hear
from scriba.live.options import LiveOptions
from scriba.live.pace import Effort
from scriba.live.spoken import SpokenLanguage
from scriba.live.window import ListeningWindow

_GLANCE_TOKENS = 12
"""Tokens that may come of a first look."""

_THRIFTY_PROMPT = 16
"""Tokens of the text before that a hearing reads where others wait: they cost as much as the sound does."""


class Kind(Enum):
    """Why something is heard."""

    GLANCE = "glance"
    """The beginning of an utterance by itself: quick, and only to be shown."""
    TICK = "tick"
    """To say what seems to be said, and settle what is certain."""
    FINAL = "final"
    """The utterance has ended: everything is settled."""


@dataclass(frozen=True, slots=True)
class Work:
    """Sound to be heard, from sample ``start`` to ``end``."""

    kind: Kind
    start: int
    end: int
    effort: Effort
    request: HearingRequest
    choose: LanguageChooser

    def flow(self) -> Flow[Hearing]:
        """What is to be done for it; begun anew by each call."""
        return hear(self.request, self.choose)


def glance_at(
    window: ListeningWindow, start: int, end: int, options: LiveOptions, language: SpokenLanguage
) -> Work:
    """A first look at an utterance, without what went before."""
    request = HearingRequest(
        audio=window.sound(start, end),
        settled=(),
        previous=(),
        language=language.told,
        task=options.task,
        options=_decoding(options, max_new_tokens=_GLANCE_TOKENS),
        detect=language.open,
        last=False,
        short=True,
    )
    return Work(Kind.GLANCE, start, end, Effort(), request, language.choose)


def listen_to(
    kind: Kind,
    window: ListeningWindow,
    end: int,
    effort: Effort,
    options: LiveOptions,
    language: SpokenLanguage,
    *,
    draft: tuple[int, ...],
    silent: bool,
) -> Work:
    """All of the window, for a tick or for the last time.

    Args:
        draft: what was heard in it before.
        silent: nobody speaks at its end.
    """
    final = kind is Kind.FINAL and not effort.thrift
    request = HearingRequest(
        audio=window.sound(window.start, end),
        settled=window.relative_words(),
        previous=window.prompt[-_THRIFTY_PROMPT:] if effort.thrift else window.prompt,
        language=language.told,
        task=options.task,
        options=_decoding(
            options,
            beam_size=1 if effort.greedy else options.beam_size,
            temperatures=(0.0, 0.4) if final else (0.0,),
        ),
        # Again at the end of each utterance: people change their language between sentences.
        detect=language.detects and (language.open or silent),
        last=final,
        # Rounding may decide otherwise with a draft than without: what went on undisturbed and what was
        # resumed are to be the same while there is room.
        draft=draft if effort.greedy else (),
        short=effort.thrift,
    )
    return Work(kind, window.start, end, effort, request, language.choose)


def _decoding(
    options: LiveOptions,
    *,
    beam_size: int = 1,
    temperatures: tuple[float, ...] = (0.0,),
    max_new_tokens: int | None = None,
) -> DecodingOptions:
    return DecodingOptions(
        beam_size=beam_size,
        initial_prompt=options.prompt,
        hotwords=options.hotwords,
        temperatures=temperatures,
        max_new_tokens=max_new_tokens,
    )
