"""`compress` on convolutions: separated and fused, or by Tucker, and executed by TFLM."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tflm_sparsesep as ts
from tests.support.models.separable_models import Conv, conv_model
from tflm_sparsesep.compression.segments import real_outputs, run_segment
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D, SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtime.output_quality import sqnr_db

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CHANNELS, UNITS, RANK = 8, 24, 3
SHAPE = (1, 12, 12, CHANNELS)


def nearly_separable(rng: np.random.Generator, units: int, channels: int) -> Conv:
    """A 5x5 kernel that is a separable one of RANK channels, and a tenth of noise."""
    vertical = rng.normal(size=(RANK, 5, channels))
    horizontal = rng.normal(size=(units, 5, RANK))
    return convolution(rng, np.einsum("njk,kic->nijc", horizontal, vertical))


def of_few_channels(rng: np.random.Generator, units: int, channels: int) -> Conv:
    """A 3x3 kernel between a quarter of the channels and of the units, and a tenth of noise."""
    reduce = rng.normal(size=(channels // 4, channels))
    core = rng.normal(size=(units // 4, 3, 3, channels // 4))
    expand = rng.normal(size=(units, units // 4))
    return convolution(rng, np.einsum("nq,qijp,pc->nijc", expand, core, reduce, optimize=True))


def of_few_weights(
    rng: np.random.Generator, units: int, channels: int, block: tuple[int, int]
) -> np.ndarray:
    """A 3x3 kernel with a seventh of its blocks of units x channels, of full rank."""
    grid = rng.random((units // block[0], 3, 3, channels // block[1])) < 1 / 7
    kept = grid.repeat(block[0], axis=0).repeat(block[1], axis=3)
    return np.where(kept, rng.normal(size=kept.shape), 0)


def convolution(rng: np.random.Generator, kernel: np.ndarray, noise: float = 0.1) -> Conv:
    """Of a kernel [units, height, width, channels] and relative noise."""
    units = len(kernel)
    kernel = kernel + noise * kernel.std() * rng.normal(size=kernel.shape)
    scales = np.abs(kernel).reshape(units, -1).max(axis=1) / 127
    return Conv(
        weights=np.rint(kernel / scales[:, None, None, None]).astype(np.int8),
        bias=np.zeros(units, np.int32),
        weight_scales=(0.05 * scales).astype(np.float32),
        output_scale=0.4,
        output_zero_point=-128,
        stride=(1, 1),
        padding="SAME",
        activation="RELU",
    )


@pytest.fixture(scope="module")
def model() -> bytes:
    rng = np.random.default_rng(0)
    convs = [nearly_separable(rng, UNITS, CHANNELS), nearly_separable(rng, 6, UNITS)]
    return conv_model(convs, SHAPE)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).integers(-100, 100, (60, *SHAPE[1:])).astype(np.int8)


def test_convolutions_are_separated_and_fused(model: bytes, x: np.ndarray) -> None:
    dense = ts.convert(model)
    result = ts.compress(model, budget=ts.Budget(min_output_sqnr_db=11), representative_dataset=x)
    names = [op.op_name for op in editor.read(result.tflite).operators]
    assert "SEPARABLE_CONV_2D" in names
    assert any("separated over" in form for form in result.point.forms)
    assert len(result.tflite) < 0.6 * len(dense.tflite)
    held_out = x[3::4]
    outputs = [
        ts.run(m, held_out, runtime="tflm", dequantize=True)[0].astype(float)
        for m in (model, result.tflite)
    ]
    # The fused operator computes what LiteRT has measured, but for the runtimes' rounding.
    assert sqnr_db(outputs[:1], outputs[1:]) == pytest.approx(result.point.sqnr_db, abs=0.2)
    assert result.point.sqnr_db >= 11


def test_a_convolution_of_few_channels_becomes_three() -> None:
    """Separated, as exact a form would need more weights; at 12 dB it has fewer products."""
    rng = np.random.default_rng(2)
    images = rng.integers(-100, 100, (60, 8, 8, 32)).astype(np.int8)
    model = conv_model([of_few_channels(rng, 48, 32)], (1, 8, 8, 32))
    budget = ts.Budget(min_output_sqnr_db=16)
    result = ts.compress(model, budget=budget, representative_dataset=images)
    (form,) = result.point.forms
    assert "Tucker over" in form
    operators = [op.op_name for op in editor.read(result.tflite).operators]
    assert operators == [SPARSE_FULLY_CONNECTED, SPARSE_CONV_2D, SPARSE_FULLY_CONNECTED]
    assert len(result.tflite) < 0.3 * len(model)
    assert result.point.instructions < 0.2 * ts.plan(model).dense_instructions
    outputs = [
        ts.run(m, images[3::4], runtime="tflm", dequantize=True)[0].astype(float)
        for m in (model, result.tflite)
    ]
    # The runtimes round differently: one output in some hundred by one step.
    assert sqnr_db(outputs[:1], outputs[1:]) == pytest.approx(result.point.sqnr_db, abs=0.2)
    assert result.point.sqnr_db >= 16
    docs = " ".join((ROOT / "docs/compression.md").read_text().split())
    dense, small = ts.plan(model).dense_instructions, result.point
    assert f"{small.sqnr_db:.0f} dB: {len(model):,} -> {small.flash_bytes:,} bytes" in docs
    assert f"{dense:,} -> {small.instructions:,} instructions" in docs


@pytest.mark.parametrize(
    ("channels", "block", "stride"), [(32, (4, 4), 1), (32, (1, 1), 2), (10, (1, 1), 1)]
)
def test_a_convolution_of_few_weights_becomes_sparse(
    channels: int, block: tuple[int, int], stride: int
) -> None:
    rng = np.random.default_rng(3)
    images = rng.integers(-100, 100, (60, 8, 8, channels)).astype(np.int8)
    conv = convolution(rng, of_few_weights(rng, 48, channels, block), noise=0.03)
    strided = replace(conv, stride=(stride, stride))
    model = conv_model([strided], (1, 8, 8, channels))
    budget = ts.Budget(min_output_sqnr_db=14)
    result = ts.compress(model, budget=budget, representative_dataset=images)
    (form,) = result.point.forms
    assert f"sparse {block[0]}x{block[1]}" in form
    (op,) = editor.read(result.tflite).operators
    assert op.op_name == "SPARSE_CONV_2D"
    assert len(result.tflite) < 0.6 * len(model)
    assert result.point.instructions < 0.5 * ts.plan(model).dense_instructions
    outputs = [
        ts.run(m, images[3::4], runtime="tflm", dequantize=True)[0].astype(float)
        for m in (model, result.tflite)
    ]
    assert sqnr_db(outputs[:1], outputs[1:]) == pytest.approx(result.point.sqnr_db, abs=0.2)
    assert result.point.sqnr_db >= 14


def test_parts_of_a_model_give_what_the_whole_does(model: bytes, x: np.ndarray) -> None:
    main = editor.read(model).subgraphs[0]
    values = {main.inputs[0]: x[:, None]}
    first, second = main.operators
    values |= run_segment([first], values, first.outputs)
    found = run_segment([second], values, main.outputs)[main.outputs[0]]
    (wanted,) = real_outputs(model, [x[:, None]])
    np.testing.assert_allclose((found.astype(float) + 128) * 0.4, wanted, rtol=1e-6)
    assert run_segment([second], values, first.outputs) == {}
