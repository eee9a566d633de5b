"""Flash that operators take: op core, validators, selection, messages and kernels.

Operators are linked as in an application that calls their three functions: the linker drops what
they do not reach, such as self-checks and names of kernels. The C library and the compiler's
runtime are not counted.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.device import toolchain
from tflm_sparsesep.sources import source_dir

FULLY_CONNECTED, SPARSE_CONV = "sparsesep_fully_connected", "sparsesep_sparse_conv"

_KERNEL = re.compile(r"fully_connected_(\d+x\d+_\w+)")
# A section in a GNU linker map, its name possibly on a line of its own: size and object of an
# archive.
_SECTION = re.compile(
    r"^ \.(?:text|rodata)[^\s]*\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) \S+\((\S+)\.o\)$", re.MULTILINE
)


@dataclass(frozen=True)
class CodeSize:
    """Bytes of code and constants (.text and .rodata).

    Attributes:
        target: name of the target.
        flags: flags of gcc.
        core: operators, validators, selection and messages.
        frames: code that several kernels share.
        kernels: each linked kernel alone, by name.
    """

    target: str
    flags: str
    core: int
    frames: int
    kernels: dict[str, int]

    @property
    def total(self) -> int:
        """Sum of core, frames and kernels."""
        return self.core + self.frames + sum(self.kernels.values())


def code_size(
    target: str,
    *,
    operators: Sequence[str] = (FULLY_CONNECTED,),
    variants: Sequence[str] = (),
    optimization: str = "-O2",
) -> CodeSize:
    """Compile and link operators for a target and measure them.

    Args:
        target: a name of `targets.TARGETS`.
        operators: what the names of their functions in `custom_ops/core/` begin with.
        variants: names of the kernels to link; none links all.
        optimization: flag of gcc.

    Raises:
        ConfigError: the target is unknown.
        ToolMissingError: the Arm compiler is not installed.
        DeviceError: the compiler failed.
    """
    archive = toolchain.build_core(target, optimization=optimization, variants=variants)
    entry_points = [f"{name}_{step}" for name in operators for step in ("init", "prepare", "eval")]
    flags = toolchain.compile_flags(get_target(target), optimization)
    by_object = _linked(target, flags, archive, entry_points)
    kernels = {
        match[1]: by_object[name] for name in by_object if (match := _KERNEL.fullmatch(name))
    }
    core_bytes = sum(by_object.get(source.stem, 0) for source in _core_sources())
    frames = sum(by_object.values()) - core_bytes - sum(kernels.values())
    return CodeSize(target, " ".join(flags), core_bytes, frames, kernels)


def _core_sources() -> list[Path]:
    root = source_dir()
    return [
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels/validate").glob("*.c")),
        root / "kernels/common/status.c",
        root / "kernels/sparse_fully_connected/select_fully_connected.c",
    ]


def _linked(
    target: str, flags: Sequence[str], archive: Path, entry_points: Sequence[str]
) -> dict[str, int]:
    """Link, and return the bytes that stay of each object."""
    with tempfile.TemporaryDirectory(prefix="tflm-sparsesep-") as directory:
        work = Path(directory)
        link_flags = [
            *("-nostdlib", "-Wl,--gc-sections", "-Wl,--unresolved-symbols=ignore-all"),
            *("-Wl,-Map=map", f"-Wl,-e,{entry_points[0]}", "-Wl,--no-warn-rwx-segments"),
            *(f"-Wl,-u,{name}" for name in entry_points),
        ]
        compiler = str(toolchain.require_tool("arm-none-eabi-gcc").path)
        whole = ("-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive")
        link_command = [compiler, *flags, *link_flags, *whole, "-o", "op.elf"]
        toolchain.run_tool(link_command, what=f"linking for {target}", cwd=work)
        return _read_map((work / "map").read_text())


def _read_map(text: str) -> dict[str, int]:
    """Return the bytes that each object has in the image."""
    # Discarded sections come first; the memory map follows.
    _, _, linked = text.partition("Linker script and memory map")
    by_object: dict[str, int] = {}
    for size, name in _SECTION.findall(linked):
        by_object[name] = by_object.get(name, 0) + int(size, 16)
    return {name: size for name, size in by_object.items() if size}
