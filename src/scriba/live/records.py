"""What a session was asked and what it heard, from its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from scriba.audio.live_pcm import PcmEncoding, PcmFormat
from scriba.domain.options import LanguagePolicy
from scriba.domain.speakers import SpeakerOptions, SpeakerTurn
from scriba.domain.transcript import Segment, Suppressed, Task, Transcript, Word
from scriba.live.events import LanguageHeard, Refined, SegmentFinal, Settled, SpeakersFound, Withheld
from scriba.live.journal import Logged
from scriba.live.numbered import Finished
from scriba.live.options import EndpointOptions, LiveOptions, SettlePolicy, WindowBounds
from scriba.speakers.assigning import Speakers, by_speaker


def write_options(options: LiveOptions) -> dict[str, Any]:
    """As JSON."""
    return asdict(options)


def read_options(meta: dict[str, Any]) -> tuple[LiveOptions, PcmFormat | None]:
    """Options and audio format as ``LiveService.open`` wrote them."""
    own = dict(meta["options"])
    language = own.pop("language")
    window = own.pop("window")
    speakers = own.pop("speakers", None)
    options = LiveOptions(
        **own
        | {
            "task": Task(own["task"]),
            "language": LanguagePolicy(**language | {"allowed": tuple(language["allowed"])}),
            "settle": SettlePolicy(**own["settle"]),
            "endpoint": EndpointOptions(**own["endpoint"]),
            "window": WindowBounds(**window | {"thrifty": tuple(window["thrifty"])}),
            "speakers": None if speakers is None else SpeakerOptions(**speakers | {"known": ()}),
        }
    )
    form = meta["form"]
    return options, None if form is None else PcmFormat(PcmEncoding(form[0]), form[1], form[2])


def transcript_of(logged: Logged) -> Transcript:
    """All segments, and what is settled behind the last of them as one more; with speakers, each has one."""
    segments: list[Segment] = []
    suppressed: list[Suppressed] = []
    open_words: list[Word] = []
    language: str | None = None
    probability = 0.0
    duration = 0.0
    turns: tuple[SpeakerTurn, ...] | None = None
    for numbered in logged.events:
        match numbered.event:
            case SegmentFinal(segment):
                segments.append(segment)
                # A segment is made of the settled words up to its end, in order.
                open_words = [word for word in open_words if word.start >= segment.end]
            case Settled(words, _):
                open_words.extend(words)
            case LanguageHeard(heard, sure):
                language, probability = heard, sure
            case Withheld(own):
                suppressed.append(own)
            case Refined(heard_again, withheld, heard, sure):
                segments, suppressed, open_words = list(heard_again), list(withheld), []
                language, probability = heard or language, sure
            case SpeakersFound(found):
                turns = found
            case Finished(seconds):
                duration = seconds
            case _:
                pass
    if open_words and duration == 0.0:
        text = "".join(word.text for word in open_words).strip()
        start, end = open_words[0].start, open_words[-1].end
        segments.append(Segment(len(segments), start, end, text, language or "en", tuple(open_words)))
    if logged.meta["options"].get("speakers") is not None:
        segments = _labelled(segments, turns)
    asked = logged.meta["options"]["language"]["language"]
    return Transcript(
        segments=tuple(segments),
        duration=duration or (segments[-1].end if segments else 0.0),
        language=asked or language,
        language_probability=1.0 if asked else probability,
        task=Task(logged.meta["options"]["task"]),
        model=str(logged.meta["model"]),
        suppressed=tuple(suppressed),
        turns=turns or (),
    )


def _labelled(segments: Sequence[Segment], turns: Sequence[SpeakerTurn] | None) -> list[Segment]:
    """Each segment with one speaker: who it is in the end, and until that is known, who was told."""
    speakers = None if turns is None else Speakers(turns)
    pieces: list[Segment] = []
    for segment in segments:
        told = replace(segment, speaker=None)
        if speakers is not None:
            words = tuple(replace(word, speaker=None) for word in segment.words or ())
            pieces += speakers.label(replace(told, words=words), words=True)
        else:
            pieces += by_speaker(told, words=True)
    return [replace(piece, id=index) for index, piece in enumerate(pieces)]
