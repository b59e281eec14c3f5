"""The bundled model in OpenVINO, loaded once for a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from scriba.engine.layout import Layout
from tests.speech import bundled

if TYPE_CHECKING:  # it needs openvino as soon as it is imported
    from scriba.engine.openvino.engine import OpenVinoEngine


@pytest.fixture(scope="module")
def engine() -> Iterator[OpenVinoEngine]:
    from scriba.engine.openvino.engine import OpenVinoEngine

    made = OpenVinoEngine(bundled(), model="tiny.en", layout=Layout(1, 1))
    yield made
    made.close()
