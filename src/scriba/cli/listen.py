"""``scriba listen``: live speech to a server."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from scriba.cli import flags


def listen(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A recording, - for raw 16-bit samples at 16 kHz, or mic for a microphone."
        ),
    ],
    url: Annotated[
        str, typer.Option("--url", metavar="URL", help="The server's address.")
    ] = "http://127.0.0.1:8000",
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="KEY", help="A key of the server's.", show_default=False),
    ] = None,
    model: flags.Model = None,
    language: flags.Language = None,
    delay: Annotated[
        str,
        typer.Option("--delay", metavar="DELAY", help="minimal, low, medium, high or xhigh."),
    ] = "low",
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="TEXT", help="Text the model takes as said before.", show_default=False
        ),
    ] = None,
    refine: Annotated[
        bool,
        typer.Option(
            "--refine", help="At the end have all of it heard once more, and print that text below."
        ),
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Send a recording at once, not at the speed of time.")
    ] = False,
) -> None:
    """Send speech to a server as it is said, and print its words as they settle."""
    import asyncio

    from scriba.cli.listening import listen as run

    address = url.rstrip("/").replace("http", "ws", 1) + "/v1/live"
    asked: dict[str, Any] = {
        "model": model,
        "language": language,
        "prompt": prompt,
        "delay": delay,
        "refine": refine or None,
    }
    start = {name: value for name, value in asked.items() if value is not None}
    with suppress(KeyboardInterrupt):
        asyncio.run(run(source, address, start, key=key, fast=fast))
