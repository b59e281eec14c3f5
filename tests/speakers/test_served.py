"""A dialogue sent to the real server: who speaks, through each door that tells."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

from scriba.server.composition import build_services
from tests.conftest import SpeakerFolder
from tests.doors.serving import client, until
from tests.server.fakes import settings
from tests.speakers.voices import RATE, dialogue, sound, write
from tests.speech import two_cities

NUMBERED = {"SPEAKER_00", "SPEAKER_01"}


@pytest.mark.slow
async def test_every_door_tells_who_speaks(tmp_path: Path, speaker_folder: SpeakerFolder) -> None:
    made = settings(tmp_path, model="tiny.en")
    shutil.copytree(speaker_folder.model, made.data_dir / "models" / "speakers")
    audio, _ = dialogue()
    recording = write(tmp_path / "two.wav", audio).read_bytes()
    clip = write(tmp_path / "clip.wav", sound(two_cities())[30 * RATE : 38 * RATE]).read_bytes()
    reference = "data:audio/wav;base64," + base64.b64encode(clip).decode()
    files = {"file": ("two.wav", recording)}
    async with client(build_services(made, with_jobs=True)) as http:
        http.timeout = 240
        asked = {"response_format": "diarized_json", "model": "gpt-4o-transcribe-diarize"}
        answer = (await http.post("/v1/audio/transcriptions", data=asked, files=files)).json()
        assert {segment["speaker"] for segment in answer["segments"]} == {"A", "B"}
        assert all(segment["type"] == "transcript.text.segment" for segment in answer["segments"])

        named = asked | {"known_speaker_names[]": "Reader", "known_speaker_references[]": reference}
        answer = (await http.post("/v1/audio/transcriptions", data=named, files=files)).json()
        assert {segment["speaker"] for segment in answer["segments"]} == {"Reader", "A"}

        stream = await http.post("/v1/audio/transcriptions", data=asked | {"stream": "true"}, files=files)
        lines = [line for line in stream.text.splitlines() if line.startswith("data: {")]
        events = [json.loads(line.removeprefix("data: ")) for line in lines]
        segments = [event for event in events if event["type"] == "transcript.text.segment"]
        deltas = [event for event in events if event["type"] == "transcript.text.delta"]
        assert [event["segment_id"] for event in deltas] == [event["id"] for event in segments]
        assert "".join(event["delta"] for event in deltas) == events[-1]["text"]

        order = {"is_diarize": "true", "hf_token": "hf_secret", "word_timestamps": "true"}
        task = (await http.post("/transcription", data=order, files=files)).json()
        done = await until(http, f"/task/{task['identifier']}", "COMPLETED", "FAILED", seconds=200)
        assert done["status"] == "COMPLETED", done["error"]
        assert {segment["speaker"] for segment in done["result"]} == NUMBERED
        for segment in done["result"]:
            assert segment["text"].startswith(segment["speaker"] + "|")
            assert segment["words"]

        job = (await http.post("/v1/jobs", data={"num_speakers": "2"}, files=files)).json()
        await until(http, f"/v1/jobs/{job['id']}", "completed", seconds=200)
        rttm = (await http.get(f"/v1/jobs/{job['id']}/result", params={"format": "rttm"})).text
        assert {line.split()[7] for line in rttm.splitlines()} == NUMBERED
        assert {line.split()[1] for line in rttm.splitlines()} == {"two"}
        vtt = (await http.get(f"/v1/jobs/{job['id']}/result", params={"format": "vtt"})).text
        assert "<v SPEAKER_00>" in vtt
