"""The C++ that registers our operators compiles for every core, by gcc and LLVM, at every level.

The headers are those of the small TFLM of `support/firmware`, with the interfaces before and since
July 2023. Firmware is built without exceptions and run-time types.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.device_tools import needs_arm_compiler, needs_clang
from tests.support.firmware_build import NEW_API, OLD_API, needs_firmware_tools
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.sources import source_dir

pytestmark = [pytest.mark.slow, needs_arm_compiler, needs_firmware_tools]

CORES = ("cortex-m0", "cortex-m4", "cortex-m55")
# Of the compilers alone, without a flag of ours beyond core, level and language.
LEVELS = ("-O0", "-Os", "-O3", "-O2 -flto")
APIS = {"old": OLD_API, "new": NEW_API}


def libraries(flags: tuple[str, ...]) -> list[str]:
    """Return where the Arm compiler has the headers of C and C++, as options of LLVM."""
    command = ["arm-none-eabi-g++", *flags, "-xc++", "-E", "-v", "-"]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    found = done.stderr.partition("search starts here:\n#include <")[2].splitlines()
    folders = [line.strip() for line in found if line.startswith(" ")]
    # LLVM has headers of its own for those of the compiler.
    kept = [name for name in folders if "/c++/" in name or name.endswith("arm-none-eabi/include")]
    assert kept
    return [f"-isystem{name}" for name in kept]


def compile_glue(compiler: list[str], level: str, api: tuple[Path, ...], folder: Path) -> None:
    root = source_dir()
    sources = sorted((root / "custom_ops/tflm").glob("*.cc"))
    assert {path.name for path in sources} >= {"sparsesep_ops.cc", "sparsesep_paging.cc"}
    includes = [root / name for name in ("custom_ops", "kernels/include", "kernels")]
    command = [
        *(*compiler, *level.split(), "-std=c++17", "-fno-exceptions", "-fno-rtti"),
        *("-Wall", "-Wextra", "-Werror", *(f"-I{path}" for path in (*includes, *api))),
        *("-c", *map(str, sources)),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("core", CORES)
def test_gcc(core: str, api: str, tmp_path: Path) -> None:
    for level in LEVELS:
        compiler = ["arm-none-eabi-g++", *TARGETS[core].gcc_flags]
        compile_glue(compiler, level, APIS[api], tmp_path)


@needs_clang
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("core", CORES)
def test_llvm(core: str, api: str, tmp_path: Path) -> None:
    for level in LEVELS:
        flags = [flag for flag in TARGETS[core].gcc_flags if flag != "-mfpu=auto"]
        includes = libraries(TARGETS[core].gcc_flags)
        compiler = ["clang++", "--target=arm-none-eabi", *flags, *includes]
        compile_glue(compiler, level, APIS[api], tmp_path)
