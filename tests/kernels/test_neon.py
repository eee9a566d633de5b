"""The Neon kernels, cross-compiled and emulated, against the oracle and against this machine's."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.kernels import emulated
from tests.support import native_ops
from tests.support.layers import check_outputs
from tflm_sparsesep.converters.blob.format import IndexEncoding, Layout, ValueOrder, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS
from tflm_sparsesep.converters.blob.pack import pack

COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
MISSING = [tool for tool in (COMPILER, EMULATOR) if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.sweep,
    pytest.mark.xdist_group("neon"),
    pytest.mark.skipif(
        bool(MISSING),
        reason=f"{' and '.join(MISSING)} not found: "
        "sudo apt install gcc-aarch64-linux-gnu qemu-user",
    ),
]

INTEGER_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is not ValueType.FLOAT32]
NEON_LAYOUTS = (
    Layout(IndexEncoding.DELTA8, 1, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 4, 1, count_multiple=2, value_order=ValueOrder.PAIRS),
    Layout(IndexEncoding.DELTA8, 2, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 4, 4, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 1, 16, count_multiple=1),
    Layout(IndexEncoding.DELTA8, 1, 1),
    Layout(IndexEncoding.U16, 1, 1),
)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return emulated.build(COMPILER, tmp_path_factory.mktemp("neon"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_equals_reference(programs: dict[str, Path], layout: Layout, tmp_path: Path) -> None:
    cases = emulated.random_cases(layout, 120)
    command = [EMULATOR, str(programs["double"])]
    outputs, variants = emulated.run_all(command, cases, layout, tmp_path)
    for case, output in zip(cases, outputs, strict=True):
        check_outputs(case, output)
    assert all(name.endswith("_neon") == (layout in NEON_LAYOUTS) for name in variants), variants


@pytest.mark.parametrize("layout", INTEGER_LAYOUTS, ids=str)
def test_single_rounding_equals_the_portable_kernels(
    programs: dict[str, Path], layout: Layout, tmp_path: Path
) -> None:
    cases = emulated.random_cases(layout, 40)
    command = [EMULATOR, str(programs["single"])]
    outputs, _ = emulated.run_all(command, cases, layout, tmp_path)
    for case, output in zip(cases, outputs, strict=True):
        expected = native_ops.sparse_fully_connected(
            case.options.to_bytes(),
            pack(case.layer, layout),
            case.inputs,
            len(case.layer.bias),
            rounding="single",
        )
        np.testing.assert_array_equal(output, expected)
