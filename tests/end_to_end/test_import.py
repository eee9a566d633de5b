"""`import tflm_sparsesep` loads no library that takes longer to import than the package."""

from __future__ import annotations

import subprocess
import sys

_SLOW = {"keras", "matplotlib", "scipy", "sklearn", "tensorflow"}


def test_import_is_light() -> None:
    script = "import sys, tflm_sparsesep; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "numpy" in loaded  # the list is of the modules loaded
    assert not _SLOW & set(loaded)
