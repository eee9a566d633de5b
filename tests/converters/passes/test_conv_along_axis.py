"""Convolutions along one axis: what becomes sparse, what stays, and equality in TFLM."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.models.separable_models import Conv, conv_model
from tflm_sparsesep import runtimes
from tflm_sparsesep.benchmark import benchmark
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D, SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor

TARGETS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")
CONV1D = (1, 1, 100, 6)


def random_conv(
    rng: np.random.Generator, units: int, kernel: tuple[int, int, int], *, zeros: float = 0.8
) -> Conv:
    """A VALID convolution of kernel height, width, channels for inputs of scale 0.02."""
    weights = rng.integers(-127, 128, (units, *kernel)) * (rng.random((units, *kernel)) >= zeros)
    return Conv(
        weights=weights.astype(np.int8),
        bias=rng.integers(-5000, 5000, units).astype(np.int32),
        weight_scales=rng.uniform(0.001, 0.004, units).astype(np.float32),
        output_scale=0.05,
        output_zero_point=int(rng.integers(-128, 128)),
        stride=(1, 1),
        padding="VALID",
        activation="RELU",
    )


def images(rng: np.random.Generator, shape: tuple[int, ...], count: int = 20) -> np.ndarray:
    return rng.integers(-128, 128, (count, *shape[1:])).astype(np.int8)


def names(tflite: bytes) -> list[str]:
    return [op.op_name for op in editor.read(tflite).operators]


@pytest.mark.parametrize("target", TARGETS)
def test_a_line_becomes_sparse_with_the_same_outputs(target: str) -> None:
    rng = np.random.default_rng(0)
    dense = conv_model([random_conv(rng, 16, (1, 5, 6), zeros=0.9)], CONV1D)
    result = rewrite(dense, target=target)
    (decision,) = result.layers
    assert decision.rewritten, decision.reason
    assert (decision.rows, decision.cols, decision.batch) == (16, 30, 96)
    assert names(result.tflite) == [SPARSE_FULLY_CONNECTED]
    inputs = images(rng, CONV1D)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, inputs)[0], runtimes.run(dense, inputs)[0]
    )


@pytest.mark.parametrize(
    ("shape", "kernel", "stride"),
    [
        ((1, 1, 50, 8), (1, 5, 8), (1, 3)),  # along a row
        ((1, 1, 50, 8), (1, 5, 8), (1, 4)),  # elements remain after the last window
        ((1, 1, 40, 16), (1, 4, 16), (1, 4)),  # side by side
        ((1, 1, 40, 16), (1, 2, 16), (1, 3)),  # with gaps
        ((1, 1, 33, 40), (1, 1, 40), (1, 2)),  # single pixels
        ((1, 40, 1, 8), (5, 1, 8), (2, 1)),  # down a column
        ((1, 20, 5, 4), (3, 5, 4), (1, 1)),  # as wide as the image
        ((1, 20, 5, 4), (3, 5, 4), (2, 7)),
    ],
)
def test_windows_of_all_kinds(
    shape: tuple[int, ...], kernel: tuple[int, int, int], stride: tuple[int, int]
) -> None:
    rng = np.random.default_rng(1)
    conv = replace(random_conv(rng, 13, kernel, zeros=0.9), stride=stride)
    dense = conv_model([conv], shape)
    result = rewrite(dense, target="cortex-m3")
    assert [layer.rewritten for layer in result.layers] == [True], result.layers[0].reason
    inputs = images(rng, shape)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, inputs)[0], runtimes.run(dense, inputs)[0]
    )


@pytest.mark.parametrize(
    ("shape", "kernel", "changes"),
    [
        (CONV1D, (1, 5, 6), {"padding": "SAME"}),
        (CONV1D, (1, 5, 6), {"dilation": 2}),
        ((2, 1, 50, 6), (1, 5, 6), {}),
        ((1, 9, 50, 6), (1, 5, 6), {}),
        ((1, 9, 9, 6), (3, 3, 6), {}),
    ],
)
def test_windows_in_several_pieces_are_copied(
    shape: tuple[int, ...], kernel: tuple[int, int, int], changes: dict[str, Any]
) -> None:
    conv = replace(random_conv(np.random.default_rng(2), 13, kernel, zeros=0.95), **changes)
    result = rewrite(conv_model([conv], shape), target="cortex-m4")
    assert names(result.tflite) == [SPARSE_CONV_2D]


@pytest.mark.parametrize(
    ("shape", "kernel", "changes", "reason"),
    [
        ((1, 1, 41, 4), (1, 4, 4), {"stride": (1, 4)}, "do not divide an input"),
        (CONV1D, (1, 5, 6), {"activation": "TANH"}, "TANH"),
    ],
)
def test_others_stay(
    shape: tuple[int, ...],
    kernel: tuple[int, int, int],
    changes: dict[str, Any],
    reason: str,
) -> None:
    conv = replace(random_conv(np.random.default_rng(2), 13, kernel, zeros=0.95), **changes)
    result = rewrite(conv_model([conv], shape), target="cortex-m4")
    (decision,) = result.layers
    assert not decision.rewritten
    assert reason in decision.reason
    assert names(result.tflite) == ["CONV_2D"]


def test_weights_that_do_not_pay_stay() -> None:
    """Packed, three outputs take more than the header of the blob saves."""
    conv = random_conv(np.random.default_rng(3), 3, (1, 2, 6), zeros=0.0)
    (decision,) = rewrite(conv_model([conv], CONV1D), target="cortex-m55").layers
    assert not decision.rewritten


@needs_emulator
@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m3", "cortex-m4"])
def test_a_device_gives_what_tflm_gives(target: str) -> None:
    rng = np.random.default_rng(4)
    conv = random_conv(rng, 32, (1, 5, 16))
    result = rewrite(conv_model([conv], (1, 1, 48, 16)), target=target)
    (figures,) = benchmark(result.tflite, target=target, inputs=images(rng, (1, 1, 48, 16), 2))
    assert figures.bit_exact
    assert (figures.rows, figures.cols, figures.batch) == (32, 80, 44)
    (described,) = inspect_model(result.tflite, target=target)
    estimate = described.sparse_instructions or 0
    # The cost model's promise for shapes outside its fit.
    assert figures.sparse_instructions == pytest.approx(estimate, rel=0.15)
    assert described.dense_instructions == result.layers[0].dense_instructions
