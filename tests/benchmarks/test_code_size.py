"""Flash of the operator with every kernel of a core."""

from __future__ import annotations

import pytest

from benchmarks.kernels.code_size import FULLY_CONNECTED, SPARSE_CONV, code_size
from tests.support.device_tools import needs_arm_compiler
from tflm_sparsesep.converters.blob.layouts import layouts_for

pytestmark = [
    pytest.mark.slow,
    needs_arm_compiler,
]
# Bytes. Kernels that take several vectors at once need more than one loop, and those of 4x4 blocks
# requantize in their own; those of an extension more still, and so do 4-bit gaps of the DSP
# extension, with words that hold an escape and others, with a palette or without. A header of
# selected variants leaves out what no model needs.
LIMITS = {
    "cortex-m0": 7 * 1024 + 768,
    "cortex-m3": 7 * 1024 + 512,
    "cortex-m4": 11 * 1024 + 384,
    "cortex-m7": 11 * 1024 + 384,
    "cortex-m33": 11 * 1024 + 384,
    "cortex-m55": 8 * 1024 + 256,
}


@pytest.mark.parametrize("target", LIMITS)
def test_operator_with_all_kernels_fits_its_flash(target: str) -> None:
    size = code_size(target)
    assert len(size.kernels) == len(layouts_for(target))
    assert size.total <= LIMITS[target], size
    assert max(size.kernels.values()) <= 1024, size


def test_one_kernel_brings_neither_the_others_nor_their_frames() -> None:
    name = "1x1_u16_int8_dsp"
    alone, whole = code_size("cortex-m4", variants=[name]), code_size("cortex-m4")
    assert list(alone.kernels) == [name]
    assert alone.kernels[name] == whole.kernels[name]
    assert alone.frames < whole.frames
    # The table of variants, 16 bytes a row, is part of the core.
    assert alone.core <= whole.core - 16 * (len(whole.kernels) - 1)


# Bytes with one kernel. Those that take several vectors at once have a second loop and a frame for
# it, 0.9 to 1.7 KB: without these, they would fit 5 KB and an eighth, too.
@pytest.mark.parametrize(
    ("variant", "limit"),
    [
        ("2x4_delta8_int8_woven_dsp", 5 * 1024 + 128),
        ("4x1_delta8_int8_dsp", 5 * 1024),
        ("1x1_delta8_int8_dsp", 6 * 1024 + 512),
        ("1x1_gap4_int8_dsp", 6 * 1024 + 512),
        ("1x1_gap4_palette4_dsp", 6 * 1024 + 768),
        ("4x4_delta8_int8_woven_dsp", 6 * 1024 + 256),
        ("4x4_dense_int8_woven_dsp", 6 * 1024),
    ],
)
def test_two_operators_with_one_kernel_fit_their_flash(variant: str, limit: int) -> None:
    size = code_size("cortex-m4", operators=(FULLY_CONNECTED, SPARSE_CONV), variants=[variant])
    assert list(size.kernels) == [variant]
    assert size.total <= limit, size
