"""FULLY_CONNECTED -> SPARSE_FULLY_CONNECTED: what is rewritten, what stays and why."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from tests.support.models.dense_models import (
    FullyConnectedLayer,
    float_fully_connected_model,
    fully_connected_chain,
    single_layer_model,
    sparse_weights,
)
from tests.support.tensors import values_of
from tflm_sparsesep.converters.errors import ConfigError, ModelError
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Operator, Tensor
from tflm_sparsesep.runtimes import run


def edited(data: bytes, change: Callable[[Model, Operator], None]) -> bytes:
    """`data` after `change(model, its only operator)`."""
    parsed = editor.read(data)
    change(parsed, parsed.subgraphs[0].operators[0])
    return editor.write(parsed)


def test_a_sparse_layer_is_rewritten_and_gives_the_same_outputs() -> None:
    dense = single_layer_model(sparse_weights(100, 300, 0.93))
    result = rewrite(dense, target="cortex-m4")
    (decision,) = result.layers
    assert decision.rewritten
    assert decision.op == "FULLY_CONNECTED"
    assert (decision.rows, decision.cols, decision.batch) == (100, 300, 1)
    assert decision.packed_bytes is not None
    assert decision.dense_bytes is not None
    assert decision.packed_bytes < 0.3 * decision.dense_bytes
    assert decision.sparse_instructions is not None
    assert decision.dense_instructions is not None
    assert decision.sparse_instructions < decision.dense_instructions
    assert len(result.tflite) < 0.5 * len(dense)
    inputs = np.random.default_rng(1).integers(-128, 128, (20, 300)).astype(np.int8)
    np.testing.assert_array_equal(run(result.tflite, inputs)[0], run(dense, inputs)[0])


def test_a_dense_layer_stays_with_the_reason() -> None:
    dense = single_layer_model(sparse_weights(100, 300, 0.2))
    result = rewrite(dense, target="cortex-m4")
    (decision,) = result.layers
    assert not decision.rewritten
    assert re.search("zeros: (sparse|packed) would take", decision.reason)
    assert editor.read(result.tflite).subgraphs[0].operators[0].op_name == "FULLY_CONNECTED"


def test_packed_weights_are_aligned_and_dense_ones_are_gone() -> None:
    result = rewrite(single_layer_model(sparse_weights(100, 300, 0.95)), target="cortex-m4")
    tensors = editor.read(result.tflite).subgraphs[0].tensors
    assert [t.name for t in tensors if t.is_constant] == ["fc0/weights/packed"]
    blob = values_of(next(t for t in tensors if t.is_constant))
    assert result.tflite.index(blob.tobytes()) % 16 == 0


def test_the_target_decides() -> None:
    # Helium multiplies 16 dense weights at a time: at 50% zeros only the plainer core gains.
    dense = single_layer_model(sparse_weights(64, 256, 0.5))
    assert rewrite(dense, target="cortex-m0").layers[0].rewritten
    assert not rewrite(dense, target="cortex-m55").layers[0].rewritten


def test_layers_of_a_chain_are_decided_one_by_one() -> None:
    layers = [
        FullyConnectedLayer(sparse_weights(200, 300, 0.95), None, 0.01, 0.3, 0, "RELU"),
        FullyConnectedLayer(sparse_weights(50, 200, 0.1), None, 0.01, 0.3, 0, "RELU"),
        FullyConnectedLayer(sparse_weights(60, 50, 0.95), None, 0.01, 0.3, 0),
    ]
    dense = fully_connected_chain(
        layers, input_shape=(2, 300), input_scale=0.02, input_zero_point=-128
    )
    result = rewrite(dense, target="cortex-m4")
    assert [layer.rewritten for layer in result.layers] == [True, False, True]
    inputs = np.random.default_rng(2).integers(-128, 128, (6, 300)).astype(np.int8)
    np.testing.assert_array_equal(run(result.tflite, inputs)[0], run(dense, inputs)[0])


def test_layers_that_share_weights_are_both_rewritten() -> None:
    def share(parsed: Model, op: Operator) -> None:
        subgraph = parsed.subgraphs[0]
        output = Tensor("second", op.outputs[0].shape, op.outputs[0].type)
        output.quantization = op.outputs[0].quantization
        second = Operator(
            op.builtin_code, op.inputs, [output], version=op.version, options=op.options
        )
        subgraph.operators.append(second)
        subgraph.outputs.append(output)

    dense = edited(single_layer_model(sparse_weights(100, 300, 0.95)), share)
    result = rewrite(dense, target="cortex-m4")
    assert [layer.rewritten for layer in result.layers] == [True, True]
    assert len(result.tflite) < 0.6 * len(dense)
    inputs = np.random.default_rng(3).integers(-128, 128, (3, 300)).astype(np.int8)
    for ours, theirs in zip(run(result.tflite, inputs), run(dense, inputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_converting_twice_is_refused() -> None:
    once = rewrite(single_layer_model(sparse_weights(100, 300, 0.95)), target="cortex-m4").tflite
    with pytest.raises(ModelError, match=r"a\.tflite: already rewritten"):
        rewrite(once, target="cortex-m4", name="a.tflite")


def test_unknown_target_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"target 'cortex-m9' is unknown; accepted: cortex-m0"):
        rewrite(single_layer_model(sparse_weights(4, 4, 0.5)), target="cortex-m9")


def test_unknown_version_is_refused() -> None:
    with pytest.raises(ModelError, match=r"FULLY_CONNECTED version 99, accepted: 1\.\.14"):
        rewrite(single_layer_model(sparse_weights(8, 8, 0.5), version=99), target="cortex-m4")


def test_nan_weights_are_refused() -> None:
    weights = np.ones((4, 8), np.float32)
    weights[1, 2] = np.nan
    data = float_fully_connected_model(weights, None, input_shape=(1, 8))
    with pytest.raises(ModelError, match=r"'fc0/weights' holds 1 NaN or infinite values"):
        rewrite(data, target="cortex-m4")


def test_float16_weights_stay() -> None:
    def halve(parsed: Model, op: Operator) -> None:
        op.inputs[1] = Tensor.constant("half", np.zeros((4, 8), np.float16))

    data = edited(
        float_fully_connected_model(np.ones((4, 8), np.float32), None, input_shape=(1, 8)), halve
    )
    (decision,) = rewrite(data, target="cortex-m4").layers
    assert decision.reason == "weights are FLOAT16, sparse kernels take INT8 or FLOAT32 throughout"


def test_dynamic_shapes_are_refused() -> None:
    def open_up(parsed: Model, op: Operator) -> None:
        op.input(0).raw.shapeSignature = np.array([1, -1], np.int32)

    data = edited(single_layer_model(sparse_weights(8, 8, 0.5)), open_up)
    with pytest.raises(ModelError, match=r"dynamic shape \[1, -1\], accepted: fixed shapes"):
        rewrite(data, target="cortex-m4")


def test_zero_size_layers_are_refused() -> None:
    def empty(parsed: Model, op: Operator) -> None:
        op.inputs[1] = Tensor("none", (0, 8), op.weights.type)

    data = edited(single_layer_model(sparse_weights(8, 8, 0.5)), empty)
    with pytest.raises(ModelError, match=r"weights of shape \[0, 8\]"):
        rewrite(data, target="cortex-m4")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda op: setattr(op.inputs[1].quantization.raw, "zeroPoint", [1]), "zero point other"),
        (
            lambda op: setattr(op.inputs[0].quantization.raw, "scale", [0.0]),
            "not a positive number",
        ),
        (lambda op: setattr(op.inputs[0].quantization.raw, "scale", [1e30]), "left shift"),
        (lambda op: setattr(op.inputs[0].quantization.raw, "zeroPoint", [200]), "outside int8"),
        (lambda op: setattr(op.options, "weightsFormat", 1), "shuffled"),
        (lambda op: setattr(op.options, "fusedActivationFunction", 4), "TANH cannot be fused"),
        (lambda op: setattr(op.inputs[1], "buffer", None), "not a dense constant"),
        (lambda op: setattr(op.inputs[0], "quantization", None), "input has no quantization"),
    ],
)
def test_layers_of_other_kinds_stay_with_the_reason(
    change: Callable[[Operator], None], reason: str
) -> None:
    data = edited(single_layer_model(sparse_weights(64, 300, 0.95)), lambda _, op: change(op))
    (decision,) = rewrite(data, target="cortex-m4").layers
    assert not decision.rewritten
    assert reason in decision.reason
