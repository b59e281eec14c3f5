"""Who speaks when in a recording: the adapter without PyTorch.

The recipe is that of pyannote.audio's pipeline (Bredin 2023): windows of 10 s that overlap, who speaks in
each, an embedding of each local speaker from where nobody else speaks, embeddings grouped into people, and
windows put together again with as many people at once as were heard. Sound is read once
and let go; what is kept of a window is who is active in it and the embeddings: about 25 MB for ten hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TypeVar

from scriba.audio.decode import DecodeLimits, open_recording
from scriba.domain.cancel import CancelToken
from scriba.domain.media import SAMPLE_RATE
from scriba.domain.speakers import KnownSpeaker, SpeakerOptions, SpeakerTurn
from scriba.speakers.clips import read_clip, silent_clip
from scriba.speakers.frames import WINDOW_SAMPLES
from scriba.speakers.naming import Known, find_people, names_of, place, turns
from scriba.speakers.networks import Networks
from scriba.speakers.port import NetworkProvider, Source, Steps, Tell
from scriba.speakers.timeline import stretches
from scriba.speakers.voices import Examined, examine
from scriba.speakers.waiting import in_order, result_of
from scriba.speakers.windows import PAUSE_SECONDS, sliding

T = TypeVar("T")


class NetworkDiarizer:
    """Implements ``scriba.speakers.port.Diarizer``."""

    def __init__(self, networks: NetworkProvider, limits: DecodeLimits | None = None) -> None:
        self._networks = networks
        self._limits = limits or DecodeLimits()

    def run(
        self, source: Source, options: SpeakerOptions, steps: Steps, cancel: CancelToken, tell: Tell
    ) -> list[SpeakerTurn]:
        with self._networks.acquire(cancel) as networks:
            known = [_known(networks, steps, one, cancel) for one in options.known]
            with open_recording(source, self._limits) as recording:
                windows: list[Examined] = []
                sliced = sliding(recording.blocks(cancel))
                works = (partial(examine, networks, sample, audio) for sample, audio in sliced)
                for window in in_order(works, steps, cancel):
                    windows.append(window)
                    tell(window.sample / SAMPLE_RATE, recording.info.duration)
                duration = recording.seconds_decoded
            # Here, on the recording's own thread: for hours of sound this is more than one step's work.
            return _put_together(windows, options, known, duration, cancel)


def _put_together(
    windows: list[Examined],
    options: SpeakerOptions,
    known: list[Known],
    duration: float,
    cancel: CancelToken,
) -> list[SpeakerTurn]:
    people = find_people(windows, options, cancel)
    if not len(people):
        return []
    placed = (place(window, people) for window in windows)
    found = stretches(_checked(placed, cancel), len(people), duration)
    return turns(found, names_of(people, found, known), pause=PAUSE_SECONDS)


def _checked(items: Iterator[T], cancel: CancelToken) -> Iterator[T]:
    for item in items:
        cancel.check()
        yield item


def _known(networks: Networks, steps: Steps, speaker: KnownSpeaker, cancel: CancelToken) -> Known:
    """The voice of a clip.

    Raises:
        InvalidOptionError: the clip is no recording, too short or too long, or nobody speaks in it.
    """
    audio = read_clip(speaker, cancel)[:WINDOW_SAMPLES]
    examined = result_of(steps.submit(partial(examine, networks, 0, audio)), cancel)
    if not examined.voices:
        raise silent_clip(speaker.name)
    return Known(speaker.name, max(examined.voices, key=lambda voice: voice.alone).embedding)
