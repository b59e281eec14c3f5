"""A separator for a model and for what its voice is wanted for."""

from __future__ import annotations

import os
from pathlib import Path

from scriba.audio.samples import SPEECH, Sound
from scriba.separation.catalogue import Kind, SeparationModel
from scriba.separation.demucs import DemucsSeparator
from scriba.separation.gtcrn import GtcrnSeparator
from scriba.separation.mdx import MdxSeparator
from scriba.separation.port import Separator


def sound_of(model: SeparationModel, *, for_speech: bool) -> Sound:
    """What a recording is decoded to for this model."""
    if for_speech and model.kind is Kind.GTCRN:
        return SPEECH
    return Sound(model.rate, stereo=True)


def build_separator(
    model: SeparationModel, path: Path, sound: Sound, segment_size: int | None, device: str
) -> Separator:
    """
    Raises:
        ModelUnavailableError: the file is not such a model.
        InvalidOptionError: the model takes segments of another size.
    """
    threads = max(
        1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    if model.kind is Kind.GTCRN:
        # Frame after frame: there is nothing for a second thread to do.
        return GtcrnSeparator(path, sound.rate, 2 if sound.stereo else 1, at_once=segment_size or 256)
    if model.kind is Kind.DEMUCS:
        return DemucsSeparator(path, threads=threads, device=device)
    assert model.figures is not None  # noqa: S101 - every MDX-Net model of the catalogue has them
    return MdxSeparator(path, model.figures, frames=segment_size, threads=threads, device=device)
