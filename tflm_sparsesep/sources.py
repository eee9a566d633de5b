"""Location of the C sources of this installation."""

from __future__ import annotations

from pathlib import Path

from tflm_sparsesep.converters.errors import DeviceError

_PACKAGE = Path(__file__).resolve().parent


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
