"""Convolutions become sparse where that pays, equal to TFLM's dense CONV_2D bit for bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.device_tools import needs_emulator
from tests.support.models.operator_models import GraphBuilder
from tests.support.models.separable_models import Conv, conv_model
from tflm_sparsesep import runtimes
from tflm_sparsesep.benchmark import benchmark
from tflm_sparsesep.converters.errors import ModelError
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.op_names import SPARSE_CONV_2D, SPARSE_FULLY_CONNECTED
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.selected_variants import variants_of
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.converters.tflite.editor import Tensor

TARGETS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")
IMAGE = (1, 8, 8, 32)


def random_conv(
    rng: np.random.Generator,
    units: int,
    kernel: tuple[int, int, int],
    *,
    zeros: float = 0.9,
    stride: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    dilation: int = 1,
    activation: str = "RELU",
) -> Conv:
    """A convolution of kernel height, width, channels for inputs of scale 0.02."""
    weights = rng.integers(-127, 128, (units, *kernel)) * (rng.random((units, *kernel)) >= zeros)
    return Conv(
        weights=weights.astype(np.int8),
        bias=rng.integers(-5000, 5000, units).astype(np.int32),
        weight_scales=rng.uniform(0.001, 0.004, units).astype(np.float32),
        output_scale=0.05,
        output_zero_point=int(rng.integers(-128, 128)),
        stride=stride,
        padding=padding,
        activation=activation,
        dilation=dilation,
    )


def images(rng: np.random.Generator, shape: tuple[int, ...], count: int = 10) -> np.ndarray:
    return rng.integers(-128, 128, (count, *shape[1:])).astype(np.int8)


def names(tflite: bytes) -> list[str]:
    return [op.op_name for op in editor.read(tflite).operators]


@pytest.mark.parametrize("target", TARGETS)
def test_a_3x3_convolution_becomes_sparse_with_the_same_outputs(target: str) -> None:
    rng = np.random.default_rng(0)
    dense = conv_model([random_conv(rng, 24, (3, 3, 32))], IMAGE)
    result = rewrite(dense, target=target)
    (decision,) = result.layers
    assert decision.rewritten, decision.reason
    assert (decision.rows, decision.cols, decision.batch) == (24, 288, 64)
    assert decision.packed_bytes is not None
    assert decision.dense_bytes is not None
    assert decision.packed_bytes < decision.dense_bytes
    assert decision.scratch_bytes is not None
    assert 0 < decision.scratch_bytes <= 4 * 288 * 16
    assert names(result.tflite) == [SPARSE_CONV_2D]
    inputs = images(rng, IMAGE)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, inputs)[0], runtimes.run(dense, inputs)[0]
    )


def test_random_convolutions_equal_tflm() -> None:
    rng = np.random.default_rng(1)
    rewritten = 0
    for number in range(60):
        height, width = (int(n) for n in rng.integers(1, 6, 2))
        kernel = (height, width, int(rng.choice([1, 3, 8, 13, 16])))
        conv = random_conv(
            rng,
            int(rng.integers(4, 24)),
            kernel,
            zeros=0.97,
            stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
            padding=str(rng.choice(["SAME", "VALID"])),
            dilation=int(rng.integers(1, 4)) if number % 3 == 0 else 1,
            activation=str(rng.choice(["NONE", "RELU", "RELU6"])),
        )
        if conv.dilation > 1:
            conv = dataclasses.replace(conv, stride=(1, 1))
        shape = (1, *(int(n) for n in rng.integers(13, 20, 2)), kernel[2])
        dense = conv_model([conv], shape)
        result = rewrite(dense, target=str(rng.choice(TARGETS)))
        if not result.layers[0].rewritten:
            continue
        rewritten += names(result.tflite) == [SPARSE_CONV_2D]
        inputs = images(rng, shape, 3)
        np.testing.assert_array_equal(
            runtimes.run(result.tflite, inputs)[0], runtimes.run(dense, inputs)[0]
        )
    assert rewritten > 25


def test_a_shortcut_of_stride_2_becomes_sparse() -> None:
    rng = np.random.default_rng(2)
    dense = conv_model([random_conv(rng, 64, (1, 1, 32), stride=(2, 2))], (1, 16, 16, 32))
    result = rewrite(dense, target="cortex-m4")
    assert names(result.tflite) == [SPARSE_CONV_2D]
    inputs = images(rng, (1, 16, 16, 32))
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, inputs)[0], runtimes.run(dense, inputs)[0]
    )


def test_a_convolution_that_would_grow_stays() -> None:
    """Its few outputs do not save what the header of the blob takes."""
    rng = np.random.default_rng(3)
    dense = conv_model([random_conv(rng, 4, (3, 3, 4), zeros=0.0)], (1, 9, 9, 4))
    (decision,) = rewrite(dense, target="cortex-m4").layers
    assert not decision.rewritten
    assert decision.reason == "0.7% zeros: packed would take 296 bytes, dense takes 256"


def test_a_convolution_without_zeros_gains() -> None:
    """The file loses the quantization of each channel, and the interleaved kernel is faster."""
    rng = np.random.default_rng(3)
    dense = conv_model([random_conv(rng, 16, (3, 3, 8), zeros=0.0)], (1, 9, 9, 8))
    result = rewrite(dense, target="cortex-m4")
    (decision,) = result.layers
    assert decision.dense_bytes == 16 * (9 * 8 + 28)
    assert decision.rewritten
    assert len(result.tflite) < len(dense)
    x = images(rng, (1, 9, 9, 8))
    np.testing.assert_array_equal(runtimes.run(result.tflite, x)[0], runtimes.run(dense, x)[0])


def test_a_grouped_convolution_stays() -> None:
    rng = np.random.default_rng(4)
    dense = conv_model([random_conv(rng, 16, (3, 3, 4))], (1, 9, 9, 8))
    (decision,) = rewrite(dense, target="cortex-m4").layers
    assert not decision.rewritten
    assert decision.reason == "no sparse kernel for grouped convolutions"


def block_sparse(rng: np.random.Generator, conv: Conv, zeros: float) -> Conv:
    """The convolution with zeros in blocks of 4x4, as the packer sees its weights."""
    units, height, width, channels = conv.weights.shape
    kept = rng.random((units // 4, height, width, channels // 4)) >= zeros
    weights = rng.integers(-127, 128, conv.weights.shape) * kept.repeat(4, 0).repeat(4, 3)
    return dataclasses.replace(conv, weights=weights.astype(np.int8))


def test_on_the_host_blocks_win_and_few_zeros_do_not() -> None:
    rng = np.random.default_rng(9)
    conv = random_conv(rng, 64, (3, 3, 64))
    shape = (1, 28, 28, 64)
    model = conv_model([block_sparse(rng, conv, 0.9)], shape)
    result = rewrite(model, target="host")
    (decision,) = result.layers
    assert decision.rewritten, decision.reason
    assert names(result.tflite) == [SPARSE_CONV_2D]
    inputs = images(rng, shape)
    (expected,) = runtimes.run(model, inputs)
    for runtime in ("tflm", "litert"):
        (found,) = runtimes.run(result.tflite, inputs, runtime=runtime)
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    (decision,) = rewrite(conv_model([block_sparse(rng, conv, 0.2)], shape), target="host").layers
    assert not decision.rewritten


@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m55", "host"])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (1, 4)])
def test_float_convolutions_become_sparse(target: str, kernel: tuple[int, int]) -> None:
    graph = GraphBuilder(21, quantized=False)
    graph.conv(graph.input(1, 14, 15, 64), 64, kernel, activation="RELU6", padding="VALID")
    weights = graph.operators[0].weights
    kept = graph.rng.random((16, *kernel, 16)) >= 0.95
    assert weights.array is not None
    values = weights.array * kept.repeat(4, 0).repeat(4, 3)
    graph.operators[0].inputs[1] = Tensor.constant("weights", values.astype(np.float32))
    model, inputs = graph.build(), graph.samples(5)
    result = rewrite(model, target=target)
    (decision,) = result.layers
    assert decision.rewritten, decision.reason
    assert decision.sparse_instructions is not None
    assert decision.dense_instructions is not None
    assert decision.sparse_instructions < decision.dense_instructions
    (described,) = inspect_model(result.tflite, target=target)
    assert described.sparse_instructions == decision.sparse_instructions
    assert described.dense_instructions == decision.dense_instructions
    (expected,) = runtimes.run(model, inputs)
    # About 30 weights a sum, each rounded.
    bound = 1e-5 * np.abs(expected).max()
    for runtime in ("tflm", "litert"):
        (found,) = runtimes.run(result.tflite, inputs, runtime=runtime)
        np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=bound)


def test_pixels_side_by_side_are_left_to_the_fully_connected_kernels() -> None:
    rng = np.random.default_rng(5)
    dense = conv_model([random_conv(rng, 32, (1, 1, 32))], IMAGE)
    assert names(rewrite(dense, target="cortex-m4").tflite) == [SPARSE_FULLY_CONNECTED]


@pytest.mark.slow
@needs_emulator
def test_for_speed_a_layer_may_grow_by_a_fifth() -> None:
    """With few outputs the header of the blob outweighs what the file loses of the dense layer."""
    conv = random_conv(np.random.default_rng(0), 5, (1, 1, 8), zeros=0.0, activation="NONE")
    dense = conv_model([conv], (1, 25, 5, 8))
    assert not rewrite(dense, target="cortex-m4").layers[0].rewritten
    result = rewrite(dense, target="cortex-m4", prefer="speed")
    (decision,) = result.layers
    assert decision.rewritten
    assert decision.dense_bytes is not None
    assert decision.packed_bytes is not None
    assert decision.dense_instructions is not None
    assert decision.dense_bytes < decision.packed_bytes < 1.2 * decision.dense_bytes
    (figures,) = benchmark(result.tflite, target="cortex-m4")
    assert figures.bit_exact
    assert figures.sparse_instructions < decision.dense_instructions


@pytest.mark.parametrize("target", TARGETS)
def test_inspect_shows_what_was_converted(target: str) -> None:
    rng = np.random.default_rng(6)
    result = rewrite(conv_model([random_conv(rng, 24, (3, 3, 32))], IMAGE), target=target)
    (decided,), (inspected,) = result.layers, inspect_model(result.tflite, target=target)
    for field in ("rows", "cols", "batch", "zeros", "pattern", "index", "packed_bytes"):
        assert getattr(inspected, field) == getattr(decided, field)
    assert inspected.sparse_instructions == decided.sparse_instructions
    assert inspected.dense_instructions == decided.dense_instructions
    assert inspected.scratch_bytes == decided.scratch_bytes
    assert variants_of(result.tflite, target=target) == [inspected.variant]


def test_a_damaged_blob_is_an_error() -> None:
    rng = np.random.default_rng(7)
    result = rewrite(conv_model([random_conv(rng, 24, (3, 3, 32))], IMAGE), target="cortex-m4")
    model = editor.read(result.tflite)
    (operator,) = model.operators
    blob = operator.inputs[1]
    assert blob is not None
    assert blob.array is not None
    damaged = blob.array.copy()
    damaged[6] = 0  # kernel_height
    operator.inputs[1] = editor.Tensor.constant("packed", damaged)
    with pytest.raises(ModelError, match="illegal rows, cols or block"):
        inspect_model(editor.write(model), target="cortex-m4")


@pytest.mark.slow
@needs_emulator
@pytest.mark.parametrize("target", TARGETS)
def test_estimates_are_close_to_counts(target: str) -> None:
    rng = np.random.default_rng(8)
    # Limits of int8: the cost model is for these.
    convs = [
        random_conv(rng, 32, (3, 3, 16), zeros=0.92, activation="NONE"),
        random_conv(rng, 32, (3, 3, 32), zeros=0.95, stride=(2, 2), activation="NONE"),
        random_conv(rng, 40, (5, 5, 32), zeros=0.97, padding="VALID", activation="NONE"),
    ]
    result = rewrite(conv_model(convs, (1, 16, 16, 16)), target=target)
    estimates = {layer.name: layer.sparse_instructions for layer in result.layers}
    figures = benchmark(result.tflite, target=target)
    assert len(figures) == 3
    for layer in figures:
        assert layer.bit_exact
        assert layer.sparse_instructions == pytest.approx(estimates[layer.name], rel=0.05)
