"""The temperature ladder: decode again, more freely, when a pass looks wrong (openai/whisper)."""

from __future__ import annotations

from dataclasses import replace

from scriba.domain.options import DecodingOptions
from scriba.engine.context import looks_wrong
from scriba.engine.port import Decoded, DecodeRequest, Encoded
from scriba.engine.steps import Decode, Encode, Flow


def decode_with_fallback(encoded: Encoded, request: DecodeRequest) -> Flow[Decoded]:
    """The first pass that looks right, or the likeliest of those that do not."""
    options = request.options
    passes: list[Decoded] = []
    for temperature in options.temperatures:
        decoded: Decoded = yield Decode(encoded, replace(request, temperature=temperature))
        if is_silence(decoded, options) or not needs_another_pass(decoded, options):
            return decoded
        passes.append(decoded)
    calm = [decoded for decoded in passes if not is_repetitive(decoded, options)]
    return max(calm or passes, key=lambda decoded: decoded.avg_logprob)


def decode_verified(encoded: Encoded, request: DecodeRequest, whole: Encode) -> Flow[tuple[Encoded, Decoded]]:
    """A result over a short context counts if nothing speaks against it; else the full one decides.

    Args:
        whole: how to encode the same sound with all of the context.
    """
    if not encoded.full:
        options = request.options
        decoded: Decoded = yield Decode(encoded, replace(request, temperature=options.temperatures[0]))
        if is_silence(decoded, options) or not (
            looks_wrong(decoded, encoded.seconds) or needs_another_pass(decoded, options)
        ):
            return encoded, decoded
        encoded = yield whole
    return encoded, (yield from decode_with_fallback(encoded, request))


def is_repetitive(decoded: Decoded, options: DecodingOptions) -> bool:
    """The text compresses better than speech does."""
    threshold = options.compression_ratio_threshold
    return threshold is not None and decoded.compression_ratio > threshold


def is_improbable(decoded: Decoded, options: DecodingOptions) -> bool:
    """The model itself hardly believes the text."""
    threshold = options.log_prob_threshold
    return threshold is not None and decoded.avg_logprob < threshold


def is_silence(decoded: Decoded, options: DecodingOptions) -> bool:
    """The model says that there is no speech, and the text it wrote all the same is improbable."""
    threshold = options.no_speech_threshold
    return (
        threshold is not None
        and decoded.no_speech_prob > threshold
        and (options.log_prob_threshold is None or is_improbable(decoded, options))
    )


def needs_another_pass(decoded: Decoded, options: DecodingOptions) -> bool:
    """By the thresholds of the request."""
    return is_repetitive(decoded, options) or is_improbable(decoded, options)
