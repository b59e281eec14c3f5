"""The whole of a session heard once more when it has ended, as a recording: its audio is on the disk.

Words of a live stream are settled with a second of what follows in view; a recording is heard in windows of
30 s, with all of it. What comes of this depends on the audio alone, however full the machine was.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

import structlog

from scriba.audio.headed import HeadedSamples
from scriba.audio.live_pcm import PcmFormat
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import OverloadedError, ScribaError
from scriba.domain.events import Finished
from scriba.domain.options import DecodingOptions, TranscribeOptions
from scriba.domain.transcript import Transcript
from scriba.engine.scheduler import Priority
from scriba.live.events import Refined
from scriba.live.options import LiveOptions
from scriba.transcribe.port import PriorityTranscriber, Source

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0


class Refining:
    """Hears one session's log again. ``audio`` is the client's bytes; ``form`` None means a container."""

    def __init__(
        self, transcriber: PriorityTranscriber, audio: Path, form: PcmFormat | None, options: LiveOptions
    ) -> None:
        self._transcriber = transcriber
        self._audio = audio
        self._form = form
        self._options = TranscribeOptions(
            model=options.model,
            task=options.task,
            language=options.language,
            decoding=DecodingOptions(
                beam_size=options.beam_size, initial_prompt=options.prompt, hotwords=options.hotwords
            ),
            words=True,
            guards=options.guards,
        )

    def run(self, cancel: CancelToken) -> Refined | None:
        """Blocking. None where it cannot be had: what was settled stands then."""
        while not cancel.cancelled:
            try:
                heard = self._hear(cancel)
            except OverloadedError:
                cancel.wait(_RETRY_SECONDS)
            except ScribaError as error:
                if not cancel.cancelled:
                    log.warning("live session not refined", why=error.message)
                return None
            except Exception:  # what was settled must not be lost for it
                log.exception("live session not refined")
                return None
            else:
                return Refined(heard.segments, heard.suppressed, heard.language, heard.language_probability)
        return None

    def _hear(self, cancel: CancelToken) -> Transcript:
        with ExitStack() as stack:
            source: Source = self._audio
            if self._form is not None:
                source = cast(BinaryIO, stack.enter_context(HeadedSamples(self._audio, self._form)))
            # To its very end: the recording is closed before what it is read from.
            events = self._transcriber.run(source, self._options, cancel, Priority.BATCH)
            [finished] = [event for event in events if isinstance(event, Finished)]
        return finished.transcript
