"""``scriba settings``: what is in force, and where it comes from."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from typing import Annotated

import typer


def settings(
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead.")] = False,
) -> None:
    """Print every setting in force and where it comes from; secrets are masked."""
    from scriba.server.setting_sources import effective, load_settings

    rows = effective(load_settings())
    if as_json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=2) + "\n")
        return
    lines = [(f"{row.env}={shlex.quote(row.value) if row.value else ''}", row.source) for row in rows]
    width = max(len(text) for text, _ in lines if len(text) <= 60)
    sys.stdout.writelines(f"{text:<{width}}  # {source}\n" for text, source in lines)
