"""The file stores the values of training; accuracy differs only by activations."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

import tflm_sparsesep as ts
from tests.support.models.keras_models import X, array, fit
from tests.support.tensors import quantization_of, values_of
from tflm_sparsesep.converters import op_names
from tflm_sparsesep.converters.blob.format import ValueType
from tflm_sparsesep.converters.blob.pack import unpack
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Operator
from tflm_sparsesep.datasets import digits
from tflm_sparsesep.quantize import quantize

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

Array = npt.NDArray[Any]

# Two roundings, that of the scale and that of the product, of 2^-24 each on either side.
SAME: dict[str, Any] = {"rtol": 4 * 2.0**-24, "atol": 0}


def stored_weights(tflite: bytes) -> list[tuple[Array, Array, Operator]]:
    """Return int8 weights, their real values, and the operator of each layer in order."""
    found = []
    for op in editor.read(tflite).operators:
        if len(op.inputs) < 2 or op.inputs[1] is None or op.inputs[1].array is None:
            continue
        weights, quantization = op.inputs[1].array, op.inputs[1].quantization
        if weights.dtype == np.int8 and quantization is not None:
            shape = [1] * weights.ndim
            shape[quantization.axis] = -1
            scales = quantization.scales.reshape(shape)
            found.append((weights, weights * scales, op))
    return found


@pytest.mark.parametrize("values", ["int8", "palette"])
def test_every_kind_of_kernel_is_stored_as_it_was_trained(values: str) -> None:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.DepthwiseConv2D(3, depth_multiplier=2, activation="relu"),
            layers.Conv2D(16, 1, activation="relu"),
            layers.Reshape((16, 16)),
            layers.Conv1D(8, 3, activation="relu"),
            layers.Dense(12, "relu"),  # on 14 vectors at once
            layers.Flatten(),
            layers.Dense(20, "relu"),
            layers.Dense(4),
        ]
    )
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 8, 8, 3)).astype(np.float32)
    y = rng.normal(size=(64, 4))
    model.fit(x, y, epochs=4, verbose=0, callbacks=[ts.ProximalL1(zeros=0.5, values=values)])
    kernels = [array(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")]
    stored = stored_weights(quantize(model, x))
    assert len(stored) == len(kernels) == 7
    for kernel, (integers, weights, _) in zip(kernels, stored, strict=True):
        outputs_last = kernel
        if weights.ndim == 4 and weights.shape[0] != 1:  # [outputs, height, width, inputs]
            weights = np.moveaxis(weights, 0, -1)
        elif weights.ndim == 2:
            weights = weights.T
        np.testing.assert_allclose(weights.reshape(kernel.shape), outputs_last, **SAME)
        if values == "palette" and kernel.ndim == 2:
            assert len(np.unique(integers[integers != 0])) <= 16


def test_a_folded_normalization_keeps_the_grid() -> None:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(24, use_bias=False, name="first"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Dense(3, name="last"),
        ]
    )
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    # Half of the outputs change their sign.
    model.get_layer("norm").gamma.assign(rng.choice([-1.0, 1.0], 24) * rng.uniform(0.5, 2, 24))
    x = rng.normal(size=(64, 12)).astype(np.float32)
    callback = ts.ProximalL1(zeros=0.5, values="palette", exclude=["last"])
    model.fit(x, rng.normal(size=(64, 3)), epochs=4, verbose=0, callbacks=[callback])
    kernel = array(model.get_layer("first").kernel)
    scale = np.abs(kernel).max(axis=0) / 127
    expected = np.rint(kernel / scale).astype(int) * np.sign(array(model.get_layer("norm").gamma))
    (integers, _, _), _ = stored_weights(quantize(model, x))
    np.testing.assert_array_equal(integers, expected.T)
    assert len(np.unique(integers[integers != 0])) <= 16


@functools.cache
def trained_on_digits(values: str) -> tuple[Any, dict[str, list[float]], Any]:
    """A net with two hidden layers, 20 epochs of handwritten digits, and what was logged."""
    data = digits()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8)),
            layers.Flatten(),
            layers.Dense(96, "relu", name="hidden"),
            layers.Dense(32, "relu", name="second"),
            layers.Dense(10, name="logits"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        data.x_train,
        data.y_train,
        batch_size=128,
        epochs=20,
        verbose=0,
        validation_data=(data.x_test, data.y_test),
        callbacks=[ts.ProximalL1(zeros=0.9, values=values, target="cortex-m3")],
    ).history
    return model, history, data


def rows_in(rows: Array, kept: Array) -> Array:
    """The positions of `kept` among `rows`, in order: the converter removes channels."""
    found, at = [], 0
    for wanted in kept:
        at += next(n for n, row in enumerate(rows[at:]) if np.array_equal(row, wanted))
        found.append(at)
        at += 1
    return np.array(found)


@pytest.mark.parametrize(
    ("prefer", "names"),
    [(None, ["hidden", "second"]), ("flash", ["hidden", "second"])],
)
def test_palettes_are_packed_where_they_pay(prefer: Prefer | None, names: list[str]) -> None:
    """On Cortex-M3, kernels that read a palette cost little more time and much less flash."""
    model, history, data = trained_on_digits("palette")
    result = ts.convert(
        model, representative_dataset=data.x_train[:200], target="cortex-m3", prefer=prefer
    )
    stored = {
        op.input(0).name: unpack(bytes(values_of(op.weights)))
        for op in editor.read(result.tflite).operators
        if op.custom_code == op_names.SPARSE_FULLY_CONNECTED
    }
    with_palette = [x for x in stored.values() if x.layout.value_type is ValueType.PALETTE4]
    assert len(with_palette) == len(names)
    inputs: Array = np.arange(64)
    for unpacked, name in zip(with_palette, names, strict=True):
        kernel = array(model.get_layer(name).kernel)
        scale = np.abs(kernel).max(axis=0) / 127
        integers = np.rint(kernel / np.where(scale > 0, scale, 1)).T[:, inputs]
        inputs = rows_in(integers, unpacked.weights)
        np.testing.assert_array_equal(unpacked.weights, integers[inputs])
    # The estimate of the last epoch knew of it.
    packed = sum((x.packed_bytes if x.rewritten else x.dense_bytes) or 0 for x in result.layers)
    if prefer is None:
        assert history["estimated_bytes"][-1] == pytest.approx(packed, rel=0.03)


@pytest.mark.parametrize("values", ["int8", "palette"])
def test_accuracy_in_training_is_that_in_tflm_but_for_activations(values: str) -> None:
    model, history, data = trained_on_digits(values)
    x = data.x_test
    # Calibrated on the very inputs: activations are rounded but not clipped.
    result = ts.convert(model, representative_dataset=x, target="cortex-m3")
    stored = stored_weights(result.dense_tflite)
    # The weights' part: the stored ones give the accuracy that was logged, to the last sample.
    biases = [array(model.get_layer(n).bias) for n in ("hidden", "second", "logits")]
    logits = x.reshape(len(x), -1)
    for (_, weights, _), bias, last in zip(stored, biases, (False, False, True), strict=True):
        logits = logits @ weights.T + bias
        logits = logits if last else np.maximum(logits, 0)
    accuracy = float(np.mean(logits.argmax(axis=1) == data.y_test))
    assert history["val_accuracy"][-1] == pytest.approx(accuracy, abs=1e-6)

    # The rest: a sample may be classified otherwise only if its margin is within what rounding of
    # activations and biases can do.
    (scores,) = ts.run(result.tflite, x, runtime="tflm", progress=False)
    in_tflm = scores.reshape(len(x), -1).argmax(axis=1)
    best = logits.argmax(axis=1)
    others = logits[np.arange(len(x)), best][:, None] - logits
    bounds = bounds_of_differences(stored, biases, x.reshape(len(x), -1), best)
    safe = np.all((others > bounds) | (others == 0), axis=1)
    np.testing.assert_array_equal(in_tflm[safe], best[safe])
    assert abs(np.mean(in_tflm == data.y_test) - accuracy) <= 1 - np.mean(safe)
    # The bound says something: few samples are that close.
    assert np.mean(~safe) < 0.1


def scale_of(tensor: Any) -> float:
    return float(tensor.quantization.scales[0])


def zero_point_of(tensor: Any) -> int:
    return int(tensor.quantization.zero_points[0])


def bounds_of_differences(
    stored: list[tuple[Array, Array, Operator]], biases: list[Array], x: Array, best: Array
) -> Array:
    """[samples, 10]: how far int8 inference may move the best logit against each other one.

    The error of each input is known. Each layer passes on its inputs' errors times the absolute
    weights, and adds half the accumulator's scale for the bias and one step of its output for the
    requantization, whose two roundings are half a step each at most. RELU makes no error larger,
    and those of units that stay below 0 nil.
    """
    scale, zero_point = scale_of(stored[0][2].inputs[0]), zero_point_of(stored[0][2].inputs[0])
    integers = np.clip(np.rint(x / scale) + zero_point, -128, 127)
    values, error = x, np.abs((integers - zero_point) * scale - x)
    for (_, weights, op), bias in zip(stored, biases, strict=True):
        bias_scales = scale_of(op.inputs[0]) * quantization_of(op.weights).scales
        added = 0.5 * bias_scales + scale_of(op.outputs[0])
        sums, last_error = values @ weights.T + bias, error
        error = last_error @ np.abs(weights).T + added
        values, error = np.maximum(sums, 0), np.where(sums > -error, error, 0)
    apart = np.abs(weights[best][:, None, :] - weights)  # [samples, 10, inputs]
    bounds: Array = np.einsum("soi,si->so", apart, last_error) + added[best][:, None] + added
    return bounds


@functools.cache
def trained_to_bytes(values: str | None) -> tuple[Any, dict[str, list[float]]]:
    """A small net with a budget of 3,200 bytes, and what was logged."""
    keras.utils.set_random_seed(0)
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((12,)), dense(64, "relu"), dense(64, "relu"), dense(3)])
    model.compile("adam", "mse")
    callback = ts.ProximalL1(flash_bytes=3200, values=values, prefer="flash")
    return model, fit(model, callback, 6, steps=32).history


def test_a_budget_of_bytes_holds_in_the_file_that_prefers_them() -> None:
    model, logs = trained_to_bytes("palette")
    result = ts.convert(model, representative_dataset=X, prefer="flash")
    stored = sum((x.packed_bytes if x.rewritten else x.dense_bytes) or 0 for x in result.layers)
    # The converter, which knows biases and scales, removes more channels than the estimate.
    assert stored == pytest.approx(logs["estimated_bytes"][-1], rel=0.01)
    assert stored <= 3200


def test_a_budget_holds_more_weights_with_palettes() -> None:
    (_, with_palette), (_, plain) = trained_to_bytes("palette"), trained_to_bytes(None)
    # Small layers gain and lose their sparse form as a whole: bytes jump.
    assert 0.9 * 3200 <= with_palette["estimated_bytes"][-1] <= 3200
    # The first and the last layer keep all weights, packed with all their blocks or dense.
    (sparse, *others), (plain_sparse, *plain_others) = (
        sorted((log[-1] for name, log in logs.items() if name.startswith("zeros/")), reverse=True)
        for logs in (with_palette, plain)
    )
    assert max(*others, *plain_others) < 0.1
    assert sparse < plain_sparse - 0.03
