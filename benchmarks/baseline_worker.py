"""The process of one other engine: requests come as JSON lines, each gets a thread, replies go out as lines.

    python -m benchmarks.baseline_worker ENGINE WEIGHTS WORKERS THREADS

Each engine runs with its own defaults apart from what a request names; the language is always English.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

Transcribe = Callable[[dict[str, Any]], str]
"""A request to the text of its recording."""


def faster_whisper(weights: str, workers: int, threads: int) -> Transcribe:
    """faster-whisper, int8, sequential or with its batched pipeline."""
    package = import_module("faster_whisper")
    model = package.WhisperModel(
        weights, device="cpu", compute_type="int8", cpu_threads=threads, num_workers=workers
    )

    def transcribe(request: dict[str, Any]) -> str:
        options: dict[str, Any] = {"language": "en", "beam_size": request["beam_size"]}
        if request["mode"] == "batched":
            # The pipeline keeps state between calls: one for each.
            pipeline = package.BatchedInferencePipeline(model)
            segments, _ = pipeline.transcribe(request["path"], batch_size=request["batch_size"], **options)
        else:
            segments, _ = model.transcribe(request["path"], **options)
        return "".join(segment.text for segment in segments)

    return transcribe


def openai_whisper(weights: str, workers: int, threads: int) -> Transcribe:  # noqa: ARG001 - one model has no workers
    """openai-whisper in float32, greedy. ``weights`` is a ``.pt`` file."""
    import_module("torch").set_num_threads(threads)
    model = import_module("whisper").load_model(weights, device="cpu")
    # The package's own reader needs the program ffmpeg: samples are handed over in its place.
    return _one_at_a_time(lambda audio: str(model.transcribe(audio, language="en", fp16=False)["text"]))


def whisper_cpp(weights: str, workers: int, threads: int) -> Transcribe:  # noqa: ARG001 - one model has no workers
    """whisper.cpp through pywhispercpp, greedy. ``weights`` is a ggml file."""
    model = import_module("pywhispercpp.model").Model(
        weights,
        n_threads=threads,
        print_progress=False,
        print_realtime=False,
        redirect_whispercpp_logs_to=None,
    )

    def heard(audio: Any) -> str:
        return "".join(f" {segment.text}" for segment in model.transcribe(audio, language="en"))

    return _one_at_a_time(heard)


def openvino_genai(weights: str, workers: int, threads: int) -> Transcribe:  # noqa: ARG001 - one model has no workers
    """OpenVINO GenAI with timestamps. ``weights`` is a folder exported for it."""
    package = import_module("openvino_genai")
    pipeline = package.WhisperPipeline(weights, "CPU", INFERENCE_NUM_THREADS=threads)
    options: dict[str, Any] = {"return_timestamps": True}
    if pipeline.get_generation_config().is_multilingual:
        options["language"] = "<|en|>"
    return _one_at_a_time(lambda audio: str(pipeline.generate(audio.tolist(), **options).texts[0]))


ENGINES: dict[str, tuple[Callable[[str, int, int], Transcribe], str, str]] = {
    "faster-whisper": (faster_whisper, "faster_whisper", "faster-whisper"),
    "openai-whisper": (openai_whisper, "whisper", "openai-whisper"),
    "whisper.cpp": (whisper_cpp, "pywhispercpp", "pywhispercpp"),
    "openvino-genai": (openvino_genai, "openvino_genai", "openvino-genai"),
}
"""How each is built, the module it needs, and the package that has it."""


def _one_at_a_time(heard: Callable[[Any], str]) -> Transcribe:
    lock = threading.Lock()
    read_samples = import_module("benchmarks.recordings").read_samples

    def transcribe(request: dict[str, Any]) -> str:
        audio = read_samples(request["path"])
        with lock:
            return heard(audio)

    return transcribe


def main(arguments: list[str]) -> int:
    engine, weights, workers, threads = arguments
    # Libraries print to the standard output: replies get a channel of their own.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def reply(number: int, content: dict[str, str]) -> None:
        with lock:
            out.write(json.dumps({"id": number, **content}) + "\n")
            out.flush()

    def work(request: dict[str, Any]) -> None:
        try:
            reply(request["id"], {"text": transcribe(request)})
        except Exception as error:
            reply(request["id"], {"error": f"{type(error).__name__}: {error}"})

    try:
        transcribe = ENGINES[engine][0](weights, int(workers), int(threads))
    except Exception as error:
        reply(0, {"error": f"{engine} could not be started: {type(error).__name__}: {error}"})
        return 1
    reply(0, {"text": ""})
    for line in sys.stdin:
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
