"""Depthwise operators as shapes, and their separated form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.models.operator_models import GraphBuilder
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.break_even import break_even_depthwise, depthwise_form
from tflm_sparsesep.converters.cost.depthwise_conv import DepthwiseShape, dense_instructions
from tflm_sparsesep.converters.layers import depthwise as depthwise_layer
from tflm_sparsesep.converters.layers.quantized import Unsupported
from tflm_sparsesep.converters.targets import TARGETS

DEVICES = [name for name in TARGETS if TARGETS[name].qemu_machine]


ROOT = Path(__file__).parents[3]


def test_an_operator_as_a_shape() -> None:
    graph = GraphBuilder(0, quantized=True)
    graph.conv(graph.input(1, 9, 8, 4), 8, (5, 3), stride=(2, 1), padding="VALID", depthwise=True)
    (op,) = graph.operators
    shape = depthwise_layer.shape_of(op)
    assert shape == DepthwiseShape(
        (9, 8), 4, (5, 3), (2, 1), same=False, multiplier=2, parameter_bytes=8 * 28
    )
    assert shape.output == op.outputs[0].shape[1:3]
    assert model_cost.dense_instructions(op, "cortex-m3") == dense_instructions("cortex-m3", shape)
    op.options = None
    with pytest.raises(Unsupported):
        depthwise_layer.shape_of(op)
    assert model_cost.dense_instructions(op, "cortex-m3") == 0


@pytest.mark.parametrize("same", [True, False])
def test_two_stages_end_where_one_does(same: bool) -> None:
    shape = DepthwiseShape((13, 10), 16, (5, 7), (2, 3), same)
    assert shape.stages[1].output == shape.output


@pytest.mark.parametrize("target", DEVICES)
def test_what_two_layers_take(target: str) -> None:
    conv = DepthwiseShape((12, 12), 32, (7, 7), parameter_bytes=32 * 28)
    form = break_even_depthwise(conv, target)
    assert form is not None
    assert (form.bytes, form.rank) == (32 * 14 + 2 * 32 * 28, 1)
    assert form.instructions < conv.dense(target).instructions
    assert break_even_depthwise(DepthwiseShape((12, 12), 32, (3, 3)), target) is None
    for one in (
        DepthwiseShape((12, 12), 32, (9, 1)),
        DepthwiseShape((12, 12), 4, (9, 9), multiplier=2),
        DepthwiseShape((12, 12), 4, (3, 3), dilation=(2, 2)),
    ):
        assert depthwise_form(one, target) is None


def test_the_table_in_the_docs() -> None:
    lines = (ROOT / "docs/compression.md").read_text().splitlines()
    for taps in (3, 5, 7):
        conv = DepthwiseShape((25, 5), 64, (taps, taps), parameter_bytes=64 * 28)
        ratios = []
        for target in ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55"):
            two = depthwise_form(conv, target)
            assert two is not None
            ratios.append(f"{two.instructions / conv.dense(target).instructions:.2f}")
        assert f"| {taps}x{taps} | {' | '.join(ratios)} |" in lines
