"""What commands that do the work themselves need: the same parts as the server has, put together once."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from scriba.cli import faults, progress
from scriba.domain.errors import ModelUnavailableError
from scriba.models.files import ProgressCallback
from scriba.server.composition import build_services
from scriba.server.logs import configure_logging
from scriba.server.model_settings import build_models
from scriba.server.settings import LogFormat, LogLevel, Settings
from scriba.transcribe.port import Transcriber


@contextmanager
def open_transcriber(settings: Settings) -> Generator[Transcriber]:
    """The transcriber that the server would have with these settings, its default model brought here first.

    Raises:
        ModelUnavailableError: neither the default model nor the fallback can be had.
    """
    configure_logging(LogLevel.WARNING, LogFormat.CONSOLE)
    services = build_services(bring_model(settings))
    try:
        yield services.transcriber
    except KeyboardInterrupt:
        raise  # closing would wait for the windows that are being decoded; the process ends anyway
    except BaseException:
        services.close()
        raise
    services.close()


def bring_model(settings: Settings) -> Settings:
    """Fetch the default model if it is not here; the settings, with the fallback in its place if need be."""
    catalogue, store = build_models(settings)
    default = catalogue.default.name
    if store.find(default) is None:
        try:
            with pulling(default) as report:
                store.pull(default, progress=report)
        except ModelUnavailableError as error:
            if settings.model_fallback is None:
                raise
            detail = faults.detail_of(error)
            faults.say(f"{error.message} Using {settings.model_fallback} instead.", detail=detail)
            return settings.model_copy(update={"model": settings.model_fallback, "model_fallback": None})
    return settings


@contextmanager
def pulling(name: str) -> Generator[ProgressCallback]:
    """Progress of a pull: a bar of bytes that also says what is being done."""
    with progress.fetching(name) as report:

        def tell(done: int, total: int | None, what: str) -> None:
            report(done, total, f"{name}: {what}")

        yield tell
