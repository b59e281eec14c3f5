"""The JSON bodies, in the shapes of OpenAI's transcription API (openai-python, ``types/audio``)."""

from __future__ import annotations

import math
from typing import Any

from scriba.domain.language import language_name
from scriba.domain.transcript import Segment, Task, Transcript, segment_separator

JsonObject = dict[str, Any]


def json_body(transcript: Transcript) -> JsonObject:
    """``{"text": …}``."""
    return {"text": transcript.text}


def usage_body(transcript: Transcript) -> JsonObject:
    """What a request is billed by: its seconds of audio, every second begun counting."""
    return {"type": "duration", "seconds": math.ceil(transcript.duration)}


def verbose_json_body(transcript: Transcript, *, segments: bool = True, words: bool = False) -> JsonObject:
    """OpenAI's ``verbose_json``, with fields of Scriba's own that its clients ignore.

    Scriba's own are ``language_code``, ``language_probability``, ``languages``, ``model``, ``suppressed``,
    ``speech``;
    ``language`` and ``speaker`` of a segment; ``probability`` of a word.

    Args:
        segments: with ``segments`` (``timestamp_granularities`` holds ``segment``).
        words: with ``words`` (it holds ``word``); empty where the transcript has no word times.
    """
    body: JsonObject = {
        "task": transcript.task.value,
        "language": _spoken_name(transcript),
        "duration": _seconds(transcript.duration),
        "text": transcript.text,
    }
    if segments:
        body["segments"] = [segment_body(segment) for segment in transcript.segments]
    if words:
        body["words"] = [word for segment in transcript.segments for word in _words(segment)]
    return body | {
        "usage": usage_body(transcript),
        "language_code": transcript.language,
        "language_probability": _number(transcript.language_probability),
        "languages": [{"code": code} for code in transcript.languages],
        "model": transcript.model,
        "suppressed": [
            {
                "start": _seconds(withheld.start),
                "end": _seconds(withheld.end),
                "text": withheld.text,
                "reason": withheld.reason.value,
            }
            for withheld in transcript.suppressed
        ],
        "speech": [{"start": _seconds(start), "end": _seconds(end)} for start, end in transcript.speech],
    }


def _spoken_name(transcript: Transcript) -> str:
    """The language of the text: a translation is English (OpenAI's ``TranslationVerbose``)."""
    if transcript.task is Task.TRANSLATE:
        return language_name("en")
    return "unknown" if transcript.language is None else language_name(transcript.language)


def segment_body(segment: Segment) -> JsonObject:
    """One segment of ``verbose_json``."""
    body: JsonObject = {
        "id": segment.id,
        "seek": segment.seek,
        "start": _seconds(segment.start),
        "end": _seconds(segment.end),
        # OpenAI's segments begin with the space that parts them, and clients join them by nothing.
        "text": segment_separator(segment.language) + segment.text,
        "tokens": list(segment.tokens),
        "temperature": _number(segment.temperature),
        "avg_logprob": _number(segment.avg_logprob),
        "compression_ratio": _number(segment.compression_ratio),
        "no_speech_prob": _number(segment.no_speech_prob),
        "language": segment.language,
    }
    if segment.speaker is not None:
        body["speaker"] = segment.speaker
    return body


def _words(segment: Segment) -> list[JsonObject]:
    return [
        {
            "word": word.text.strip(),
            "start": _seconds(word.start),
            "end": _seconds(word.end),
            "probability": _number(word.probability),
        }
        | ({} if word.speaker is None else {"speaker": word.speaker})
        for word in segment.words or ()
        if word.text.strip()
    ]


def _seconds(value: float) -> float:
    return round(value, 3)


def _number(value: float) -> float | None:
    """Six digits; None for what JSON cannot hold (an empty pass has a mean log probability of -inf)."""
    return round(value, 6) if math.isfinite(value) else None
