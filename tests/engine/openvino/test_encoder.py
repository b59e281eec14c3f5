"""The OpenVINO encoder against CTranslate2's own, on real speech and with the bundled weights."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctranslate2
import numpy as np
import pytest
from numpy.typing import NDArray

from scriba.audio.decode import open_recording
from scriba.domain.errors import EngineError
from scriba.engine.ct2_weights import Ct2Weights
from scriba.engine.logmel import log_mel
from scriba.engine.openvino.encoder import OpenVinoEncoder, Precision
from scriba.engine.openvino.runtime import Runtime, openvino_worthwhile
from scriba.engine.port import WINDOW_SAMPLES
from tests.speech import bundled, two_cities

pytest.importorskip("openvino", reason="openvino is not installed")

Features = NDArray[np.float32]

CLOSE: dict[Precision, float] = {"f32": 5e-3, "bf16": 0.04, "int8": 0.08}
"""How far the output may be from float32's, as a share of its norm. CTranslate2's own int8 is 0.06 off."""


@pytest.fixture(scope="module")
def features() -> Features:
    with open_recording(two_cities()) as recording:
        return log_mel(np.concatenate(list(recording.blocks()))[:WINDOW_SAMPLES], 80)


@pytest.fixture(scope="module")
def reference() -> Iterator[ctranslate2.models.Whisper]:
    model = ctranslate2.models.Whisper(str(bundled()), compute_type="float32", intra_threads=1)
    yield model
    model.unload_model()


@pytest.fixture(scope="module")
def encoders() -> dict[str, OpenVinoEncoder]:
    made: dict[str, OpenVinoEncoder] = {}
    for precision in CLOSE:
        if precision != "bf16" or has_bfloat16():
            made[precision] = OpenVinoEncoder(
                Runtime.here(), Ct2Weights(bundled()), streams=2, precision=precision
            )
    return made


def has_bfloat16() -> bool:
    """By the kernel's word, so that the encoder's own choice is under test too."""
    cpu = Path("/proc/cpuinfo")
    return cpu.is_file() and any(flag in cpu.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def by_reference(model: ctranslate2.models.Whisper, features: Features) -> Features:
    view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features[np.newaxis]))
    output: Features = np.array(model.encode(view))[0]
    return output


def widened(output: NDArray[np.uint16] | Features) -> Features:
    """The numbers of an output; bfloat16 is the upper half of float32."""
    if output.dtype == np.float32:
        return output.astype(np.float32)
    return (output.astype(np.uint32) << np.uint32(16)).view(np.float32)


def distance(output: Features, expected: Features) -> float:
    return float(np.linalg.norm(output - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("precision", CLOSE)
def test_agrees_with_ctranslate2_at_any_length_in_any_order(
    encoders: dict[str, OpenVinoEncoder],
    reference: ctranslate2.models.Whisper,
    features: Features,
    precision: Precision,
) -> None:
    """Long before short and back: a graph of fixed shape answers the short one with the long one's rest."""
    if precision not in encoders:
        pytest.skip("this CPU has no bfloat16 arithmetic")
    for frames in (3000, 600, 1502, 302, 2, 3000):
        part = features[:, -frames:]  # not contiguous in memory, on purpose
        output = encoders[precision](part)
        assert output.shape == (1, frames // 2, 384)
        assert distance(widened(output)[0], by_reference(reference, part)) < CLOSE[precision]


@pytest.mark.parametrize("precision", CLOSE)
def test_outputs_are_the_callers_own(
    encoders: dict[str, OpenVinoEncoder], features: Features, precision: Precision
) -> None:
    """Neither the next call nor a change of the input may reach an output that was handed out."""
    if precision not in encoders:
        pytest.skip("this CPU has no bfloat16 arithmetic")
    encoder, given = encoders[precision], features[:, :600].copy()
    output = encoder(given)
    kept = output.copy()
    given[:] = 0
    for _ in range(3):
        assert not np.array_equal(encoder(given), kept)
    np.testing.assert_array_equal(output, kept)
    np.testing.assert_array_equal(encoder(features[:, :600]), kept)


def test_concurrent_callers_each_get_their_own_answer(
    encoders: dict[str, OpenVinoEncoder], features: Features
) -> None:
    """More callers than streams, each with a length and a place of its own."""
    encoder = encoders["int8"]
    parts = [features[:, start : start + frames] for start in (0, 700, 1400) for frames in (400, 202, 600)]
    alone = [encoder(part) for part in parts]
    with ThreadPoolExecutor(5) as pool:
        together = list(pool.map(encoder, parts * 4))
    for number, output in enumerate(together):
        np.testing.assert_array_equal(output, alone[number % len(parts)])


def test_a_failed_call_gives_its_stream_back(features: Features) -> None:
    encoder = OpenVinoEncoder(Runtime.here(), Ct2Weights(bundled()), streams=1)
    for _ in range(3):
        with pytest.raises(EngineError):
            encoder(features[:, :601])
    assert encoder(features[:, :600]).shape == (1, 300, 384)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system pins no threads")
def test_leaves_the_callers_thread_free_to_run_anywhere(
    encoders: dict[str, OpenVinoEncoder], features: Features
) -> None:
    seen: list[tuple[set[int], set[int]]] = []

    def call() -> None:
        before = os.sched_getaffinity(threading.get_native_id())
        encoders["int8"](features[:, :600])
        seen.append((before, os.sched_getaffinity(threading.get_native_id())))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    [(before, after)] = seen
    assert after == before


def test_ctranslate2_decodes_its_output(encoders: dict[str, OpenVinoEncoder], features: Features) -> None:
    model = ctranslate2.models.Whisper(str(bundled()), compute_type="int8", intra_threads=1)
    prompt = ["<|startoftranscript|>", "<|notimestamps|>"]
    for encoder in encoders.values():
        output = ctranslate2.StorageView.from_array(widened(encoder(features)))
        [result] = model.generate(output, [prompt], beam_size=1)
        text = "".join(result.sequences[0]).replace("Ġ", " ").lower()
        for words in ("the best of times", "the age of wisdom", "the winter of despair"):
            assert words in text
    model.unload_model()


@pytest.mark.parametrize("shape", [(80, 601), (80, 0), (80, 3002), (128, 600), (600,), (1, 80, 600)])
def test_refuses_other_shapes(encoders: dict[str, OpenVinoEncoder], shape: tuple[int, ...]) -> None:
    with pytest.raises(EngineError, match=r"frames"):
        encoders["f32"](np.zeros(shape, dtype=np.float32))


def test_refuses_what_cannot_be_built() -> None:
    with pytest.raises(EngineError, match="not 1 and 0"):
        OpenVinoEncoder(Runtime.here(), Ct2Weights(bundled()), streams=0)
    with pytest.raises(EngineError, match="not 'f16'"):
        OpenVinoEncoder(Runtime.here(), Ct2Weights(bundled()), streams=1, precision="f16")  # type: ignore[arg-type]


def test_is_worthwhile_where_the_cpu_has_bfloat16() -> None:
    assert openvino_worthwhile() == has_bfloat16()


def test_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scriba.engine.openvino.runtime.openvino_available", lambda: False)
    openvino_worthwhile.cache_clear()
    try:
        assert not openvino_worthwhile()
    finally:
        openvino_worthwhile.cache_clear()
    with pytest.raises(EngineError, match=r"pip install openvino"):
        Runtime.here()


def test_openvino_cannot_report_to_its_maker() -> None:
    """In a fresh process: its telemetry package is kept out, and its converter got the empty stand-in."""
    code = (
        "import sys\n"
        "from scriba.engine.openvino.runtime import Runtime\n"
        "assert 'openvino' not in sys.modules\n"
        "Runtime.here()\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "assert telemetry_utils.tm.__name__ == 'openvino.tools.ovc.telemetry_stub'\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
