"""Several int8 operators for one: LiteRT computes with them the product of the matrices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tests.support.models.dense_models import Activation, fully_connected_model
from tests.support.models.separable_models import Conv, conv_model
from tflm_sparsesep.converters.factorize.chain import RealLayer
from tflm_sparsesep.converters.factorize.gram import patches
from tflm_sparsesep.converters.layers import real as real_layer
from tflm_sparsesep.converters.layers import split as factor_chain
from tflm_sparsesep.converters.layers import stages as conv_stages
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtimes import run

RANK = 4


def in_place(data: bytes, kind: str, matrices: list[np.ndarray], windows: np.ndarray) -> bytes:
    """Args: windows: float64[n, height, width, channels]."""
    model = editor.read(data)
    main = model.subgraphs[0]
    (op,) = main.operators
    bias = real_layer.read(op).bias
    stages = conv_stages.stages_of(
        kind, matrices, windows.shape[1:], op.strides if op.op_name == "CONV_2D" else (1, 1)
    )
    main.operators = factor_chain.split(op, stages, bias, windows)
    editor.prune_unused(model)
    return editor.write(model)


def bound(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest error [rows] of `second first x` for the rounding of a pair's three parts.

    `between` is rounded by half a step of reach / 127, weights of `first` by half a step of
    their largest / 127, weights of `second`, scaled by the reach, likewise.
    """
    reach = np.abs(x @ first.T).max(axis=0)
    rounded_first = np.abs(x).sum(axis=1).max() * np.abs(first).max(axis=1) / 254
    # Per tensor the largest of all rows counts, in units of each row's reach.
    rounded_first = reach * (rounded_first / reach).max()
    rounded_second = len(first) * np.abs(second * reach).max() / 254
    largest: np.ndarray = np.abs(second) @ (reach / 254 + rounded_first) + rounded_second
    return largest


@pytest.mark.parametrize("scales", [0.02, np.linspace(0.01, 0.03, 12)], ids=["tensor", "rows"])
@pytest.mark.parametrize("activation", ["NONE", "RELU"])
def test_a_fully_connected_pair(scales: ArrayLike, activation: Activation) -> None:
    rng = np.random.default_rng(0)
    data = fully_connected_model(
        rng.integers(-127, 128, (12, 20)).astype(np.int8),
        rng.integers(-900, 900, 12).astype(np.int32),
        input_shape=(1, 20),
        input_scale=0.05,
        input_zero_point=3,
        weight_scales=scales,
        output_scale=0.3,
        output_zero_point=-20,
        activation=activation,
    )
    x = rng.integers(-128, 128, (200, 20)).astype(np.int8)
    real = (x.astype(float) - 3) * 0.05
    first, second = rng.normal(size=(RANK, 20)), rng.normal(size=(12, RANK))
    found = in_place(data, "low_rank", [first, second], real[:, None, None])
    layer = real_layer.read(editor.read(data).subgraphs[0].operators[0])
    wanted = np.clip(real @ first.T @ second.T + layer.bias, layer.lower, layer.upper)
    (outputs,) = run(found, x, runtime="litert", dequantize=True)
    assert np.all(np.abs(outputs - wanted) <= bound(real, first, second) + 0.51 * 0.3)
    (in_tflm,) = run(found, x[:20], runtime="tflm", dequantize=True)
    # Runtimes round some numbers between differently, by one step, and the output by another.
    step = np.abs(real @ first.T).max(axis=0) / 127
    assert np.all(np.abs(in_tflm - outputs[:20]) <= np.abs(second) @ step + 0.3 + 1e-6)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (2, 3)])
@pytest.mark.parametrize("kernel", [(3, 5), (1, 4), (1, 1)])
def test_a_pair_of_convolutions(
    padding: str, stride: tuple[int, int], kernel: tuple[int, int]
) -> None:
    rng = np.random.default_rng(1)
    height, width = kernel
    conv = Conv(
        weights=rng.integers(-127, 128, (6, *kernel, 3)).astype(np.int8),
        bias=rng.integers(-900, 900, 6).astype(np.int32),
        weight_scales=np.linspace(0.002, 0.004, 6).astype(np.float32),
        output_scale=0.4,
        output_zero_point=7,
        stride=stride,
        padding=padding,
    )
    data = conv_model([conv], (1, 11, 13, 3))
    layer = real_layer.read(editor.read(data).subgraphs[0].operators[0])
    x = rng.integers(-128, 128, (60, 11, 13, 3)).astype(np.int8)
    real = (x.astype(float) - 3) * 0.02
    windows = patches(real, kernel, strides=stride, same=padding == "SAME")
    vertical = rng.normal(size=(RANK, height, 3))
    horizontal = rng.normal(size=(6, width, RANK))
    kernels = np.einsum("njk,kic->nijc", horizontal, vertical).reshape(6, -1)
    wanted = np.clip(windows @ kernels.T + layer.bias, layer.lower, layer.upper)
    columns = windows.reshape(-1, height, width, 3).transpose(0, 2, 1, 3).reshape(-1, height * 3)
    matrices = [vertical.reshape(RANK, -1), horizontal.reshape(6, -1)]
    pair = in_place(data, "separated", matrices, windows.reshape(-1, height, width, 3))
    (outputs,) = run(pair, x, runtime="litert", dequantize=True)
    assert outputs.shape == wanted.shape
    taps = horizontal.reshape(6 * width, RANK)
    most = bound(columns, vertical.reshape(RANK, -1), taps).reshape(6, width).sum(axis=1)
    assert np.all(np.abs(outputs - wanted) <= most + 0.51 * 0.4)
    names = [op.op_name for op in editor.read(rewrite(pair, target="cortex-m4").tflite).operators]
    can_fuse = kernel == (3, 5) and stride[1] <= 16
    assert (names == ["SEPARABLE_CONV_2D"]) == can_fuse


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("kind", ["tucker", "low_rank"])
def test_a_chain_of_convolutions(padding: str, kind: str) -> None:
    rng = np.random.default_rng(2)
    conv = Conv(
        weights=rng.integers(-127, 128, (6, 3, 5, 4)).astype(np.int8),
        bias=rng.integers(-900, 900, 6).astype(np.int32),
        weight_scales=np.linspace(0.002, 0.004, 6).astype(np.float32),
        output_scale=0.8,
        output_zero_point=7,
        stride=(2, 1),
        padding=padding,
    )
    data = conv_model([conv], (1, 11, 13, 4))
    layer = real_layer.read(editor.read(data).subgraphs[0].operators[0])
    x = rng.integers(-128, 128, (60, 11, 13, 4)).astype(np.int8)
    windows = patches((x.astype(float) - 3) * 0.02, (3, 5), strides=(2, 1), same=padding == "SAME")
    windows = windows.reshape(-1, 3, 5, 4)
    before = [rng.normal(size=(3, 4))] if kind == "tucker" else []
    core = rng.normal(size=(5, 45 if before else 60))
    matrices = [*before, core, rng.normal(size=(6, 5))]
    stages = conv_stages.stages_of(kind, matrices, (3, 5, 4), (2, 1))
    whole = conv_stages.whole_matrix(stages, (3, 5, 4))
    flat = windows.reshape(len(windows), -1)
    wanted = np.clip(flat @ whole.T + layer.bias, layer.lower, layer.upper)
    found = in_place(data, kind, matrices, windows)
    assert [op.op_name for op in editor.read(found).operators] == ["CONV_2D"] * len(stages)
    outputs = [
        run(found, x, runtime=r, dequantize=True)[0].reshape(wanted.shape)
        for r in ("litert", "tflm")
    ]
    predicted = np.sqrt(rounding_power(stages, windows) + 0.8**2 / 12)
    inside = (wanted > layer.lower) & (wanted < layer.upper)
    for found_by in outputs:
        power = np.where(inside, np.square(found_by - wanted), 0.0).sum(axis=0)
        # A fifth: errors of weights are the same at all places, so that few numbers make the mean.
        assert np.all(np.sqrt(power / inside.sum(axis=0)) <= 1.2 * predicted)


def rounding_power(stages: list[RealLayer], windows: np.ndarray) -> np.ndarray:
    """Mean square error of each output for the rounding of all weights and of what lies between.

    A number rounded to steps of s has a mean square error of s^2 / 12. Between, s is the reach /
    127 (less where channels are centred); of weights, the largest of a row / 127, once channels
    have been scaled by their reach.
    """
    values, power = windows, np.zeros((1, *windows.shape[1:]))
    for stage in stages:
        taps = stage.weights.reshape(len(stage.weights), -1, stage.channels)
        reach = np.ones(stage.channels)
        if stage is not stages[0]:
            reach = np.abs(values).reshape(-1, stage.channels).max(axis=0)
        steps = np.abs(taps * reach).max(axis=(1, 2), keepdims=True) / 127 / reach
        steps = np.broadcast_to(steps, taps.shape).reshape(stage.weights.shape)
        squares = np.square(values).mean(axis=0, keepdims=True)
        passed = conv_stages.outputs(replace(stage, weights=np.square(stage.weights)), power)
        power = passed + conv_stages.outputs(replace(stage, weights=np.square(steps) / 12), squares)
        values = conv_stages.outputs(stage, values)
        if stage is not stages[-1]:
            most = np.abs(values).reshape(-1, len(stage.weights)).max(axis=0)
            power = power + np.square(most / 127) / 12
    return power.reshape(-1)
