"""Every C file of kernels and op core compiles for every core at every optimization level.

By gcc and LLVM, without any flag beyond core, level and language.

Without optimisation compilers keep a frame pointer and spill everything: assembly with many
operands runs out of registers there first.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.device_tools import needs_arm_compiler, needs_clang
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


OPERATORS = ("fully_connected", "separable_conv", "paged_fully_connected", "paged_sparse_conv")
LLVM_CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")


def sources() -> list[str]:
    root = source_dir()
    found = [*(root / "kernels").rglob("*.c"), *(root / "custom_ops/core").glob("*.c")]
    assert len(found) > 80
    return [str(path) for path in sorted(found)]


def compile_all(compiler: tuple[str, ...], flags: tuple[str, ...], folder: Path) -> None:
    root = source_dir()
    command = [
        *(*compiler, *flags, "-std=c11", "-Wall", "-Wextra", "-Werror"),
        *(f"-I{root / name}" for name in ("kernels", "kernels/include", "custom_ops")),
        *("-c", *sources()),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def c_library() -> str:
    """Return the include directory of the C library that comes with the Arm compiler."""
    command = ["arm-none-eabi-gcc", "-xc", "-M", "-"]
    done = subprocess.run(
        command, input="#include <string.h>", capture_output=True, text=True, check=True
    )
    return str(next(Path(x).parent for x in done.stdout.split() if x.endswith("/string.h")))


@pytest.mark.parametrize(
    ("flags", "level"), [pytest.param(flags, level, id=f"{n}{level}") for n, flags, level in CASES]
)
def test_gcc_compiles_without_warnings(flags: tuple[str, ...], level: str, tmp_path: Path) -> None:
    compile_all(("arm-none-eabi-gcc",), (*flags, level), tmp_path)


@needs_clang
@pytest.mark.parametrize("core", LLVM_CORES)
@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3"])
def test_llvm_compiles_without_warnings(core: str, level: str, tmp_path: Path) -> None:
    clang = ("clang", "--target=arm-none-eabi", "-isystem", c_library())
    # LLVM takes the FPU from -mcpu, and knows no -mfpu=auto.
    flags = [flag for flag in TARGETS[core].gcc_flags if flag != "-mfpu=auto"]
    compile_all(clang, (*flags, level), tmp_path)


@pytest.mark.parametrize("core", LLVM_CORES)
def test_links_as_one_program(core: str, tmp_path: Path) -> None:
    """What only assembly names survives optimization at link time."""
    flags = (*TARGETS[core].gcc_flags, "-O2", "-flto")
    compile_all(("arm-none-eabi-gcc",), flags, tmp_path)
    main = tmp_path / "main.c"
    names = [f"sparsesep_{op}_{part}" for op in OPERATORS for part in ("init", "prepare", "eval")]
    main.write_text(
        "".join(f"void {name}(void);\n" for name in names)
        + "void (*volatile used)(void);\nint main(void) {\n"
        + "".join(f"  used = {name};\n" for name in names)
        + "  return 0;\n}\nvoid _exit(int status) { for (;;) (void)status; }\n"
    )
    objects = [str(path) for path in sorted(tmp_path.glob("*.o"))]
    command = [
        *("arm-none-eabi-gcc", *flags, "-Wno-lto-type-mismatch", "--specs=nosys.specs"),
        *(str(main), *objects, "-o", "program.elf"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
