"""Real speech through the whole house: the bundled English weights, the doors, the vendor's SDK."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from scriba.server.composition import build_services
from tests.server.fakes import Serving, settings, wait_for
from tests.speech import TWO_CITIES_TEXT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("real")
    made = settings(folder, model="tiny.en", model_sources=("bundled",))
    with Serving(build_services(made)) as running:
        wait_for(lambda: running.app.state.readiness.ready, 60)
        yield running


@pytest.fixture
def sdk(serving: Serving) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="any", base_url=f"{serving.url}/v1", max_retries=0) as client:
        yield client


def words(text: str) -> list[str]:
    return ["".join(char for char in word if char.isalnum()) for word in text.lower().split()]


def likeness(text: str) -> float:
    """Share of the reference's words that are said, in their order."""
    reference = words(TWO_CITIES_TEXT)
    said = SequenceMatcher(a=reference, b=words(text), autojunk=False)
    return sum(block.size for block in said.get_matching_blocks()) / len(reference)


def test_one_call(serving: Serving, two_cities: Path) -> None:
    with two_cities.open("rb") as file:
        reply = httpx.post(
            serving.url + "/transcribe", files={"file": file}, data={"language": "English"}, timeout=120
        )
    assert reply.status_code == 200
    assert likeness(reply.json()["transcript"]) > 0.95


def test_verbose_json_with_words(sdk: openai.OpenAI, two_cities: Path) -> None:
    reply = sdk.audio.transcriptions.create(
        file=two_cities,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert likeness(reply.text) > 0.95
    assert reply.language == "english"
    assert reply.duration == pytest.approx(44.4, abs=0.2)
    assert reply.segments is not None
    assert len(reply.segments) >= 8
    assert reply.words is not None
    assert [word.word for word in reply.words] == reply.text.split()
    starts = [word.start for word in reply.words]
    assert starts == sorted(starts)
    assert all(0 <= word.start <= word.end <= reply.duration for word in reply.words)


def test_stream_and_its_pieces(sdk: openai.OpenAI, two_cities: Path) -> None:
    deltas: list[str] = []
    done: Any = None
    for event in sdk.audio.transcriptions.create(file=two_cities, model="tiny.en", stream=True):
        if event.type == "transcript.text.delta":
            deltas.append(event.delta)
        else:
            done = event
    assert len(deltas) >= 8
    assert "".join(deltas) == done.text
    assert likeness(done.text) > 0.95
    assert done.usage.total_tokens > 2000


def test_subtitles_within_their_lines(sdk: openai.OpenAI, two_cities: Path) -> None:
    srt: Any = sdk.audio.transcriptions.create(
        file=two_cities,
        model="tiny.en",
        response_format="srt",
        extra_body={"max_line_chars": 32, "max_lines": 2},
    )
    cues = [block.split("\n")[2:] for block in srt.strip().split("\n\n")]
    assert all(len(lines) <= 2 and max(map(len, lines)) <= 32 for lines in cues)
    assert likeness(" ".join(line for lines in cues for line in lines)) > 0.95


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_an_english_model_cannot_do_names_the_way_out(sdk: openai.OpenAI, two_cities: Path) -> None:
    with pytest.raises(openai.BadRequestError, match="English only") as french:
        sdk.audio.transcriptions.create(file=two_cities, model="tiny.en", language="fr")
    assert french.value.code == "language_not_served"
    with pytest.raises(openai.BadRequestError, match="cannot translate"):
        sdk.audio.translations.create(file=two_cities, model="tiny.en")
    with pytest.raises(openai.NotFoundError) as unknown:
        sdk.audio.transcriptions.create(file=two_cities, model="nosuch")
    assert unknown.value.code == "model_not_found"


def test_load_tells_what_was_asked_of_the_device(serving: Serving, two_cities: Path) -> None:
    before = httpx.get(f"{serving.url}/load").json()
    with two_cities.open("rb") as file:
        httpx.post(f"{serving.url}/transcribe", files={"file": file}, timeout=60).raise_for_status()
    after = httpx.get(f"{serving.url}/load").json()
    assert set(after) == {"live", "interactive", "batch"}
    assert after["interactive"]["begun"] > before["interactive"]["begun"]
    assert after["interactive"]["waiting"] == 0
    assert 0 <= after["interactive"]["wait_median"] <= after["interactive"]["wait_p95"] < 60


def test_no_recording_is_415(serving: Serving) -> None:
    reply = httpx.post(serving.url + "/transcribe", files={"file": b"these are words, not sounds" * 100})
    assert (reply.status_code, set(reply.json())) == (415, {"detail"})


def test_models_that_are_here(sdk: openai.OpenAI) -> None:
    names = [model.id for model in sdk.models.list()]
    assert {"tiny.en", "whisper-1"} <= set(names)
    assert sdk.models.retrieve("whisper-1").owned_by == "bundled"


def test_health_answers_at_once_while_speech_is_transcribed(serving: Serving, two_cities: Path) -> None:
    data = two_cities.read_bytes()
    asking = threading.Thread(
        target=lambda: httpx.post(serving.url + "/transcribe", files={"file": data}, timeout=120)
    )
    asking.start()
    times = []
    with httpx.Client(base_url=serving.url) as http:
        while asking.is_alive():
            begun = time.perf_counter()
            assert http.get("/health").status_code == 200
            times.append(time.perf_counter() - begun)
            time.sleep(0.05)
    assert len(times) > 5
    assert statistics.median(times) < 0.05


def test_hanging_up_frees_the_machine(serving: Serving, two_cities: Path) -> None:
    with (
        two_cities.open("rb") as file,
        httpx.Client(timeout=60) as http,
        http.stream(
            "POST",
            serving.url + "/v1/audio/transcriptions",
            files={"file": file},
            data={"stream": "true"},
        ) as reply,
    ):
        next(reply.iter_lines())
    begun = time.monotonic()
    wait_for(lambda: all(thread.name != "scriba-transcribe" for thread in threading.enumerate()), 5)
    assert time.monotonic() - begun < 1.5
