"""How fast this machine multiplies matrices and reads memory, with the libraries that are installed."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import onnxruntime

from benchmarks.onnx_matmul import integer_matmul
from benchmarks.results import cores

ROWS, INNER, COLUMNS = 1500, 1280, 5120
"""The widest product of Whisper large's encoder."""
_READ_BYTES = 1 << 29


def rate(multiply: Callable[[], object], repeats: int = 5) -> float:
    """Multiply-adds a second of one product of the shape above: the best of some, after one that warms up."""
    multiply()
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        multiply()
        best = min(best, time.perf_counter() - began)
    return ROWS * INNER * COLUMNS / best


def float32_rate() -> float:
    """numpy's BLAS."""
    left, right = np.ones((ROWS, INNER), np.float32), np.ones((INNER, COLUMNS), np.float32)
    result = np.empty((ROWS, COLUMNS), np.float32)
    return rate(lambda: np.matmul(left, right, out=result))


def int8_rate() -> float:
    """onnxruntime's MatMulInteger: unsigned by signed bytes into 32 bits."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores()
    options.log_severity_level = 3
    weights = np.random.default_rng(1).integers(-100, 100, (INNER, COLUMNS), np.int8)
    model = integer_matmul(ROWS, weights)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    left = np.random.default_rng(2).integers(0, 255, (ROWS, INNER), np.uint8)
    return rate(lambda: session.run(None, {"left": left}))


def bfloat16_rate() -> float | None:
    """OpenVINO with its hint for bfloat16; None where either it or the processor's unit is missing."""
    if find_spec("openvino") is None:
        return None
    openvino = import_module("openvino")
    operations = import_module("openvino.opset13")
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    left = operations.parameter([ROWS, INNER], np.float32)
    product = operations.matmul(
        left, operations.constant(np.ones((INNER, COLUMNS), np.float32)), False, False
    )
    settings = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": cores()}
    compiled = core.compile_model(openvino.Model([product], [left]), "CPU", settings)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.ones((ROWS, INNER), np.float32)))
    return rate(request.infer)


def read_rate(repeats: int = 5) -> float:
    """Bytes a second that all cores read together from memory: a matrix that no cache holds, by a vector."""
    matrix = np.ones((_READ_BYTES // 4 // INNER, INNER), np.float32)
    vector = np.ones(INNER, np.float32)
    result = np.empty(len(matrix), np.float32)
    best = float("inf")
    for _ in range(repeats + 1):
        began = time.perf_counter()
        np.matmul(matrix, vector, out=result)
        best = min(best, time.perf_counter() - began)
    return matrix.nbytes / best
