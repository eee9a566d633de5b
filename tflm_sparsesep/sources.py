"""Location of the C sources of this installation."""

from __future__ import annotations

from pathlib import Path

from tflm_sparsesep import converters


def source_dir() -> Path:
    """Return the folder that holds the C sources (`kernels/`, `custom_ops/`) of this package."""
    return Path(converters.__file__).resolve().parent.parent
