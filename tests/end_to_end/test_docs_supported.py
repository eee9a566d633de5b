"""docs/supported.md says what the converter's checks say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_is_current() -> None:
    command = [sys.executable, str(ROOT / "tools/make_supported_table.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"run tools/make_supported_table.py: {done.stderr}"
    page = (ROOT / "docs/supported.md").read_text()
    for operator in ("FULLY_CONNECTED", "CONV_2D 3x3", "DEPTHWISE_CONV_2D"):
        assert f"| {operator} | INT8 INT8 | converted |" in page
