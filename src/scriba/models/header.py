"""Reading the header of a CTranslate2 ``model.bin``: names and shapes of its weights, without the weights."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from scriba.models.convert.state import ConversionError
from scriba.models.convert.vocabulary import ENGLISH_VOCABULARY
from scriba.models.convert.writer import Dimensions

_MAX_VARIABLES = 10_000
_LAYER = re.compile(r"^(encoder|decoder)/layer_(\d+)/")


@dataclass(frozen=True, slots=True)
class Variable:
    """One weight: its shape, CTranslate2's number of its type, and where its bytes lie in the file."""

    shape: tuple[int, ...]
    type_id: int
    offset: int
    size: int


def read_variables(path: Path) -> dict[str, Variable]:
    """Every weight of a Whisper model in CTranslate2's format (binary version 5 and up).

    Raises:
        ConversionError: the file is something else, or cut off.
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        try:
            return _read(file, length)
        except (struct.error, UnicodeDecodeError) as error:
            raise ConversionError("model.bin is damaged, or is no CTranslate2 model.") from error


def _read(file: BinaryIO, length: int) -> dict[str, Variable]:
    (version,) = struct.unpack("<I", file.read(4))
    if not 5 <= version <= 100:
        raise ConversionError("model.bin is no CTranslate2 model, or one of a version that is too old.")
    if _string(file) != "WhisperSpec":
        raise ConversionError("model.bin is a CTranslate2 model, but not of Whisper.")
    _revision, count = struct.unpack("<II", file.read(8))
    if count > _MAX_VARIABLES:
        raise ConversionError("model.bin is damaged.")
    variables: dict[str, Variable] = {}
    for _ in range(count):
        name = _string(file)
        (rank,) = struct.unpack("<B", file.read(1))
        shape = struct.unpack(f"<{rank}I", file.read(4 * rank))
        type_id, size = struct.unpack("<BI", file.read(5))
        variables[name] = Variable(shape, type_id, file.tell(), size)
        if file.seek(size, 1) > length:
            raise ConversionError("model.bin is cut off. Delete the model and fetch it again.")
    return variables


def _string(file: BinaryIO) -> str:
    (size,) = struct.unpack("<H", file.read(2))
    raw = file.read(size)
    if len(raw) != size:
        raise ConversionError("model.bin is cut off. Delete the model and fetch it again.")
    return raw.rstrip(b"\0").decode()


def read_model_dimensions(path: Path) -> Dimensions:
    """Sizes of the model in ``path`` (a ``model.bin``).

    Raises:
        ConversionError: it is no Whisper model.
    """
    variables = read_variables(path)
    try:
        conv = variables["encoder/conv1/weight"].shape
        embedding = variables["decoder/embeddings/weight"].shape
        _out, mel_bins, _width = conv
        vocabulary, width = embedding
    except (KeyError, ValueError) as error:
        raise ConversionError("model.bin lacks weights that every Whisper model has.") from error
    layers: dict[str, set[int]] = {"encoder": set(), "decoder": set()}
    for name in variables:
        if found := _LAYER.match(name):
            layers[found[1]].add(int(found[2]))
    return Dimensions(
        encoder_layers=len(layers["encoder"]),
        decoder_layers=len(layers["decoder"]),
        width=width,
        mel_bins=mel_bins,
        vocabulary=vocabulary,
    )


def speaks_many_languages(sizes: Dimensions) -> bool:
    """Whether the vocabulary is the multilingual one."""
    return sizes.vocabulary > ENGLISH_VOCABULARY


def can_translate(sizes: Dimensions) -> bool:
    """Distilled models, turbo among them, keep fewer decoder than encoder layers and lost the skill."""
    return speaks_many_languages(sizes) and sizes.decoder_layers == sizes.encoder_layers
