"""What a whole file must survive: shared constants, several subgraphs, appended files."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.layers.packed import blob_of
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import (
    BuiltinOperator,
    Model,
    Operator,
    Signature,
    Subgraph,
    Tensor,
    TensorType,
)

SIZE = 256


def sparse_weights(name: str = "w", zeros: float = 0.95) -> Tensor:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((SIZE, SIZE)).astype(np.float32)
    values[rng.random(values.shape) < zeros] = 0
    return Tensor.constant(name, values)


def activation(name: str) -> Tensor:
    return Tensor(name, (1, SIZE))


def dense(source: Tensor, weights: Tensor, target: Tensor, *, shuffled: bool = False) -> Operator:
    options = schema.FullyConnectedOptionsT()
    if shuffled:
        options.weightsFormat = schema.FullyConnectedOptionsWeightsFormat.SHUFFLED4x16INT8
    return Operator(
        BuiltinOperator.FULLY_CONNECTED, [source, weights, None], [target], options=options
    )


def chain(*weights: Tensor) -> Model:
    """One fully-connected layer after the other."""
    tensors = [activation(f"t{at}") for at in range(len(weights) + 1)]
    operators = [dense(tensors[at], w, tensors[at + 1]) for at, w in enumerate(weights)]
    return Model([Subgraph("main", inputs=tensors[:1], outputs=tensors[-1:], operators=operators)])


def test_shared_weights_stay_dense_and_the_file_does_not_grow() -> None:
    weights = sparse_weights(zeros=0.7)
    model = chain(weights, weights)
    # A third user that no kernel runs keeps the dense weights in the file.
    main = model.subgraphs[0]
    main.operators.append(dense(main.outputs[0], weights, activation("last"), shuffled=True))
    data = editor.write(model)
    result = rewrite(data, target="cortex-m4")
    assert [layer.rewritten for layer in result.layers] == [False, False, False]
    assert result.layers[0].reason.startswith("weights with 3 users: packed they would take")
    assert result.tflite == data
    assert [layer.reason for layer in inspect_model(data, target="cortex-m4")] == [
        layer.reason for layer in result.layers
    ]


def test_equal_blobs_of_shared_weights_are_stored_once() -> None:
    first, second = sparse_weights("first"), sparse_weights("second")
    second.buffer = first.buffer
    once = rewrite(editor.write(chain(first)), target="cortex-m4")
    twice = rewrite(editor.write(chain(first, second)), target="cortex-m4")
    assert [layer.rewritten for layer in twice.layers] == [True, True]
    assert len(twice.tflite) < len(once.tflite) + 500  # a tensor and an operator more


def test_weights_that_are_an_output_too_stay() -> None:
    weights = sparse_weights()
    model = chain(weights)
    model.subgraphs[0].outputs.append(weights)
    assert not rewrite(editor.write(model), target="cortex-m4").layers[0].rewritten


def test_weights_of_one_user_each_are_packed() -> None:
    data = editor.write(chain(sparse_weights("a"), sparse_weights("b")))
    result = rewrite(data, target="cortex-m4")
    assert [layer.rewritten for layer in result.layers] == [True, True]
    assert len(result.tflite) < len(data)


@pytest.mark.parametrize(("target", "alignment"), [("cortex-m4", 16), ("host", 64)])
def test_blobs_are_aligned_for_the_runtime(target: str, alignment: int) -> None:
    # Sparser ones are smaller: each blob moves the next one.
    layers = [sparse_weights(f"w{zeros}", zeros) for zeros in (0.95, 0.96, 0.97, 0.98)]
    tflite = rewrite(editor.write(chain(*layers)), target=target).tflite
    packed = [op for op in editor.read(tflite).operators if op.custom_code in op_names.ALL]
    positions = [tflite.index(blob_of(op)) for op in packed]
    assert len(positions) == len(layers)
    assert {position % alignment for position in positions} == {0}
    assert any(position % 64 for position in positions) == (alignment == 16)


@pytest.mark.parametrize(("target", "is_rewritten"), [("cortex-m4", False), ("host", True)])
def test_a_second_entry_point_stays_dense_where_tflm_plans_no_scratch(
    target: str, is_rewritten: bool
) -> None:
    model = chain(sparse_weights("a"))
    source, sink = activation("in2"), activation("out2")
    second = Subgraph(
        "second",
        inputs=[source],
        outputs=[sink],
        operators=[dense(source, sparse_weights("b"), sink)],
    )
    model.subgraphs.append(second)
    model.signatures = [
        Signature("main", model.subgraphs[0]),
        Signature("second", second),
    ]
    back = editor.read(rewrite(editor.write(model), target=target).tflite)
    names = [subgraph.operators[0].op_name for subgraph in back.subgraphs]
    assert names[0] == op_names.SPARSE_FULLY_CONNECTED
    assert (names[1] == op_names.SPARSE_FULLY_CONNECTED) == is_rewritten


def test_a_subgraph_that_the_first_one_calls_is_rewritten() -> None:
    model = chain(sparse_weights("a"))
    options = schema.CallOnceOptionsT()
    options.initSubgraphIndex = 1
    model.subgraphs[0].operators.insert(
        0, Operator(BuiltinOperator.CALL_ONCE, [], [], options=options)
    )
    source, sink = activation("in2"), activation("out2")
    model.subgraphs.append(
        Subgraph(
            "init",
            inputs=[source],
            outputs=[sink],
            operators=[dense(source, sparse_weights(), sink)],
        )
    )
    back = editor.read(rewrite(editor.write(model), target="cortex-m4").tflite)
    assert back.subgraphs[1].operators[0].op_name == op_names.SPARSE_FULLY_CONNECTED


def test_an_infinite_constant_that_is_no_weight_is_none_of_our_business() -> None:
    model = chain(sparse_weights())
    mask = np.where(np.arange(SIZE) < SIZE - 4, 0, -np.inf).astype(np.float32)[None]
    main = model.subgraphs[0]
    hidden, result = main.outputs[0], activation("masked")
    add = Operator(
        BuiltinOperator.ADD,
        [hidden, Tensor.constant("mask", mask)],
        [result],
        options=schema.AddOptionsT(),
    )
    main.operators.append(add)
    main.outputs = [result]
    assert rewrite(editor.write(model), target="cortex-m4").layers[0].rewritten


@pytest.mark.parametrize("name", ["INT4", "INT2", "UINT4"])
def test_weights_of_fewer_than_eight_bits_stay(name: str) -> None:
    tensor_type = getattr(TensorType, name, None)
    assert tensor_type is not None, f"the installed schema does not know {name}"
    bits = 2 if name == "INT2" else 4
    packed = np.zeros(SIZE * SIZE * bits // 8, np.uint8)
    weights = Tensor.constant("w", packed, type=tensor_type, shape=(SIZE, SIZE))
    data = editor.write(chain(weights, sparse_weights("other")))
    first, second = rewrite(data, target="cortex-m4").layers
    assert first.reason == f"weights are {name}, sparse kernels take INT8 or FLOAT32"
    assert second.rewritten


def test_a_file_with_nothing_to_rewrite_is_never_larger() -> None:
    weights = Tensor.constant("w", np.ones((SIZE, SIZE), np.float32))
    data = editor.write(chain(weights))
    assert rewrite(data, target="cortex-m4").tflite == data


def test_files_after_the_flatbuffer_are_kept() -> None:
    stream = io.BytesIO(editor.write(chain(sparse_weights())))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("labels.txt", "yes\nno")
    result = rewrite(stream.getvalue(), target="cortex-m4")
    assert result.layers[0].rewritten
    with zipfile.ZipFile(io.BytesIO(result.tflite)) as archive:
        assert archive.read("labels.txt") == b"yes\nno"
    assert editor.read(result.tflite).subgraphs[0].operators[0].custom_code is not None
