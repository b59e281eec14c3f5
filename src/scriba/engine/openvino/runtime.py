"""OpenVINO itself: whether it is there and worth while, and how graphs are compiled for this CPU."""

from __future__ import annotations

import importlib.util
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.domain.errors import EngineError

log = structlog.get_logger(__name__)

Half = NDArray[np.uint16] | NDArray[np.float32]
"""Numbers as they pass between graphs (``Runtime.half``)."""

_GROUP = 128
"""Activations that share a scale in int8: fewer are more exact and slower."""
_KERNELS = {"CPU_RUNTIME_CACHE_CAPACITY": 16}
"""Kernels of each kind that a stream keeps, one for each shape it met; by default 5000. In a long recording
every window has its own length and every token makes the text longer, so nearly all are never needed again:
they grew by 70 MB in ten minutes of sound, and making the few that are costs nothing measurable. OpenVINO
takes this property and does not document it."""


def openvino_available() -> bool:
    """Whether the package is installed. Imports nothing."""
    return importlib.util.find_spec("openvino") is not None


@lru_cache(maxsize=1)
def openvino_worthwhile() -> bool:
    """Whether it may be had and beats CTranslate2 on this CPU: only bfloat16 makes it do so."""
    return openvino_available() and Runtime.here().bfloat16


@dataclass(frozen=True, slots=True)
class Runtime:
    """The package, its CPU plugin, and what this CPU can do."""

    core: Any
    package: Any
    bfloat16: bool

    @staticmethod
    def here() -> Runtime:
        """Raises: EngineError: openvino is not installed."""
        package = _import()
        core = package.Core()
        return Runtime(core, package, "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))

    @property
    def half(self) -> np.dtype[Any]:
        """What numpy keeps a number of the type in that passes between graphs: bfloat16 as its two bytes."""
        return np.dtype(np.uint16 if self.bfloat16 else np.float32)

    @property
    def half_name(self) -> str:
        return "bf16" if self.bfloat16 else "f32"

    def tensor(self, array: NDArray[Any]) -> Any:
        """A tensor on the array's own memory; of bfloat16 where the array holds two-byte numbers."""
        if array.dtype == np.uint16:
            return self.package.Tensor(array, self.package.Shape(array.shape), self.package.Type.bf16)
        return self.package.Tensor(array, shared_memory=True)

    def compile(self, graph: Any, *, threads: int, streams: int, lowered: bool, int8: bool) -> Any:
        """
        Args:
            threads: cores for each call.
            streams: calls at once.
            lowered: compute in bfloat16, where the CPU has it.
            int8: quantise activations as they come, for linear layers with int8 weights.

        Raises:
            EngineError: the plugin refused the graph.
        """
        properties = {
            "INFERENCE_NUM_THREADS": threads * streams,
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": "bf16" if lowered and self.bfloat16 else "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP if int8 else 0,
            "KV_CACHE_PRECISION": "bf16" if lowered and self.bfloat16 else "f32",
            # Calls run on the caller's thread, which goes on to other work: it must not stay pinned.
            "ENABLE_CPU_PINNING": False,
        }
        with suppress(RuntimeError):
            return self.core.compile_model(graph, "CPU", properties | _KERNELS)
        try:
            return self.core.compile_model(graph, "CPU", properties)
        except RuntimeError as error:
            log.error("graph could not be compiled", graph=graph.get_friendly_name(), error=str(error))  # noqa: TRY400
            raise EngineError("The model could not be compiled for this CPU by OpenVINO.") from error


def request_pool(compiled: Any, count: int) -> queue.LifoQueue[Any]:
    """Infer requests, last in, first out: one that was never needed takes no memory for activations."""
    pool: queue.LifoQueue[Any] = queue.LifoQueue()
    for _ in range(count):
        pool.put(compiled.create_infer_request())
    return pool


@contextmanager
def borrowed(pool: queue.LifoQueue[Any]) -> Iterator[Any]:
    """An infer request that no other call uses meanwhile."""
    request = pool.get()
    try:
        yield request
    finally:
        pool.put(request)


def _import() -> Any:
    """The package, imported on first use.

    ``import openvino`` also loads its converter, whose functions report to Google Analytics by way of
    ``openvino_telemetry`` unless told not to. Nothing here calls them; taking the module's place with
    ``None`` makes the import fail, upon which OpenVINO takes its own stub, so that nobody can.
    """
    if not openvino_available():
        raise EngineError("This engine needs the package openvino: pip install openvino")
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
