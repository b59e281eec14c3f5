"""Whisper's encoder in OpenVINO, for CPUs on which it is faster than CTranslate2's (docs/decoding.md).

Only the encoder: its output goes into CTranslate2's decoder. Needs the extra ``scriba[openvino]``.
"""

from __future__ import annotations

import importlib.util
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.engine.ct2_weights import Ct2Weights

log = structlog.get_logger(__name__)

Precision = Literal["auto", "bf16", "int8", "f32"]

_GROUP = 128
"""Activations that share a scale in int8: fewer are more exact and slower."""


def openvino_available() -> bool:
    """Whether the package is installed. Imports nothing."""
    return importlib.util.find_spec("openvino") is not None


def openvino_worthwhile() -> bool:
    """Whether it may be had and beats CTranslate2's encoder on this CPU: only bfloat16 makes it do so."""
    if not openvino_available():
        return False
    ov, _ = _load_openvino()
    return _has_bfloat16(ov.Core())


class OpenVinoEncoder:
    """The encoder of one Whisper model on the CPU. Thread-safe: ``streams`` calls run at once, more wait."""

    def __init__(
        self, model_dir: Path, *, threads: int = 1, streams: int, precision: Precision = "auto"
    ) -> None:
        """Read the encoder's weights and compile them for this CPU.

        Args:
            model_dir: a CTranslate2 model folder, stored in any precision.
            threads: cores for each call.
            streams: calls at once.
            precision: of the arithmetic. ``f32`` is exact; ``bf16`` multiplies in bfloat16; ``int8`` has
                int8 weights and activations quantised as they come in the linear layers, and the rest in
                bfloat16 where the CPU has it. ``auto`` is ``int8``: the fastest measured, and as close to
                float32 as CTranslate2's int8 is.

        Raises:
            EngineError: openvino is not installed, a bound is not kept, the folder holds no Whisper model
                that can be read, or the CPU does not do the precision.
        """
        if threads < 1 or streams < 1:
            raise EngineError(f"threads and streams are 1 or more, not {threads} and {streams}.")
        ov, graph_of = _load_openvino()
        core = ov.Core()
        has_bf16 = _has_bfloat16(core)
        self.precision = _choose(precision, has_bf16=has_bf16)
        weights = Ct2Weights(model_dir)
        try:
            graph = graph_of(weights, int8=self.precision == "int8")
            model = graph.model()
        except KeyError as error:
            raise EngineError(
                "The model is no Whisper model: its encoder's weights are not there."
            ) from error
        self.mel_bins: int = graph.mel_bins
        self.width: int = graph.width
        self._most_frames = 2 * graph.positions
        lowered = self.precision == "bf16" or (self.precision == "int8" and has_bf16)
        try:
            self._compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_NUM_THREADS": threads * streams,
                    "NUM_STREAMS": streams,
                    "INFERENCE_PRECISION_HINT": "bf16" if lowered else "f32",
                    "DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP if self.precision == "int8" else 0,
                    # Calls run on the caller's thread, which goes on to decode: it must not stay pinned.
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except RuntimeError as error:
            log.error("encoder could not be compiled", error=str(error))  # noqa: TRY400
            raise EngineError(
                f"The encoder could not be compiled for this CPU with precision {self.precision!r}."
            ) from error
        # Last in, first out: a request that was never needed takes no memory for activations.
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()
        for _ in range(streams):
            self._idle.put(self._compiled.create_infer_request())

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Encode one window.

        Args:
            features: log-mel spectrogram, shape ``(mel_bins, frames)``, ``frames`` even and at most 3000.

        Returns:
            float32, shape ``(frames // 2, width)``, the caller's own.

        Raises:
            EngineError: the shape is another, or inference failed.
        """
        if features.ndim != 2 or features.shape[0] != self.mel_bins:
            raise EngineError(f"Features have the shape ({self.mel_bins}, frames), not {features.shape}.")
        frames = features.shape[1]
        if frames % 2 or not 0 < frames <= self._most_frames:
            raise EngineError(
                f"A window has an even number of frames from 2 to {self._most_frames}, not {frames}."
            )
        window = np.ascontiguousarray(features[np.newaxis], dtype=np.float32)
        with self._request() as request:
            try:
                # Both copies are made on purpose: shared memory gave wrong numbers with bfloat16, and a
                # shared output would change under the caller at the request's next use.
                result = request.infer({0: window}, share_inputs=False, share_outputs=False)
            except RuntimeError as error:
                log.error("encoder failed", frames=frames, error=str(error))  # noqa: TRY400
                raise EngineError("The encoder failed.") from error
            output: NDArray[np.float32] = result[0]
        if output.shape != (1, frames // 2, self.width):
            raise EngineError(f"The encoder answered {output.shape} to {frames} frames.")
        window_output: NDArray[np.float32] = output[0]
        return window_output

    @contextmanager
    def _request(self) -> Iterator[Any]:
        """An infer request that no other call uses meanwhile."""
        request = self._idle.get()
        try:
            yield request
        finally:
            self._idle.put(request)


def _has_bfloat16(core: Any) -> bool:
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _choose(asked: Precision, *, has_bf16: bool) -> Precision:
    if asked == "auto":
        return "int8"
    if asked not in ("bf16", "int8", "f32"):
        raise EngineError(f"precision is auto, bf16, int8 or f32, not {asked!r}.")
    if asked == "bf16" and not has_bf16:
        raise EngineError("This CPU has no bfloat16 arithmetic: precision bf16 would only be slower.")
    return asked


def _load_openvino() -> tuple[Any, Any]:
    """The package and the graph's builder, imported on first use.

    ``import openvino`` also loads its converter, whose functions report to Google Analytics by way of
    ``openvino_telemetry`` unless told not to. Nothing here calls them; taking the module's place with
    ``None`` makes the import fail, upon which OpenVINO takes its own stub, so that nobody can.
    """
    if not openvino_available():
        raise EngineError("The OpenVINO encoder needs the package openvino: pip install 'scriba[openvino]'.")
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    from scriba.engine.openvino_graph import EncoderGraph

    return openvino, EncoderGraph
