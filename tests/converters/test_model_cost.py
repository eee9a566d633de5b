"""The cost of a model: the sum of its operators, against what TFLM executes."""

from __future__ import annotations

import pytest

from tests.support.models.shared_models import shared_model
from tflm_sparsesep.converters import model_cost
from tflm_sparsesep.converters.tflite import editor

# Instructions of MLPerf Tiny's int8 models in TFLM (commit 90b983c2, CMSIS-NN 4ab83cc3, -O3),
# counted in QEMU operator by operator: of the layers with weights, and of all operators.
COUNTS = {
    "kws_ref_model.tflite": {
        "cortex-m0": (28_810_274, 29_003_164),
        "cortex-m3": (10_433_687, 10_544_633),
        "cortex-m4": (7_790_327, 7_844_702),
        "cortex-m7": (7_706_224, 7_760_659),
        "cortex-m33": (7_746_140, 7_800_515),
        "cortex-m55": (1_771_722, 1_784_709),
    },
    "vww_96_int8.tflite": {
        "cortex-m0": (86_784_008, 86_876_418),
        "cortex-m3": (32_036_016, 32_082_164),
        "cortex-m4": (24_699_906, 24_719_137),
        "cortex-m7": (24_463_337, 24_482_608),
        "cortex-m33": (24_521_585, 24_540_825),
        "cortex-m55": (6_424_920, 6_432_293),
    },
    "pretrainedResnet_quant.tflite": {
        "cortex-m0": (90_658_921, 97_571_615),
        "cortex-m3": (39_293_655, 41_758_051),
        "cortex-m4": (27_502_164, 29_874_210),
        "cortex-m7": (27_555_828, 29_937_986),
        "cortex-m33": (27_506_636, 29_931_385),
        "cortex-m55": (4_404_908, 4_810_853),
    },
    "ad01_int8.tflite": {
        "cortex-m0": (1_762_460, 1_762_460),
        "cortex-m3": (955_530, 955_530),
        "cortex-m4": (581_932, 581_932),
        "cortex-m7": (582_200, 582_200),
        "cortex-m33": (582_184, 582_184),
        "cortex-m55": (149_560, 149_560),
    },
    "str_ww_ref_model.tflite": {
        "cortex-m0": (9_314_661, 9_319_102),
        "cortex-m3": (4_263_137, 4_264_557),
        "cortex-m4": (2_223_989, 2_225_414),
        "cortex-m7": (2_185_271, 2_186_736),
        "cortex-m33": (2_217_976, 2_219_404),
        "cortex-m55": (408_550, 410_098),
    },
}


@pytest.mark.parametrize(
    "target", ["cortex-m0", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"]
)
@pytest.mark.parametrize("name", COUNTS)
def test_a_model_takes_what_tflm_executes(name: str, target: str) -> None:
    model = editor.read(shared_model(name))
    layers, operators = COUNTS[name][target]
    found = sum(model_cost.layer_instructions(model, [], target).values())
    assert found == pytest.approx(layers, rel=0.01)
    assert model_cost.instructions(model, [], target) == pytest.approx(operators, rel=0.01)
    assert model_cost.uncounted(model, [], target) == []
