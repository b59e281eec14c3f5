"""The configuration of a Realtime session: merged from updates, shown as it is in force."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from scriba.domain.errors import UnsupportedOptionError
from scriba.domain.options import LanguagePolicy, TranscribeOptions
from scriba.doors.realtime import wire
from scriba.live.options import Delay, EndpointOptions, LiveOptions, SettlePolicy

_ENCODINGS = {
    "audio/pcm": ("pcm_s16le", 24_000),
    "audio/pcmu": ("pcmu", 8_000),
    "audio/pcma": ("pcma", 8_000),
}
_SESSION_MODELS = frozenset({"gpt-realtime-whisper", "gpt-live-transcribe", "gpt-4o-transcribe-diarize"})
"""Names of OpenAI's that only its Realtime API has; each means the server's default model."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Immutable; ``updated`` makes another. ``turn_detection`` None: the client commits."""

    format: str = "audio/pcm"
    transcription: wire.Transcription = field(default_factory=wire.Transcription)
    turn_detection: wire.ServerVad | None = field(default_factory=lambda: wire.ServerVad(type="server_vad"))
    logprobs: bool = False

    @property
    def encoding(self) -> tuple[str, int]:
        """Name of the encoding, and samples a second."""
        return _ENCODINGS[self.format]

    def updated(self, session: wire.Session) -> Configuration:
        """With what an update names; the rest stays.

        Raises:
            UnsupportedOptionError: it asks for what this server cannot do.
        """
        changed = self
        if "include" in session.model_fields_set:
            changed = replace(changed, logprobs=bool(session.include))
        sound = session.audio.input if session.audio is not None else None
        if sound is None:
            return changed
        if sound.noise_reduction is not None:
            raise UnsupportedOptionError(
                "This server reduces no noise: noise_reduction must be null.",
                field="session.audio.input.noise_reduction",
            )
        if sound.format is not None:
            changed = replace(changed, format=sound.format.type)
        if "turn_detection" in sound.model_fields_set:
            changed = replace(changed, turn_detection=_detection(sound.turn_detection))
        if sound.transcription is not None:
            given = sound.transcription.model_dump(exclude_unset=True)
            changed = replace(changed, transcription=changed.transcription.model_copy(update=given))
        # Unknown languages and wrong values are told now, not with the first sound.
        LanguagePolicy.parse(changed.transcription.language, changed.transcription.languages or ())
        return changed

    @property
    def idle_seconds(self) -> float | None:
        """Seconds of silence after which the client is told of them."""
        detection = self.turn_detection
        if detection is None or detection.idle_timeout_ms is None:
            return None
        return detection.idle_timeout_ms / 1000

    def options(self, defaults: TranscribeOptions) -> LiveOptions:
        """The live session that this asks for."""
        own = self.transcription
        policy = LanguagePolicy.parse(own.language, own.languages or ())
        if policy.language is None and not policy.allowed:
            policy = defaults.language
        endpoint = EndpointOptions(automatic=False)
        if self.turn_detection is not None:
            end = self.turn_detection.silence_duration_ms / 1000
            endpoint = EndpointOptions(
                threshold=self.turn_detection.threshold,
                pause=min(endpoint.pause, 0.75 * end),
                end=end,
                padding=self.turn_detection.prefix_padding_ms / 1000,
            )
        return LiveOptions(
            model=None if own.model in _SESSION_MODELS else own.model,
            language=policy,
            settle=SettlePolicy.for_delay(own.delay or Delay.LOW),
            endpoint=endpoint,
            prompt=own.prompt,
            hotwords=", ".join(own.keywords) if own.keywords else None,
            beam_size=defaults.decoding.beam_size,
            guards=defaults.guards,
        )

    def shown(self, id_: str) -> dict[str, Any]:
        """As ``session.created`` and ``session.updated`` have it."""
        form: dict[str, Any] = {"type": self.format}
        if self.format == "audio/pcm":
            form["rate"] = 24_000
        detection = self.turn_detection
        return {
            "id": id_,
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {
                "input": {
                    "format": form,
                    "noise_reduction": None,
                    "transcription": self.transcription.model_dump(exclude_none=True, mode="json"),
                    "turn_detection": None
                    if detection is None
                    else {
                        "type": "server_vad",
                        "threshold": detection.threshold,
                        "prefix_padding_ms": detection.prefix_padding_ms,
                        "silence_duration_ms": detection.silence_duration_ms,
                        "idle_timeout_ms": detection.idle_timeout_ms,
                    },
                }
            },
            "include": ["item.input_audio_transcription.logprobs"] if self.logprobs else None,
        }


def _detection(asked: wire.ServerVad | wire.SemanticVad | None) -> wire.ServerVad | None:
    if isinstance(asked, wire.SemanticVad):
        raise UnsupportedOptionError(
            "This server does not judge by meaning: turn_detection.type must be server_vad, or "
            "turn_detection null.",
            field="session.audio.input.turn_detection.type",
        )
    return asked
