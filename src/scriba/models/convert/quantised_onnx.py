"""From a pair of 8-bit ONNX files (the transformers.js export of Whisper) to float tensors.

Dynamic quantisation (``onnxruntime.quantization.quantize_dynamic``) stores a weight ``W`` as ``W_quantized``,
``W_scale`` and ``W_zero_point``: ``W = (W_quantized - W_zero_point) * W_scale``. Weights of matrix
multiplications lost their names in the export, and are found by the name of the node that uses them; they are
stored as ``(in, out)``. The decoder is two graphs merged into one, which adds ``_merged_0`` to names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from scriba.models.convert.onnx_file import OnnxFile
from scriba.models.convert.state import Array, ConversionError, Tensors

_MATMUL = re.compile(r"^/(?P<module>.+)/MatMul_quant$")
_QUANTISED = "_quantized"


def read_quantised_pair(encoder: Path, decoder: Path) -> Tensors:
    """All weights of the model, each dequantised to float32 when it is read.

    Raises:
        ConversionError: a file is damaged, or no quantised Whisper export.
    """
    tensors: dict[str, Callable[[], Array]] = {}
    for path, prefix in ((encoder, "encoder."), (decoder, "decoder.")):
        tensors.update(_read(OnnxFile(path), prefix))
    return tensors


def _read(file: OnnxFile, prefix: str) -> dict[str, Callable[[], Array]]:
    tensors: dict[str, Callable[[], Array]] = {}
    for operator, node, inputs in file.nodes():
        found = _MATMUL.match(node) if operator == "MatMulInteger" else None
        if found is not None and len(inputs) > 1 and inputs[1] in file:
            name = _canonical(found["module"].replace("/", ".") + ".weight", prefix)
            tensors[name] = partial(_dequantise, file, inputs[1].removesuffix(_QUANTISED), transpose=True)
    for stored in file.names():
        if stored.startswith("onnx::") or stored.endswith(("_scale", "_zero_point", "_shape")):
            continue
        weight = stored.removesuffix(_QUANTISED)
        name = _canonical(weight.removesuffix("_merged_0"), prefix)
        if stored.endswith(_QUANTISED):
            tensors[name] = partial(_dequantise, file, weight, transpose=False)
        elif stored.endswith(("weight", "bias", "weight_merged_0", "bias_merged_0")):
            tensors[name] = partial(file.tensor, stored)
    return tensors


def _canonical(name: str, prefix: str) -> str:
    name = name.removeprefix("model.")
    return name if name.startswith(prefix) else prefix + name


def _dequantise(file: OnnxFile, weight: str, *, transpose: bool) -> Array:
    values = file.tensor(weight + _QUANTISED)
    scale = file.tensor(weight + "_scale")
    zero = file.tensor(weight + "_zero_point")
    if values.dtype not in (np.uint8, np.int8) or zero.dtype != values.dtype:
        raise ConversionError(f"The weight {weight!r} is not quantised to 8 bits.")
    # Per tensor, scale is a scalar; per channel it runs along the last axis: broadcasting does both.
    result: Array = values.astype(np.float32)
    result -= zero.astype(np.float32)
    result *= scale.astype(np.float32)
    return result.T if transpose else result
