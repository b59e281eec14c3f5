"""Transcripts as files: JSON, text, subtitles and lyrics."""

from scriba.formats.cues import Cue, CueWord, cues
from scriba.formats.json_text import json_body, usage_body, verbose_json_body
from scriba.formats.kinds import Format
from scriba.formats.render import RenderOptions, render, stream
from scriba.formats.rules import SUBTITLE_RULES, LineRules

__all__ = [
    "SUBTITLE_RULES",
    "Cue",
    "CueWord",
    "Format",
    "LineRules",
    "RenderOptions",
    "cues",
    "json_body",
    "render",
    "stream",
    "usage_body",
    "verbose_json_body",
]
