"""Live events as a Realtime client knows them: items, and what is transcribed of each."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from typing import Any

from scriba.domain.transcript import Word
from scriba.live.events import (
    Flushed,
    LanguageHeard,
    SegmentFinal,
    Settled,
    SpeechPaused,
    SpeechStarted,
)
from scriba.live.numbered import Failed, SessionEvent

_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class Items:
    """Makes server events of one live session.

    With turn detection an item is an utterance; without, it is what lies between two commits.
    """

    def __init__(
        self,
        *,
        detects_turns: bool,
        logprobs: bool,
        previous: str | None = None,
        idle_seconds: float | None = None,
    ) -> None:
        """
        Args:
            previous: the item before the first.
            idle_seconds: seconds of silence that the client wants to be told of.
        """
        self._detects_turns = detects_turns
        self._idle_seconds = idle_seconds
        self._quiet_since: float | None = 0.0
        self._logprobs = logprobs
        self.previous = previous
        self._current: str | None = None
        self._waiting: list[str | None] = []
        """Items committed and not yet complete; None for one that was cleared."""
        self._parts: list[str] = []
        self._languages: list[str] = []
        self._begun = 0.0
        self._language = ""
        self._segments = 0

    @property
    def pending(self) -> int:
        """Items whose transcript is still to come."""
        return len(self._waiting)

    def commit(self) -> list[dict[str, Any]]:
        """The client ends an item."""
        item = self._item()
        self._waiting.append(item)
        self._current = None
        return self._committed(item)

    def clear(self) -> list[dict[str, Any]]:
        """The client throws away what it has not committed."""
        self._waiting.append(None)
        self._current = None
        return [event("input_audio_buffer.cleared")]

    def silence(self, until: float) -> list[dict[str, Any]]:
        """What is to be told when audio has come until then, in seconds: that nobody has spoken for long."""
        since = self._quiet_since
        if self._idle_seconds is None or since is None or until - since < self._idle_seconds:
            return []
        self._quiet_since = until
        item, self._current = self._item(), None
        timeout = event(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=round(since * 1000),
            audio_end_ms=round(until * 1000),
            item_id=item,
        )
        return [timeout, *self._committed(item)]

    def translate(self, happened: SessionEvent) -> Iterator[dict[str, Any]]:
        """The server events that one live event makes."""
        match happened:
            case SpeechStarted(at):
                if self._detects_turns:
                    yield event(
                        "input_audio_buffer.speech_started",
                        audio_start_ms=round(at * 1000),
                        item_id=self._item(),
                    )
                    self._begun = at
                    self._quiet_since = None
            case LanguageHeard(language, _):
                self._language = language
            case Settled(words, language):
                yield from self._settled(words, language)
            case SegmentFinal(segment):
                if self._target() is not None:
                    yield event(
                        _TRANSCRIPTION + "segment",
                        id=f"seg_{secrets.token_hex(8)}",
                        item_id=self._target(),
                        content_index=0,
                        start=segment.start,
                        end=segment.end,
                        text=segment.text,
                        speaker=segment.speaker or "",
                    )
            case SpeechPaused(at):
                if self._detects_turns:
                    item = self._item()
                    yield event(
                        "input_audio_buffer.speech_stopped", audio_end_ms=round(at * 1000), item_id=item
                    )
                    yield from self._committed(item)
                    yield from self._complete(item, at)
                    self._current = None
                    self._quiet_since = at
            case Flushed(at):
                if self._waiting:
                    item_or_none = self._waiting.pop(0)
                    if item_or_none is not None:
                        yield from self._complete(item_or_none, at)
                    self._parts, self._languages = [], []
                    self._begun = at
            case Failed(code, message):
                yield event(
                    _TRANSCRIPTION + "failed",
                    item_id=self._item(),
                    content_index=0,
                    error={"type": "server_error", "code": code, "message": message, "param": None},
                )
            case _:
                pass

    def _item(self) -> str:
        if self._current is None:
            self._current = f"item_{secrets.token_hex(10)}"
        return self._current

    def _target(self) -> str | None:
        """Whose text is being settled; None for what was cleared."""
        if not self._detects_turns and self._waiting:
            return self._waiting[0]
        return self._item()

    def _settled(self, words: tuple[Word, ...], language: str) -> Iterator[dict[str, Any]]:
        item = self._target()
        if item is None:
            return
        text = "".join(word.text for word in words)
        text = text if self._parts else text.lstrip()
        self._parts.append(text)
        if language not in self._languages:
            self._languages.append(language)
        extra = {"logprobs": [_logprob(word) for word in words]} if self._logprobs else {}
        yield event(_TRANSCRIPTION + "delta", item_id=item, content_index=0, delta=text, **extra)

    def _committed(self, item: str) -> list[dict[str, Any]]:
        previous, self.previous = self.previous, item
        return [
            event("input_audio_buffer.committed", item_id=item, previous_item_id=previous),
            event("conversation.item.added", item=_message(item, None), previous_item_id=previous),
        ]

    def _complete(self, item: str, at: float) -> Iterator[dict[str, Any]]:
        transcript = "".join(self._parts)
        yield event(
            _TRANSCRIPTION + "completed",
            item_id=item,
            content_index=0,
            transcript=transcript,
            languages=[{"code": code} for code in self._languages],
            usage={"type": "duration", "seconds": round(max(0.0, at - self._begun), 3)},
        )
        yield event("conversation.item.done", item=_message(item, transcript), previous_item_id=None)
        self._parts, self._languages = [], []


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """A server event with an id of its own."""
    return {"type": kind, "event_id": f"event_{secrets.token_hex(10)}", **fields}


def _message(item: str, transcript: str | None) -> dict[str, Any]:
    return {
        "id": item,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": transcript}],
    }


def _logprob(word: Word) -> dict[str, Any]:
    """Scriba knows probabilities of words; each stands for its tokens."""
    return {
        "token": word.text,
        "bytes": list(word.text.encode()),
        "logprob": round(math.log(max(word.probability, 1e-9)), 4),
    }
