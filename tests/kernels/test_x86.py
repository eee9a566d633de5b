"""The x86 kernels on processors with and without their ISA, against the oracle and each other.

The first processor is emulated without AVX2: the same library must not touch it there.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.kernels import emulated
from tests.support.layers import check_outputs
from tflm_sparsesep.converters.blob.format import Layout, ValueType
from tflm_sparsesep.converters.blob.layouts import LAYOUTS

COMPILER, EMULATOR = "gcc", "qemu-x86_64"
MISSING = [tool for tool in (COMPILER, EMULATOR) if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.sweep,
    pytest.mark.xdist_group("x86"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="not an x86-64 machine"),
    pytest.mark.skipif(
        bool(MISSING), reason=f"{' and '.join(MISSING)} not found: sudo apt install qemu-user"
    ),
]

INTEGER_LAYOUTS = [layout for layout in LAYOUTS if layout.value_type is not ValueType.FLOAT32]
AVX2_NAMES = (
    *(f"{pattern}_delta8_int8" for pattern in ("1x1", "1x4", "4x1", "2x4", "4x4", "1x16")),
    *(f"{pattern}_delta8_float32" for pattern in ("1x4", "4x1", "4x4", "1x16")),
    "1x1_u16_int8",
    "1x1_u16_float32",
)
# By name of the processor, the ISA of a layout's kernel there.
PROCESSORS: dict[str, Callable[[Layout], str]] = {
    "Nehalem": lambda layout: "scalar",
    "Haswell": lambda layout: "avx2" if str(layout) in AVX2_NAMES else "scalar",
}


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return emulated.link(COMPILER, tmp_path_factory.mktemp("x86"))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_equals_reference(
    programs: dict[str, Path], processor: str, layout: Layout, tmp_path: Path
) -> None:
    cases = emulated.random_cases(layout, 120)
    command = [EMULATOR, "-cpu", processor, str(programs["double"])]
    outputs, variants = emulated.run_all(command, cases, layout, tmp_path)
    for case, output in zip(cases, outputs, strict=True):
        check_outputs(case, output)
    isa = PROCESSORS[processor](layout)
    assert all(name.endswith(f"_{isa}") for name in variants), variants


@pytest.mark.parametrize("layout", INTEGER_LAYOUTS, ids=str)
def test_single_rounding_is_the_same_on_all(
    programs: dict[str, Path], layout: Layout, tmp_path: Path
) -> None:
    cases = emulated.random_cases(layout, 40)
    emulators = [[EMULATOR, "-cpu", processor] for processor in PROCESSORS]
    first, *others = (
        emulated.run_all([*prefix, str(programs["single"])], cases, layout, tmp_path)[0]
        for prefix in (*emulators, [])
    )
    for outputs in others:
        for output, expected in zip(outputs, first, strict=True):
            np.testing.assert_array_equal(output, expected)
