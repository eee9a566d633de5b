"""The cost of a model: the sum of its layers."""

from __future__ import annotations

import pytest

from tests.support.models.shared_models import SHARED_MODELS, needs_shared_models
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.tflite import editor


@needs_shared_models
def test_the_layers_of_a_model_are_its_instructions() -> None:
    """MLPerf Tiny's keyword spotting, counted in QEMU as a whole: 7697868 on Cortex-M4.

    Mean, softmax and the interpreter are in that count, not in the sum; the sum of the convolutions
    other than depthwise may be off by 6% (`dense_conv_cmsis_nn.json`).
    """
    data = (SHARED_MODELS / "kws_ref_model.tflite").read_bytes()
    model = editor.read(data)
    assert model_cost.instructions(model, [], "cortex-m4") == pytest.approx(7_697_868, rel=0.06)
