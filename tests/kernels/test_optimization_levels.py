"""Every C file of kernels and op core compiles for every core at every optimisation level.

Without optimisation compilers keep a frame pointer and spill everything: assembly with many
operands runs out of registers there first.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.device_tools import needs_arm_compiler
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.sources import source_dir

pytestmark = [
    pytest.mark.slow,
    needs_arm_compiler,
]

LEVELS = ("-O0", "-Og", "-Os", "-O2", "-O3")
# A core without a board in QEMU: the baseline of Armv8-M, which runs the kernels for Armv6-M.
CORTEX_M23 = ("-mcpu=cortex-m23", "-mthumb", "-mfloat-abi=soft")
# One core of each instruction set at all levels; others of the same set where it is hardest.
CASES = [
    *(("cortex-m23", CORTEX_M23, level) for level in LEVELS),
    *(
        (name, TARGETS[name].gcc_flags, level)
        for name in ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")
        for level in LEVELS
    ),
    *((name, TARGETS[name].gcc_flags, "-O0") for name in ("cortex-m7", "cortex-m33")),
]


@pytest.mark.parametrize(
    ("flags", "level"), [pytest.param(flags, level, id=f"{n}{level}") for n, flags, level in CASES]
)
def test_compiles_without_warnings(flags: tuple[str, ...], level: str, tmp_path: Path) -> None:
    root = source_dir()
    sources = [*(root / "kernels").rglob("*.c"), *(root / "custom_ops/core").glob("*.c")]
    assert len(sources) > 80
    command = [
        *("arm-none-eabi-gcc", *flags, level, "-std=c11", "-masm-syntax-unified"),
        *("-Wall", "-Wextra", "-Werror"),
        *(f"-I{root / folder}" for folder in ("kernels", "kernels/include", "custom_ops")),
        "-c",
        *map(str, sources),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
