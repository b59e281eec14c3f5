"""The vendor's own SDK, unmodified, against a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from scriba.domain.errors import EngineError, ModelNotFoundError, OverloadedError, UnsupportedMediaError
from tests.server.fakes import KEY, SPOKEN, FakeModels, FakeTranscriber, Serving, services

FILE = ("speech.wav", b"RIFF sound")


@pytest.fixture
def fake() -> FakeTranscriber:
    return FakeTranscriber()


@pytest.fixture
def serving(tmp_path: Path, fake: FakeTranscriber) -> Iterator[Serving]:
    with Serving(services(tmp_path, fake, api_keys=(KEY,))) as running:
        yield running


@pytest.fixture
def sdk(serving: Serving) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=KEY, base_url=f"{serving.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def sdk_async(serving: Serving) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{serving.url}/v1", max_retries=0) as client:
        yield client


def test_json(sdk: openai.OpenAI, fake: FakeTranscriber) -> None:
    reply = sdk.audio.transcriptions.create(file=FILE, model="whisper-1", language="en", prompt="Dickens")
    assert reply.text == SPOKEN
    assert reply.usage is not None
    assert (reply.usage.type, reply.usage.seconds) == ("duration", 6.0)  # type: ignore[union-attr]
    assert [language.code for language in reply.languages or []] == ["en"]
    assert reply._request_id
    assert fake.calls[0].model == "whisper-1"
    assert fake.calls[0].decoding.initial_prompt == "Dickens"


def test_lists_and_objects_arrive(sdk: openai.OpenAI, fake: FakeTranscriber) -> None:
    sdk.audio.transcriptions.create(
        file=FILE,
        model="gpt-transcribe",
        languages=["fr", "en"],
        keywords=["Carton", "Darnay"],
        chunking_strategy={"type": "server_vad", "threshold": 0.3, "silence_duration_ms": 700},
    )
    options = fake.calls[0]
    assert options.language.allowed == ("fr", "en")
    assert options.decoding.hotwords == "Carton, Darnay"
    assert (options.vad.threshold, options.vad.min_silence_duration_ms) == (0.3, 700)


def test_verbose_json_with_words(sdk: openai.OpenAI) -> None:
    reply = sdk.audio.transcriptions.create(
        file=FILE,
        model="base",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (reply.language, reply.duration, reply.text) == ("english", 6.0, SPOKEN)
    assert reply.segments is not None
    assert [segment.text.strip() for segment in reply.segments] == [
        "It was the best of times,",
        "it was the worst of times.",
    ]
    assert reply.words is not None
    assert [word.word for word in reply.words] == SPOKEN.split()
    assert all(word.end > word.start for word in reply.words)
    only = sdk.audio.transcriptions.create(
        file=FILE, model="base", response_format="verbose_json", timestamp_granularities=["word"]
    )
    assert (only.segments, len(only.words or [])) == (None, 12)


def test_subtitles_and_text(sdk: openai.OpenAI) -> None:
    srt: Any = sdk.audio.transcriptions.create(file=FILE, model="base", response_format="srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:02,000\nIt was the best of times,\n")
    vtt: Any = sdk.audio.transcriptions.create(file=FILE, model="base", response_format="vtt")
    assert vtt.startswith("WEBVTT\n")
    text: Any = sdk.audio.transcriptions.create(file=FILE, model="base", response_format="text")
    assert text == SPOKEN + "\n"
    narrow: Any = sdk.audio.transcriptions.create(
        file=FILE, model="base", response_format="srt", extra_body={"max_line_chars": 12, "max_lines": 1}
    )
    cue_texts = [block.split("\n")[2] for block in narrow.strip().split("\n\n")]
    assert max(map(len, cue_texts)) <= 12
    assert " ".join(cue_texts) == SPOKEN


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_translation(sdk: openai.OpenAI, fake: FakeTranscriber) -> None:
    fake.language = "fr"
    assert sdk.audio.translations.create(file=FILE, model="base").text == SPOKEN
    verbose = sdk.audio.translations.create(file=FILE, model="base", response_format="verbose_json")
    assert verbose.language == "english"
    assert [call.task.value for call in fake.calls] == ["translate", "translate"]


def test_stream(sdk: openai.OpenAI) -> None:
    events = list(sdk.audio.transcriptions.create(file=FILE, model="base", stream=True))
    deltas = [event.delta for event in events if isinstance(event, TranscriptionTextDeltaEvent)]
    done = events[-1]
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert deltas == ["It was the best of times,", " it was the worst of times."]
    assert "".join(deltas) == done.text == SPOKEN
    assert done.usage is not None
    assert (done.usage.type, done.usage.input_tokens, done.usage.output_tokens) == ("tokens", 300, 6)
    assert [language.code for language in done.languages or []] == ["en"]


def test_a_delta_comes_as_soon_as_its_segment(sdk: openai.OpenAI, fake: FakeTranscriber) -> None:
    fake.seconds = 0.4
    stream = sdk.audio.transcriptions.create(file=FILE, model="base", stream=True)
    first = next(iter(stream))
    assert isinstance(first, TranscriptionTextDeltaEvent)
    assert fake.running == 1  # the rest is still being worked on
    stream.close()


def test_a_stream_that_fails_midway_raises(sdk: openai.OpenAI, fake: FakeTranscriber) -> None:
    fake.error, fake.error_after = EngineError("Inference failed."), 1
    stream = iter(sdk.audio.transcriptions.create(file=FILE, model="base", stream=True))
    assert next(stream).type == "transcript.text.delta"
    with pytest.raises(openai.APIError, match="Inference failed") as caught:
        next(stream)
    assert caught.value.code == "engine_error"


def test_a_stream_that_fails_at_once_has_a_status(sdk: openai.OpenAI, fake: FakeTranscriber) -> None:
    fake.error = UnsupportedMediaError("The file is no recording.")
    with pytest.raises(openai.APIStatusError) as caught:
        sdk.audio.transcriptions.create(file=FILE, model="base", stream=True)
    assert caught.value.status_code == 415


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"language": "klingon"}, "language"),
        ({"temperature": 3}, "temperature"),
        ({"include": ["logprobs"]}, "include"),
        ({"known_speaker_names": ["Anna"]}, "known_speaker_references"),
        ({"extra_body": {"num_speakers": 0}}, "num_speakers"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ({"extra_body": {"diarise": True}}, "diarise"),
        ({"file": ("a.wav", b"")}, "file"),
    ],
)
def test_wrong_requests_are_bad_requests(sdk: openai.OpenAI, given: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.audio.transcriptions.create(**{"file": FILE, "model": "base", **given})
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert param in caught.value.message


def test_other_errors_are_the_sdks_own(sdk: openai.OpenAI, fake: FakeTranscriber, serving: Serving) -> None:
    fake.error = ModelNotFoundError("The model 'x' is not known.", field="model")
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.audio.transcriptions.create(file=FILE, model="x")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.get("/nothing", cast_to=object)
    assert unknown.value.type == "invalid_request_error"
    fake.error = RuntimeError("secret")
    with pytest.raises(openai.InternalServerError) as broken:
        sdk.audio.transcriptions.create(file=FILE, model="base")
    assert broken.value.request_id is not None
    assert broken.value.request_id in broken.value.message
    assert "secret" not in broken.value.message
    with (
        openai.OpenAI(api_key="wrong", base_url=f"{serving.url}/v1", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        stranger.models.list()
    assert refused.value.code == "invalid_api_key"


def test_the_sdk_repeats_what_may_pass_and_nothing_else(serving: Serving, fake: FakeTranscriber) -> None:
    with openai.OpenAI(api_key=KEY, base_url=f"{serving.url}/v1", max_retries=1) as sdk:
        fake.error = OverloadedError("Full.", retry_after=0.1)
        with pytest.raises(openai.InternalServerError):
            sdk.audio.transcriptions.create(file=FILE, model="base")
        assert len(fake.calls) == 2
        fake.error = EngineError("Inference failed.")
        with pytest.raises(openai.InternalServerError):
            sdk.audio.transcriptions.create(file=FILE, model="base")
        assert len(fake.calls) == 3


def test_models(sdk: openai.OpenAI) -> None:
    ids = [model.id for model in sdk.models.list()]
    assert ids == ["base", "Systran/faster-whisper-tiny", "whisper-1"]
    for name in ids:
        assert sdk.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.models.retrieve("none/such")
    assert caught.value.code == "model_not_found"


async def test_async(sdk_async: openai.AsyncOpenAI) -> None:
    reply = await sdk_async.audio.transcriptions.create(file=FILE, model="base")
    assert reply.text == SPOKEN
    stream = await sdk_async.audio.transcriptions.create(file=FILE, model="base", stream=True)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "transcript.text.delta",
        "transcript.text.delta",
        "transcript.text.done",
    ]
    assert [model.id async for model in sdk_async.models.list()] == list(FakeModels.names)
    with pytest.raises(openai.BadRequestError):
        await sdk_async.audio.transcriptions.create(file=FILE, model="base", language="klingon")
