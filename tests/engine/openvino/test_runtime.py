"""How graphs are compiled, with the package itself."""

import numpy as np
import pytest

from scriba.domain.errors import EngineError
from scriba.engine.openvino import runtime
from scriba.engine.openvino.runtime import Runtime

pytest.importorskip("openvino", reason="openvino is not installed")


def doubled() -> object:
    import openvino as ov
    from openvino import opset13 as op

    x = op.parameter([-1], np.float32)
    return ov.Model([op.result(op.add(x, x))], [x], "doubled")


def compiled() -> object:
    return Runtime.here().compile(doubled(), threads=1, streams=1, lowered=False, int8=False)


def test_openvino_takes_the_bound_on_kernels() -> None:
    """It is not documented: should a release drop it, memory grows with every length that is met."""
    Runtime.here().core.compile_model(doubled(), "CPU", runtime._KERNELS)


def test_a_release_without_the_bound_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_KERNELS", {"NO_SUCH_PROPERTY": 1})
    assert compiled()([np.ones(3, np.float32)])[0].tolist() == [2.0, 2.0, 2.0]  # type: ignore[operator]


def test_a_graph_is_compiled_with_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    class Core:
        def compile_model(self, graph: object, device: str, properties: dict[str, object]) -> str:
            asked.append(properties)
            return "compiled"

    made = Runtime(Core(), None, bfloat16=False).compile(
        None, threads=1, streams=1, lowered=False, int8=False
    )
    assert made == "compiled"
    assert [properties["CPU_RUNTIME_CACHE_CAPACITY"] for properties in asked] == [16]


def test_a_graph_that_cannot_be_compiled_is_an_engine_error() -> None:
    class Core:
        def compile_model(self, *_: object) -> None:
            raise RuntimeError("no")

    class Graph:
        def get_friendly_name(self) -> str:
            return "graph"

    with pytest.raises(EngineError, match="could not be compiled"):
        Runtime(Core(), None, bfloat16=False).compile(
            Graph(), threads=1, streams=1, lowered=False, int8=False
        )
