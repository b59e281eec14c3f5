"""Carrying out ``scriba transcribe``: recording after recording, printed or written to files."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import typer

from scriba.cli import faults, progress
from scriba.cli.background import ending_cleanly, events
from scriba.cli.inputs import Input, NothingToReadError, find, spool_stdin
from scriba.cli.outputs import plan, require_folder, write_whole
from scriba.cli.services import open_transcriber
from scriba.cli.voices import known_voices
from scriba.domain.errors import ModelNotFoundError, ModelUnavailableError
from scriba.domain.events import Finished, Progress
from scriba.domain.options import LanguagePolicy, SeparationOptions, TranscribeOptions, VadOptions
from scriba.domain.speakers import SpeakerOptions
from scriba.domain.transcript import Task, Transcript
from scriba.formats import Format, LineRules, RenderOptions, render
from scriba.server.settings import Settings
from scriba.transcribe.port import Source, Transcriber

_JSON = (Format.JSON, Format.VERBOSE_JSON)
_PRINTED_TOGETHER = (Format.TEXT, Format.TXT, Format.RTTM, *_JSON)
"""Formats of which several still make sense one after the other."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the flags say, not yet checked. A value of None was not given."""

    arguments: list[str] = field(default_factory=list)
    language: str | None = None
    among: list[str] = field(default_factory=list)
    task: str = Task.TRANSCRIBE.value
    formats: list[str] = field(default_factory=lambda: [Format.TEXT.value])
    output_dir: Path | None = None
    words: bool = False
    speakers: str | None = None
    min_speakers: int | None = None
    max_speakers: int | None = None
    known_speakers: list[str] = field(default_factory=list)
    vad: bool = True
    voice: dict[str, Any] = field(default_factory=dict)
    separate: bool = False
    separation_model: str | None = None
    guards: bool = True
    decoding: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, Any] = field(default_factory=dict)

    def parsed_formats(self) -> list[Format]:
        return list(dict.fromkeys(Format.parse(name) for name in self.formats))

    def rules(self) -> LineRules:
        return LineRules(**self.lines)

    def options(self, defaults: TranscribeOptions) -> TranscribeOptions:
        """The request: the settings' defaults with what was given on top.

        Raises:
            InvalidOptionError: a value is out of bounds or unknown.
        """
        if self.task not in list(Task):
            raise typer.BadParameter(
                f"{self.task!r} is neither transcribe nor translate.", param_hint="--task"
            )
        given = {name: value for name, value in self.decoding.items() if value is not None}
        among = self.among or list(defaults.language.allowed)
        policy = LanguagePolicy.parse(self.language, among)
        return replace(
            defaults,
            task=Task(self.task),
            language=replace(defaults.language, language=policy.language, allowed=policy.allowed),
            decoding=replace(defaults.decoding, **given),
            vad=self._vad(defaults.vad),
            separation=self._separation(defaults.separation),
            words=self.words
            or any(fmt.needs_words for fmt in self.parsed_formats())
            or self.rules().needs_words,
            guards=defaults.guards and self.guards,
            speakers=self.speaker_options(),
        )

    def speaker_options(self) -> SpeakerOptions | None:
        """Who speaks is found out when a flag or a format asks for it."""
        asked = (self.speakers or "").strip().lower()
        bounded = self.min_speakers is not None or self.max_speakers is not None
        if not (
            asked
            or bounded
            or self.known_speakers
            or any(fmt.needs_speakers for fmt in self.parsed_formats())
        ):
            return None
        if asked not in ("", "auto", "channels") and not asked.isdecimal():
            raise typer.BadParameter(
                f"{asked[:40]!r} is neither a number nor auto nor channels.", param_hint="--speakers"
            )
        return SpeakerOptions(
            count=int(asked[:9]) if asked.isdecimal() else None,
            minimum=self.min_speakers,
            maximum=self.max_speakers,
            known=known_voices(self.known_speakers),
            channels=asked == "channels",
        )

    def _vad(self, default: VadOptions) -> VadOptions:
        given = {name: value for name, value in self.voice.items() if value is not None}
        if given and not self.vad:
            raise typer.BadParameter(
                "voice activity is switched off by --no-vad; it has nothing to say then.",
                param_hint=f"--{next(iter(given)).replace('_', '-')}",
            )
        return replace(default, enabled=default.enabled and self.vad, **given)

    def _separation(self, default: SeparationOptions | None) -> SeparationOptions | None:
        if not self.separate and self.separation_model is not None:
            raise typer.BadParameter("it goes with --separate.", param_hint="--separation-model")
        if not self.separate:
            return default
        asked = default or SeparationOptions()
        return asked if self.separation_model is None else replace(asked, model=self.separation_model)


def transcribe_all(wanted: Wanted, settings: Settings) -> int:
    """Transcribe every recording; the exit status. One that fails is told of, the others are still done."""
    formats, rules = wanted.parsed_formats(), wanted.rules()
    options = wanted.options(settings.transcribe_options())
    _check_rules(wanted.lines, formats)
    try:
        inputs = find(wanted.arguments)
    except NothingToReadError as error:
        raise typer.BadParameter(str(error), param_hint="FILE") from None
    if wanted.output_dir is None:
        _check_printable(inputs, formats)
        outputs: list[list[Path]] = [[] for _ in inputs]
    else:
        require_folder(wanted.output_dir)
        outputs = plan(inputs, wanted.output_dir, _suffixes(formats))

    failed = 0
    with ending_cleanly(), open_transcriber(settings) as transcriber:
        for item, files in zip(inputs, outputs, strict=True):
            try:
                transcript = _one(transcriber, item, options, settings)
                shape = RenderOptions(words=wanted.words, recording=str(item.stem))
                texts = [render(transcript, fmt, rules, options=shape) for fmt in formats]
                for path, text in zip(files, texts, strict=False):
                    write_whole(path, text)
                if not files:
                    _print(item, texts[0], formats[0], several=len(inputs) > 1)
            except (ModelNotFoundError, ModelUnavailableError, BrokenPipeError):
                raise  # no other recording would fare better
            except Exception as error:
                if faults.debugging():
                    raise
                faults.say(f"{item.shown}: {faults.describe(error)[0]}")
                failed += 1
    return faults.FAILED if failed else 0


def _one(transcriber: Transcriber, item: Input, options: TranscribeOptions, settings: Settings) -> Transcript:
    with (
        _opened(item, settings) as source,
        progress.listening(item.shown) as report,
        # Closed here, not when nobody holds it any more: an interruption's own traceback does for a while.
        closing(events(transcriber, source, options)) as told,
    ):
        for event in told:
            if isinstance(event, Progress):
                report(event.done, event.total)
            elif isinstance(event, Finished):
                return event.transcript
    raise RuntimeError("a transcription ended without a result")


@contextmanager
def _opened(item: Input, settings: Settings) -> Generator[Source]:
    if item.path is not None:
        yield item.path
        return
    settings.spool_dir.mkdir(parents=True, exist_ok=True)
    with spool_stdin(settings.spool_dir) as file:
        yield file


def _check_printable(inputs: list[Input], formats: list[Format]) -> None:
    if len(formats) > 1:
        raise typer.BadParameter(
            "only one format can be printed; name an --output-dir.", param_hint="--format"
        )
    if len(inputs) > 1 and formats[0] not in _PRINTED_TOGETHER:
        raise typer.BadParameter(
            f"{formats[0].value} of {len(inputs)} recordings cannot be printed as one; name an --output-dir.",
            param_hint="--format",
        )


def _check_rules(lines: dict[str, Any], formats: list[Format]) -> None:
    given = [name for name, value in lines.items() if value is not None]
    if given and not any(fmt.has_cues for fmt in formats):
        among = ", ".join(fmt.value for fmt in Format if fmt.has_cues)
        raise typer.BadParameter(
            f"it says how subtitles are cut, and goes with --format {among}; not with {formats[0].value}.",
            param_hint=f"--{given[0].replace('_', '-')}",
        )


def _suffixes(formats: list[Format]) -> list[str]:
    """What the file of each format ends in; where two would be the same, the format's name is put in."""
    plain = [fmt.extension for fmt in formats]
    return [
        f".{fmt.value}{suffix}" if plain.count(suffix) > 1 and suffix != f".{fmt.value}" else suffix
        for fmt, suffix in zip(formats, plain, strict=True)
    ]


def _print(item: Input, text: str, fmt: Format, *, several: bool) -> None:
    """One recording is printed as it is. Of several, text has a heading each, JSON is one line each, and
    RTTM names the recording in every line."""
    if several and fmt in _JSON:
        text = json.dumps({"file": item.shown, **json.loads(text)}, ensure_ascii=False) + "\n"
    elif several and fmt is not Format.RTTM:
        text = f"==> {item.shown} <==\n{text}\n"
    sys.stdout.write(text)
    sys.stdout.flush()
