"""ProximalL1 in other kinds of fit: resumed, distributed, mixed precision, subclassed models."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.models.keras_models import (
    Interrupt,
    InterruptAt,
    X,
    Y,
    array,
    deep_model,
    fit,
    zeros_of,
)
from tflm_sparsesep.training.proximal_l1 import ProximalL1

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]

GOALS: list[dict[str, Any]] = [{"zeros": 0.8}, {"strength": 0.2}]
RESUMED: dict[str, Any] = {"zeros": 0.8, "warmup_epochs": 2, "debias_epochs": 3}


def sparse_layers(model: Any) -> list[Any]:
    return [layer for layer in model.layers if hasattr(layer, "kernel")]


@functools.cache
def trained_in_one_go() -> tuple[list[float], list[Any]]:
    """Fractions of zeros and weights of a fit without an interruption."""
    model = deep_model()
    zeros = fit(model, ProximalL1(**RESUMED), 10, steps=8).history["zeros"]
    return zeros, model.get_weights()


@pytest.mark.parametrize("epoch", [1, 4, 8], ids=["warm-up", "ramp", "debias"])
def test_a_backed_up_fit_resumes_its_phases(epoch: int, tmp_path: Path) -> None:
    zeros, weights = trained_in_one_go()
    backup = tmp_path / "backup"
    first = deep_model()
    with pytest.raises(Interrupt):
        first.fit(
            X,
            Y,
            batch_size=8,
            epochs=10,
            shuffle=False,
            verbose=0,
            callbacks=[
                ProximalL1(**RESUMED),
                keras.callbacks.BackupAndRestore(backup),
                InterruptAt(epoch),
            ],
        )
    resumed = deep_model()
    resumed.set_weights([w + 1 for w in resumed.get_weights()])
    history = resumed.fit(
        X,
        Y,
        batch_size=8,
        epochs=10,
        shuffle=False,
        verbose=0,
        callbacks=[ProximalL1(**RESUMED), keras.callbacks.BackupAndRestore(backup)],
    )
    assert history.epoch == list(range(epoch, 10))
    assert history.history["zeros"] == zeros[epoch:]
    # The same batches in the same order from the same state: the same operations.
    for a, b in zip(weights, resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.filterwarnings("error::UserWarning")
def test_savers_listed_before_are_warned_of(tmp_path: Path) -> None:
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras")
    sparsify = ProximalL1(**RESUMED)
    for saver in (backup, checkpoint):
        name = type(saver).__name__
        match = f"^{name} is listed before ProximalL1: .*; list {name} after ProximalL1$"
        with pytest.warns(UserWarning, match=match):
            deep_model().fit(X, Y, epochs=10, verbose=0, callbacks=[saver, sparsify])
    deep_model().fit(X, Y, epochs=10, verbose=0, callbacks=[sparsify, checkpoint, backup])


MIRRORED = """
import json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.support.models.keras_models import X, Y, deep_model
from tflm_sparsesep.training.proximal_l1 import ProximalL1

def train(goal):
    model = deep_model()
    history = model.fit(X, Y, batch_size=16, epochs=6, shuffle=False, verbose=0,
                        callbacks=[ProximalL1(**goal)]).history
    return model, history["zeros"]
found = []
for goal in json.loads(sys.argv[1]):
    one, zeros = train(goal)
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        two, mirrored_zeros = train(goal)
    kernel = two.get_layer("first").kernel.value
    replicas = [value.numpy().tolist() for value in kernel.values]
    found.append({"one": zeros, "two": mirrored_zeros, "replicas": replicas})
print(json.dumps(found))
"""


@functools.cache
def trained_on_two_devices() -> list[dict[str, Any]]:
    """Logs and weights of fits on one device and on two, for each of `GOALS`."""
    # Logical devices must be set before TensorFlow starts: a process of its own.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MIRRORED), json.dumps(GOALS)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("number", range(len(GOALS)))
def test_mirrored_replicas_take_the_same_step(number: int) -> None:
    found, goal = trained_on_two_devices()[number], GOALS[number]
    assert len(found["replicas"]) == 2
    assert found["replicas"][0] == found["replicas"][1]
    # Batch normalization sees half a batch on each replica: not the same fit, but a similar one.
    assert found["two"][-1] == pytest.approx(found["one"][-1], abs=0.1)
    assert found["two"][-1] > 0
    if "zeros" in goal:
        assert found["two"] == pytest.approx(found["one"], abs=0.01)


@pytest.mark.usefixtures("mixed_float16")
@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_mixed_precision(goal: dict[str, Any]) -> None:
    # Compiling for mixed_float16 puts loss scaling around the optimizer.
    model = deep_model(keras.optimizers.Adam(0.01))
    assert type(model.optimizer).__name__ == "LossScaleOptimizer"
    zeros = fit(model, ProximalL1(**goal), 8, steps=8).history["zeros"]
    assert zeros[-1] == zeros_of(*sparse_layers(model)) > 0.05
    assert np.isfinite(array(model.get_layer("first").kernel)).all()


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.first = keras.layers.Dense(16, "relu")
        self.shared = keras.layers.Dense(16, "relu")
        self.last = keras.layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.last(self.shared(self.shared(self.first(x))))


def functional() -> Any:
    layers = keras.layers
    inputs = keras.Input((12,))
    x = layers.Dense(16, "relu")(inputs)
    shared = layers.Dense(16, "relu")
    return keras.Model(inputs, layers.Dense(3)(shared(shared(x))))


@pytest.mark.parametrize("build", [Subclassed, functional])
@pytest.mark.parametrize("goal", GOALS, ids=str)
def test_functional_and_subclassed_models_with_a_shared_layer(
    build: Any, goal: dict[str, Any]
) -> None:
    keras.utils.set_random_seed(0)
    model = build()
    model.compile("adam", "mse")
    model(X[:1])
    history = fit(model, ProximalL1(**goal), 8, steps=8).history
    layers = sparse_layers(model)
    assert len(layers) == 3
    assert history["zeros"][-1] == zeros_of(*layers) > 0.01
    assert sum(name.startswith("zeros/") for name in history) == 3
    if "zeros" in goal:
        # The shared kernel counts once.
        size = 12 * 16 + 16 * 16 + 16 * 3
        assert 0.8 <= history["zeros"][-1] < 0.8 + 1.01 / size


@pytest.mark.parametrize("options", [{"jit_compile": True}, {"steps_per_execution": 4}], ids=str)
def test_a_budget_however_steps_are_executed(options: dict[str, Any]) -> None:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((12,)), layers.Dense(128, "relu"), layers.Dense(128), layers.Dense(3)]
    )
    model.compile("adam", "mse", **options)
    logs = fit(model, ProximalL1(flash_bytes=6000), 6, steps=32).history
    # Where a small layer changes its layout, bytes jump by several percent.
    assert 0.9 * 6000 <= logs["estimated_bytes"][-1] <= 6000


def test_logs_reach_other_callbacks(tmp_path: Path) -> None:
    model = deep_model()
    path = tmp_path / "log.csv"
    model.fit(
        X,
        Y,
        epochs=4,
        verbose=0,
        callbacks=[ProximalL1(zeros=0.8), keras.callbacks.CSVLogger(path)],
    )
    header, *lines = path.read_text().splitlines()
    names = header.split(",")
    assert {"zeros", "zeros/first", "zeros/second", "zeros/last", "estimated_bytes"} <= set(names)
    assert float(lines[-1].split(",")[names.index("zeros")]) >= 0.8
