"""Where everything is put together."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scriba.audio.decode import DecodeLimits
from scriba.engine.port import Engine
from scriba.live.service import LiveService
from scriba.live.trying_out import try_out
from scriba.models.installed import InstalledModel
from scriba.models.residency import Residency
from scriba.server.decode_limits import decode_limits
from scriba.server.directory import InstalledModels
from scriba.server.jobs import JobParts, build_jobs
from scriba.server.model_settings import build_models
from scriba.server.separation import build_separation
from scriba.server.services import Services
from scriba.server.settings import ContextChoice, Settings
from scriba.server.speakers import build_diarizer, build_networks
from scriba.server.warming import ModelWarmer
from scriba.transcribe.batch import BatchTranscriber
from scriba.transcribe.voice import VoiceActivity

if TYPE_CHECKING:
    from scriba.separation.process import SeparationProcess
    from scriba.transcribe.separated import SeparatingTranscriber

_LONGEST_SWEEP_SECONDS = 30.0


def build_services(settings: Settings, *, with_jobs: bool = False) -> Services:
    """The parts of one process, none of them started: no model is fetched or loaded yet.

    With ``with_jobs`` there are jobs; and their worker, if the settings want one in this process.

    Raises:
        SettingsError: the settings name a model that there is not.
    """
    # Only here, since they load the native libraries.
    from scriba.engine.context import ContextMode, ContextPolicy
    from scriba.engine.layout import Layout
    from scriba.engine.loading import EngineKind, load_engine
    from scriba.engine.provider import ResidentEngines
    from scriba.engine.scheduler import Scheduler
    from scriba.speakers.networks import OnnxNetworks
    from scriba.transcribe.recording import RecordingTranscriber
    from scriba.transcribe.separated import SeparatingTranscriber
    from scriba.transcribe.speakers import SpeakerTranscriber

    catalogue, store = build_models(settings)
    layout = Layout.for_machine(settings.workers, settings.threads)

    context = None if settings.context is ContextChoice.AUTO else ContextPolicy(ContextMode(settings.context))

    def load(model: InstalledModel) -> Engine:
        return load_engine(
            model.path,
            model=model.name,
            translates=model.translates,
            kind=EngineKind(settings.engine),
            device=settings.device,
            compute_type=settings.compute_type,
            layout=layout,
            context=context,
        )

    kept = {catalogue.default.name}
    if settings.model_fallback is not None:
        with suppress(Exception):
            kept.add(catalogue.resolve(settings.model_fallback).name)
    residency: Residency[Engine] = Residency(
        budget_bytes=settings.model_memory_mb * 1_000_000 or None,
        ttl=settings.model_idle_seconds or None,
        pinned=lambda name: name in kept,
    )
    engines = ResidentEngines(
        catalogue,
        store,
        residency,
        load,
        may_fetch=settings.model_allow_pull,
        fallback=settings.model_fallback,
    )
    scheduler = Scheduler(layout.workers, max_rows=settings.batch_rows)
    limits = decode_limits(settings)
    voices: Residency[OnnxNetworks] = Residency(ttl=settings.model_idle_seconds or None)
    networks = build_networks(settings, store.root, voices)
    sweeper = _Sweeper(residency, voices)
    separation = build_separation(settings)
    telling = SpeakerTranscriber(
        RecordingTranscriber(engines, scheduler, limits),
        build_diarizer(settings, networks, limits),
        scheduler,
    )
    # Music goes first: who speaks is told from the voice alone.
    transcriber = SeparatingTranscriber(telling, separation)

    def close() -> None:
        sweeper.stop()
        scheduler.close()
        residency.close()
        voices.close()

    return Services(
        settings=settings,
        transcriber=transcriber,
        models=InstalledModels(catalogue, store, settings.model_fallback),
        warm=ModelWarmer(catalogue, store, engines, settings.model_fallback),
        live=LiveService(
            engines,
            scheduler,
            settings.data_dir / "live",
            settings.live.limits(),
            voices=networks,
            transcriber=RecordingTranscriber(
                engines, scheduler, DecodeLimits(max_seconds=settings.live.max_seconds + 60.0)
            ),
            try_out=try_out,
        ),
        jobs=_jobs(settings, transcriber, limits, separation) if with_jobs else None,
        separation=separation,
        load=lambda: {own.name.lower(): load for own, load in scheduler.load().items()},
        close=close,
    )


def _jobs(
    settings: Settings,
    transcriber: SeparatingTranscriber,
    limits: DecodeLimits,
    separation: SeparationProcess,
) -> JobParts:
    if not settings.jobs.worker:
        return build_jobs(settings)
    return build_jobs(settings, BatchTranscriber(transcriber), VoiceActivity(limits), separation)


class _Sweeper:
    """Unloads models that have been idle for long."""

    def __init__(self, *residencies: Residency[Any]) -> None:
        self._residencies = residencies
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sweep, name="scriba-sweep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _sweep(self) -> None:
        while True:
            due = [wait for own in self._residencies if (wait := own.next_sweep()) is not None]
            if self._stop.wait(min([*due, _LONGEST_SWEEP_SECONDS])):
                return
            for own in self._residencies:
                own.sweep()
