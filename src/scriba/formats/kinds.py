"""Which formats there are, and what a door or the command line must know of each."""

from __future__ import annotations

from enum import StrEnum

from scriba.domain.errors import InvalidOptionError


class Format(StrEnum):
    """A form a transcript can be written in. The value is what users write."""

    JSON = "json"
    """``{"text": …}``, as OpenAI answers by default."""
    VERBOSE_JSON = "verbose_json"
    """OpenAI's shape with segments, and words when asked for."""
    TEXT = "text"
    """Running text, as OpenAI's ``response_format=text``."""
    TXT = "txt"
    """One segment a line, as openai-whisper's ``--output_format txt``."""
    SRT = "srt"
    VTT = "vtt"
    TSV = "tsv"
    """Start and end in whole milliseconds and the text, as openai-whisper's ``tsv``."""
    LRC = "lrc"
    """Lyrics timed by line."""
    LRC_WORDS = "lrc_words"
    """Lyrics timed by word ("enhanced LRC")."""
    RTTM = "rttm"
    """Who speaks when, a turn a line."""

    @property
    def media_type(self) -> str:
        """Internet media type, without a charset. Every format is UTF-8."""
        return _MEDIA_TYPES.get(self, "text/plain")

    @property
    def extension(self) -> str:
        """File name extension, with its dot."""
        return _EXTENSIONS.get(self, f".{self.value}")

    @property
    def needs_words(self) -> bool:
        """Whether the format says less than it could when the transcript has no word times."""
        return self is Format.LRC_WORDS

    @property
    def needs_speakers(self) -> bool:
        """Whether the format is about who speaks."""
        return self is Format.RTTM

    @property
    def has_cues(self) -> bool:
        """Whether line rules (``LineRules``) apply to it."""
        return self in (Format.SRT, Format.VTT, Format.TSV, Format.LRC, Format.LRC_WORDS)

    @property
    def streams(self) -> bool:
        """Whether it can be written segment by segment (``scriba.formats.render.stream``)."""
        return self not in (Format.JSON, Format.VERBOSE_JSON, Format.RTTM)

    @classmethod
    def parse(cls, value: str, *, field: str = "format") -> Format:
        """The format of that name, in any case.

        Raises:
            InvalidOptionError: there is none.
        """
        try:
            return cls(value.strip().lower())
        except ValueError:
            known = ", ".join(member.value for member in cls)
            raise InvalidOptionError(
                f"{field} must be one of {known}, not {value[:40]!r}.", field=field
            ) from None


_MEDIA_TYPES = {
    Format.JSON: "application/json",
    Format.VERBOSE_JSON: "application/json",
    Format.SRT: "application/x-subrip",
    Format.VTT: "text/vtt",
    Format.TSV: "text/tab-separated-values",
}

_EXTENSIONS = {Format.VERBOSE_JSON: ".json", Format.TEXT: ".txt", Format.LRC_WORDS: ".lrc"}
