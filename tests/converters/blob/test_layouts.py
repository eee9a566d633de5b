"""The layouts of the C lists, as Python sees them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tflm_sparsesep.converters import native
from tflm_sparsesep.converters.blob.layouts import LAYOUTS, layouts_for
from tflm_sparsesep.converters.errors import ConfigError

KERNELS = Path(__file__).parents[3] / "kernels"
# Layouts that replace others: of the DSP extension, of Helium, and those for phones and PCs.
_INTERLEAVED = {"2x4_delta8_int8_woven", "4x4_delta8_int8_woven", "4x4_dense_int8_woven"}
_BLOCKS = {"2x4_delta8_int8", "4x4_delta8_int8"}
_WINDOWS = {f"{pattern}_window8_int8" for pattern in ("1x1", "1x4", "4x1", "2x4", "4x4")}
_FLOAT_BLOCKS = {f"{pattern}_delta8_float32" for pattern in ("1x4", "4x1", "4x4", "1x16")}
_EVERYTHING = {str(layout) for layout in LAYOUTS}
_PLAIN = _EVERYTHING - _INTERLEAVED - _WINDOWS - _FLOAT_BLOCKS
EXPECTED = {
    "host": _EVERYTHING,
    "cortex-m0": _PLAIN,
    "cortex-m3": _PLAIN,
    **dict.fromkeys(("cortex-m4", "cortex-m7", "cortex-m33"), _PLAIN - _BLOCKS | _INTERLEAVED),
    "cortex-m55": _PLAIN
    - _BLOCKS
    - {"1x4_delta8_int8", "4x1_delta8_int8"}
    - {"4x1_offset16_int8_column"}
    | _WINDOWS,
}


def test_names_are_those_of_the_list() -> None:
    rows = (KERNELS / "sparse_fully_connected/layouts.inc").read_text()
    names = re.findall(r"^SPARSESEP_LAYOUT\((\w+),", rows, re.MULTILINE)
    assert [str(layout) for layout in LAYOUTS] == names
    assert len(set(names)) == len(names) == 24


@pytest.mark.parametrize("target", EXPECTED)
def test_targets_have_kernels_for_their_layouts_and_no_others(target: str) -> None:
    assert {str(layout) for layout in layouts_for(target)} == EXPECTED[target]


def test_a_variant_is_named_by_its_layout_and_instruction_set() -> None:
    for header, layout in zip(native.layout_headers(), LAYOUTS, strict=True):
        for target in EXPECTED:
            name = native.variant_name(header, target=target, is_header=True)
            assert name is None or name.rpartition("_")[0] == str(layout)


def test_every_list_has_one_kernel_for_a_layout_and_an_isa() -> None:
    lists = sorted((KERNELS / "variants").glob("variants_*.inc"))
    assert len(lists) == 10
    for path in lists:
        pattern = r"^SPARSESEP_VARIANT\((\w+), (\w+),"
        rows = re.findall(pattern, path.read_text(), re.MULTILINE)
        assert len(set(rows)) == len(rows), path.name
        if path.stem != "variants_x86":  # x86 alone selects the ISA at run time
            assert len({layout for layout, _ in rows}) == len(rows), path.name


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ConfigError, match="target 'z80' is unknown"):
        layouts_for("z80")
