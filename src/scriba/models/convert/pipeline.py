"""From tensors and a tokenizer to a complete CTranslate2 directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scriba.domain.cancel import CancelToken
from scriba.models.convert.state import Array, Tensors
from scriba.models.convert.vocabulary import read_tables
from scriba.models.convert.writer import Dimensions, Precision, read_dimensions, write_model
from scriba.models.files import require_space

_COPIED = ("tokenizer.json", "preprocessor_config.json")


def model_bytes(sizes: Dimensions) -> int:
    """About how large ``model.bin`` will be in float16, in bytes."""
    width = sizes.width
    per_encoder_layer, per_decoder_layer = 12 * width * width, 16 * width * width
    weights = (
        sizes.encoder_layers * per_encoder_layer
        + sizes.decoder_layers * per_decoder_layer
        + (sizes.vocabulary + 1500 + 448 + 3 * (width + sizes.mel_bins)) * width
    )
    return 2 * weights


def convert(
    tensors: Tensors,
    tokenizer_folder: Path,
    into: Path,
    *,
    name: str | None,
    precision: Precision = "float16",
    cancel: CancelToken | None = None,
) -> Dimensions:
    """Write a model that CTranslate2 loads, with the files that engines want beside it.

    float16 keeps genuine weights exactly (they were published so) and 8-bit ones as good as exactly; it is
    quantised again when it is loaded, for the device at hand. Storing int8 would save half the disk and round
    8-bit sources twice.

    Args:
        tensors: see ``convert.state``.
        tokenizer_folder: holds ``tokenizer.json`` and, if there are any, the Hugging Face configs.
        into: an existing directory.
        name: the catalogue's name, for what a checkpoint does not say itself.

    Raises:
        ConversionError: weights and tokenizer do not make a Whisper model.
        DiskFullError: there is no room.
        CancelledByUserError: ``cancel`` was set.
    """
    if cancel is not None:
        tensors = {name: partial(_checked, read, cancel) for name, read in tensors.items()}
    sizes = read_dimensions(tensors)
    require_space(into, model_bytes(sizes) * (2 if precision == "float32" else 1))
    tables = read_tables(tokenizer_folder, sizes, name)
    write_model(tensors, tables, into, precision=precision)
    for file in _COPIED:
        if (tokenizer_folder / file).is_file() and not (into / file).exists():
            shutil.copyfile(tokenizer_folder / file, into / file)
    if not (into / "preprocessor_config.json").is_file():
        extractor = {
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": sizes.mel_bins,
            "hop_length": 160,
            "n_fft": 400,
            "sampling_rate": 16000,
            "chunk_length": 30,
            "nb_max_frames": 3000,
        }
        (into / "preprocessor_config.json").write_text(json.dumps(extractor, indent=2) + "\n", "utf-8")
    return sizes


def _checked(read: Callable[[], Array], cancel: CancelToken) -> Array:
    cancel.check()
    return read()
