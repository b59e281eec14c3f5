"""Whisper's encoder in OpenVINO, for CPUs on which it is faster than CTranslate2's (docs/decoding.md)."""

from __future__ import annotations

from typing import Literal

import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.engine.ct2_weights import Ct2Weights
from scriba.engine.openvino.runtime import Runtime, borrowed, request_pool

log = structlog.get_logger(__name__)

Precision = Literal["auto", "bf16", "int8", "f32"]


class OpenVinoEncoder:
    """The encoder of one Whisper model on the CPU. Thread-safe: ``streams`` calls run at once, more wait."""

    def __init__(
        self,
        runtime: Runtime,
        weights: Ct2Weights,
        *,
        threads: int = 1,
        streams: int,
        precision: Precision = "auto",
    ) -> None:
        """Build the encoder and compile it for this CPU.

        Args:
            weights: of a Whisper model, stored in any precision.
            threads: cores for each call.
            streams: calls at once.
            precision: of the arithmetic. ``f32`` is exact; ``bf16`` multiplies in bfloat16; ``int8`` has
                int8 weights and activations quantised as they come in the linear layers, and the rest in
                bfloat16 where the CPU has it. ``auto`` is ``int8``: the fastest measured, and as close to
                float32 as CTranslate2's int8 is.

        Raises:
            KeyError: a tensor of Whisper's encoder is missing.
            EngineError: a bound is not kept, or the CPU does not do the precision.
        """
        from scriba.engine.openvino.encoder_graph import EncoderGraph

        if threads < 1 or streams < 1:
            raise EngineError(f"threads and streams are 1 or more, not {threads} and {streams}.")
        self.precision = _choose(precision, has_bf16=runtime.bfloat16)
        self._runtime = runtime
        int8 = self.precision == "int8"
        graph = EncoderGraph(weights, int8=int8, output=runtime.half_name)
        self.mel_bins: int = graph.mel_bins
        self.width: int = graph.width
        self._most_frames = 2 * graph.positions
        lowered = self.precision != "f32"
        model = graph.model()
        compiled = runtime.compile(model, threads=threads, streams=streams, lowered=lowered, int8=int8)
        self._idle = request_pool(compiled, streams)
        self._alone = self._idle
        if streams > 1:
            # A second copy of the weights, for half the latency of whoever comes to an idle machine.
            every = runtime.compile(model, threads=threads * streams, streams=1, lowered=lowered, int8=int8)
            self._alone = request_pool(every, 1)

    def __call__(
        self, features: NDArray[np.float32], *, alone: bool = False
    ) -> NDArray[np.uint16] | NDArray[np.float32]:
        """Encode one window.

        Args:
            features: log-mel spectrogram, shape ``(mel_bins, frames)``, ``frames`` even and at most 3000.
            alone: nothing else is computed: use all cores.

        Returns:
            Shape ``(1, frames // 2, width)`` of ``Runtime.half``, the caller's own.

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
        output = np.empty((1, frames // 2, self.width), self._runtime.half)
        with borrowed(self._alone if alone else self._idle) as request:
            try:
                request.set_output_tensor(self._runtime.tensor(output))
                # The input is copied on purpose: shared memory gave wrong numbers with bfloat16.
                request.infer({0: window}, share_inputs=False, share_outputs=True)
            except RuntimeError as error:
                log.error("encoder failed", frames=frames, error=str(error))  # noqa: TRY400
                raise EngineError("The encoder failed.") from error
        return output


def _choose(asked: Precision, *, has_bf16: bool) -> Precision:
    if asked == "auto":
        return "int8"
    if asked not in ("bf16", "int8", "f32"):
        raise EngineError(f"precision is auto, bf16, int8 or f32, not {asked!r}.")
    if asked == "bf16" and not has_bf16:
        raise EngineError("This CPU has no bfloat16 arithmetic: precision bf16 would only be slower.")
    return asked
