"""The CTranslate2 adapter: Whisper on any CPU and on CUDA."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import ctranslate2
import numpy as np
import structlog
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.domain.transcript import Task
from scriba.engine.alignment import word_times
from scriba.engine.allocator import keep_large_blocks
from scriba.engine.context import ContextPolicy, most_tokens
from scriba.engine.features import window_features
from scriba.engine.layout import Layout
from scriba.engine.phrases import decoded_text
from scriba.engine.port import (
    AlignedWord,
    Audio,
    Capabilities,
    Decoded,
    DecodeRequest,
    LanguageGuess,
    Phrase,
)
from scriba.engine.prompts import MAX_TOKENS, prompt_for
from scriba.engine.silence import CachedSilence
from scriba.engine.tokenizer import TIME_PRECISION, WhisperTokenizer

log = structlog.get_logger(__name__)

_BATCH = 10
"""A beam of five over three windows took 400 MB; beyond eight rows there is little to be gained."""


@dataclass(frozen=True, slots=True)
class _Encoded:
    """The encoder's output of one window: float32 of shape ``(1, positions, width)``, in main memory, so that
    outputs can be put together to a batch."""

    output: NDArray[np.float32]
    seconds: float
    heard: int
    """Positions of the output that stand for sound."""
    full: bool

    @property
    def positions(self) -> int:
        return int(self.output.shape[1])

    @property
    def view(self) -> ctranslate2.StorageView:
        return ctranslate2.StorageView.from_array(self.output)


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
    ) -> None:
        """Load the weights.

        Args:
            context: how much of 30 s the encoder is given; by default what was measured for the model.

        Raises:
            EngineError: the folder holds no usable model, or the device or compute type is not to be had.
        """
        keep_large_blocks()
        chosen = layout or Layout.for_machine()
        if device == "auto":
            device = "cuda" if cuda_available() else "cpu"
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
        self._mel_bins: int = self._whisper.n_mels
        self._silence = CachedSilence(self._encode, self._mel_bins)
        self._capabilities = Capabilities(
            languages=self._tokenizer.languages,
            translate=translates and self._whisper.is_multilingual,
            word_times=True,
            beam_search=True,
            parallelism=chosen.workers,
            batch_windows=_BATCH,
            batch_short_windows=_BATCH,
            batch_rows=_BATCH,
            device=device,
            compute_type=self._whisper.compute_type,
        )

    @property
    def model(self) -> str:
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def encode(self, audio: Audio, *, full: bool = False, short: bool = False) -> _Encoded:
        features = window_features(audio, self._mel_bins, self._context, full=full, short=short)
        output = self._silence.behind(self._encode(features.log_mel), features)
        return _Encoded(output, features.seconds, features.heard, features.full)

    def _encode(self, log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
        batch = ctranslate2.StorageView.from_array(np.ascontiguousarray(log_mel[np.newaxis]))
        return np.asarray(self._whisper.encode(batch, to_cpu=True))

    def detect_language(self, encoded: _Encoded) -> LanguageGuess:
        if not self._whisper.is_multilingual:
            return LanguageGuess((("en", 1.0),))
        [ranking] = self._whisper.detect_language(encoded.view)
        return LanguageGuess(tuple((token[2:-2], float(probability)) for token, probability in ranking))

    def batch_key(self, encoded: _Encoded, request: DecodeRequest) -> Hashable:
        # CTranslate2 wants prompts of one length with the start of the transcript at one place.
        prompt = prompt_for(self._tokenizer, request)
        options = replace(
            request.options, initial_prompt=None, prefix=None, hotwords=None, temperatures=(0.0,)
        )
        return (encoded.positions, len(prompt.tokens), prompt.start, request.temperature, options)

    def decode(self, batch: Sequence[tuple[_Encoded, DecodeRequest]]) -> list[Decoded]:
        request = batch[0][1]
        options = request.options
        prompts = [prompt_for(self._tokenizer, own) for _, own in batch]
        room = prompts[0].room
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
            [list(prompt.tokens) for prompt in prompts],
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            max_length=_max_length(
                len(prompts[0].tokens), min(options.max_new_tokens or room, room, _most_tokens(batch))
            ),
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
        penalty = request.options.length_penalty
        return decoded_text(
            self._tokenizer,
            tokens,
            encoded.seconds,
            temperature=request.temperature,
            # The score is normalised by length**penalty; openai/whisper averages over the end token too.
            avg_logprob=result.scores[0] * len(tokens) ** penalty / (len(tokens) + 1),
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
            2 * encoded.heard,  # counted in frames
        )
        groups = [self._tokenizer.words(text, language) for text in texts]
        return word_times(groups, result.alignments, result.text_token_probs, encoded.seconds)

    def close(self) -> None:
        self._whisper.unload_model()


def cuda_available() -> bool:
    return bool(ctranslate2.get_cuda_device_count() > 0)


def _most_tokens(batch: Sequence[tuple[_Encoded, DecodeRequest]]) -> int:
    """Over a short context, more than can be said in the time is a runaway: it is stopped there."""
    return max(MAX_TOKENS if encoded.full else most_tokens(encoded.seconds) for encoded, _ in batch)


def _max_length(prompt: int, new: int) -> int:
    """CTranslate2 generates the half of this at the most, and prompt and answer together no more than it."""
    return min(MAX_TOKENS, max(2 * new, prompt + new))


def _compute_type(asked: str, device: str) -> str:
    if asked != "auto":
        return asked
    return "float16" if device == "cuda" else "int8"
