"""Opening a checkpoint as it is published: a Hugging Face directory, or OpenAI's own file."""

from __future__ import annotations

import re
from pathlib import Path

from scriba.models.convert.safetensors_file import INDEX, WHOLE, read_safetensors, read_sharded
from scriba.models.convert.state import ConversionError, Tensors
from scriba.models.convert.torch_file import TorchFile

PICKLED = "pytorch_model.bin"

_TOP = {
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
    "decoder.token_embedding.weight": "decoder.embed_tokens.weight",
}
_NORMS = {"encoder.ln_post": "encoder.layer_norm", "decoder.ln": "decoder.layer_norm"}
_PARTS = {
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "attn_ln": "self_attn_layer_norm",
    "cross_attn.query": "encoder_attn.q_proj",
    "cross_attn.key": "encoder_attn.k_proj",
    "cross_attn.value": "encoder_attn.v_proj",
    "cross_attn.out": "encoder_attn.out_proj",
    "cross_attn_ln": "encoder_attn_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
}
_BLOCK = re.compile(r"^(encoder|decoder)\.blocks\.(\d+)\.(.+)\.(weight|bias)$")


def is_huggingface(directory: Path) -> bool:
    """Whether a directory holds weights as ``transformers`` saves them."""
    return any((directory / name).is_file() for name in (WHOLE, INDEX, PICKLED))


def read_huggingface(directory: Path) -> Tensors:
    """The weights of a Hugging Face directory; safetensors first.

    Raises:
        ConversionError: there are none, or they are damaged.
    """
    if (directory / WHOLE).is_file():
        tensors = read_safetensors(directory / WHOLE)
    elif (directory / INDEX).is_file():
        tensors = read_sharded(directory)
    elif (directory / PICKLED).is_file():
        file = TorchFile(directory / PICKLED)
        tensors = file.tensors(file.content)
    else:
        raise ConversionError(f"The folder holds no weights: {WHOLE} or {PICKLED} is needed.")
    return {name.removeprefix("model."): read for name, read in tensors.items()}


def read_openai(path: Path) -> Tensors:
    """The weights of a ``.pt`` file as openai/whisper publishes them.

    Raises:
        ConversionError: it is damaged, hostile, or something else.
    """
    file = TorchFile(path)
    table = file.content.get("model_state_dict") if isinstance(file.content, dict) else None
    if table is None:
        raise ConversionError(f"{path.name} is a PyTorch checkpoint, but not one of openai/whisper.")
    return {_rename(name): read for name, read in file.tensors(table).items()}


def _rename(name: str) -> str:
    if name in _TOP:
        return _TOP[name]
    stem, _, kind = name.rpartition(".")
    if stem in _NORMS:
        return f"{_NORMS[stem]}.{kind}"
    found = _BLOCK.match(name)
    if found is None:
        return name
    side, layer, part, kind = found.groups()
    return f"{side}.layers.{layer}.{_PARTS.get(part, part)}.{kind}"
