"""Estimates of what zeros do not change, against the int8 model that a Keras model becomes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import tflm_sparsesep as ts
from tflm_sparsesep.converters.cost import residual
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.training.other_layers import fixed_instructions, operators_without_weights

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def network() -> Any:
    """Pools, an addition, a gate, a concatenation, depthwise and dense layers on an image."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input((16, 16, 4), batch_size=1)
    x = layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = layers.MaxPooling2D(2)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))
    x = layers.Multiply()([x, layers.Conv2D(8, 1, activation="sigmoid")(x)])
    x = layers.Concatenate()([x, layers.Conv2D(4, 1, activation="relu")(x)])
    x = layers.AveragePooling2D(2)(layers.Dropout(0.1)(x))
    x = layers.Flatten()(layers.Dense(8, activation="relu")(x))
    return keras.Model(image, layers.Dense(5, activation="softmax")(x))


def sequence_network() -> Any:
    """1-D convolutions and pools."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((60, 6)),
            layers.Conv1D(16, 5, activation="relu"),
            layers.MaxPooling1D(),
            layers.Conv1D(24, 3, activation="relu"),
            layers.AveragePooling1D(3, 2, padding="same"),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_pools_of_sequences_count(target: str) -> None:
    model = sequence_network()
    x = np.random.default_rng(0).normal(size=(50, 60, 6)).astype(np.float32)
    plan = ts.plan(model, target=target)
    result = ts.convert(model, representative_dataset=x, target=target)
    assert plan.uncounted == list(result.uncounted) == []
    # The reshape of the input is not among the layers: a copy of 360 bytes, 3 instructions each
    # where memcpy copies byte by byte.
    missing = result.dense_instructions - plan.dense_instructions
    assert 0 < missing <= 4 * 360


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_a_keras_model_plans_as_its_int8_file_converts(target: str) -> None:
    model = network()
    x = np.random.default_rng(0).normal(size=(50, 16, 16, 4)).astype(np.float32)
    plan = ts.plan(model, target=target)
    result = ts.convert(model, representative_dataset=x, target=target)
    int8 = ts.plan(result.dense_tflite, target=target)
    assert plan.uncounted == int8.uncounted == list(result.uncounted) == []
    assert int8.dense_instructions == result.dense_instructions
    assert plan.dense_instructions == pytest.approx(result.dense_instructions, rel=0.001)
    assert plan.other_instructions == pytest.approx(int8.other_instructions, rel=0.001)
    assert fixed_instructions(model, target) == plan.other_instructions


def test_layers_of_unknown_cost_are_named() -> None:
    layers = keras.layers
    image = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 3, activation="tanh")(layers.UpSampling2D(2)(image))
    x = layers.Multiply()([x, layers.GlobalMaxPooling2D(keepdims=True)(x)])  # a broadcast
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    names = ["UpSampling2D", "TANH", "GlobalMaxPooling2D", "MUL"]
    found = operators_without_weights(model)
    assert [op.kind for op in found if not op.sizes] == names
    assert ts.plan(model).uncounted == names


def residual_network() -> keras.Model:
    layers = keras.layers
    image = keras.Input((16, 16, 8))
    x = image
    for stride in (1, 2):
        y = layers.Conv2D(8, 3, stride, padding="same", activation="relu")(x)
        y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(y))
        x = x if stride == 1 else layers.Conv2D(8, 1, stride, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Add()([x, layers.AveragePooling2D(3, 1, padding="same")(x)])  # of no convolution
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


# Helium adds so fast that the table of a residual does not pay for 512 of them.
@pytest.mark.parametrize(
    ("target", "sums", "convolutions"),
    [("cortex-m0", 1, 5), ("cortex-m4", 1, 5), ("cortex-m55", 2, 4)],
)
def test_sums_count_as_the_converter_fuses_them(target: str, sums: int, convolutions: int) -> None:
    model = residual_network()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = layer.kernel.numpy().copy()
            kernel[np.random.default_rng(1).random(kernel.shape) < 0.9] = 0
            layer.kernel.assign(kernel)
    x = np.random.default_rng(0).normal(size=(50, 16, 16, 8)).astype(np.float32)
    result = ts.convert(model, representative_dataset=x, target=target)
    operators = [op.op_name for op in editor.read(result.tflite).operators]
    assert operators.count("ADD") == sums
    assert operators.count(SPARSE_CONV_2D) == convolutions
    packed = [d for d in result.layers if d.rewritten]
    alone = sum(_convolution_alone(d, target) for d in packed)
    dense = sum(d.dense_instructions or 0 for d in result.layers if not d.rewritten)
    rest = result.instructions - alone - dense
    assert fixed_instructions(model, target) == pytest.approx(rest, rel=0.001)


def _convolution_alone(decision: LayerDecision, target: str) -> int:
    """The instructions of a packed layer without a residual."""
    assert decision.sparse_instructions is not None
    assert decision.batch is not None
    assert decision.rows is not None
    is_fused = "adds a residual" in decision.reason
    added = residual.instructions(target, decision.batch * decision.rows) if is_fused else 0
    return decision.sparse_instructions - added
