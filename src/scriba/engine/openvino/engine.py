"""The OpenVINO adapter: the fastest engine measured on CPUs with bfloat16 (docs/decoding.md)."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scriba.domain.errors import EngineError
from scriba.domain.transcript import Task
from scriba.engine.alignment import word_times
from scriba.engine.allocator import tune_allocator
from scriba.engine.attention_path import attention_path
from scriba.engine.context import ContextPolicy, most_tokens
from scriba.engine.ct2_weights import Ct2Weights
from scriba.engine.features import window_features
from scriba.engine.layout import Layout
from scriba.engine.openvino.decoder import OpenVinoDecoder
from scriba.engine.openvino.encoder import OpenVinoEncoder
from scriba.engine.openvino.encoding import Encoding
from scriba.engine.openvino.runtime import Runtime
from scriba.engine.openvino.witness import Witness, Witnessed
from scriba.engine.phrases import decoded_text
from scriba.engine.port import (
    MOST_BATCH_ROWS,
    AlignedWord,
    Audio,
    Capabilities,
    Decoded,
    DecodeRequest,
    LanguageGuess,
    Phrase,
)
from scriba.engine.prompts import Prompt, prompt_for
from scriba.engine.search.batch import search_all
from scriba.engine.search.draft import Draft, padded, search_greedily
from scriba.engine.search.hypotheses import Beam, Greedy, Sampling, Search
from scriba.engine.search.rules import SpecialTokens, TokenRules
from scriba.engine.silence import CachedSilence
from scriba.engine.tokenizer import TIME_PRECISION, WhisperTokenizer

_BATCH_WINDOWS, _BATCH_SHORT_WINDOWS, _BATCH_BYTES = 6, 8, 160_000_000
"""With more full windows a recording's last batch would leave a worker idle, and little would be saved. The
memory of one takes 9 MB in tiny, 18 in base, 55 in small, 246 in large-v3; its beams share it."""
_LIKE = 250
"""Windows of a batch are filled up to the longest encoding: these are not much shorter."""
_ALONE_SECONDS = 0.5
"""Without company for so long, a call has the machine to itself."""
_ALIGN_AT_ONCE = 32
"""Tokens read at once for word times: the logits of all of them together would be tens of megabytes."""


@dataclass(slots=True)
class _Encoded:
    """One window, encoded."""

    encoding: Encoding
    seconds: float
    heard: int
    """Positions of the output that stand for sound."""
    full: bool
    witnessed: Witnessed | None = None
    """Of the text that was written last, where words were asked for."""


class OpenVinoEngine:
    """One Whisper model of CTranslate2 form, run by OpenVINO. Implements ``scriba.engine.port.Engine``."""

    def __init__(
        self,
        path: Path,
        *,
        model: str,
        translates: bool = True,
        layout: Layout | None = None,
        context: ContextPolicy | None = None,
    ) -> None:
        """Load the weights.

        Args:
            path: a folder with ``model.bin``, ``config.json`` and ``tokenizer.json``, of any precision.
            context: how much of 30 s the encoder is given; by default what was measured for the model.

        Raises:
            EngineError: openvino is not installed, or the folder holds no usable model.
        """
        tune_allocator()
        runtime = Runtime.here()
        chosen = layout or Layout.for_machine()
        weights = Ct2Weights(path)
        config = _config(path)
        self._context = context or ContextPolicy.for_model(model)
        try:
            self._encoder = OpenVinoEncoder(runtime, weights, threads=chosen.threads, streams=chosen.workers)
            self._decoder = OpenVinoDecoder(
                runtime,
                weights,
                threads=chosen.threads,
                streams=chosen.workers,
                alignment_heads=_alignment_heads(config, weights),
            )
        except KeyError as error:
            raise EngineError("The model is no Whisper model: some of its weights are not there.") from error
        multilingual = self._decoder.vocabulary >= 51865
        self._tokenizer = tokenizer = WhisperTokenizer(path / "tokenizer.json", multilingual=multilingual)
        self._special = SpecialTokens(
            end=tokenizer.end_of_text,
            first_timestamp=tokenizer.first_timestamp,
            blank=tuple(config.get("suppress_ids_begin", ())),
            not_speech=tuple(config.get("suppress_ids", ())),
        )
        self._silence = CachedSilence(self._encoder, self._encoder.mel_bins)
        self._busy = _Busy()
        self._model = model
        at_once = _BATCH_BYTES // self._decoder.window_bytes
        self._capabilities = Capabilities(
            languages=tokenizer.languages,
            translate=translates and multilingual,
            word_times=True,
            beam_search=True,
            parallelism=chosen.workers,
            batch_windows=max(1, min(_BATCH_WINDOWS, at_once)),
            batch_short_windows=max(1, min(_BATCH_SHORT_WINDOWS, at_once)),
            batch_rows=MOST_BATCH_ROWS,
            device="cpu",
            compute_type="int8_bfloat16" if runtime.bfloat16 else "int8_float32",
        )

    @property
    def model(self) -> str:
        return self._model

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def encode(self, audio: Audio, *, full: bool = False, short: bool = False) -> _Encoded:
        features = window_features(audio, self._encoder.mel_bins, self._context, full=full, short=short)
        with self._busy as alone:
            sound = self._encoder(features.log_mel, alone=alone)
            silence = self._silence.tail(sound.shape[1], features)
        return _Encoded(Encoding.of(sound, silence), features.seconds, features.heard, features.full)

    def detect_language(self, encoded: _Encoded) -> LanguageGuess:
        tokenizer = self._tokenizer
        if not tokenizer.multilingual:
            return LanguageGuess((("en", 1.0),))
        with self._decoder.session([encoded.encoding]) as session:
            [[logits]] = session.feed(np.array([[tokenizer.start_of_transcript]]))
        codes = sorted(tokenizer.language_tokens)
        chances = _softmax(logits[[tokenizer.language_tokens[code] for code in codes]])
        ranked = sorted(zip(codes, chances.tolist(), strict=True), key=lambda own: -own[1])
        return LanguageGuess(tuple(ranked))

    def batch_key(self, encoded: _Encoded, request: DecodeRequest) -> Hashable:
        # What comes before the start of the transcript may differ in length, what follows it may not.
        prompt = prompt_for(self._tokenizer, request)
        length = -(-encoded.encoding.positions // _LIKE)
        return (length, len(prompt.tokens) - prompt.start, request.rows)

    def decode(self, batch: Sequence[tuple[_Encoded, DecodeRequest]]) -> list[Decoded]:
        prompts = [prompt_for(self._tokenizer, request) for _, request in batch]
        searches = [
            self._search(encoded, request, prompt)
            for (encoded, request), prompt in zip(batch, prompts, strict=True)
        ]
        greedy = [search for search in searches if isinstance(search, Greedy)]
        # Several rows to a window go on from one: there is no reading ahead with them.
        ahead = len(greedy) == len(batch)
        stamps = self._special.first_timestamp
        drafts = [Draft(request.draft if ahead else (), stamps) for _, request in batch]
        asked = [draft.next() for draft in drafts]
        heads, pads = _left_padded([prompt.tokens for prompt in prompts])
        tokens = np.concatenate((heads, padded(asked)), axis=1)
        last = heads.shape[1] - 1
        start = last + 1 + prompts[0].start - len(prompts[0].tokens)
        witness: Witness | None = None
        encodings = [encoded.encoding for encoded, _ in batch]
        with self._busy as alone, self._decoder.session(encodings, alone=alone) as session:
            logits = session.feed(
                tokens,
                [start, *range(last, tokens.shape[1])],
                pads=pads,
                wanted=[2 + len(own) for own in asked],
            )
            silent = [float(_softmax(own[0])[self._tokenizer.no_speech]) for own in logits]
            if ahead:
                if any(request.words for _, request in batch):
                    witness = Witness(session, [encoded.heard for encoded, _ in batch])
                search_greedily(witness or session, [own[1:] for own in logits], asked, greedy, drafts)
            else:
                search_all(session, np.stack([own[1] for own in logits]), searches)
        results = []
        for window, ((encoded, request), search) in enumerate(zip(batch, searches, strict=True)):
            best, no_speech = search.best(), silent[window]
            encoded.witnessed = None
            if witness is not None and request.words:
                encoded.witnessed = witness.witnessed(window, best.tokens, greedy[window].log_probabilities)
            results.append(
                decoded_text(
                    self._tokenizer,
                    best.tokens,
                    encoded.seconds,
                    temperature=request.temperature,
                    # Averaged over the end token too, as openai/whisper does.
                    avg_logprob=best.log_probability / (len(best.tokens) + 1),
                    no_speech_prob=no_speech,
                )
            )
        return results

    def align(
        self, encoded: _Encoded, phrases: Sequence[Phrase], language: str, task: Task
    ) -> list[list[AlignedWord]]:
        tokenizer = self._tokenizer
        texts = [[token for token in phrase.tokens if token < tokenizer.end_of_text] for phrase in phrases]
        flat = [token for text in texts for token in text]
        if not flat:
            return [[] for _ in phrases]
        seen = encoded.witnessed and encoded.witnessed.of_text(flat, tokenizer.end_of_text)
        if seen:
            attention, chances = seen
            path = attention_path(attention, 0, attention.shape[1])
        else:
            start = tokenizer.start_sequence(language, task)
            attention, chances = self._attend(encoded, [*start, tokenizer.no_timestamps], flat)
            # The row of a token says where the next one is heard: the last of the start's tells of the first.
            path = attention_path(attention, len(start), attention.shape[1] - 1)
        groups = [tokenizer.words(text, language) for text in texts]
        return word_times(groups, path, chances, encoded.seconds)

    def _attend(
        self, encoded: _Encoded, start: list[int], text: list[int]
    ) -> tuple[NDArray[np.float32], list[float]]:
        """Attention of each token to the sound, and the probability of each token of the text."""
        tokens = np.array([*start, *text, self._tokenizer.end_of_text], dtype=np.int64)
        told: list[NDArray[np.float32]] = []
        chances: list[float] = []
        with self._decoder.session([encoded.encoding]) as session:
            for begin in range(0, len(tokens), _ALIGN_AT_ONCE):
                part = tokens[begin : begin + _ALIGN_AT_ONCE]
                [logits] = session.feed(part[np.newaxis], range(len(part)))
                told.append(session.attention[0, :, :, : encoded.heard].copy())
                for place, following in enumerate(tokens[begin + 1 : begin + 1 + len(part)]):
                    if begin + place >= len(start) - 1 and following != self._tokenizer.end_of_text:
                        chances.append(
                            float(_softmax(logits[place, : self._tokenizer.end_of_text])[following])
                        )
        attention = np.concatenate(told, axis=1)
        return attention / np.maximum(attention.sum(axis=2, keepdims=True), 1e-9), chances

    def close(self) -> None:
        del self._encoder, self._decoder, self._silence

    def _search(self, encoded: _Encoded, request: DecodeRequest, prompt: Prompt) -> Search:
        options = request.options
        rules = TokenRules(
            self._special,
            suppress=options.suppress_tokens,
            suppress_blank=options.suppress_blank,
            timestamps=not options.without_timestamps,
            max_initial_timestamp=round(options.max_initial_timestamp / TIME_PRECISION),
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            # Over a short context, a text that ends too early is a sign that it was too short.
            spoken_until=round(request.spoken_until / TIME_PRECISION) if encoded.full else 0,
            opening=prompt.tokens[len(prompt.tokens) - prompt.opening :],
        )
        limit = min(options.max_new_tokens or prompt.room, prompt.room)
        if not encoded.full:
            # Over a short context, more than can be said in the time is a runaway: it is stopped there.
            limit = min(limit, most_tokens(encoded.seconds))
        end = self._special.end
        if request.temperature > 0:
            return Sampling(
                rules,
                end,
                limit,
                count=options.best_of,
                temperature=request.temperature,
                length_penalty=options.length_penalty,
                random=np.random.default_rng(0),  # the same sound gives the same text
            )
        if options.beam_size == 1:
            return Greedy(rules, end, limit)
        return Beam(
            rules,
            end,
            limit,
            size=options.beam_size,
            patience=options.patience,
            length_penalty=options.length_penalty,
        )


class _Busy:
    """How many calls are computing; entering tells whether there are no others, and were none of late.

    Where several come and go, one that finds itself alone for a moment and takes all cores is soon in the
    way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._shared = -math.inf

    def __enter__(self) -> bool:
        with self._lock:
            self._count += 1
            now = time.monotonic()
            if self._count > 1:
                self._shared = now
            return now - self._shared > _ALONE_SECONDS

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._count -= 1


def _left_padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], list[int]]:
    """One array of the rows' ends together, and how many places before each are empty."""
    longest = max(len(row) for row in rows)
    pads = [longest - len(row) for row in rows]
    return np.array([[0] * pad + list(row) for pad, row in zip(pads, rows, strict=True)], np.int64), pads


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    grown: NDArray[np.float32] = np.exp(logits - logits.max())
    grown /= grown.sum()
    return grown


def _config(path: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError("The model could not be loaded: its config.json cannot be read.") from error
    return config


def _alignment_heads(config: dict[str, Any], weights: Ct2Weights) -> list[tuple[int, int]]:
    """The heads that attend to where a token is heard; without word of them, all of the upper half."""
    told = config.get("alignment_heads")
    if told:
        return [(int(block), int(head)) for block, head in told]
    blocks = weights.count_blocks("decoder")
    heads = int(weights["decoder/num_heads"])
    return [(block, head) for block in range(blocks // 2, blocks) for head in range(heads)]
