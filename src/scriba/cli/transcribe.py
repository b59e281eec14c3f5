"""``scriba transcribe``: its flags, and what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scriba.cli import flags


def transcribe(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Recordings, folders of recordings, or - for the standard input."
        ),
    ],
    model: flags.Model = None,
    language: flags.Language = None,
    languages: Annotated[
        str | None,
        typer.Option(
            "--languages", metavar="LIST", help="Choose among these only, such as en,de.", show_default=False
        ),
    ] = None,
    task: Annotated[
        str,
        typer.Option("--task", "-t", metavar="TASK", help="transcribe, or translate (into English)."),
    ] = "transcribe",
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "-f",
            metavar="FORMAT",
            help="text (the default), txt, json, verbose_json, srt, vtt, tsv, lrc, lrc_words or rttm; "
            "repeat it for several.",
            show_default=False,
        ),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir",
            "-o",
            metavar="FOLDER",
            help="Write a file for each recording and format there, instead of printing.",
            show_default=False,
        ),
    ] = None,
    speakers: Annotated[
        str | None,
        typer.Option(
            "--speakers",
            metavar="N",
            help="Tell who speaks: how many there are, auto, or channels (a speaker in each channel).",
            show_default=False,
        ),
    ] = None,
    min_speakers: Annotated[
        int | None,
        typer.Option("--min-speakers", metavar="N", help="At least so many.", show_default=False),
    ] = None,
    max_speakers: Annotated[
        int | None,
        typer.Option("--max-speakers", metavar="N", help="At most so many.", show_default=False),
    ] = None,
    known_speakers: Annotated[
        list[str] | None,
        typer.Option(
            "--known-speaker",
            metavar="NAME=FILE",
            help="A speaker by name, with a clip of the voice of 2 to 10 s; repeat it for up to four.",
            show_default=False,
        ),
    ] = None,
    words: Annotated[bool, typer.Option("--words", help="Times of words, too.")] = False,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="TEXT", help="Text the model takes as said before.", show_default=False
        ),
    ] = None,
    hotwords: Annotated[
        str | None,
        typer.Option("--hotwords", metavar="TEXT", help="Names and terms to listen for.", show_default=False),
    ] = None,
    beam_size: flags.BeamSize = None,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            "--temperature",
            metavar="T",
            help="Repeat it for a ladder; 0 switches it off.",
            show_default=False,
        ),
    ] = None,
    separate: Annotated[
        bool, typer.Option("--separate", help="Part voice from music first, and listen to the voice.")
    ] = False,
    separation_model: Annotated[
        str | None,
        typer.Option(
            "--separation-model",
            metavar="MODEL",
            help="What parts them (see: scriba models list); goes with --separate.",
            show_default=False,
        ),
    ] = None,
    no_vad: flags.NoVad = False,
    vad_threshold: flags.VadThreshold = None,
    min_speech_duration_ms: flags.MinSpeech = None,
    max_speech_duration_s: flags.MaxSpeech = None,
    min_silence_duration_ms: flags.MinSilence = None,
    speech_pad_ms: flags.SpeechPad = None,
    no_guards: flags.NoGuards = False,
    max_line_chars: Annotated[
        int | None,
        typer.Option("--max-line-chars", metavar="N", help="Columns in a subtitle line.", show_default=False),
    ] = None,
    max_lines: Annotated[
        int | None,
        typer.Option("--max-lines", metavar="N", help="Lines in a subtitle.", show_default=False),
    ] = None,
    max_duration: Annotated[
        float | None,
        typer.Option(
            "--max-duration", metavar="SECONDS", help="Seconds a subtitle may last.", show_default=False
        ),
    ] = None,
    max_gap: Annotated[
        float | None,
        typer.Option(
            "--max-gap", metavar="SECONDS", help="A longer pause starts a new subtitle.", show_default=False
        ),
    ] = None,
    max_chars_per_second: Annotated[
        float | None,
        typer.Option(
            "--max-chars-per-second", metavar="N", help="Reading speed of subtitles.", show_default=False
        ),
    ] = None,
    data_dir: flags.DataDir = None,
    device: flags.Device = None,
    compute_type: flags.ComputeType = None,
    threads: flags.Threads = None,
) -> None:
    """Turn recordings into text. The text goes to the standard output, progress to the standard error."""
    from scriba.cli.transcribing import Wanted, transcribe_all

    wanted = Wanted(
        arguments=files,
        language=language,
        among=languages.split(",") if languages else [],
        task=task,
        formats=formats or ["text"],
        output_dir=output_dir,
        words=words,
        speakers=speakers,
        min_speakers=min_speakers,
        max_speakers=max_speakers,
        known_speakers=known_speakers or [],
        decoding={
            "initial_prompt": prompt,
            "hotwords": hotwords,
            "beam_size": beam_size,
            "temperatures": tuple(temperature) if temperature else None,
        },
        vad=not no_vad,
        voice={
            "threshold": vad_threshold,
            "min_speech_duration_ms": min_speech_duration_ms,
            "max_speech_duration_s": max_speech_duration_s,
            "min_silence_duration_ms": min_silence_duration_ms,
            "speech_pad_ms": speech_pad_ms,
        },
        separate=separate,
        separation_model=separation_model,
        guards=not no_guards,
        lines={
            "max_line_chars": max_line_chars,
            "max_lines": max_lines,
            "max_duration": max_duration,
            "max_gap": max_gap,
            "max_chars_per_second": max_chars_per_second,
        },
    )
    settings = flags.read_working_settings(
        model, data_dir=data_dir, device=device, compute_type=compute_type, threads=threads
    )
    raise typer.Exit(transcribe_all(wanted, settings))
