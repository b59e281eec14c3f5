"""``scriba jobs``: what is queued, running and done; stopping and trying again."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from scriba.cli import flags

if TYPE_CHECKING:
    from scriba.domain.job import Job
    from scriba.server.jobs import JobParts

app = typer.Typer(help="List, show, stop and retry jobs.", no_args_is_help=True, rich_markup_mode=None)
T = TypeVar("T")

Ids = Annotated[list[str], typer.Argument(metavar="JOB", help="Ids, as `scriba jobs list` prints them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
_PAGE = 100


@app.command("list")
def list_jobs(
    state: Annotated[
        str | None,
        typer.Option("--state", help="queued, running, completed, failed or cancelled.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, help="The newest so many.")] = 20,
    data_dir: flags.DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    from scriba.domain.job import JobState

    if state is not None and state not in set(JobState):
        raise typer.BadParameter(
            f"it must be one of {', '.join(JobState)}, not {state!r}.", param_hint="--state"
        )

    async def find(parts: JobParts) -> list[Job]:
        found: list[Job] = []
        while len(found) < limit:
            after = found[-1].id if found else None
            page = await parts.service.page(
                limit=min(_PAGE, limit - len(found)),
                after=after,
                state=None if state is None else JobState(state),
            )
            found += page
            if not page:
                break
        return found

    found = _with_jobs(data_dir, find)
    if as_json:
        sys.stdout.write(json.dumps([_row(job) for job in found], ensure_ascii=False, indent=2) + "\n")
        return
    for job in found:
        share = f"{job.progress.fraction:4.0%}"
        line = f"{job.id}  {job.state:<9}  {share}  {job.kind:<13}  {_time(job.created_at)}"
        sys.stdout.write(f"{line}  {job.error or ''}".rstrip() + "\n")


@app.command("show")
def show(job_id: Annotated[str, typer.Argument(metavar="JOB")], data_dir: flags.DataDir = None) -> None:
    """Print everything about a job as JSON."""
    job = _with_jobs(data_dir, lambda parts: parts.service.get(job_id))
    sys.stdout.write(json.dumps(_row(job), ensure_ascii=False, indent=2) + "\n")


@app.command("cancel")
def cancel(job_ids: Ids, data_dir: flags.DataDir = None) -> None:
    """Stop jobs that have not ended; their work stops within a second."""
    _each(job_ids, data_dir, lambda parts, job_id: parts.service.cancel(job_id))


@app.command("retry")
def retry(job_ids: Ids, data_dir: flags.DataDir = None) -> None:
    """Try failed or cancelled jobs again."""
    _each(job_ids, data_dir, lambda parts, job_id: parts.service.requeue(job_id))


@app.command("import")
def import_tasks(
    database: Annotated[
        Path, typer.Argument(metavar="FILE", help="The other server's SQLite file.", exists=True)
    ],
    data_dir: flags.DataDir = None,
) -> None:
    """Take over the finished tasks of a Whisper-WebUI backend: its table of tasks."""
    from scriba.jobs.importing import import_file

    async def run(parts: JobParts) -> tuple[int, int]:
        return await import_file(database, parts.database, parts.results)

    taken, left = _with_jobs(data_dir, run)
    sys.stdout.write(
        f"{taken} tasks imported; {left} left out: "
        "they are here already, are not finished, or have no result.\n"
    )


def _each(job_ids: list[str], data_dir: Path | None, do: Callable[[JobParts, str], Awaitable[Job]]) -> None:
    from scriba.cli.faults import FAILED, say
    from scriba.domain.errors import ConflictError, NotFoundError

    async def run(parts: JobParts) -> bool:
        """One that cannot be done keeps nobody from the others."""
        every = True
        for job_id in dict.fromkeys(job_ids):
            try:
                job = await do(parts, job_id)
            except (NotFoundError, ConflictError) as error:
                every = False
                say(f"{job_id}: {error.message}")
            else:
                sys.stdout.write(f"{job.id}  {job.state}\n")
        return every

    if not _with_jobs(data_dir, run):
        raise typer.Exit(FAILED)


def _with_jobs(data_dir: Path | None, do: Callable[[JobParts], Awaitable[T]]) -> T:
    from scriba.server.jobs import build_jobs
    from scriba.server.logs import configure_logging
    from scriba.server.settings import LogFormat, LogLevel

    settings = flags.read_settings(data_dir=data_dir)
    configure_logging(LogLevel.WARNING, LogFormat.CONSOLE)

    async def run() -> T:
        parts = build_jobs(settings)
        await parts.open()
        try:
            return await do(parts)
        finally:
            await parts.close()

    return asyncio.run(run())


def _row(job: Job) -> dict[str, Any]:
    from dataclasses import asdict

    body = asdict(job)
    for name in ("options", "request"):
        body[name] = json.loads(body[name])
    for name in ("created_at", "updated_at", "started_at", "finished_at", "not_before", "lease_until"):
        body[name] = None if body[name] is None else _time(body[name])
    return body


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
