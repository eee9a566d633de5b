"""Estimates against the emulated cores, for networks whose quantization is a real one.

Rows of zeros, dead channels, many multipliers.
"""

from __future__ import annotations

import pytest

from tests.support.device_tools import needs_emulator
from tests.support.models.pruned_models import prune_pointwise
from tests.support.models.shared_models import needs_shared_models, shared_model
from tflm_sparsesep.benchmark import benchmark
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.cost.choose_layout import Prefer
from tflm_sparsesep.converters.rewrite import RewriteResult, rewrite
from tflm_sparsesep.converters.tflite import editor

pytestmark = [
    pytest.mark.slow,
    needs_emulator,
    needs_shared_models,
]

MOST_ERROR = 0.05


def check(result: RewriteResult, target: str) -> None:
    """Every layer takes what was estimated, within 5%, and computes the same as in TFLM."""
    estimates = {x.name: x.sparse_instructions or 0 for x in result.layers if x.rewritten}
    figures = benchmark(result.tflite, target=target)
    assert all(layer.bit_exact for layer in figures)
    errors = {x.name: estimates[x.name] / x.sparse_instructions - 1 for x in figures}
    assert errors.keys() == estimates.keys()
    assert {name: error for name, error in errors.items() if abs(error) > MOST_ERROR} == {}


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55"])
def test_the_person_detector(target: str) -> None:
    check(rewrite(shared_model("vww_96_int8.tflite"), target=target), target)


@pytest.mark.parametrize(
    ("block", "prefer", "limit"),
    [(4, None, 1_650_000), (1, "speed", 2_200_000), (1, None, 2_300_000)],
)
def test_the_keyword_spotter_with_90_percent_zeros_in_its_pointwise_layers(
    block: int, prefer: Prefer | None, limit: int
) -> None:
    """Of 7.8M instructions of its layers at most 2.2M are left, without blocks, too.

    There, the product of flash and instructions is smaller with 4-bit gaps.
    """
    data = prune_pointwise(shared_model("kws_ref_model.tflite"), block=block, zeros=0.9)
    result = rewrite(data, target="cortex-m4", prefer=prefer)
    model = editor.read(result.tflite)
    layers = model_cost.layer_instructions(model, result.layers, "cortex-m4")
    total = sum(layers.values())
    assert 0.9 * limit < total <= limit
    check(result, "cortex-m4")
