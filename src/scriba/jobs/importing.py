"""Taking over the tasks of a Whisper-WebUI backend: the table ``tasks`` of its SQLite file.

Its columns (later release): ``uuid, status, task_type, result, result_type, language, audio_duration,
task_params, error, duration, progress, created_at, updated_at``. The parameters are in groups (``whisper``,
``vad``, ``diarization``, ``bgm_separation``). Only finished tasks are taken: nobody has the recordings of the
others. Of a separation its hashes are taken; its files expired long ago.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from scriba.domain.errors import InvalidOptionError, UnknownLanguageError
from scriba.domain.job import JobKind, JobState
from scriba.domain.language import normalise_language
from scriba.domain.transcript import Segment, Task, Transcript, Word
from scriba.jobs.codec import dumps, transcript_to_json
from scriba.store.database import Database
from scriba.store.results import ResultStore
from scriba.store.tables import jobs

_KINDS = {
    "transcription": JobKind.TRANSCRIPTION,
    "vad": JobKind.VAD,
    "bgm_separation": JobKind.SEPARATION,
}
_SECRETS = frozenset({"hf_token"})
_STATES = {
    "completed": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
}
_UNNAMED_MODEL = "unknown"


async def import_file(path: Path, database: Database, results: ResultStore) -> tuple[int, int]:
    """Put the finished tasks into the jobs table, under their own identifiers; how many, and how many not.

    Raises:
        InvalidOptionError: the file is no such database.
    """
    rows = await asyncio.to_thread(_read, path)
    taken = 0
    for row in rows:
        taken += await _take(row, database, results)
    return taken, len(rows) - taken


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM tasks ORDER BY created_at")]
    except sqlite3.Error:
        raise InvalidOptionError(
            "The file is no SQLite database with a table of tasks.", field="FILE"
        ) from None


async def _take(row: dict[str, Any], database: Database, results: ResultStore) -> bool:
    kind = _KINDS.get(_plain(row.get("task_type")))
    state = _STATES.get(_plain(row.get("status")))
    identifier = str(row.get("uuid") or row.get("identifier") or "")
    if kind is None or state is None or not identifier or len(identifier) > 36:
        return False
    async with database.read() as connection:
        if (await connection.execute(select(jobs.c.id).where(jobs.c.id == identifier))).first() is not None:
            return False
    params = _without_secrets(_json(row.get("task_params")))
    params = params if isinstance(params, dict) else {}
    # Nothing else is ever answered from it: nobody knows what it was made from.
    fingerprint = hashlib.sha256(f"imported\n{identifier}".encode()).hexdigest()
    created = _seconds(row.get("created_at"))
    updated = _seconds(row.get("updated_at")) or created
    stored = None
    language, duration = None, None
    if state is JobState.COMPLETED:
        try:
            document, language, duration = _document(kind, row, params)
        except (TypeError, ValueError, LookupError, AttributeError):
            return False  # its result is not of the form that this task's kind has
        stored = await results.put(fingerprint, kind.value, document)
    async with database.write() as connection:
        if stored is not None:
            await results.record(connection, stored)
        await connection.execute(
            insert(jobs).values(
                id=identifier,
                kind=kind.value,
                door="tasks",
                state=state.value,
                priority=0,
                media_id=None,
                options="{}",
                request=dumps(params),
                fingerprint=fingerprint,
                attempt=1,
                max_attempts=1,
                not_before=created,
                created_at=created,
                updated_at=updated,
                started_at=created,
                finished_at=updated,
                progress_done=duration or 0.0,
                progress_total=duration,
                language=language,
                audio_duration=duration,
                processing_seconds=_number(row.get("duration")),
                result_id=None if stored is None else stored.id,
                error_code="imported" if state is JobState.FAILED else None,
                error=None if row.get("error") is None else str(row["error"]),
            )
        )
    return True


def _document(
    kind: JobKind, row: dict[str, Any], params: dict[str, Any]
) -> tuple[bytes, str | None, float | None]:
    """The result as Scriba keeps it, the language, and the recording's seconds.

    Raises:
        TypeError, ValueError, LookupError, AttributeError: the row's result is not of the form of its kind.
    """
    result = _json(row.get("result"))
    duration = _number(row.get("audio_duration"))
    if kind is JobKind.SEPARATION:
        hashes = {name: str(result[name]) for name in ("vocal_hash", "instrumental_hash")}
        return dumps(hashes).encode(), None, duration
    entries = result if isinstance(result, list) else []
    if kind is JobKind.VAD:
        regions = [[int(one["start"]), int(one["end"])] for one in entries]
        return dumps({"regions": regions}).encode(), None, duration
    group = params.get("whisper")
    whisper: dict[str, Any] = group if isinstance(group, dict) else params
    language = _language(row.get("language")) or _language(whisper.get("lang"))
    segments = tuple(_segment(number, one, language or "en") for number, one in enumerate(entries))
    duration = duration or max((segment.end for segment in segments), default=0.0)
    task = Task.TRANSLATE if whisper.get("is_translate") else Task.TRANSCRIBE
    model = str(whisper.get("model_size") or _UNNAMED_MODEL)
    transcript = Transcript(segments, duration, language, 0.0, task, model)
    return dumps(transcript_to_json(transcript)).encode(), language, duration


def _segment(number: int, body: dict[str, Any], language: str) -> Segment:
    words = body.get("words")
    return Segment(
        id=number,
        start=float(body.get("start") or 0.0),
        end=float(body.get("end") or 0.0),
        text=str(body.get("text") or "").strip(),
        language=language,
        words=None if words is None else tuple(_word(word) for word in words),
        tokens=tuple(body.get("tokens") or ()),
        seek=int(body.get("seek") or 0),
        temperature=float(body.get("temperature") or 0.0),
        avg_logprob=float(body.get("avg_logprob") or 0.0),
        compression_ratio=float(body.get("compression_ratio") or 0.0),
        no_speech_prob=float(body.get("no_speech_prob") or 0.0),
    )


def _word(body: dict[str, Any]) -> Word:
    return Word(
        start=float(body.get("start") or 0.0),
        end=float(body.get("end") or 0.0),
        text=str(body.get("word") or ""),
        probability=float(body.get("probability") or 0.0),
    )


def _without_secrets(value: Any) -> Any:
    """The same without tokens, however deep they lie."""
    if isinstance(value, dict):
        return {name: _without_secrets(one) for name, one in value.items() if name not in _SECRETS}
    return [_without_secrets(one) for one in value] if isinstance(value, list) else value


def _language(value: object) -> str | None:
    """The code of what another server wrote down; None where it is none."""
    try:
        return normalise_language(value) if isinstance(value, str) else None
    except UnknownLanguageError:
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _plain(value: object) -> str:
    """``TaskStatus.COMPLETED``, ``COMPLETED`` and ``completed`` are one."""
    return str(value).rpartition(".")[2].lower()


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None


def _seconds(value: object) -> float:
    """A date and time as SQLite has it, without a zone: taken as UTC."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
