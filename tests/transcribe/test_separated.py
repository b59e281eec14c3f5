"""Transcription of the voice that was parted from music."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from scriba.audio.decode import DecodeLimits
from scriba.bench import score
from scriba.domain.cancel import CancelToken
from scriba.domain.errors import CancelledByUserError
from scriba.domain.events import Progress
from scriba.domain.options import LanguagePolicy, SeparationOptions, TranscribeOptions
from scriba.domain.speakers import SpeakerOptions
from scriba.engine.ctranslate2 import CTranslate2Engine
from scriba.engine.port import Decoded, Engine, Phrase
from scriba.engine.scheduler import Scheduler
from scriba.separation.process import SeparationProcess
from scriba.separation.store import SeparationStore
from scriba.separation.wave_file import WaveWriter
from scriba.speakers.channels import ChannelDiarizer
from scriba.speakers.diarizer import NetworkDiarizer
from scriba.speakers.networks import OnnxNetworks
from scriba.transcribe.beside import SoundBeside, sureness
from scriba.transcribe.listening import HeardPhrase, Pass
from scriba.transcribe.recording import RecordingTranscriber
from scriba.transcribe.separated import SeparatingTranscriber
from scriba.transcribe.speakers import SpeakerTranscriber
from scriba.transcribe.windows import Piece, Window
from tests.conftest import SpeakerFolder
from tests.separation.sounds import RATE, music, over_music, voice, wav_bytes
from tests.speakers.voices import Own, write
from tests.speech import BECKETT_TEXT, beckett, bundled
from tests.transcribe.doubles import OneEngine, transcript_of

ENGLISH = TranscribeOptions(language=LanguagePolicy("en"), separation=SeparationOptions(), words=True)


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[RecordingTranscriber, Scheduler]]:
    engine = CTranslate2Engine(bundled(), model="tiny.en")
    scheduler = Scheduler(engine.capabilities.parallelism)
    yield RecordingTranscriber(OneEngine(cast(Engine, engine)), scheduler), scheduler
    scheduler.close(timeout=30)
    engine.close()


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> SeparationProcess:
    folder = tmp_path_factory.mktemp("separated")
    return SeparationProcess(SeparationStore(folder / "models"), DecodeLimits(), folder / "spool")


@pytest.fixture(scope="module")
def own(plain: tuple[RecordingTranscriber, Scheduler], process: SeparationProcess) -> SeparatingTranscriber:
    return SeparatingTranscriber(plain[0], process)


def test_clean_speech_is_heard_as_without(own: SeparatingTranscriber) -> None:
    events = list(own.run(beckett(), ENGLISH))
    transcript = transcript_of(events)
    rate = score([(BECKETT_TEXT, transcript.text)], "en").wer
    assert rate is not None
    assert rate < 0.1
    assert transcript.segments[0].words
    progress = [event.done for event in events if isinstance(event, Progress)]
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(transcript.duration)


def test_speech_over_music_is_heard(own: SeparatingTranscriber) -> None:
    mixed = io.BytesIO(wav_bytes(over_music(voice(), 5.0)))
    transcript = transcript_of(list(own.run(mixed, ENGLISH)))
    rate = score([(BECKETT_TEXT, transcript.text)], "en").wer
    assert rate is not None
    assert rate < 0.25


def test_music_alone_gives_no_words(own: SeparatingTranscriber) -> None:
    tune = io.BytesIO(wav_bytes(0.3 * music(20 * RATE)))
    assert transcript_of(list(own.run(tune, ENGLISH))).text == ""


def test_channels_are_those_of_the_recording(
    plain: tuple[RecordingTranscriber, Scheduler],
    process: SeparationProcess,
    speaker_folder: SpeakerFolder,
    tmp_path: Path,
) -> None:
    networks = Own(OnnxNetworks(speaker_folder.model))
    diarizer = ChannelDiarizer(networks, NetworkDiarizer(networks))
    telling = SeparatingTranscriber(SpeakerTranscriber(plain[0], diarizer, plain[1]), process)
    speech = voice(4.0)
    silence = np.zeros_like(speech)
    left, right = np.concatenate([speech, silence]), np.concatenate([silence, speech])
    path = write(tmp_path / "call.wav", left, right, rate=RATE)
    options = replace(ENGLISH, speakers=SpeakerOptions(channels=True))
    transcript = transcript_of(list(telling.run(path, options)))
    assert [turn.speaker for turn in transcript.turns] == ["SPEAKER_00", "SPEAKER_01"]


def test_cancelling_during_separation_ends_it(own: SeparatingTranscriber) -> None:
    cancel = CancelToken()
    long = io.BytesIO(wav_bytes(np.tile(voice(), 60)))
    events = own.run(long, ENGLISH, cancel)
    next(events)
    cancel.cancel()
    with pytest.raises(CancelledByUserError):
        list(events)


def test_the_sound_beside_is_cut_as_the_window_is(tmp_path: Path) -> None:
    sound = np.linspace(-1, 1, 1000, dtype=np.float32)
    file = (tmp_path / "whole.wav").open("w+b")
    writer = WaveWriter(file, RATE, 1)
    writer.write(sound[None])
    writer.close()
    pieces = (Piece(100, 0, 50), Piece(400, 50, 30))
    window = Window(0, np.zeros(80, np.float32), pieces, ())
    beside = SoundBeside(file, io.BytesIO())
    whole = beside.of(window)
    assert np.abs(whole.audio - np.concatenate([sound[100:150], sound[400:430]])).max() < 1e-3
    # Where the rest is the louder, some of it stays; where it is not, none does.
    assert np.allclose(beside.soften(window, whole).audio, 0.3 * whole.audio)
    louder = Window(0, 0.9 * whole.audio, pieces, ())
    assert beside.soften(louder, whole) is louder
    file.close()


def _heard(logprob: float, tokens: int, *, silent: bool = False) -> Pass:
    decoded = Decoded(
        phrases=(),
        avg_logprob=logprob,
        no_speech_prob=0.1,
        compression_ratio=1.0,
        temperature=0.0,
        consumed=1.0,
    )
    phrase = HeardPhrase(Phrase(0.0, 1.0, "text", tuple(range(tokens))), None)
    return Pass(0.0, decoded, (phrase,) if tokens else (), silent)


def test_sureness_is_weighed_by_tokens() -> None:
    assert sureness([_heard(-0.1, 30), _heard(-0.5, 10)]) == pytest.approx(-0.2)
    assert sureness([_heard(-0.1, 30, silent=True)]) == float("-inf")
    assert sureness([]) == float("-inf")
