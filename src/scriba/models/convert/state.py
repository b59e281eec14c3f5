"""What every reader of weights produces: tensors by name, in one layout of names.

The names are those of ``transformers.WhisperForConditionalGeneration`` without the leading ``model.``, for
example ``decoder.layers.0.encoder_attn.k_proj.weight``. Linear weights have shape ``(out, in)``,
convolutions ``(out, in, width)``. The output projection is tied to ``decoder.embed_tokens.weight``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.domain.errors import ModelUnavailableError

Array = NDArray[Any]
Tensors = Mapping[str, Callable[[], Array]]
"""Name to a function that reads the tensor: a large checkpoint is never in memory twice."""


class ConversionError(ModelUnavailableError):
    """The weights cannot be converted: damaged, incomplete, or no Whisper model at all."""


def as_float(array: Array) -> Array:
    """The same numbers in a dtype that the writer can take on (float16 or float32)."""
    if array.dtype == np.float16 or array.dtype == np.float32:
        return array
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(np.float32)
    raise ConversionError(f"A weight has the type {array.dtype}, which is no floating point type.")
