"""Which engine runs a model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import cast

import structlog

from scriba.domain.errors import EngineError
from scriba.engine.context import ContextPolicy
from scriba.engine.ctranslate2 import CTranslate2Engine, cuda_available
from scriba.engine.layout import Layout
from scriba.engine.openvino.runtime import openvino_worthwhile
from scriba.engine.port import Engine

log = structlog.get_logger(__name__)


class EngineKind(StrEnum):
    """``auto``: OpenVINO on a CPU with bfloat16, where it is faster; CTranslate2 on a GPU and elsewhere."""

    AUTO = "auto"
    CTRANSLATE2 = "ctranslate2"
    OPENVINO = "openvino"


def load_engine(
    path: Path,
    *,
    model: str,
    translates: bool,
    kind: EngineKind = EngineKind.AUTO,
    device: str = "auto",
    compute_type: str = "auto",
    layout: Layout | None = None,
    context: ContextPolicy | None = None,
) -> Engine:
    """
    Args:
        path: a folder with a model in CTranslate2's form, which every engine reads.
        device: ``cpu``, ``cuda`` or ``auto``.
        compute_type: CTranslate2's; to ask for one is to ask for CTranslate2.

    Raises:
        EngineError: the model cannot be loaded, or OpenVINO was asked for and is not there.
    """
    if _takes_openvino(kind, device, compute_type):
        from scriba.engine.openvino.engine import OpenVinoEngine

        try:
            own = OpenVinoEngine(path, model=model, translates=translates, layout=layout, context=context)
        except EngineError as error:
            if kind is EngineKind.OPENVINO:
                raise
            log.warning("OpenVINO cannot run this model, CTranslate2 does", model=model, why=error.message)
        else:
            # An engine's methods take the encodings that it made, and nobody gives it others.
            return cast(Engine, own)
    other = CTranslate2Engine(
        path,
        model=model,
        translates=translates,
        device=device,
        compute_type=compute_type,
        layout=layout,
        context=context,
    )
    return cast(Engine, other)


def _takes_openvino(kind: EngineKind, device: str, compute_type: str) -> bool:
    if kind is not EngineKind.AUTO:
        return kind is EngineKind.OPENVINO
    on_cpu = device == "cpu" or (device == "auto" and not cuda_available())
    return on_cpu and compute_type == "auto" and openvino_worthwhile()
