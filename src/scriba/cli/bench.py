"""``scriba bench``: measure what this machine and these models do."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from scriba.cli import flags

app = typer.Typer(
    help="Measure accuracy and speed on recordings.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def bench() -> None:
    """Measure accuracy and speed on recordings."""


@app.command()
def wer(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|MANIFEST",
            help="A folder of recordings with NAME.txt beside each, LibriSpeech's layout, or a manifest of "
            "JSON lines with path and text.",
        ),
    ],
    model: flags.Model = None,
    language: flags.Language = None,
    detect_language: Annotated[
        bool,
        typer.Option("--detect-language", help="Do not tell the model the language of the reference."),
    ] = False,
    beam_size: flags.BeamSize = None,
    no_vad: flags.NoVad = False,
    no_guards: flags.NoGuards = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", help="Only the first so many recordings.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of a table.")] = False,
    data_dir: flags.DataDir = None,
    device: flags.Device = None,
    compute_type: flags.ComputeType = None,
    workers: flags.Workers = None,
    threads: flags.Threads = None,
) -> None:
    """Print the word error rate, the real-time factor and the memory, over recordings with references."""
    from scriba.bench import FileScore, run_wer_command
    from scriba.bench.scoring import require_scorer
    from scriba.cli.background import ending_cleanly
    from scriba.cli.progress import counting
    from scriba.cli.services import open_transcriber
    from scriba.cli.transcribing import Wanted

    require_scorer()
    settings = flags.read_working_settings(
        model, data_dir=data_dir, device=device, compute_type=compute_type, workers=workers, threads=threads
    )
    wanted = Wanted(
        language=language, vad=not no_vad, guards=not no_guards, decoding={"beam_size": beam_size}
    )
    options = replace(wanted.options(settings.transcribe_options()), words=False)
    with ending_cleanly(), open_transcriber(settings) as transcriber, counting("recordings") as report:

        def tell(done: int, total: int, _score: FileScore) -> None:
            report(done, total)

        result = run_wer_command(
            source, transcriber, options=options, limit=limit, detect_language=detect_language, progress=tell
        )
    sys.stdout.write(result.json() + "\n" if as_json else result.table())
    if result.failed:
        raise typer.Exit(1)
