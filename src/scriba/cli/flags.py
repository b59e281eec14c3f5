"""Flags that several commands have, and settings read with flags on top."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from scriba.server.settings import Settings

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", metavar="FOLDER", help="Where models are kept.", show_default=False),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="DEVICE", help="cpu, cuda or auto.", show_default=False),
]
ComputeType = Annotated[
    str | None,
    typer.Option(
        "--compute-type",
        metavar="TYPE",
        help="CTranslate2's, such as int8, float16 or auto.",
        show_default=False,
    ),
]
Threads = Annotated[
    int | None, typer.Option("--threads", metavar="N", help="Threads of each worker.", show_default=False)
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="A name such as base, small or turbo (see: scriba models list), or a folder.",
        show_default=False,
    ),
]

Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Windows decoded side by side.", show_default=False),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language",
        "-l",
        metavar="LANGUAGE",
        help="Code or English name of what is spoken; found out when not given.",
        show_default=False,
    ),
]
BeamSize = Annotated[
    int | None, typer.Option("--beam-size", metavar="N", help="1 is greedy and quicker.", show_default=False)
]
NoVad = Annotated[
    bool, typer.Option("--no-vad", help="Listen to everything, not only to what sounds like speech.")
]
VadThreshold = Annotated[
    float | None,
    typer.Option(
        "--vad-threshold",
        metavar="P",
        help="Probability above which sound is speech, 0 to 1.",
        show_default=False,
    ),
]
MinSpeech = Annotated[
    int | None,
    typer.Option(
        "--min-speech-duration-ms", metavar="MS", help="Shorter speech is left out.", show_default=False
    ),
]
MaxSpeech = Annotated[
    float | None,
    typer.Option(
        "--max-speech-duration-s", metavar="SECONDS", help="Longer speech is cut.", show_default=False
    ),
]
MinSilence = Annotated[
    int | None,
    typer.Option(
        "--min-silence-duration-ms", metavar="MS", help="So much silence ends speech.", show_default=False
    ),
]
SpeechPad = Annotated[
    int | None,
    typer.Option(
        "--speech-pad-ms", metavar="MS", help="Sound kept on both sides of speech.", show_default=False
    ),
]
NoGuards = Annotated[bool, typer.Option("--no-guards", help="Keep text that nobody seems to have said.")]


def read_settings(**flags: Any) -> Settings:
    """The settings in force with these flags; a flag that is None was not given.

    Raises:
        SettingsError: a setting is wrong.
    """
    from scriba.server.setting_sources import load_settings

    return load_settings(flags)


def read_working_settings(model: str | None, **flags: Any) -> Settings:
    """The settings of a command that does the work itself: whoever runs it may fetch what it names.

    Raises:
        SettingsError: a setting is wrong.
    """
    settings = read_settings(model=model, model_allow_pull=True, **flags)
    # A model that was named is meant: no other takes its place.
    return settings if model is None else settings.model_copy(update={"model_fallback": None})
