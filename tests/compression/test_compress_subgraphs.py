"""`compress` on models with more than a chain of layers: subgraphs, variables, shared constants."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.dense_models import float_fully_connected_model
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Quantization,
    Subgraph,
    Tensor,
    TensorType,
    schema,
    schema_object,
)

pytestmark = pytest.mark.slow

COLS, STATE, ROWS = 48, 8, 64
RNG = np.random.default_rng(0)
SAMPLES = RNG.integers(-128, 128, (200, COLS)).astype(np.int8)


def activation(name: str, cols: int) -> Tensor:
    return Tensor(name, (1, cols), TensorType.INT8, quantization=Quantization(0.05))


def weights(name: str, rows: int, cols: int) -> Tensor:
    # Mostly small: what compresses.
    values = np.clip(20 * RNG.normal(size=(rows, cols)) ** 5, -127, 127).astype(np.int8)
    return Tensor.constant(name, values, quantization=Quantization(0.005))


def dense(entering: Tensor, matrix: Tensor, leaving: Tensor) -> Operator:
    options = schema.FullyConnectedOptionsT()
    return Operator(
        BuiltinOperator.FULLY_CONNECTED, [entering, matrix, None], [leaving], version=4,
        options=options,
    )  # fmt: skip


def handle(name: str) -> tuple[Tensor, Operator]:
    """Return the handle of the model's one variable, and the operator that makes it."""
    tensor = Tensor(name, (), TensorType.RESOURCE)
    options = schema_object(schema.VarHandleOptionsT, container="", sharedName="state")
    return tensor, Operator(BuiltinOperator.VAR_HANDLE, [], [tensor], options=options)


def streaming_model() -> bytes:
    """Return a model that reads its samples beside what it computed from the one before."""
    x, joined, hidden, y = (
        activation(name, cols)
        for name, cols in (("x", COLS), ("joined", COLS + STATE), ("hidden", ROWS), ("y", STATE))
    )
    state, (kept, make), (first, make_first) = activation("state", STATE), *map(handle, "hi")
    once = schema_object(schema.CallOnceOptionsT, initSubgraphIndex=1)
    joining = schema_object(schema.ConcatenationOptionsT, axis=1)
    zeros = Tensor.constant("zeros", np.zeros((1, STATE), np.int8), quantization=Quantization(0.05))
    codes = BuiltinOperator
    operators = [
        Operator(codes.CALL_ONCE, [], [], options=once),
        make,
        Operator(codes.READ_VARIABLE, [kept], [state]),
        Operator(codes.CONCATENATION, [x, state], [joined], version=2, options=joining),
        dense(joined, weights("first", ROWS, COLS + STATE), hidden),
        dense(hidden, weights("last", STATE, ROWS), y),
        Operator(codes.ASSIGN_VARIABLE, [kept, y], []),
    ]
    main = Subgraph("main", inputs=[x], outputs=[y], operators=operators)
    assign = Operator(codes.ASSIGN_VARIABLE, [first, zeros], [])
    return editor.write(Model([main, Subgraph("init", operators=[make_first, assign])]))


def compressed(data: bytes, **budget: Any) -> ts.CompressResult:
    return ts.compress(
        data,
        budget=ts.Budget(**budget),
        representative_dataset=SAMPLES,
        workers=1,
        cache_dir=None,
    )


def test_a_streaming_model_keeps_its_variables_and_subgraphs() -> None:
    data = streaming_model()
    result = compressed(data, min_output_sqnr_db=15)
    assert [graph.name for graph in editor.read(result.tflite).subgraphs] == ["main", "init"]
    assert len(result.tflite) < len(data)
    (wanted,), (found,) = (ts.run(t, SAMPLES[:50]) for t in (data, result.tflite))
    assert len(np.unique(wanted)) > 50
    noise, power = np.square(found - wanted.astype(float)).sum(), np.square(wanted.astype(float))
    assert 10 * np.log10(power.sum() / noise) > 10


def test_weights_with_two_users_stay() -> None:
    tensors = [activation(name, COLS) for name in "xabcy"]
    shared, own = weights("shared", COLS, COLS), weights("own", COLS, COLS)
    matrices = (shared, own, shared, shared)
    operators = [
        dense(before, matrix, after)
        for before, matrix, after in zip(tensors, matrices, tensors[1:], strict=False)
    ]
    main = Subgraph("main", inputs=tensors[:1], outputs=tensors[-1:], operators=operators)
    data = editor.write(Model([main]))
    result = compressed(data, min_output_sqnr_db=5)
    assert len(result.tflite) <= len(data)
    assert [form.split(":")[0] for form in result.point.forms] == ["b"]
    after = editor.read(result.tflite).subgraphs[0].operators
    users = [op for op in after if op.op_name == "FULLY_CONNECTED"]
    assert [op.weights.buffer for op in users if op.weights.name == "shared"] == [
        users[0].weights.buffer
    ] * 3


def test_a_float_model_without_names_and_with_labels() -> None:
    model = editor.read(
        float_fully_connected_model(
            RNG.normal(size=(COLS, COLS)).astype(np.float32), None, input_shape=(1, COLS)
        )
    )
    main = model.subgraphs[0]
    (middle,) = main.outputs
    last = Tensor("", middle.shape)
    matrix = Tensor.constant("", RNG.normal(size=(8, COLS)).astype(np.float32))
    last.shape = (1, 8)
    main.operators.append(dense(middle, matrix, last))
    main.outputs = [last]
    for tensor in (*main.tensors, middle):
        tensor.name = ""
    stream = io.BytesIO(editor.write(model))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("labels.txt", "yes\nno")
    result = ts.compress(
        stream.getvalue(),
        budget=ts.Budget(min_output_sqnr_db=15),
        representative_dataset=RNG.normal(size=(200, COLS)).astype(np.float32),
        workers=1,
        cache_dir=None,
    )
    with zipfile.ZipFile(io.BytesIO(result.tflite)) as archive:
        assert archive.read("labels.txt") == b"yes\nno"
    assert result.point.flash_bytes == len(result.tflite)
    entry = editor.read(result.tflite).subgraphs[0].inputs[0]
    assert entry.name == ""


@pytest.mark.parametrize("prefer", [None, "flash"])
def test_equal_names_are_told_apart(prefer: Any) -> None:
    matrix = weights("", COLS, COLS)
    values = np.array(matrix.array)
    values[np.random.default_rng(1).random(values.shape) < 0.95] = 0
    tensors = [activation("same", COLS) for _ in range(4)]
    matrices = [matrix, Tensor.constant("", values, quantization=matrix.quantization), matrix]
    operators = [dense(tensors[i], one, tensors[i + 1]) for i, one in enumerate(matrices)]
    main = Subgraph("main", inputs=tensors[:1], outputs=tensors[-1:], operators=operators)
    data = editor.write(Model([main]))
    result = ts.convert(data, representative_dataset=SAMPLES, prefer=prefer)
    assert [layer.rewritten for layer in result.layers] == [False, True, False]
    assert [layer.rewritten for layer in ts.inspect(result.tflite)] == [False, True, False]
    assert len({layer.name for layer in result.layers}) == 3
    np.testing.assert_array_equal(ts.run(result.tflite, SAMPLES)[0], ts.run(data, SAMPLES)[0])
