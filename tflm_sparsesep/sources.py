"""Location of the C sources of this installation."""

from __future__ import annotations

from pathlib import Path, PurePath

from tflm_sparsesep.converters.errors import DeviceError

_PACKAGE = Path(__file__).resolve().parent
# What folders of kernels and names of their files end with, and the instruction sets
# (`Target.isa`) that have code in them; all have in others.
_ISAS = {
    **dict.fromkeys(("avx2", "neon", "opencl", "vnni", "x86"), ()),
    "thumb": ("v6m", "v7m", "dsp", "mve"),
    "v6m": ("v6m",),
    "v7m": ("v7m", "dsp", "mve"),
    "dsp": ("dsp", "mve"),
    "mve": ("mve",),
}


def source_dir() -> Path:
    """Return the folder that holds `kernels/` and `custom_ops/`: the package, or its checkout.

    Raises:
        DeviceError: they are missing.
    """
    for root in (_PACKAGE, _PACKAGE.parent):
        if (root / "kernels" / "include").is_dir() and (root / "custom_ops" / "core").is_dir():
            return root
    raise DeviceError(
        f"kernels/ and custom_ops/ are neither in {_PACKAGE} nor beside it: broken install"
    )


def device_kernels(isa: str | None) -> list[Path]:
    """Return the C files below `kernels/` that hold code for the instruction set of a device.

    Builds may take every file; for other instruction sets they are empty.
    """
    root = source_dir()
    files = sorted((root / "kernels").rglob("*.c"))
    return [file for file in files if has_code(file.relative_to(root), isa)]


def has_code(path: PurePath, isa: str | None) -> bool:
    """Return False for a C file below `kernels/` that is empty for `isa`, by its name."""
    names = (*path.parts[:-1], path.stem.rpartition("_")[2])
    return all(isa in _ISAS[name] for name in names if name in _ISAS)
