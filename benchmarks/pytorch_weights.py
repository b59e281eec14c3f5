"""A CTranslate2 folder's weights under openai/whisper's names, for programs that run them in PyTorch."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.engine.ct2_weights import Ct2Weights

_HEAD = 64
_POSITIONS, _TEXT_POSITIONS = 1500, 448
Tensor = NDArray[np.float32]


def write_pytorch(weights: Path, folder: Path) -> str:
    """Write ``config.json`` and ``model.safetensors`` into ``folder``.

    Returns:
        The heads whose attention follows the sound, as openai/whisper writes them: one byte for each head of
        each layer, gzipped, in base 85.
    """
    source = Ct2Weights(weights)
    tensors = dict(_tensors(source))
    mel_bins = tensors["encoder.conv1.weight"].shape[1]
    vocabulary, width = tensors["decoder.token_embedding.weight"].shape
    layers = source.count_blocks("decoder")
    sizes = {
        "n_mels": mel_bins,
        "n_audio_ctx": _POSITIONS,
        "n_audio_state": width,
        "n_audio_head": width // _HEAD,
        "n_audio_layer": source.count_blocks("encoder"),
        "n_vocab": vocabulary,
        "n_text_ctx": _TEXT_POSITIONS,
        "n_text_state": width,
        "n_text_head": width // _HEAD,
        "n_text_layer": layers,
    }
    (folder / "config.json").write_text(json.dumps(sizes))
    _write_safetensors(folder / "model.safetensors", tensors)
    mask = np.zeros((layers, width // _HEAD), bool)
    for layer, head in json.loads((weights / "config.json").read_text())["alignment_heads"]:
        mask[layer, head] = True
    return base64.b85encode(gzip.compress(mask.tobytes())).decode()


def _tensors(source: Ct2Weights) -> Iterator[tuple[str, Tensor]]:
    for convolution in ("conv1", "conv2"):
        for kind in ("weight", "bias"):
            yield f"encoder.{convolution}.{kind}", source.dequantised(f"encoder/{convolution}/{kind}")
    yield "encoder.positional_embedding", source.dequantised("encoder/position_encodings/encodings")
    yield "decoder.positional_embedding", source.dequantised("decoder/position_encodings/encodings")
    yield "decoder.token_embedding.weight", source.dequantised("decoder/embeddings/weight")
    yield from _norm(source, "encoder/layer_norm", "encoder.ln_post")
    yield from _norm(source, "decoder/layer_norm", "decoder.ln")
    for part in ("encoder", "decoder"):
        for layer in range(source.count_blocks(part)):
            own, block = f"{part}/layer_{layer}", f"{part}.blocks.{layer}"
            yield from _norm(source, f"{own}/self_attention/layer_norm", f"{block}.attn_ln")
            yield from _split(source, f"{own}/self_attention/linear_0", f"{block}.attn", "qkv")
            yield from _linear(source, f"{own}/self_attention/linear_1", f"{block}.attn.out")
            if part == "decoder":
                yield from _norm(source, f"{own}/attention/layer_norm", f"{block}.cross_attn_ln")
                yield from _split(source, f"{own}/attention/linear_0", f"{block}.cross_attn", "q")
                yield from _split(source, f"{own}/attention/linear_1", f"{block}.cross_attn", "kv")
                yield from _linear(source, f"{own}/attention/linear_2", f"{block}.cross_attn.out")
            yield from _norm(source, f"{own}/ffn/layer_norm", f"{block}.mlp_ln")
            yield from _linear(source, f"{own}/ffn/linear_0", f"{block}.mlp.0")
            yield from _linear(source, f"{own}/ffn/linear_1", f"{block}.mlp.2")


def _norm(source: Ct2Weights, own: str, name: str) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", source.dequantised(f"{own}/gamma")
    yield f"{name}.bias", source.dequantised(f"{own}/beta")


def _linear(source: Ct2Weights, own: str, name: str) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", source.dequantised(f"{own}/weight")
    yield f"{name}.bias", source.dequantised(f"{own}/bias")


def _split(source: Ct2Weights, own: str, name: str, parts: str) -> Iterator[tuple[str, Tensor]]:
    """CTranslate2 has the projections in one matrix; keys have no bias."""
    names = {"q": "query", "k": "key", "v": "value"}
    weights = np.split(source.dequantised(f"{own}/weight"), len(parts))
    biases = np.split(source.dequantised(f"{own}/bias"), len(parts))
    for part, weight, bias in zip(parts, weights, biases, strict=True):
        yield f"{name}.{names[part]}.weight", weight
        if part != "k":
            yield f"{name}.{names[part]}.bias", bias


def _write_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """https://github.com/huggingface/safetensors: the header's length, the header, the tensors."""
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, "<f4").tobytes())
