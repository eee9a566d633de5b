"""Pairs of d x 1 and 1 x d convolutions: what is fused, what stays, and equality in TFLM."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.support.models.separable_models import changed, conv_model, random_pair
from tests.support.separable_layers import random_shape
from tflm_sparsesep import runtimes
from tflm_sparsesep.converters.blob.separable_format import Padding
from tflm_sparsesep.converters.decisions import LayerDecision
from tflm_sparsesep.converters.inspect_model import inspect_model
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.device.synthetic_separable import SeparableShape, random_images
from tflm_sparsesep.runtime.tflm_interpreter import TflmInterpreter

LENET = SeparableShape(12, 12, (20, 10, 50), (5, 5), padding=(Padding.VALID, Padding.VALID))
RESNET = SeparableShape(8, 8, (64, 32, 64), (3, 3))


def operators(tflite: bytes) -> list[str]:
    return [op.op_name for op in editor.read(tflite).operators]


def pair_decisions(layers: list[LayerDecision]) -> list[LayerDecision]:
    return [layer for layer in layers if layer.op == "SEPARABLE_CONV_2D"]


@pytest.mark.parametrize("shape", [LENET, RESNET], ids=["lenet", "resnet"])
@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("activations", [("NONE", "NONE"), ("RELU", "RELU6")])
def test_a_pair_becomes_one_operator_with_the_same_outputs(
    shape: SeparableShape, target: str, activations: tuple[str, str]
) -> None:
    rng = np.random.default_rng(1)
    dense = conv_model(random_pair(rng, shape, activations), shape.input_shape)
    result = rewrite(dense, target=target)
    (decision,) = result.layers
    assert decision.rewritten, decision.reason
    assert (decision.name, decision.op) == ("conv1", "SEPARABLE_CONV_2D")
    assert operators(result.tflite) == ["SEPARABLE_CONV_2D"]
    assert decision.packed_bytes is not None
    # Multipliers and shifts, which TFLM works out at start, and the header are what is added.
    assert decision.packed_bytes < 1.2 * (decision.dense_bytes or 0)
    images = random_images(rng, shape)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, images)[0], runtimes.run(dense, images)[0]
    )


def test_random_pairs_equal_two_convolutions_in_tflm() -> None:
    rng = np.random.default_rng(2)
    fused = 0
    for number in range(60):
        shape = random_shape(rng)
        names = ["NONE", "RELU", "RELU6"]
        convs = random_pair(rng, shape, (str(rng.choice(names)), str(rng.choice(names))))
        dense = conv_model(convs, shape.input_shape)
        # Both orders of weights: that of the DSP extension and the natural one.
        result = rewrite(dense, target=["cortex-m4", "cortex-m3"][number % 2])
        fused += operators(result.tflite) == ["SEPARABLE_CONV_2D"]
        images = random_images(rng, shape)
        np.testing.assert_array_equal(
            runtimes.run(result.tflite, images)[0], runtimes.run(dense, images)[0]
        )
    assert fused > 20


def test_a_pair_between_other_layers() -> None:
    rng = np.random.default_rng(3)
    first = SeparableShape(10, 10, (4, 8, 16), (3, 3))
    second = SeparableShape(10, 10, (16, 8, 12), (5, 3), stride=(2, 2))
    convs = [*random_pair(rng, first), *random_pair(rng, second)]
    dense = conv_model(convs, first.input_shape)
    result = rewrite(dense, target="cortex-m4")
    assert operators(result.tflite) == ["SEPARABLE_CONV_2D"] * 2
    assert [layer.name for layer in result.layers] == ["conv1", "conv3"]
    images = random_images(rng, first)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, images)[0], runtimes.run(dense, images)[0]
    )


def test_nothing_of_the_pair_is_left_in_the_file() -> None:
    rng = np.random.default_rng(4)
    dense = conv_model(random_pair(rng, LENET), LENET.input_shape)
    fused = rewrite(dense, target="cortex-m4").tflite
    tensors = editor.read(fused).subgraphs[0].tensors
    assert [t.name for t in tensors] == ["input", "conv1", "conv1/weights/packed"]


def test_a_read_tensor_between_keeps_the_pair() -> None:
    rng = np.random.default_rng(5)
    dense = conv_model(random_pair(rng, LENET), LENET.input_shape, outputs=(0, 1))
    result = rewrite(dense, target="cortex-m4")
    assert len(operators(result.tflite)) == 2
    assert pair_decisions(result.layers) == []


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        (0, {"dilation": 2}),
        (0, {"stride": (1, 2)}),
        (1, {"stride": (2, 1)}),
        (1, {"activation": "TANH"}),
        (0, {"weights": np.ones((10, 5, 5, 20), np.int8)}),
        (1, {"weights": np.ones((50, 5, 1, 10), np.int8)}),
    ],
)
def test_convolutions_of_other_kinds_stay(number: int, changes: dict[str, object]) -> None:
    convs = changed(random_pair(np.random.default_rng(6), LENET), number, **changes)
    result = rewrite(conv_model(convs, LENET.input_shape), target="cortex-m4")
    assert len(operators(result.tflite)) == 2
    assert pair_decisions(result.layers) == []


def test_weights_too_large_to_be_woven_go_to_another_kernel() -> None:
    # 5 * 160 weights of 127: 128 times their sum is over 2^23, which weaving cannot hold.
    shape = SeparableShape(8, 8, (160, 8, 16), (5, 5))
    convs = random_pair(np.random.default_rng(7), shape)
    convs = changed(convs, 0, weights=np.full((8, 5, 1, 160), 127, np.int8))
    dense = conv_model(convs, shape.input_shape)
    result = rewrite(dense, target="cortex-m4")
    (decision,) = pair_decisions(result.layers)
    assert decision.rewritten
    assert decision.variant == "int8_v7m"
    images = random_images(np.random.default_rng(7), shape)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, images)[0], runtimes.run(dense, images)[0]
    )


def test_the_reason_says_what_changes() -> None:
    dense = conv_model(random_pair(np.random.default_rng(8), LENET), LENET.input_shape)
    (decision,) = rewrite(dense, target="cortex-m4").layers
    pattern = r"pair fused: [\d,]+ -> [\d,]+ instructions on cortex-m4, peak of activations "
    assert re.match(pattern + r"4,160 -> [\d,]+ bytes", decision.reason)


def test_a_pair_that_loses_more_than_it_gains_stays() -> None:
    # Many output channels from a thin middle: the arena would hold input and output at once, and
    # on the host no instruction is saved.
    dense = conv_model(random_pair(np.random.default_rng(9), LENET), LENET.input_shape)
    result = rewrite(dense, target="host")
    (decision,) = pair_decisions(result.layers)
    assert not decision.rewritten
    assert decision.reason.startswith("pair not fused: ")
    assert operators(result.tflite) == ["CONV_2D", "CONV_2D"]


def test_a_leaner_pair_is_fused_where_no_instruction_is_saved() -> None:
    # The intermediate feature map is four times as large as input or output.
    shape = SeparableShape(16, 16, (8, 32, 8), (3, 3))
    dense = conv_model(random_pair(np.random.default_rng(10), shape), shape.input_shape)
    result = rewrite(dense, target="host")
    (decision,) = pair_decisions(result.layers)
    assert decision.rewritten
    assert decision.dense_instructions == decision.sparse_instructions
    images = random_images(np.random.default_rng(11), shape)
    np.testing.assert_array_equal(
        runtimes.run(result.tflite, images)[0], runtimes.run(dense, images)[0]
    )


def test_inspect_tells_of_fused_pairs_before_and_after() -> None:
    dense = conv_model(random_pair(np.random.default_rng(12), LENET), LENET.input_shape)
    result = rewrite(dense, target="cortex-m4")
    (fused,) = inspect_model(result.tflite, target="cortex-m4")
    assert fused.op == "SEPARABLE_CONV_2D"
    assert fused.sparse_instructions == result.layers[0].sparse_instructions
    assert fused.dense_instructions == result.layers[0].dense_instructions
    assert fused.scratch_bytes == result.layers[0].scratch_bytes
    before = inspect_model(dense, target="cortex-m4")
    assert [layer.op for layer in before] == ["CONV_2D", "SEPARABLE_CONV_2D"]
    assert before[0].reason == "fused with what reads it"
    assert before[1] == result.layers[0]


def test_a_fat_middle_leaves_the_arena_of_tflm() -> None:
    shape = SeparableShape(16, 16, (8, 32, 8), (3, 3))
    dense = conv_model(random_pair(np.random.default_rng(13), shape), shape.input_shape)
    fused = rewrite(dense, target="cortex-m4").tflite
    arenas = [TflmInterpreter(data, editor.read(data)).arena_bytes or 0 for data in (dense, fused)]
    # Between the stages lie 8 KiB, of which a row is kept; scratch takes some of that back.
    assert arenas[1] < arenas[0] - 4096
