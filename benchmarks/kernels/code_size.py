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

from tflm_sparsesep.converters.selected_variants import DEFINE, HEADER_NAME, variants_header
from tflm_sparsesep.converters.targets import get_target
from tflm_sparsesep.device import toolchain
from tflm_sparsesep.sources import device_kernels, source_dir

FULLY_CONNECTED, SPARSE_CONV = "sparsesep_fully_connected", "sparsesep_sparse_conv"

_KERNEL = re.compile(r"fully_connected_(\d+x\d+_\w+)")
# A section in a GNU linker map, its name possibly on a line of its own: size and object.
_SECTION = re.compile(
    r"^ \.(?:text|rodata)[^\s]*\s+0x[0-9a-f]+\s+(0x[0-9a-f]+) (\S+)\.o$", re.MULTILINE
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
    core = get_target(target)
    toolchain.board_of(core)  # refuses a target that this compiler does not know
    root = source_dir()
    core_sources = [
        *sorted((root / "custom_ops/core").glob("*.c")),
        *sorted((root / "kernels/validate").glob("*.c")),
        root / "kernels/common/status.c",
        root / "kernels/sparse_fully_connected/select_fully_connected.c",
    ]
    sources = sorted({*core_sources, *device_kernels(core.isa)})
    entry_points = [f"{name}_{step}" for name in operators for step in ("init", "prepare", "eval")]
    flags = toolchain.compile_flags(core, optimization)
    by_object = _linked(target, flags, sources, entry_points, variants)
    kernels = {
        match[1]: by_object[name] for name in by_object if (match := _KERNEL.fullmatch(name))
    }
    core_bytes = sum(by_object.get(source.stem, 0) for source in core_sources)
    frames = sum(by_object.values()) - core_bytes - sum(kernels.values())
    return CodeSize(target, " ".join(flags), core_bytes, frames, kernels)


def _linked(
    target: str,
    flags: Sequence[str],
    sources: Sequence[Path],
    entry_points: Sequence[str],
    variants: Sequence[str],
) -> dict[str, int]:
    """Compile and link, and return the bytes that stay of each object."""
    root = source_dir()
    with tempfile.TemporaryDirectory(prefix="tflm-sparsesep-") as directory:
        work = Path(directory)
        folders = (root / "kernels", root / "kernels/include", root / "custom_ops", work)
        include = [f"-I{folder}" for folder in folders]
        if variants:
            (work / HEADER_NAME).write_text(variants_header(variants, target=target))
            include.append(f"-D{DEFINE}")
        compiler = str(toolchain.require_tool("arm-none-eabi-gcc").path)
        compile_command = [compiler, *flags, *include, "-c", *map(str, sources)]
        toolchain.run_tool(compile_command, what=f"compiling for {target}", cwd=work)
        link_flags = [
            *("-nostdlib", "-Wl,--gc-sections", "-Wl,--unresolved-symbols=ignore-all"),
            *("-Wl,-Map=map", f"-Wl,-e,{entry_points[0]}", "-Wl,--no-warn-rwx-segments"),
            *(f"-Wl,-u,{name}" for name in entry_points),
        ]
        objects = [f"{source.stem}.o" for source in sources]
        link_command = [compiler, *flags, *link_flags, *objects, "-o", "op.elf"]
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
