"""Writing a CTranslate2 Whisper model from named tensors. The only place that knows CTranslate2's layout.

Source of the layout: ``ctranslate2.specs`` (the query, key and value projections of self-attention are one
matrix; so are key and value of cross-attention).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from scriba.models.convert.state import Array, ConversionError, Tensors, as_float

Precision = Literal["float16", "float32", "int8"]

HEAD_SIZE = 64
"""Every Whisper model, distilled ones too, has attention heads of this size."""
_MAX_LAYERS = 64
_MAX_WIDTH = 4096
_MAX_VOCABULARY = 100_000
_CONTEXT, _TEXT_CONTEXT, _KERNEL = 1500, 448, 3


@dataclass(frozen=True, slots=True)
class Dimensions:
    """The sizes that tell one Whisper model from another, read off the shapes of its weights."""

    encoder_layers: int
    decoder_layers: int
    width: int
    mel_bins: int
    vocabulary: int

    @property
    def heads(self) -> int:
        return self.width // HEAD_SIZE


@dataclass(frozen=True, slots=True)
class TokenTables:
    """What CTranslate2's ``config.json`` holds beside the weights, and the vocabulary in id order."""

    vocabulary: list[str]
    suppress_ids: list[int]
    suppress_ids_begin: list[int]
    lang_ids: list[int]
    alignment_heads: list[tuple[int, int]]


def read_dimensions(tensors: Tensors) -> Dimensions:
    """Derive the sizes and refuse what cannot be Whisper.

    Raises:
        ConversionError: a tensor is missing or has an absurd shape.
    """
    conv = _get(tensors, "encoder.conv1.weight")
    embedding = _get(tensors, "decoder.embed_tokens.weight")
    if conv.ndim != 3 or embedding.ndim != 2 or conv.shape[2] != _KERNEL:
        raise ConversionError("These weights are not those of a Whisper model.")
    sizes = Dimensions(
        encoder_layers=_count(tensors, "encoder"),
        decoder_layers=_count(tensors, "decoder"),
        width=embedding.shape[1],
        mel_bins=conv.shape[1],
        vocabulary=embedding.shape[0],
    )
    sane = (
        0 < sizes.encoder_layers <= _MAX_LAYERS
        and 0 < sizes.decoder_layers <= _MAX_LAYERS
        and 0 < sizes.width <= _MAX_WIDTH
        and sizes.width % HEAD_SIZE == 0
        and sizes.mel_bins in (80, 128)
        and 1500 < sizes.vocabulary <= _MAX_VOCABULARY
    )
    if not sane:
        raise ConversionError(f"These weights are not those of a Whisper model: {sizes}.")
    return sizes


def write_model(
    tensors: Tensors, tables: TokenTables, into: Path, *, precision: Precision = "float16"
) -> None:
    """Write ``model.bin``, ``config.json`` and ``vocabulary.json`` into the existing directory ``into``.

    Raises:
        ConversionError: a tensor is missing or of the wrong shape.
    """
    from ctranslate2.specs import whisper_spec  # slow to import, and not needed once models are installed

    sizes = read_dimensions(tensors)
    spec: Any = whisper_spec.WhisperSpec(sizes.encoder_layers, sizes.heads, sizes.decoder_layers, sizes.heads)
    _Filler(tensors, sizes, np.dtype(np.float32 if precision == "float32" else np.float16)).fill(spec)
    spec.config.suppress_ids = tables.suppress_ids
    spec.config.suppress_ids_begin = tables.suppress_ids_begin
    spec.config.lang_ids = tables.lang_ids
    spec.config.alignment_heads = [list(pair) for pair in tables.alignment_heads]
    spec.register_vocabulary(tables.vocabulary)
    try:
        spec.validate()
    except ValueError as error:
        raise ConversionError(f"The weights do not make a whole Whisper model: {error}") from error
    spec.optimize(quantization=precision)
    spec.save(str(into))


class _Filler:
    """Puts each tensor where the specification wants it, checking shapes on the way."""

    def __init__(self, tensors: Tensors, sizes: Dimensions, dtype: np.dtype[Any]) -> None:
        self._tensors = tensors
        self._sizes = sizes
        self._dtype = dtype

    def fill(self, spec: Any) -> None:
        size = self._sizes
        width = size.width
        for name, channels in (("conv1", size.mel_bins), ("conv2", width)):
            conv = getattr(spec.encoder, name)
            conv.weight = self._tensor(f"encoder.{name}.weight", width, channels, _KERNEL)
            conv.bias = self._tensor(f"encoder.{name}.bias", width)
        spec.decoder.embeddings.weight = self._tensor("decoder.embed_tokens.weight", size.vocabulary, width)
        spec.decoder.projection.weight = spec.decoder.embeddings.weight
        for name, side, length in (
            ("encoder", spec.encoder, _CONTEXT),
            ("decoder", spec.decoder, _TEXT_CONTEXT),
        ):
            side.position_encodings.encodings = self._tensor(f"{name}.embed_positions.weight", length, width)
            self._norm(side.layer_norm, f"{name}.layer_norm")
            for index, layer in enumerate(side.layer):
                self._layer(layer, f"{name}.layers.{index}", cross=name == "decoder")

    def _layer(self, layer: Any, scope: str, *, cross: bool) -> None:
        width = self._sizes.width
        self._norm(layer.self_attention.layer_norm, f"{scope}.self_attn_layer_norm")
        self._fused(layer.self_attention.linear[0], f"{scope}.self_attn", "qkv")
        self._linear(layer.self_attention.linear[1], f"{scope}.self_attn.out_proj", width, width)
        if cross:
            self._norm(layer.attention.layer_norm, f"{scope}.encoder_attn_layer_norm")
            self._fused(layer.attention.linear[0], f"{scope}.encoder_attn", "q")
            self._fused(layer.attention.linear[1], f"{scope}.encoder_attn", "kv")
            self._linear(layer.attention.linear[2], f"{scope}.encoder_attn.out_proj", width, width)
        self._norm(layer.ffn.layer_norm, f"{scope}.final_layer_norm")
        self._linear(layer.ffn.linear_0, f"{scope}.fc1", 4 * width, width)
        self._linear(layer.ffn.linear_1, f"{scope}.fc2", width, 4 * width)

    def _norm(self, spec: Any, scope: str) -> None:
        spec.gamma = self._tensor(f"{scope}.weight", self._sizes.width)
        spec.beta = self._tensor(f"{scope}.bias", self._sizes.width)

    def _linear(self, spec: Any, scope: str, out: int, into: int) -> None:
        spec.weight = self._tensor(f"{scope}.weight", out, into)
        spec.bias = self._tensor(f"{scope}.bias", out)

    def _fused(self, spec: Any, scope: str, parts: str) -> None:
        width = self._sizes.width
        weights = [self._tensor(f"{scope}.{part}_proj.weight", width, width) for part in parts]
        # Whisper's key projection has no bias.
        biases = [
            np.zeros(width, self._dtype) if part == "k" else self._tensor(f"{scope}.{part}_proj.bias", width)
            for part in parts
        ]
        spec.weight = np.concatenate(weights)
        spec.bias = np.concatenate(biases)

    def _tensor(self, name: str, *shape: int) -> Array:
        array = as_float(_get(self._tensors, name))
        if array.shape != shape:
            raise ConversionError(f"The weight {name} has shape {array.shape}; {shape} was expected.")
        array = np.ascontiguousarray(array, self._dtype)
        if not np.isfinite(array).all():
            raise ConversionError(f"The weight {name} holds values that are not finite numbers.")
        return array


def _get(tensors: Tensors, name: str) -> Array:
    try:
        read = tensors[name]
    except KeyError:
        raise ConversionError(f"The weights lack {name}: not a Whisper model, or not all of it.") from None
    return read()


def _count(tensors: Tensors, side: str) -> int:
    pattern = re.compile(rf"^{side}\.layers\.(\d+)\.")
    indices = {int(found[1]) for name in tensors if (found := pattern.match(name))}
    if indices != set(range(len(indices))):
        raise ConversionError(f"Layers of the {side} are missing.")
    return len(indices)
