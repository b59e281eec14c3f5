"""Tab-separated values: start, end, text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scriba.formats.cues import Cue


def write_tsv(cues: Iterable[Cue]) -> Iterator[str]:
    """A header and a row a cue, times in whole milliseconds, as openai-whisper writes it.

    Nothing is quoted (read it with ``csv.QUOTE_NONE``): a cue's text holds neither tabs nor line ends.
    """
    yield "start\tend\ttext\n"
    for cue in cues:
        yield f"{cue.start_ms}\t{cue.end_ms}\t{cue.text}\n"
