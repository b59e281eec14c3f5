"""Speakers that a command names, each with a clip of the voice."""

from __future__ import annotations

from pathlib import Path

import typer

from scriba.domain.speakers import MAX_CLIP_BYTES, KnownSpeaker

FLAG = "--known-speaker"


def known_voices(values: list[str]) -> tuple[KnownSpeaker, ...]:
    """From ``NAME=FILE`` each. The clips are read whole: they are short.

    Raises:
        typer.BadParameter: one is not of that form, or its file cannot be read.
        InvalidOptionError: a name or a clip is out of bounds.
    """
    return tuple(map(_known, values))


def _known(value: str) -> KnownSpeaker:
    name, sign, path = value.partition("=")
    if not sign or not path:
        raise typer.BadParameter(f"{value[:60]!r} is not NAME=FILE, such as Anna=anna.wav.", param_hint=FLAG)
    try:
        with Path(path).open("rb") as file:
            clip = file.read(MAX_CLIP_BYTES + 1)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}.", param_hint=FLAG) from None
    return KnownSpeaker(name.strip(), clip)
