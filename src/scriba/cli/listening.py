"""Carrying out ``scriba listen``: sound from somewhere, at the speed of time, and text as it settles."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from scriba.audio.decode import open_recording
from scriba.cli.live_client import Event, LiveClient, LiveRefusedError

RATE = 16_000
_CHUNK_SECONDS = 0.1
_CHUNK_BYTES = round(RATE * _CHUNK_SECONDS) * 2
_RECORDERS = (
    ("arecord", "-q", "-f", "S16_LE", "-r", str(RATE), "-c", "1", "-t", "raw", "-"),
    tuple(f"ffmpeg -nostdin -loglevel error -f pulse -i default -ac 1 -ar {RATE} -f s16le -".split()),
)


async def listen(source: str, url: str, start: dict[str, Any], *, key: str | None, fast: bool) -> None:
    """Send a recording, the standard input (``-``, s16le at 16 kHz) or the microphone (``mic``).

    Raises:
        LiveRefusedError: the server refused, or there is no microphone to be had.
        ScribaError: the recording cannot be decoded.
    """
    shown = Shown()
    client = LiveClient(url, start, shown.tell, key=key)
    await client.run(_sound(source, fast=fast))
    shown.end()


class Shown:
    """Settled text on the standard output; what may still change on the terminal only."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty() and sys.stdout.isatty()
        self._begun = False
        self._session = ""

    def tell(self, event: Event) -> None:
        match event["type"]:
            case "settled":
                self._clear()
                text: str = event["text"]
                sys.stdout.write(text if self._begun else text.lstrip())
                self._begun = True
                sys.stdout.flush()
            case "partial" if self._terminal:
                self._clear()
                # Saved, written dim, and left again: the next settled words go over it.
                sys.stderr.write(f"\0337\033[2m{event['text']}\033[0m\0338")
                sys.stderr.flush()
            case "utterance_end" if self._begun:
                self._clear()
                sys.stdout.write("\n")
                self._begun = False
                sys.stdout.flush()
            case "refined":
                self.end()
                sys.stdout.write(f"\n{event['text']}\n")
                self._begun = False
            case _:
                pass

    def end(self) -> None:
        self._clear()
        if self._begun:
            sys.stdout.write("\n")
        sys.stdout.flush()

    def _clear(self) -> None:
        if self._terminal:
            sys.stderr.write("\033[J")
            sys.stderr.flush()


async def _sound(source: str, *, fast: bool) -> AsyncIterator[bytes]:
    if source == "mic":
        async for chunk in _microphone():
            yield chunk
        return
    chunks = _standard_input() if source == "-" else _recording(Path(source))
    loop = asyncio.get_running_loop()
    begun, sent = loop.time(), 0
    async for chunk in chunks:
        sent += len(chunk)
        if not fast:
            # A chunk exists when its last sample has been said.
            await asyncio.sleep(max(0.0, begun + sent / (2 * RATE) - loop.time()))
        yield chunk


async def _recording(path: Path) -> AsyncIterator[bytes]:
    with open_recording(path) as recording:
        blocks = recording.blocks()
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            data = (block.clip(-1, 1) * 32767).astype("<i2").tobytes()
            for start in range(0, len(data), _CHUNK_BYTES):
                yield data[start : start + _CHUNK_BYTES]


async def _standard_input() -> AsyncIterator[bytes]:
    file = sys.stdin.fileno()
    while data := await asyncio.to_thread(os.read, file, _CHUNK_BYTES):
        yield data


async def _microphone() -> AsyncIterator[bytes]:
    recorder = next((own for own in _RECORDERS if shutil.which(own[0])), None)
    if recorder is None:
        raise LiveRefusedError("A microphone needs arecord (alsa-utils) or ffmpeg, and neither is here.")
    process = await asyncio.create_subprocess_exec(*recorder, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101
    try:
        while data := await process.stdout.read(_CHUNK_BYTES):
            yield data
        if await process.wait():
            raise LiveRefusedError("The microphone cannot be recorded from.")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
