"""`CompressedMLP`: trains, fits a deployed model to its user, and says what it cannot do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import tflm_sparsesep as ts
from tests.opencl.deployed_models import deployed
from tests.opencl.oracle import random_layer
from tests.support.tensors import quantization_of
from tflm_sparsesep.converters.errors import ConfigError, ModelError, ToolMissingError
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Model, Subgraph, Tensor, TensorType
from tflm_sparsesep.opencl import CompressedMLP, Device, SparseLayer

TEST = 360


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1797 images [samples, 64] in 0..1 and their labels, in mixed order."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return (images[order] / 16).astype(np.float32), labels[order]


@pytest.fixture(scope="module")
def trained(device: Device, digits: tuple[np.ndarray, np.ndarray]) -> list[SparseLayer]:
    """A network that reads digits, two thirds of its blocks dropped from the beginning."""
    x, y = digits
    rng = np.random.default_rng(1)
    mlp = CompressedMLP(
        [
            random_layer(rng, 48, 64, "1x4", zeros=0.67),
            random_layer(rng, 32, 48, "1x1", zeros=0.67),
            random_layer(rng, 10, 32, "1x1", zeros=0.0, activation=None),
        ],
        device=device,
    )
    history = mlp.fit(x[TEST:], y[TEST:], epochs=15, batch_size=64, learning_rate=5e-3)
    assert history[-1].accuracy > 0.97
    assert mlp.evaluate(x[:TEST], y[:TEST]).accuracy > 0.9
    return mlp.layers


def accuracy_in_tflm(tflite: bytes, x: np.ndarray, y: np.ndarray) -> float:
    (scores,) = ts.run(tflite, x, runtime="tflm", progress=False)
    return float(np.mean(scores.reshape(len(y), -1).argmax(axis=1) == y))


def as_float(layers: list[SparseLayer]) -> list[SparseLayer]:
    """The same with single weights: the one pattern that float kernels take."""
    return [
        SparseLayer.from_dense(layer.to_dense(), layer.bias, limits=(layer.low, layer.high))
        for layer in layers
    ]


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_deployed_model_learns_its_user(
    device: Device,
    digits: tuple[np.ndarray, np.ndarray],
    trained: list[SparseLayer],
    dtype: str,
    tmp_path: Path,
) -> None:
    """The user writes white on black, mirrored: nothing that the factory's model has seen."""
    x, y = digits
    layers = as_float(trained) if dtype == "float32" else trained
    factory = deployed(layers, x[TEST:], dtype=dtype)
    path = tmp_path / "model.tflite"
    path.write_bytes(factory)
    assert accuracy_in_tflm(factory, x[:TEST], y[:TEST]) > 0.9
    mirrored = np.ascontiguousarray(1 - x.reshape(-1, 8, 8)[:, :, ::-1]).reshape(-1, 64)
    before = accuracy_in_tflm(factory, mirrored[:TEST], y[:TEST])

    mlp = CompressedMLP.from_tflite(path, device=device)
    assert mlp.evaluate(mirrored[:TEST], y[:TEST]).accuracy == pytest.approx(before, abs=0.02)
    supports = [(layer.tile_rows, layer.tile_cols) for layer in mlp.layers]
    mlp.fit(mirrored[TEST:], y[TEST:], epochs=15, batch_size=64, learning_rate=5e-3)
    personal = mlp.to_tflite()

    after = accuracy_in_tflm(personal, mirrored[:TEST], y[:TEST])
    assert after > before + 0.3
    # int8 against the float32 numbers that it was made of: 7 of 360 digits at most.
    found = mlp.evaluate(mirrored[:TEST], y[:TEST]).accuracy
    assert after == pytest.approx(found, abs=0.02 if dtype == "int8" else 1e-9)
    for (rows, cols), layer in zip(supports, mlp.layers, strict=True):
        assert np.array_equal(rows, layer.tile_rows)
        assert np.array_equal(cols, layer.tile_cols)
    assert_same_but_for_weights(factory, personal)


def assert_same_but_for_weights(before: bytes, after: bytes) -> None:
    for old, new in zip(editor.read(before).operators, editor.read(after).operators, strict=True):
        assert (old.op_name, old.custom_options) == (new.op_name, new.custom_options)
        assert [t.shape for t in old.outputs] == [t.shape for t in new.outputs]
        for a, b in zip(old.outputs, new.outputs, strict=True):
            if a.quantization is not None:
                assert np.array_equal(a.quantization.scales, quantization_of(b).scales)


def test_a_model_that_was_read_and_written_says_the_same(
    device: Device, digits: tuple[np.ndarray, np.ndarray], trained: list[SparseLayer]
) -> None:
    x, _ = digits
    factory = deployed(as_float(trained), x, dtype="float32")
    mlp = CompressedMLP.from_tflite(factory, device=device)
    again = mlp.to_tflite()
    # TFLM's softmax and ours differ in the order of sums alone: 10 exponentials of 3 ulp.
    (expected,), (same,) = (ts.run(m, x[:9], runtime="tflm") for m in (factory, again))
    assert np.array_equal(expected, same)
    np.testing.assert_allclose(mlp.predict(x[:9]), expected.reshape(9, 10), atol=1e-5)


def test_batches_of_any_size_say_the_same(
    device: Device, digits: tuple[np.ndarray, np.ndarray], trained: list[SparseLayer]
) -> None:
    x, y = digits
    mlp = CompressedMLP(trained, device=device)
    found = [mlp.predict(x[:200], batch_size=size) for size in (16, 64, 200)]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    losses = [mlp.evaluate(x[:200], y[:200], batch_size=size).loss for size in (16, 64, 200)]
    # Sums of 200 float32 losses in other orders.
    np.testing.assert_allclose(losses, losses[0], rtol=200 * 2**-24)


def test_the_same_seed_gives_the_same_weights(
    device: Device, digits: tuple[np.ndarray, np.ndarray], trained: list[SparseLayer]
) -> None:
    x, y = digits
    found = []
    for _ in range(2):
        mlp = CompressedMLP(trained, device=device)
        mlp.fit(x, y, epochs=1, batch_size=64, seed=7, learning_rate=lambda step: 1e-3 / (1 + step))
        found.append(mlp.layers[0].values)
    assert np.array_equal(found[0], found[1])


def test_memory_is_that_of_kept_weights(
    device: Device, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    """12 bytes for a weight and its place, 8 for Adam, 4 for the gradient of one layer."""
    x, y = digits
    rng = np.random.default_rng(0)
    layer = random_layer(rng, 500, 64, "1x1", zeros=0.9, activation=None)
    mlp = CompressedMLP([layer], device=Device(device.name))
    mlp.fit(x, np.where(y > 4, 1, 0))
    kept = len(mlp.layers[0].values)
    starts, biases = 4 * (501 + 65), 512
    assert mlp.memory.peak["weights"] == 12 * kept + starts + 4 * biases
    assert mlp.memory.peak["optimizer"] == 8 * (kept + biases)
    assert mlp.memory.peak["gradients"] == 4 * (kept + biases)
    assert mlp.memory.peak_of_state == 24 * kept + starts + 16 * biases


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((5, 63)), np.zeros(5, int), r"x has shape \(5, 63\).+accepted: \[samples, 64\]"),
        (np.zeros((0, 64)), np.zeros(0, int), r"x has shape \(0, 64\).+at least one sample"),
        (np.full((5, 64), np.nan), np.zeros(5, int), "x holds 320 NaN or infinite values"),
        (np.zeros((5, 64)), np.zeros(4, int), r"y has shape \(4,\).+one integer for each of 5"),
        (np.zeros((5, 64)), np.zeros(5), "dtype float64; accepted: one integer"),
        (np.zeros((5, 64)), np.full(5, 10), "y holds labels 10 to 10; accepted: 0 to 9"),
        (np.zeros((5, 64)), np.full(5, -1), "y holds labels -1 to -1; accepted: 0 to 9"),
    ],
)
def test_wrong_samples_are_refused(
    device: Device, trained: list[SparseLayer], x: np.ndarray, y: np.ndarray, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        CompressedMLP(trained, device=device).fit(x, y)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("epochs", 0), ("batch_size", 2.5), ("strength", -1.0), ("learning_rate", 0.0)],
)
def test_wrong_arguments_are_refused(
    device: Device, trained: list[SparseLayer], argument: str, value: Any
) -> None:
    mlp = CompressedMLP(trained, device=device)
    with pytest.raises(ConfigError, match=f"{argument}={value}; accepted"):
        mlp.fit(np.zeros((5, 64)), np.zeros(5, int), **{argument: value})


def test_layers_must_fit_each_other(device: Device, trained: list[SparseLayer]) -> None:
    with pytest.raises(ConfigError, match="layer 1 takes 64 inputs, layer 0 gives 48"):
        CompressedMLP([trained[0], trained[0]], device=device)
    with pytest.raises(ConfigError, match="layers is empty"):
        CompressedMLP([], device=device)
    with pytest.raises(ConfigError, match="pattern='3x3'; accepted: 1x1, 1x4"):
        SparseLayer.from_dense(np.eye(3), pattern="3x3")
    with pytest.raises(ConfigError, match="come from no model"):
        CompressedMLP(trained, device=device).to_tflite()


def test_models_without_such_layers_are_refused() -> None:
    entry = Tensor("input", (1, 4), TensorType.FLOAT32)
    data = editor.write(Model([Subgraph("main", inputs=[entry], outputs=[entry])]))
    with pytest.raises(ModelError, match="its output comes from an input; accepted for training"):
        CompressedMLP.from_tflite(data)
    with pytest.raises(ModelError, match=r"nowhere\.tflite: cannot be read"):
        CompressedMLP.from_tflite("nowhere.tflite")


def test_devices_are_found_by_name(device: Device) -> None:
    assert Device(device.name[3:12].upper()).name == device.name
    with pytest.raises(ConfigError, match=r"device='Cray'; accepted: a part of .+"):
        Device("Cray")
    with pytest.raises(ConfigError, match="samples=5; accepted: 4, 8 or 16"):
        Device(samples=5)


@pytest.mark.parametrize(
    ("before", "environment", "message"),
    [
        ("", {"OCL_ICD_VENDORS": "/nowhere"}, "no OpenCL device was found: install a driver"),
        ("sys.modules['pyopencl'] = None", {}, "pip install 'tflm-sparsesep[opencl]'"),
        ("sys.modules['tensorflow'] = sys", {}, "TensorFlow is loaded in this process"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    device: Device, before: str, environment: dict[str, str], message: str
) -> None:
    if "TensorFlow" in message and "Portable Computing Language" not in device.name:
        pytest.skip("the device is not pocl's, which alone TensorFlow disturbs")
    code = f"""
import sys
{before}
from tflm_sparsesep.converters.errors import DeviceError, ToolMissingError
from tflm_sparsesep.opencl import Device
try:
    Device()
except (DeviceError, ToolMissingError) as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert message in run.stdout
    assert run.stdout.count("\n") == 1


def test_failing_calls_are_said_in_one_line(device: Device) -> None:
    """More than any device has: allocated at once, or at the first use."""
    with pytest.raises(ts.DeviceError, match="OpenCL failed at allocating 4398046511104 bytes: "):
        device.buffer("weights", (1 << 40,), np.float32)
    assert issubclass(ToolMissingError, ts.SparseSepError)
