"""The summary and the picture of masks, of small models."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from rich.console import Console

import tflm_sparsesep as ts
from tests.support.models.keras_models import array, deep_model, fit

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorflow")]


def wide_model() -> Any:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 8, 12)),
            layers.Conv2D(16, (3, 2), strides=2, name="conv", bias_initializer="ones"),
            layers.Conv2D(24, 1, name="pointwise", bias_initializer="ones"),
            layers.Flatten(),
            layers.Dense(32, name="wide", bias_initializer="ones"),
            layers.Dense(4, name="head", bias_initializer="ones"),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name in ("conv", "pointwise", "wide"):
            kernel = array(layer.kernel)
            layer.kernel.assign(kernel * (rng.random(kernel.shape) > 0.9))
    return model


def test_summary_says_what_the_converter_does() -> None:
    model = wide_model()
    text = io.StringIO()
    rows = ts.sparsity_summary(model, console=Console(file=text, width=160))
    assert [row.name for row in rows] == ["conv", "pointwise", "wide", "head"]
    samples = np.random.default_rng(1).normal(size=(20, 8, 8, 12)).astype(np.float32)
    decisions = ts.convert(model, representative_dataset=samples, target="cortex-m4").layers
    by_size = {(d.rows, d.cols): d for d in decisions if d.rows is not None}
    for row in rows:
        decision = by_size[row.shape[-1], math.prod(row.shape[:-1])]
        assert decision.rewritten == (row.layout is not None)
        assert row.dense_instructions == decision.dense_instructions
        # Which small weights int8 rounds to 0 depends on the last digits of TensorFlow's scales.
        assert row.packed_bytes == pytest.approx(
            decision.packed_bytes if decision.rewritten else decision.dense_bytes, rel=0.02
        )
    assert rows[0].layout is not None
    assert rows[2].zeros == pytest.approx(0.9, abs=0.01)
    for word in ("pointwise", "1x1x16x24", "total", "cortex-m4", "dense"):
        assert word in text.getvalue()


def test_convolutions_along_one_axis_count_as_the_converter_rewrites_them() -> None:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((40, 8)),
            layers.Conv1D(16, 5, name="taps", bias_initializer="ones"),
            layers.Conv1D(24, 4, strides=2, name="strided", bias_initializer="ones"),
            layers.Conv1D(16, 3, padding="same", name="padded", bias_initializer="ones"),
        ]
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.kernel.assign(array(layer.kernel) * (rng.random(layer.kernel.shape) > 0.9))
    rows = {row.name: row for row in ts.sparsity_summary(model, console=Console(quiet=True))}
    samples = rng.normal(size=(20, 40, 8)).astype(np.float32)
    decisions = ts.convert(model, representative_dataset=samples, target="cortex-m4").layers
    found = {(d.rows, d.cols): d for d in decisions if d.rewritten}
    assert set(found) == {(16, 5 * 8), (24, 4 * 16), (16, 3 * 24)}
    sizes = {"taps": (16, 5 * 8), "strided": (24, 4 * 16), "padded": (16, 3 * 24)}
    for name, size in sizes.items():
        decision = found[size]
        assert rows[name].dense_instructions == decision.dense_instructions
        # Zeros among the inputs are not known without data; see above for the bytes.
        assert rows[name].packed_instructions == pytest.approx(
            decision.sparse_instructions, rel=0.05
        )
        assert rows[name].packed_bytes == pytest.approx(decision.packed_bytes, rel=0.02)


def test_masks_are_drawn(tmp_path: Path) -> None:
    path = ts.plot_masks(wide_model(), tmp_path / "masks.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    from matplotlib.image import imread

    # Greys: mostly white where nine of ten weights are zero.
    grey = imread(path)[..., :3].mean(axis=2)
    assert grey.shape[0] > 200
    assert (grey > 0.9).mean() > 0.5
    assert (grey < 0.1).mean() > 0.05


def test_errors_are_clear(tmp_path: Path) -> None:
    with pytest.raises(ts.ModelError, match="no Dense or convolutional layer"):
        ts.sparsity_summary(keras.Sequential([keras.Input((3,)), keras.layers.ReLU()]))
    with pytest.raises(ts.ConfigError, match="cortex-m99"):
        ts.sparsity_summary(deep_model(), target="cortex-m99")
    with pytest.raises(ts.ConfigError, match="cannot be written"):
        ts.plot_masks(deep_model(), tmp_path / "absent" / "masks.png")


def test_summary_of_a_fit_agrees_with_its_logs() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((12,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(64, "relu")]
    )
    model.add(keras.layers.Dense(3))
    model.compile("adam", "mse")
    logs = fit(model, ts.Sparsify(zeros=0.8), 6, steps=4).history
    rows = ts.sparsity_summary(model, console=Console(file=io.StringIO()))
    assert {f"zeros/{row.name}": row.zeros for row in rows} == pytest.approx(
        {name: values[-1] for name, values in logs.items() if name.startswith("zeros/")}
    )
    assert logs["estimated_bytes"][-1] == sum(row.packed_bytes for row in rows)
    assert logs["estimated_bytes"][-1] < sum(row.dense_bytes for row in rows)
