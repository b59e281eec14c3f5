"""The CTranslate2 adapter: Whisper on CPU and CUDA, the default engine."""

from __future__ import annotations

import os
import zlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import ctranslate2
import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.transcript import Task
from scriba.engine.alignment import word_times
from scriba.engine.allocator import tune_allocator
from scriba.engine.context import FULL_FRAMES, ContextPolicy, most_tokens
from scriba.engine.logmel import HOP, log_mel
from scriba.engine.openvino_encoder import OpenVinoEncoder, openvino_worthwhile
from scriba.engine.phrases import split_phrases
from scriba.engine.port import (
    WINDOW_SAMPLES,
    AlignedWord,
    Audio,
    Capabilities,
    Decoded,
    DecodeRequest,
    LanguageGuess,
    Phrase,
)
from scriba.engine.tokenizer import TIME_PRECISION, WhisperTokenizer

log = structlog.get_logger(__name__)

MAX_TOKENS = 448
"""Length of Whisper's text context: prompt and answer together."""

_PROMPT_TOKENS = MAX_TOKENS // 2 - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """How the machine is shared out: ``workers`` windows at once, ``threads`` cores each."""

    workers: int
    threads: int

    @classmethod
    def for_machine(cls, workers: int = 0, threads: int = 0) -> Layout:
        """Fill in zeros by measurement: on few cores, one thread a worker wins (docs/decoding.md)."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if threads == 0:
            threads = max(1, min(4, cores // workers)) if workers else (1 if cores <= 4 else 2)
        return cls(workers=workers or max(1, cores // threads), threads=threads)


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The encoder's output of one window: float32 of shape ``(1, positions, width)``, in main memory, so that
    outputs can be put together to a batch."""

    output: NDArray[np.float32]
    seconds: float
    frames: int
    full: bool

    @property
    def positions(self) -> int:
        return int(self.output.shape[1])

    @property
    def view(self) -> ctranslate2.StorageView:
        return ctranslate2.StorageView.from_array(self.output)


class EncoderKind(StrEnum):
    """``auto`` takes OpenVINO's where it is installed and this CPU has what makes it faster."""

    AUTO = "auto"
    CTRANSLATE2 = "ctranslate2"
    OPENVINO = "openvino"


class CTranslate2Engine:
    """One Whisper model in CTranslate2 form. Implements ``scriba.engine.port.Engine``."""

    def __init__(
        self,
        path: Path,
        *,
        model: str,
        translates: bool = True,
        device: str = "auto",
        compute_type: str = "auto",
        layout: Layout | None = None,
        context: ContextPolicy | None = None,
        encoder: EncoderKind = EncoderKind.AUTO,
    ) -> None:
        """Load the weights.

        Args:
            context: how much of 30 s the encoder is given; by default what was measured for the model.
            encoder: which library encodes on a CPU; the decoder is CTranslate2's in any case.

        Raises:
            EngineError: the folder holds no usable model, or the device or compute type is not to be had.
        """
        tune_allocator()
        chosen = layout or Layout.for_machine()
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"
        try:
            self._whisper = ctranslate2.models.Whisper(
                str(path),
                device=device,
                compute_type=_compute_type(compute_type, device),
                inter_threads=chosen.workers,
                intra_threads=chosen.threads if device == "cpu" else 0,
            )
        except (RuntimeError, ValueError) as error:
            log.error("model could not be loaded", model=model, error=str(error))  # noqa: TRY400
            raise EngineError(
                f"The model {model!r} could not be loaded on {device} with compute type {compute_type!r}."
            ) from error
        self._tokenizer = WhisperTokenizer(
            path / "tokenizer.json", multilingual=self._whisper.is_multilingual
        )
        self._model = model
        self._context = context or ContextPolicy.for_model(model)
        self._encoder = _other_encoder(path, encoder, chosen) if device == "cpu" else None
        self._mel_bins: int = self._whisper.n_mels
        self._capabilities = Capabilities(
            languages=self._tokenizer.languages,
            translate=translates and self._whisper.is_multilingual,
            word_times=True,
            beam_search=True,
            parallelism=chosen.workers,
            device=device,
            compute_type=self._whisper.compute_type,
        )

    @property
    def model(self) -> str:
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def encode(self, audio: Audio, *, full: bool = False) -> _Encoded:
        if not 0 < len(audio) <= WINDOW_SAMPLES:
            raise EngineError(f"A window holds 1 to {WINDOW_SAMPLES} samples, not {len(audio)}.")
        seconds = len(audio) / SAMPLE_RATE
        full = full or self._context.is_full(seconds)
        frames = FULL_FRAMES if full else self._context.frames_for(seconds)
        features = log_mel(audio, self._mel_bins)[:, :frames]
        return _Encoded(self._encode(features), seconds, -(-len(audio) // HOP), full)

    def _encode(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape ``(mel_bins, frames)`` to ``(1, frames // 2, width)``."""
        if self._encoder is not None:
            return self._encoder(features)[np.newaxis]
        batch = ctranslate2.StorageView.from_array(np.ascontiguousarray(features[np.newaxis]))
        return np.asarray(self._whisper.encode(batch, to_cpu=True))

    def detect_language(self, encoded: _Encoded) -> LanguageGuess:
        if not self._whisper.is_multilingual:
            return LanguageGuess((("en", 1.0),))
        [ranking] = self._whisper.detect_language(encoded.view)
        return LanguageGuess(tuple((token[2:-2], float(probability)) for token, probability in ranking))

    def batch_key(self, encoded: _Encoded, request: DecodeRequest) -> Hashable:
        # CTranslate2 wants prompts of one length with the start of the transcript at one place.
        prompt = self._prompt(request)
        start = prompt.index(self._tokenizer.start_of_transcript)
        options = replace(
            request.options, initial_prompt=None, prefix=None, hotwords=None, temperatures=(0.0,)
        )
        return (encoded.positions, len(prompt), start, request.temperature, options)

    def decode(self, batch: Sequence[tuple[_Encoded, DecodeRequest]]) -> list[Decoded]:
        request = batch[0][1]
        options = request.options
        prompts = [self._prompt(own) for _, own in batch]
        length = len(prompts[0])
        room = MAX_TOKENS - length
        search = (
            {"beam_size": options.beam_size, "patience": options.patience}
            if request.temperature == 0
            else {
                "beam_size": 1,
                "num_hypotheses": options.best_of,
                "sampling_topk": 0,
                "sampling_temperature": request.temperature,
            }
        )
        outputs = [encoded.output for encoded, _ in batch]
        together = outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
        results = self._whisper.generate(
            ctranslate2.StorageView.from_array(together),
            prompts,
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            max_length=_max_length(length, min(options.max_new_tokens or room, room, _most_tokens(batch))),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=options.suppress_blank,
            suppress_tokens=list(options.suppress_tokens),
            max_initial_timestamp_index=round(options.max_initial_timestamp / TIME_PRECISION),
            **search,
        )
        return [
            self._decoded(encoded, own, result) for (encoded, own), result in zip(batch, results, strict=True)
        ]

    def _decoded(
        self, encoded: _Encoded, request: DecodeRequest, result: ctranslate2.models.WhisperGenerationResult
    ) -> Decoded:
        tokens = result.sequences_ids[0]
        phrases, consumed = split_phrases(self._tokenizer, tokens, encoded.seconds)
        penalty = request.options.length_penalty
        return Decoded(
            phrases=phrases,
            consumed=consumed,
            temperature=request.temperature,
            # The score is normalised by length**penalty; openai/whisper averages over the end token too.
            avg_logprob=result.scores[0] * len(tokens) ** penalty / (len(tokens) + 1),
            compression_ratio=compression_ratio(self._tokenizer.decode(tokens).strip()),
            no_speech_prob=result.no_speech_prob,
        )

    def align(
        self, encoded: _Encoded, phrases: Sequence[Phrase], language: str, task: Task
    ) -> list[list[AlignedWord]]:
        end = self._tokenizer.end_of_text
        texts = [[token for token in phrase.tokens if token < end] for phrase in phrases]
        flat = [token for text in texts for token in text]
        if not flat:
            return [[] for _ in phrases]
        [result] = self._whisper.align(
            encoded.view,
            self._tokenizer.start_sequence(language, task),
            [flat],
            encoded.frames,
        )
        groups = [self._tokenizer.words(text, language) for text in texts]
        return word_times(groups, result.alignments, result.text_token_probs, encoded.seconds)

    def close(self) -> None:
        self._whisper.unload_model()

    def _prompt(self, request: DecodeRequest) -> list[int]:
        """Previous text, hotwords, the start sequence and a prefix, each cut to what the context holds."""
        tokenizer, options = self._tokenizer, request.options
        context: list[int] = []
        prefix = options.prefix if request.first else None
        if options.hotwords and not prefix:
            context += tokenizer.encode(" " + options.hotwords.strip())[:_PROMPT_TOKENS]
        history: list[int] = []
        if options.initial_prompt:
            history += tokenizer.encode(" " + options.initial_prompt.strip())
        history += [token for token in request.previous if token < tokenizer.end_of_text]
        if history:
            # The newest words matter most, and hotwords were asked for by name: the oldest text gives way.
            context += history[-(_PROMPT_TOKENS - len(context)) :] if len(context) < _PROMPT_TOKENS else []
        prompt = [tokenizer.start_of_previous, *context] if context else []
        prompt += tokenizer.start_sequence(request.language, request.task)
        if options.without_timestamps:
            prompt.append(tokenizer.no_timestamps)
        if prefix:
            if not options.without_timestamps:
                prompt.append(tokenizer.first_timestamp)
            prompt += tokenizer.encode(" " + prefix.strip())[: _PROMPT_TOKENS // 2]
        return prompt


def _most_tokens(batch: Sequence[tuple[_Encoded, DecodeRequest]]) -> int:
    """Over a short context, more than can be said in the time is a runaway: it is stopped there."""
    return max(MAX_TOKENS if encoded.full else most_tokens(encoded.seconds) for encoded, _ in batch)


def _max_length(prompt: int, new: int) -> int:
    """CTranslate2 generates the half of this at the most, and prompt and answer together no more than it."""
    return min(MAX_TOKENS, max(2 * new, prompt + new))


def compression_ratio(text: str) -> float:
    """Bytes over compressed bytes: above 2.4 the text repeats itself (openai/whisper)."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def _other_encoder(path: Path, kind: EncoderKind, layout: Layout) -> OpenVinoEncoder | None:
    """OpenVINO's encoder of this model; None for CTranslate2's own."""
    if kind is EncoderKind.CTRANSLATE2 or (kind is EncoderKind.AUTO and not openvino_worthwhile()):
        return None
    return OpenVinoEncoder(path, threads=layout.threads, streams=layout.workers)


def _compute_type(asked: str, device: str) -> str:
    if asked != "auto":
        return asked
    return "float16" if device == "cuda" else "int8"
