"""Objects from the bytes of a file: those that the generated classes make, field by field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.converters.tflite.mutations import MUTATIONS
from tests.converters.tflite.reader_fuzzer import small_models
from tests.support.models.operator_models import GraphBuilder
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.tflite.unpack import unpack
from tflm_sparsesep.converters.tflite.verifier import layout, verify


def check_equal(found: Any, expected: Any, path: str) -> None:
    """Assert that two trees of schema objects hold the same, in the same types."""
    assert type(found) is type(expected), path
    if hasattr(expected, "__dict__"):
        assert vars(found).keys() == vars(expected).keys(), path
        for name, value in vars(expected).items():
            check_equal(getattr(found, name), value, f"{path}.{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), path
        for at, value in enumerate(expected):
            check_equal(found[at], value, f"{path}[{at}]")
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, path
        assert found.tobytes() == expected.tobytes(), path
    else:
        assert found == expected or expected != expected, path


def models() -> list[bytes]:
    graph = GraphBuilder(0, quantized=True)
    x = graph.conv(graph.input(1, 6, 6, 2), 4, (3, 3), padding="VALID", activation="RELU")
    y = graph.pool(graph.conv(x, 4, (3, 3), depthwise=True), "MAX", (2, 2), (2, 2))
    graph.function("SOFTMAX", graph.fully_connected(graph.reshape(y, 1, 16), 5))
    return [*small_models(), graph.build()]


@pytest.mark.parametrize("data", models(), ids=len)
def test_same_as_the_generated_classes(data: bytes) -> None:
    check_equal(unpack(data), schema.ModelT.InitFromPackedBuf(data, 0), "model")


def test_damaged_files_that_the_verifier_accepts() -> None:
    rng, accepted = np.random.default_rng(8), 0
    for data in models():
        for mutate in MUTATIONS * 10:
            damaged = bytes(mutate(bytearray(data), rng))
            try:
                verify(damaged, "damaged")
            except ModelError:
                continue
            accepted += 1
            check_equal(
                unpack(damaged), schema.ModelT.InitFromPackedBuf(damaged, 0), mutate.__name__
            )
    assert accepted > 100


def test_every_field_of_the_schema_has_its_attribute() -> None:
    names = [name for name in vars(schema) if f"{name}T" in vars(schema)]
    assert len(names) > 150
    for name in names:
        made = getattr(schema, f"{name}T")()
        for field in layout(getattr(schema, name)).values():
            assert hasattr(made, field.name[0].lower() + field.name[1:]), (name, field.name)
            # No vector of strings is known to the reader.
            assert not (field.is_string and field.is_vector), (name, field.name)
