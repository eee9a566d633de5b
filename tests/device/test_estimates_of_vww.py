"""A real quantization on the emulated cores: rows of zeros, dead channels, many multipliers."""

from __future__ import annotations

import pytest

from tests.support.device_tools import needs_emulator
from tests.support.models.shared_models import needs_shared_models, shared_model
from tflm_sparsesep.benchmark import benchmark
from tflm_sparsesep.converters.rewrite import rewrite

pytestmark = [
    pytest.mark.slow,
    needs_emulator,
    needs_shared_models,
]

MOST_ERROR = 0.05


@pytest.mark.parametrize("target", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55"])
def test_every_layer_takes_what_was_estimated(target: str) -> None:
    result = rewrite(shared_model("vww_96_int8.tflite"), target=target)
    estimates = {x.name: x.sparse_instructions or 0 for x in result.layers if x.rewritten}
    figures = benchmark(result.tflite, target=target)
    assert all(layer.bit_exact for layer in figures)
    errors = {x.name: estimates[x.name] / x.sparse_instructions - 1 for x in figures}
    assert errors.keys() == estimates.keys()
    assert {name: error for name, error in errors.items() if abs(error) > MOST_ERROR} == {}
