"""The worked example of docs/training.md, run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "training.md"

CHECKS = """
assert 0.9 <= history["zeros"][-1] < 0.902
assert history["accuracy"][-1] > 0.95
assert rows[-1].name == "head" and rows[-1].zeros == 0
assert all(layer.rewritten for layer in result.layers[:2])
print("example ran")
"""


@pytest.mark.slow
@pytest.mark.xdist_group("tensorflow")
def test_worked_example_runs_as_it_stands() -> None:
    (example,) = re.findall(r"```python\n(import .*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example + CHECKS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "example ran" in done.stdout
