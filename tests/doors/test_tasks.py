"""The task interface, as its clients use it."""

from __future__ import annotations

import asyncio
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scriba.domain.errors import InvalidOptionError, UnsupportedOptionError
from scriba.domain.options import (
    DecodingOptions,
    LanguagePolicy,
    SeparationOptions,
    TranscribeOptions,
    VadOptions,
)
from scriba.domain.speakers import SpeakerOptions
from scriba.domain.transcript import Task
from scriba.doors.tasks.fields import MUSIC, TRANSCRIPTION, VAD
from scriba.doors.tasks.params import ServerFacts, merge, parse_separation, parse_transcription, parse_vad
from tests.doors.serving import client, services, until
from tests.jobs.doubles import FakeBatch
from tests.server.fakes import upload

FACTS = ServerFacts(compute_type="int8", unloads=True)
DEFAULTS = TranscribeOptions()

HONOURED: dict[str, tuple[str, Any]] = {
    "model_size": ("large-v3", lambda o: o.model == "large-v3"),
    "lang": ("French", lambda o: o.language.language == "fr"),
    "is_translate": ("true", lambda o: o.task is Task.TRANSLATE),
    "beam_size": ("2", lambda o: o.decoding.beam_size == 2),
    "log_prob_threshold": ("-0.5", lambda o: o.decoding.log_prob_threshold == -0.5),
    "no_speech_threshold": ("0.25", lambda o: o.decoding.no_speech_threshold == 0.25),
    "compute_type": ("int8", lambda o: True),
    "best_of": ("3", lambda o: o.decoding.best_of == 3),
    "patience": ("1.5", lambda o: o.decoding.patience == 1.5),
    "condition_on_previous_text": ("true", lambda o: o.decoding.condition_on_previous_text),
    "prompt_reset_on_temperature": ("0.25", lambda o: o.decoding.prompt_reset_on_temperature == 0.25),
    "initial_prompt": ("Once", lambda o: o.decoding.initial_prompt == "Once"),
    "temperature": ("0.5", lambda o: o.decoding.temperatures == (0.5,)),
    "compression_ratio_threshold": ("2", lambda o: o.decoding.compression_ratio_threshold == 2),
    "length_penalty": ("2", lambda o: o.decoding.length_penalty == 2),
    "repetition_penalty": ("1.1", lambda o: o.decoding.repetition_penalty == 1.1),
    "no_repeat_ngram_size": ("3", lambda o: o.decoding.no_repeat_ngram_size == 3),
    "prefix": ("So", lambda o: o.decoding.prefix == "So"),
    "suppress_blank": ("false", lambda o: not o.decoding.suppress_blank),
    "suppress_tokens": ("[1, 2]", lambda o: o.decoding.suppress_tokens == (1, 2)),
    "max_initial_timestamp": ("2", lambda o: o.decoding.max_initial_timestamp == 2),
    "word_timestamps": ("true", lambda o: o.words),
    "prepend_punctuations": ("(<", lambda o: o.decoding.prepend_punctuations == "(<"),
    "append_punctuations": (".>", lambda o: o.decoding.append_punctuations == ".>"),
    "max_new_tokens": ("50", lambda o: o.decoding.max_new_tokens == 50),
    "chunk_length": ("15", lambda o: o.chunk_length == 15),
    "hallucination_silence_threshold": (
        "2",
        lambda o: o.decoding.hallucination_silence_threshold == 2,
    ),
    "hotwords": ("Scriba", lambda o: o.decoding.hotwords == "Scriba"),
    "language_detection_threshold": ("0.75", lambda o: o.language.threshold == 0.75),
    "language_detection_segments": ("2", lambda o: o.language.windows == 2),
    "batch_size": ("2", lambda o: o.batch_size == 2),
    "enable_offload": ("true", lambda o: True),
    "vad_filter": ("false", lambda o: not o.vad.enabled),
    "threshold": ("0.25", lambda o: o.vad.threshold == 0.25),
    "min_speech_duration_ms": ("100", lambda o: o.vad.min_speech_duration_ms == 100),
    "max_speech_duration_s": ("10", lambda o: o.vad.max_speech_duration_s == 10),
    "min_silence_duration_ms": ("2000", lambda o: o.vad.min_silence_duration_ms == 2000),
    "speech_pad_ms": ("100", lambda o: o.vad.speech_pad_ms == 100),
    "is_separate_bgm": ("true", lambda o: o.separation == SeparationOptions()),
    "uvr_model_size": ("UVR-MDX-NET-Inst_HQ_4", lambda o: True),
    "uvr_device": ("cpu", lambda o: True),
    "segment_size": ("256", lambda o: True),
    "save_file": ("false", lambda o: True),
    "is_diarize": ("true", lambda o: o.speakers == SpeakerOptions()),
    "diarization_device": ("cpu", lambda o: True),
    "hf_token": ("hf_x", lambda o: True),
}
REFUSED = {
    "lang": "klingon",
    "is_translate": "perhaps",
    "beam_size": "0",
    "log_prob_threshold": "low",
    "no_speech_threshold": "1.5",
    "compute_type": "float64",
    "best_of": "0",
    "patience": "0",
    "condition_on_previous_text": "2",
    "prompt_reset_on_temperature": "-1",
    "temperature": "-0.1",
    "compression_ratio_threshold": "0",
    "length_penalty": "0",
    "repetition_penalty": "nan",
    "no_repeat_ngram_size": "-1",
    "suppress_blank": "",
    "suppress_tokens": "a,b",
    "max_initial_timestamp": "-1",
    "word_timestamps": "si",
    "max_new_tokens": "0",
    "chunk_length": "31",
    "hallucination_silence_threshold": "-1",
    "language_detection_threshold": "2",
    "language_detection_segments": "0",
    "batch_size": "0",
    "enable_offload": "false",
    "vad_filter": "on and off",
    "threshold": "1.1",
    "min_speech_duration_ms": "1.5",
    "max_speech_duration_s": "0",
    "min_silence_duration_ms": "-1",
    "speech_pad_ms": "-1",
    "is_separate_bgm": "2",
    "uvr_device": "tpu",
    "segment_size": "0",
    "save_file": "true",
    "is_diarize": "maybe",
    "diarization_device": "cuda",
}
FREE_TEXT = {"model_size", "initial_prompt", "prefix", "hotwords", "uvr_model_size", "prepend_punctuations",
             "append_punctuations", "hf_token"}  # fmt: skip


def test_no_parameter_is_left_out_of_these_tables() -> None:
    assert set(HONOURED) == set(TRANSCRIPTION)
    assert set(REFUSED) | FREE_TEXT == set(TRANSCRIPTION)


@pytest.mark.parametrize("name", HONOURED)
@pytest.mark.parametrize("place", ["query", "form"])
def test_a_parameter_does_what_it_says(name: str, place: str) -> None:
    value, holds = HONOURED[name]
    sent = {name: [value]}
    fields = merge(sent, {}) if place == "query" else merge({}, sent)
    request = parse_transcription(fields, DEFAULTS, FACTS)
    assert holds(request.work)
    # Nothing else changes, whatever it is.
    assert isinstance(request.work, TranscribeOptions)
    assert "hf_x" not in request.params
    assert (name in json.loads(request.params)) == (name != "hf_token")


@pytest.mark.parametrize("name", REFUSED)
def test_or_it_is_refused_by_name(name: str) -> None:
    with pytest.raises((InvalidOptionError, UnsupportedOptionError)) as caught:
        parse_transcription({name: [REFUSED[name]]}, DEFAULTS, FACTS)
    assert name in caught.value.message
    assert caught.value.field == name


def test_what_is_left_out_is_the_servers_default() -> None:
    defaults = replace(
        DEFAULTS,
        decoding=DecodingOptions(beam_size=2),
        vad=VadOptions(enabled=False),
        language=LanguagePolicy(allowed=("en", "fr")),
    )
    assert parse_transcription({}, defaults, FACTS).work == defaults


def test_the_address_wins_over_the_form() -> None:
    request = parse_transcription(merge({"lang": ["fr"]}, {"lang": ["de"]}), DEFAULTS, FACTS)
    assert isinstance(request.work, TranscribeOptions)
    assert request.work.language.language == "fr"


@pytest.mark.parametrize("values", [["1", "2"], ["1,2"], ["[1,2]"], ["[1, 2]"]])
def test_a_list_is_sent_in_three_ways(values: list[str]) -> None:
    request = parse_transcription({"suppress_tokens": values}, DEFAULTS, FACTS)
    assert isinstance(request.work, TranscribeOptions)
    assert request.work.decoding.suppress_tokens == (1, 2)


@pytest.mark.parametrize("value", ["[1.5]", "[true]", "[1, [2]]", '[{"a": 1}]', "1.5", "[1e999]"])
def test_what_is_no_whole_number_is_not_made_one(value: str) -> None:
    with pytest.raises(InvalidOptionError, match="suppress_tokens must be whole numbers"):
        parse_transcription({"suppress_tokens": [value]}, DEFAULTS, FACTS)


@pytest.mark.parametrize("name", VAD)
def test_voice_activity_takes_its_own_parameters(name: str) -> None:
    value = "true" if name == "vad_filter" else HONOURED[name][0]
    request = parse_vad({name: [value]}, VadOptions())
    assert isinstance(request.work, VadOptions)
    assert request.work.enabled
    if name != "vad_filter":
        assert float(getattr(request.work, name)) == float(value)
    assert math.isinf(VadOptions().max_speech_duration_s)


async def test_the_documented_polling_client(tmp_path: Path) -> None:
    """Word for word what the original's documentation prints, with its pauses shortened."""
    async with client(services(tmp_path, FakeBatch(windows=5, seconds=0.05))) as http:
        sent = {"lang": "en", "model_size": "base"}
        response = await http.post("/transcription", files=upload(), params=sent)
        assert response.status_code == 201
        queued = response.json()
        assert queued["status"] == "QUEUED"
        assert queued["message"] == "Transcription task has queued"
        identifier = queued["identifier"]
        progress = []
        for _ in range(500):
            task = (await http.get(f"/task/{identifier}")).json()
            if task["status"] == "COMPLETED":
                break
            if task["status"] == "FAILED":
                raise AssertionError(task["error"])
            progress.append(task["progress"])
            await asyncio.sleep(0.01)
        assert [segment["text"] for segment in task["result"]] == [f"window {n}" for n in range(5)]
        assert set(task["result"][0]) == {
            "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio",
            "no_speech_prob", "words",
        }  # fmt: skip
        assert {
            "identifier", "status", "task_type", "result_type", "result", "task_params", "error", "duration",
            "progress",
        } <= set(task)  # fmt: skip
        assert (task["task_type"], task["result_type"], task["progress"]) == ("transcription", "json", 1.0)
        assert task["task_params"] == {"lang": "en", "model_size": "base"}
        assert task["duration"] > 0
        assert progress == sorted(progress)
        assert len(set(progress)) > 2


async def test_work_that_was_done_before_is_queued_all_the_same(tmp_path: Path) -> None:
    """The original's clients compare the answer with it."""
    async with client(services(tmp_path)) as http:
        for _ in range(2):
            queued = (await http.post("/transcription", files=upload())).json()
            assert queued["status"] == "QUEUED"
            await until(http, f"/task/{queued['identifier']}", "COMPLETED")


async def test_voice_activity(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        answer = await http.post("/vad/", files=upload(), data={"threshold": "0.4"})
        assert (answer.status_code, answer.json()["message"]) == (201, "VAD task has queued")
        task = await until(http, f"/task/{answer.json()['identifier']}", "COMPLETED")
        assert (task["result"], task["task_type"]) == ([{"start": 0, "end": 16_000}], "vad")


async def test_tasks_are_listed_newest_first_and_paged(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        ids = [
            (await http.post("/transcription/", files=upload(str(n).encode()))).json()["identifier"]
            for n in range(4)
        ]
        await http.post("/v1/jobs", files=upload())  # another door's is not shown
        for identifier in ids:
            await until(http, f"/task/{identifier}", "COMPLETED")
        tasks = (await http.get("/task/all")).json()["tasks"]
        assert [task["identifier"] for task in tasks] == ids[::-1]
        assert tasks[0]["result"]
        page = (await http.get("/task/all", params={"limit": 2, "after": ids[2]})).json()["tasks"]
        assert [task["identifier"] for task in page] == ids[1::-1]


async def test_deleting_stops_the_work(tmp_path: Path) -> None:
    batch = FakeBatch(seconds=30)
    async with client(services(tmp_path, batch)) as http:
        identifier = (await http.post("/transcription", files=upload())).json()["identifier"]
        await until(http, f"/task/{identifier}", "IN_PROGRESS")
        while not batch.running:
            await asyncio.sleep(0.01)
        started = time.monotonic()
        answer = await http.delete(f"/task/{identifier}")
        assert answer.json() == {"identifier": identifier, "message": "Task deleted"}
        while batch.running:
            await asyncio.sleep(0.01)
        assert time.monotonic() - started < 1
        for gone in (await http.get(f"/task/{identifier}"), await http.delete(f"/task/{identifier}")):
            assert (gone.status_code, gone.json()) == (404, {"detail": "Identifier not found"})


async def test_files(tmp_path: Path) -> None:
    batch = FakeBatch(seconds=0.2)
    async with client(services(tmp_path, batch)) as http:
        identifier = (await http.post("/transcription", files=upload())).json()["identifier"]
        assert (await http.get(f"/task/file/{identifier}")).status_code == 409
        await until(http, f"/task/{identifier}", "COMPLETED")
        answer = await http.get(f"/task/file/{identifier}")
        assert (answer.status_code, "no files" in answer.json()["detail"]) == (404, True)
        assert (await http.get("/task/file/nothing")).json() == {"detail": "Identifier not found"}


async def test_failures_end_in_failed(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        identifier = (await http.post("/transcription", files=upload(b"no media"))).json()["identifier"]
        task = await until(http, f"/task/{identifier}", "FAILED")
        assert (task["error"], task["result"]) == ("The file is no recording.", None)


async def test_wrong_parameters_have_the_frameworks_shape(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        for place, answer in (
            ("query", await http.post("/transcription?beam_size=0", files=upload())),
            ("body", await http.post("/transcription", files=upload(), data={"beam_size": "0"})),
        ):
            assert answer.status_code == 422
            (fault,) = answer.json()["detail"]
            assert fault["loc"] == [place, "beam_size"]
            assert "at least 1" in fault["msg"]
        unknown = await http.post("/transcription?speed=2", files=upload())
        assert unknown.json()["detail"][0]["loc"] == ["query", "speed"]
        missing = await http.post("/transcription", files={"other": b""})
        assert missing.status_code == 422
        assert (await http.post("/transcription", files=upload(b""))).status_code == 400
        assert (await http.get("/task/all")).json() == {"tasks": []}


MUSIC_HONOURED: dict[str, Any] = {
    "is_separate_bgm": ("true", lambda o: True),
    "uvr_model_size": ("htdemucs", lambda o: o.model == "htdemucs"),
    "uvr_device": ("CPU", lambda o: o.device == "cpu"),
    "segment_size": ("128", lambda o: o.segment_size == 128),
    "save_file": ("true", lambda o: o.keep),
}


@pytest.mark.parametrize("name", MUSIC)
def test_separation_takes_its_own_parameters_also_before_transcription(name: str) -> None:
    value, holds = MUSIC_HONOURED[name]
    work = parse_separation({name: [value]}, None).work
    assert isinstance(work, SeparationOptions)
    assert holds(work)
    before = {"is_separate_bgm": ["true"], name: [value]}
    options = parse_transcription(before, DEFAULTS, FACTS).work
    assert isinstance(options, TranscribeOptions)
    assert holds(options.separation)


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"is_separate_bgm": ["false"]}, "is_separate_bgm"), ({"beam_size": ["2"]}, "beam_size")],
)
def test_separation_refuses_what_is_not_its_own(fields: dict[str, list[str]], field: str) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        parse_separation(fields, None)
    assert caught.value.field == field


def test_files_are_kept_of_what_is_separated_only() -> None:
    with pytest.raises(UnsupportedOptionError, match="is_separate_bgm=true") as caught:
        parse_transcription({"save_file": ["true"]}, DEFAULTS, FACTS)
    assert caught.value.field == "save_file"


async def test_a_model_that_nobody_knows_is_refused_at_once(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        for value in ("humongous", "../../etc/passwd", "nobody/nothing"):
            answer = await http.post("/transcription", files=upload(), data={"model_size": value})
            assert answer.status_code == 422
            (fault,) = answer.json()["detail"]
            assert fault["loc"] == ["body", "model_size"]
            assert fault["msg"].startswith(f"model_size: The model {value!r} is not known.")
        # These are not here, and could be fetched.
        for value in ("large-v3", "openai/whisper-small", "whisper-1", ""):
            answer = await http.post("/transcription", files=upload(), data={"model_size": value})
            assert answer.status_code == 201


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("compute_type", "float64", "computes in int8"),
        ("enable_offload", "false", "it is true"),
        ("diarization_device", "cuda", "on cpu"),
    ],
)
def test_what_is_set_at_the_start_is_told_with_the_refused_value(name: str, value: str, bound: str) -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        parse_transcription({name: [value]}, DEFAULTS, FACTS)
    assert caught.value.message.startswith(f"{name} cannot be {value!r}: ")
    assert bound in caught.value.message


def test_devices_and_types_are_known_in_any_case() -> None:
    sent = {"diarization_device": ["CPU"], "compute_type": ["INT8"]}
    assert parse_transcription(sent, DEFAULTS, FACTS).work == DEFAULTS


async def test_bounds_of_the_list_are_told_with_the_value(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        answer = await http.get("/task/all?limit=0")
        assert answer.status_code == 422
        assert "limit" in answer.json()["detail"]
        assert "'0'" in answer.json()["detail"]
        gone = await http.get("/task/all?after=nothing")
        assert (gone.status_code, gone.json()["detail"][:6]) == (404, "after:")


async def test_files_of_what_failed_are_not_said_to_be_elsewhere(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        identifier = (await http.post("/transcription", files=upload(b"no media"))).json()["identifier"]
        await until(http, f"/task/{identifier}", "FAILED")
        answer = await http.get(f"/task/file/{identifier}")
        assert (answer.status_code, "failed" in answer.json()["detail"]) == (404, True)


async def test_states_in_lower_case_by_setting(tmp_path: Path) -> None:
    async with client(services(tmp_path, task_status_case="lower")) as http:
        queued = (await http.post("/transcription", files=upload())).json()
        assert queued["status"] == "queued"
        await until(http, f"/task/{queued['identifier']}", "completed")


async def test_a_token_is_neither_kept_nor_told(tmp_path: Path) -> None:
    async with client(services(tmp_path)) as http:
        data = {"hf_token": "hf_very_secret", "is_diarize": "false"}
        identifier = (await http.post("/transcription", files=upload(), data=data)).json()["identifier"]
        task = await until(http, f"/task/{identifier}", "COMPLETED")
        assert task["task_params"] == {"is_diarize": False}
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert b"hf_very_secret" not in path.read_bytes()
