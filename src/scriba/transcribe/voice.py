"""Where in a recording somebody speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.audio.speech import SpeechDetector, SpeechRegion
from scriba.domain.cancel import CancelToken
from scriba.domain.options import VadOptions
from scriba.transcribe.port import Source


@dataclass(frozen=True, slots=True)
class Voice:
    """``regions`` are samples at 16 kHz, start and end of each; ``duration`` is seconds of the recording."""

    regions: tuple[tuple[int, int], ...]
    duration: float


class VoiceActivity:
    """Finds the speech of recordings."""

    def __init__(self, limits: DecodeLimits | None = None) -> None:
        self._limits = limits or DecodeLimits()

    def run(
        self,
        source: Source,
        options: VadOptions,
        cancel: CancelToken,
        tell: Callable[[float, float | None], None],
    ) -> Voice:
        """Blocking; ``tell`` gets the seconds that are done and the seconds the header promises.

        Raises:
            ScribaError: the medium is at fault, or the work was cancelled.
        """
        detector = SpeechDetector(options)
        found: list[SpeechRegion] = []
        with open_recording(source, self._limits) as recording:
            for block in recording.blocks(cancel):
                cancel.check()
                found.extend(detector.push(block))
                tell(recording.seconds_decoded, recording.info.duration)
            found.extend(detector.finish())
            regions = tuple((region.start, region.end) for region in found)
            return Voice(regions, recording.seconds_decoded)
