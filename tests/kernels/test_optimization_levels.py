"""Every C file of kernels and op core compiles for every core at every optimization level.

By gcc and LLVM, without any flag beyond core, level, language and warnings. What is empty for a
core is compiled for it by gcc alone, without optimization and at -O2. Where a core has the files
of another, `make soak` compiles them at all levels, `make test` where it is hardest.

Without optimization compilers keep a frame pointer and spill everything: assembly with many
operands runs out of registers there first.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.device_tools import needs_arm_compiler, needs_clang
from tests.support.sweeps import SOAK
from tflm_sparsesep.converters.targets import TARGETS
from tflm_sparsesep.sources import device_kernels, source_dir

pytestmark = [
    pytest.mark.slow,
    pytest.mark.sweep,
    needs_arm_compiler,
]

LEVELS = ("-O0", "-Og", "-Os", "-O2", "-O3")
# A core without a board in QEMU: the baseline of Armv8-M, which runs the kernels for Armv6-M.
CORTEX_M23 = ("-mcpu=cortex-m23", "-mthumb", "-mfloat-abi=soft")
MAIN_CORES = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m55")
FLAGS = {name: TARGETS[name].gcc_flags for name in (*MAIN_CORES, "cortex-m7", "cortex-m33")}
FLAGS["cortex-m23"] = CORTEX_M23
ISAS = {name: TARGETS[name].isa for name in FLAGS if name in TARGETS} | {"cortex-m23": "v6m"}
# One core of each instruction set at all levels; others of the same set where registers are scarce.
CASES = [
    *((name, level) for name in MAIN_CORES for level in LEVELS),
    *(("cortex-m23", level) for level in (LEVELS if SOAK else ("-O0", "-Os"))),
    *((name, "-O0") for name in ("cortex-m7", "cortex-m33")),
]
# What Cortex-M3 has, Cortex-M4 compiles, too.
LLVM_LEVELS = ("-O0", "-Os", "-O3")
LLVM_CASES = [
    (name, level)
    for name in MAIN_CORES
    for level in (LLVM_LEVELS if SOAK or name != "cortex-m3" else ("-O0",))
]


OPERATORS = ("fully_connected", "separable_conv", "paged_fully_connected", "paged_sparse_conv")


def sources(core: str) -> list[Path]:
    """Return the files that hold code for `core`."""
    found = [*device_kernels(ISAS[core]), *(source_dir() / "custom_ops/core").glob("*.c")]
    assert len(found) > 60
    return found


def compile_all(
    compiler: tuple[str, ...], flags: tuple[str, ...], files: list[Path], folder: Path
) -> None:
    root = source_dir()
    command = [
        *(*compiler, *flags, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Wa,--fatal-warnings"),
        *(f"-I{root / name}" for name in ("kernels", "kernels/include", "custom_ops")),
        *("-c", *map(str, files)),
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


def clang(core: str) -> tuple[str, ...]:
    """Return LLVM for `core`: it takes the FPU from -mcpu, and knows no -mfpu=auto."""
    flags = (flag for flag in FLAGS[core] if flag != "-mfpu=auto")
    return ("clang", "--target=arm-none-eabi", "-isystem", c_library(), *flags)


@pytest.mark.parametrize(("core", "level"), CASES)
def test_gcc_compiles_without_warnings(core: str, level: str, tmp_path: Path) -> None:
    compile_all(("arm-none-eabi-gcc",), (*FLAGS[core], level), sources(core), tmp_path)


@pytest.mark.parametrize("core", MAIN_CORES)
def test_gcc_compiles_with_guards_of_the_stack(core: str, tmp_path: Path) -> None:
    flags = (*FLAGS[core], "-O2", "-fstack-protector-all")
    compile_all(("arm-none-eabi-gcc",), flags, sources(core), tmp_path)


def test_guards_of_the_stack_stay_out_of_assembly(tmp_path: Path) -> None:
    """-fstack-protector-all would clobber the arguments of naked functions."""
    file = tmp_path / "naked.c"
    file.write_text(
        '#include "sparsesep/compiler.h"\nvoid f(void);\n'
        'SPARSESEP_NAKED void f(void) { __asm__("bx lr"); }\n'
    )
    flags = (*FLAGS["cortex-m4"], "-O2", "-fstack-protector-all")
    compile_all(("arm-none-eabi-gcc",), flags, [file], tmp_path)
    command = ["arm-none-eabi-objdump", "-d", str(tmp_path / "naked.o")]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"<f>:\n +0:\s+4770\s+bx\s+lr\n", code), code
    for path in source_dir().glob("kernels/**/*.[ch]"):
        assert "__attribute__((naked" not in path.read_text() or path.name == "compiler.h", path


@needs_clang
@pytest.mark.parametrize(("core", "level"), LLVM_CASES)
def test_llvm_compiles_without_warnings(core: str, level: str, tmp_path: Path) -> None:
    compile_all(clang(core), (level,), sources(core), tmp_path)


@pytest.mark.parametrize("core", MAIN_CORES)
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_other_files_are_empty(core: str, level: str, tmp_path: Path) -> None:
    others = sorted(set(source_dir().glob("kernels/**/*.c")) - set(sources(core)))
    assert len(others) > 30
    compile_all(("arm-none-eabi-gcc",), (*FLAGS[core], level), others, tmp_path)
    command = ["arm-none-eabi-size", *(f"{path.stem}.o" for path in others)]
    table = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    rows = [line.split() for line in table.stdout.splitlines()[1:]]
    assert [row[-1] for row in rows if row[3] != "0"] == []


@pytest.mark.parametrize("core", MAIN_CORES)
def test_links_as_one_program(core: str, tmp_path: Path) -> None:
    """What only assembly names survives optimization at link time."""
    flags = (*FLAGS[core], "-O2", "-flto")
    compile_all(("arm-none-eabi-gcc",), flags, sources(core), tmp_path)
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
