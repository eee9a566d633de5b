"""The selection of a layout: better than dense first, then the product or a preference."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.models.dense_models import (
    single_layer_model,
    sparse_weights,
)
from tflm_sparsesep.converters.cost import fully_connected
from tflm_sparsesep.converters.cost.break_even import break_even_zeros
from tflm_sparsesep.converters.cost.choose_layout import choose_layout
from tflm_sparsesep.converters.cost.cost import Cost
from tflm_sparsesep.converters.cost.shapes import MatrixShape
from tflm_sparsesep.converters.errors import ConfigError
from tflm_sparsesep.converters.layers.matrix import read_matrix_layer
from tflm_sparsesep.converters.rewrite import rewrite
from tflm_sparsesep.converters.tflite import editor
from tflm_sparsesep.runtimes import run


@pytest.mark.parametrize("zeros", [0.52, 0.56, 0.6, 0.64])
def test_a_layout_that_is_smaller_and_faster_comes_before_the_best_product(zeros: float) -> None:
    """On M4 the best product is that of a layout that is larger, or slower, than dense here."""
    weights = sparse_weights(128, 640, zeros)
    layer = read_matrix_layer(
        editor.read(single_layer_model(weights)).subgraphs[0].operators[0]
    ).weights
    dense = Cost(weights.size, fully_connected.dense_instructions("cortex-m4", 128, 640, 1))
    by_product = choose_layout(layer, "cortex-m4", 1)
    assert by_product is not None
    best = choose_layout(layer, "cortex-m4", 1, dense=dense)
    assert best is not None
    assert best.beats(dense)
    assert best.bytes * best.instructions >= by_product.bytes * by_product.instructions
    (decision,) = rewrite(single_layer_model(weights), target="cortex-m4").layers
    assert decision.rewritten


def test_some_best_products_do_not_beat_dense() -> None:
    """Or the test before would show nothing."""
    weights = sparse_weights(128, 640, 0.56)
    layer = read_matrix_layer(
        editor.read(single_layer_model(weights)).subgraphs[0].operators[0]
    ).weights
    dense = Cost(weights.size, fully_connected.dense_instructions("cortex-m4", 128, 640, 1))
    by_product = choose_layout(layer, "cortex-m4", 1)
    assert by_product is not None
    assert not by_product.beats(dense)


def test_plan_and_rewriting_agree_from_which_zeros_on_a_layer_pays() -> None:
    """`plan` uses random positions of zeros, too, in steps of half a percent."""
    shape = MatrixShape(rows=128, cols=640, parameter_bytes=512 + 24)
    form = break_even_zeros(shape, "cortex-m4", "1x1")
    assert form is not None
    assert form.zeros is not None
    above = rewrite(
        single_layer_model(sparse_weights(128, 640, form.zeros + 0.01)), target="cortex-m4"
    )
    assert above.layers[0].rewritten
    below = rewrite(
        single_layer_model(sparse_weights(128, 640, form.zeros - 0.02)), target="cortex-m4"
    )
    assert not below.layers[0].rewritten


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m4"])
def test_a_preference_takes_the_smallest_or_the_fastest_layout(target: str) -> None:
    few_values = np.sign(sparse_weights(100, 300, 0.9)).astype(np.int8) * 100
    data = single_layer_model(few_values)
    found = {p: rewrite(data, target=target, prefer=p) for p in (None, "flash", "speed")}
    bytes_of, time_of = {}, {}
    for p, r in found.items():
        (decision,) = r.layers
        assert decision.packed_bytes is not None
        assert decision.sparse_instructions is not None
        bytes_of[p], time_of[p] = decision.packed_bytes, decision.sparse_instructions
    assert bytes_of["flash"] == min(bytes_of.values())
    assert time_of["speed"] == min(time_of.values())
    assert bytes_of["flash"] < bytes_of["speed"]  # the palette; its kernel is slow
    assert time_of["flash"] > time_of["speed"]
    assert all(r.layers[0].rewritten for r in found.values())
    x = np.random.default_rng(0).integers(-128, 128, (8, 300)).astype(np.int8)
    outputs = [run(r.tflite, x)[0] for r in found.values()]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


def test_a_preferred_layout_still_beats_the_dense_layer() -> None:
    """The smallest layout of a layer of few zeros is slower than dense."""
    weights = sparse_weights(128, 640, 0.56)
    (decision,) = rewrite(single_layer_model(weights), target="cortex-m4", prefer="flash").layers
    assert decision.rewritten
    assert decision.sparse_instructions is not None
    assert decision.dense_instructions is not None
    assert decision.sparse_instructions < decision.dense_instructions


def test_an_unknown_preference_is_an_error() -> None:
    with pytest.raises(ConfigError, match="prefer='size'; accepted: flash, speed, or None"):
        rewrite(single_layer_model(sparse_weights(8, 8, 0.5)), target="cortex-m4", prefer="size")  # type: ignore[arg-type]
